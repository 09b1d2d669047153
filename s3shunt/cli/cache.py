"""``s3shunt catalog pin | unpin | pins | room``: what stays in the cache, and how full it is."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from s3shunt.cli import say
from s3shunt.model import FOREVER, Entry, ObjectRef, Pin, Step, Swap
from s3shunt.ports import Catalog, Truth
from s3shunt.protocol.errors import NoSuchKey, SlowDown

DATES = ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ")
TRIES = 20
PAGE = 1000

with_account = say.with_account
with_prefix = click.option("--prefix", "below", is_flag=True, help="All keys that begin with KEY, those written later included.")


@click.command()
@click.argument("name", metavar="BUCKET/KEY")
@click.option("--until", type=click.DateTime(DATES), default=None, help="UTC; by default for ever.")
@with_prefix
@with_account
@say.with_ini
@say.with_json
def pin(ini: Path, name: str, until: datetime | None, account: str, *, below: bool, as_json: bool) -> None:
    """Keep the bytes of an object, or of all under a prefix, in the store."""
    end = FOREVER if until is None else int(until.replace(tzinfo=UTC).timestamp() * 1000)
    house, bucket, key = say.house(ini), *_parted(name, below=below)
    if below:
        count = house.truth().pin(Pin(bucket, key, end, account))
    else:
        count = _each(house.truth(), house.catalog(), ObjectRef(bucket, key, None, account), end)
    say.document({"pinned": count, "until": _date(end)}, as_json=as_json)


@click.command()
@click.argument("name", metavar="BUCKET/KEY")
@with_prefix
@with_account
@say.with_ini
@say.with_json
def unpin(ini: Path, name: str, account: str, *, below: bool, as_json: bool) -> None:
    """Let the bytes go when they are cold; under a prefix also those that were pinned one by one."""
    house, bucket, key = say.house(ini), *_parted(name, below=below)
    if below:
        count = house.truth().unpin(Pin(bucket, key, 0, account))
    else:
        count = _each(house.truth(), house.catalog(), ObjectRef(bucket, key, None, account), 0)
    say.document({"unpinned": count}, as_json=as_json)


@click.command()
@say.with_ini
@say.with_json
def pins(ini: Path, *, as_json: bool) -> None:
    """The prefixes that are pinned; the objects are listed by 'find --pinned'."""
    found = ({"bucket": p.bucket, "prefix": p.prefix, "until": _date(p.until), "account": p.account} for p in say.house(ini).truth().pins())
    say.rows(("bucket", "prefix", "until", "account"), found, as_json=as_json)


@click.command()
@click.argument("store", default="main")
@click.option("--recount", is_flag=True, help="Count all rows first; for a catalog that was filled by other hands.")
@say.with_ini
@say.with_json
def room(ini: Path, store: str, *, recount: bool, as_json: bool) -> None:
    """Bytes that known objects take in [store:STORE]: held, landed, and on their way to land."""
    truth = say.house(ini).truth()
    if recount:
        truth.recount()
    taken = truth.room(store)
    say.document({"held": taken.held, "landed": taken.landed, "coming": taken.coming}, as_json=as_json)


def every_pinned(truth: Truth) -> Iterator[Entry]:
    after = None
    while page := truth.pinned(after=after, limit=PAGE):
        yield from page
        after = page[-1].ref


def _each(truth: Truth, catalog: Catalog, ref: ObjectRef, until: int) -> int:
    """All versions of one key. How many there are."""
    rows = truth.history(ref)
    if not rows:
        raise NoSuchKey(f"The catalog has no entry for {ref}: nothing takes its bytes out of the store.")
    for row in rows:
        _changed(truth, catalog, row.ref, lambda row: replace(row, pinned=until))
    return len(rows)


def _changed(truth: Truth, catalog: Catalog, ref: ObjectRef, change: Callable[[Entry], Entry]) -> None:
    for _ in range(TRIES):
        row = truth.find(ref)
        if row is None or catalog.commit(Step(swaps=(Swap(row, change(row)),))):
            return
    raise SlowDown("The object is changing at this moment: ask again.")


def _parted(name: str, *, below: bool) -> tuple[str, str]:
    bucket, _, key = name.partition("/")
    if not bucket or (not key and not below):
        raise click.BadParameter(f"{name}: expected BUCKET/KEY")
    return bucket, key


def _date(at: int) -> Any:
    return "for ever" if at >= FOREVER else datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
