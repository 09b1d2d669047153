"""``s3shunt catalog find``: entries by their state, their ids, and what is known of their film or sound."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from s3shunt import config
from s3shunt.cli import cache, entries, say
from s3shunt.model import Entry, Search, State
from s3shunt.policy import media, notation
from s3shunt.ports import Truth

SHOWN = ("bucket", "key", "state", "size", "external_id", "archive_id", "media")
TEXTS = ("account", "bucket", "external_id", "archive_id", "codec", "container")


class Duration(click.ParamType):
    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        try:
            return config.duration(value)
        except ValueError as error:
            self.fail(f"{value}: {error}", param, ctx)


def asked(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that are fields of a ``Search``."""
    for option in (
        click.option("--state", type=click.Choice([state.value for state in State]), default=None),
        click.option("--kind", type=click.Choice(media.KINDS), default=None),
        click.option("--min-duration", type=Duration(), default=None, help="Film or sound at least so long: 90s, 1.5h."),
        click.option("--max-duration", type=Duration(), default=None, help="At most so long."),
        click.option("--unprobed", is_flag=True, help="Those into which ffprobe has not looked yet."),
        *(click.option(f"--{name.replace('_', '-')}", default=None) for name in TEXTS),
    ):
        command = option(command)
    return command


@click.command()
@asked
@click.option("--pinned", is_flag=True, help="All that are pinned, and no others.")
@click.option("--limit", default=1000, show_default=True)
@say.with_ini
@say.with_json
def find(ini: Path, state: str | None, limit: int, *, pinned: bool, as_json: bool, **wanted: Any) -> None:
    """Entries by state, ids, bucket, and what is known of their media; all that is asked for must hold."""
    truth = say.house(ini).truth()
    search = Search(state=State(state) if state else None, **wanted)
    found = (row for row in cache.every_pinned(truth) if media.fits(search, row)) if pinned else _pages(truth, search, limit)
    say.rows(SHOWN, (notation.entry_written(entry) if as_json else _row(entry) for entry in found), as_json=as_json)


def _pages(truth: Truth, search: Search, limit: int) -> Iterator[Entry]:
    after = None
    while limit > 0 and (page := truth.search(search, after=after, limit=min(limit, entries.PAGE))):
        yield from page
        after, limit = page[-1], limit - len(page)


def _row(entry: Entry) -> dict[str, Any]:
    length = media.duration(entry)
    known = [entry.media.get(name, "") for name in ("codec", "container", "timecode", "error")]
    said = [entry.media_kind or "", *known[:2], "" if length is None else _clock(length), *known[2:]]
    return entries.row(entry) | {"media": " ".join(word for word in said if word)}


def _clock(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}"
