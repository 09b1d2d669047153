"""``s3shunt catalog``: what is known of objects, looked at, mended, written out and read in."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from s3shunt.cli import buckets, cache, entries, importing, say, search
from s3shunt.config import ConfigError
from s3shunt.model import Entry, ObjectRef, State, Step, Swap
from s3shunt.policy import notation
from s3shunt.policy.claims import same_key
from s3shunt.policy.transitions import IllegalTransition
from s3shunt.ports import Truth
from s3shunt.protocol.errors import NoSuchKey, OperationAborted, SlowDown

SHOWN = ("bucket", "key", "version", "state", "size", "storage_class", "archive", "archive_id")
FORMS = click.Choice(["jsonl", "csv"])


def ref_of(name: str, account: str, version: str | None = None) -> ObjectRef:
    """BUCKET/KEY as an operator writes it."""
    bucket, slash, key = name.partition("/")
    if not slash or not key:
        raise click.BadParameter(f"{name}: expected BUCKET/KEY")
    return ObjectRef(bucket, key, version, account)


with_account, with_name = importing.with_account, importing.with_name


@click.group()
def catalog() -> None:
    """Where each object's bytes are."""


for word in (cache.pin, cache.unpin, cache.pins, cache.room, buckets.give, buckets.buckets, buckets.scan):
    catalog.add_command(word)


@catalog.command()
@with_name
@say.with_ini
def upgrade(ini: Path, name: str) -> None:
    """Bring the schema to this release's form; 'serve' never does."""
    say.house(ini).truth(name).upgrade()


@catalog.command()
@click.argument("name", metavar="BUCKET/KEY")
@click.option("--version", default=None, help="One version; by default the whole history, newest first.")
@with_account
@say.with_ini
@say.with_json
def show(ini: Path, name: str, account: str, version: str | None, *, as_json: bool) -> None:
    """All that is known of one object."""
    truth, ref = say.house(ini).truth(), ref_of(name, account, version)
    found = [row for row in (truth.history(ref) if version is None else [truth.find(ref)]) if row]
    if not found:
        raise NoSuchKey(f"The catalog has no entry for {ref}.")
    for row in found:
        say.document(notation.entry_written(row), as_json=as_json)


def _table(found: Iterable[Entry], *, as_json: bool) -> None:
    shown = (notation.entry_written(entry) for entry in found) if as_json else (entries.row(entry) for entry in found)
    say.rows(SHOWN, shown, as_json=as_json)


@catalog.command("list")
@click.argument("bucket")
@click.option("--prefix", default="")
@click.option("--versions", is_flag=True, help="Every version, not only the current one.")
@with_account
@say.with_ini
@say.with_json
def list_(ini: Path, bucket: str, prefix: str, account: str, *, versions: bool, as_json: bool) -> None:
    """The entries of a bucket, in S3's order."""
    _table(_scanned(say.house(ini).truth(), account, bucket, prefix, versions=versions), as_json=as_json)


def _scanned(truth: Truth, account: str, bucket: str, prefix: str, *, versions: bool) -> Iterator[Entry]:
    after = None
    while page := truth.scan(account, bucket, prefix=prefix, after=after, limit=entries.PAGE, versions=versions):
        yield from page
        after = page[-1].ref


catalog.add_command(search.find)


@catalog.command("set")
@click.argument("name", metavar="BUCKET/KEY")
@click.option("--version", default=None)
@click.option("--state", type=click.Choice([state.value for state in State]), default=None, help="Only along the edges of the graph.")
@click.option("--archive", default=None)
@click.option("--archive-id", default=None)
@click.option("--external-id", default=None)
@click.option("--reason", default="set by an operator", show_default=True)
@with_account
@say.with_ini
@say.with_json
def set_(ini: Path, name: str, account: str, version: str | None, state: str | None, *, as_json: bool, **given: str | None) -> None:
    """Mend one entry."""
    truth, ref = say.house(ini).truth(), ref_of(name, account, version)
    old = truth.find(ref)
    if old is None:
        raise NoSuchKey(f"The catalog has no entry for {ref}.")
    changes: dict[str, Any] = {option: value for option, value in given.items() if value is not None}
    holder = truth.holder(account, given["external_id"]) if given["external_id"] else None
    if holder is not None and not same_key(holder, ref):
        raise OperationAborted(f"{holder} has this external id.")
    new = replace(old, state=State(state) if state else old.state, **changes)
    try:
        done = truth.commit(Step(swaps=(Swap(old, new),)))
    except IllegalTransition as error:
        raise ConfigError(f"{ref}: {error}") from None
    if not done:
        raise SlowDown("The object is changing at this moment: ask again.")
    say.document(notation.entry_written(new), as_json=as_json)


@catalog.command()
@click.argument("file", type=click.File("w", encoding="utf-8", errors="surrogateescape", lazy=False), default="-")
@click.option("--form", type=FORMS, default="jsonl", show_default=True)
@with_name
@say.with_ini
def export(ini: Path, name: str, file: Any, form: str) -> None:
    """Write every entry to FILE, or to stdout."""
    count = entries.dump(entries.every(say.house(ini).truth(name)), file, form)
    say.err.print(f"{count} entries written")


catalog.add_command(importing.import_)
