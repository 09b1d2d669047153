"""``s3shunt work``: the jobs of an ini, in this process; any number of them share one catalog."""

import signal
import threading
from pathlib import Path

import click

from s3shunt import connect
from s3shunt.cli import say, walk
from s3shunt.config import Ini


@click.command()
@click.argument("ini", type=click.Path(path_type=Path, dir_okay=False), default=say.DEFAULT_INI)
@click.option("--once", is_flag=True, help="Do what is due, and end.")
@say.with_json
def work(ini: Path, *, once: bool, as_json: bool) -> None:
    """Archive, evict, recall, expire: what is due in the catalog's ledger."""
    from s3shunt.jobs.runner import Runner

    say.aloud()
    walk.judge(Ini(ini))
    runner = Runner(connect.house(ini))
    if once:
        say.document({"done": runner.run_due()}, as_json=as_json)
        return
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    runner.run(stop)
