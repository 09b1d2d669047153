"""``s3shunt stand-in``: other people's systems, played for drills, demonstrations and tests."""

import json
import signal
import threading
from pathlib import Path

import click

from s3shunt.config import ConfigError


@click.group("stand-in")
def standin() -> None:
    """Play another system on this machine."""


@standin.command()
@click.option("--port", default=0, help="Port on 127.0.0.1; 0 takes a free one.")
@click.option("--knobs", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="JSON file of knobs; see docs/mediahaven.md.")
@click.option("--state", type=click.Path(path_type=Path, file_okay=False), help="Where records and exports outlive the process.")
@click.option("--watch", multiple=True, help="Ingest what appears in this bucket of the destination's S3 store. May be given again.")
@click.option("--every", default=2.0, help="Seconds between two looks at watched buckets.")
def mediahaven(port: int, knobs: Path | None, state: Path | None, watch: tuple[str, ...], every: float) -> None:
    """The MediaHaven archive: both of its APIs, and everything that can go wrong with it.

    The only line on stdout says when it is ready and where.
    """
    from s3shunt.testing.mediahaven import MediaHaven
    from s3shunt.testing.mediahaven.knobs import read

    if state:
        state.mkdir(parents=True, exist_ok=True)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        made = MediaHaven(port=port, home=state)
        made.set(**(read(knobs) if knobs else {}))
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{knobs}: {error}") from None
    with made as archive:
        print(f"READY {json.dumps({'url': archive.url, 'control': f'{archive.url}/-/'})}", flush=True)
        while not ended.wait(every):
            for bucket in watch:
                _ingested(archive, bucket)


def _ingested(archive: object, bucket: str) -> None:
    """A store that does not answer now is looked at again."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        archive.crawl(bucket)  # type: ignore[attr-defined]
    except (BotoCoreError, ClientError) as error:
        click.echo(f"{bucket}: {error}", err=True)
