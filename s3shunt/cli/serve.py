"""``s3shunt serve``: the listeners of an ini, in this process."""

from pathlib import Path

import click

from s3shunt.cli import say, walk
from s3shunt.config import Ini


@click.command()
@click.argument("ini", type=click.Path(path_type=Path, dir_okay=False), default=say.DEFAULT_INI)
def serve(ini: Path) -> None:
    """Answer S3 clients until SIGTERM."""
    from s3shunt.server import listen

    say.aloud()
    walk.judge(Ini(ini))
    listen.serve(ini)
