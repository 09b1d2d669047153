"""``s3shunt catalog import``: a catalog filled from what is there already, a thousand rows at a time, as often as one likes."""

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from s3shunt.cli import say, sources
from s3shunt.cli.sources import Archived, Cached, Found, Source
from s3shunt.config import ConfigError
from s3shunt.connect import House
from s3shunt.model import NULL, Entry, ObjectRef
from s3shunt.policy.adopt import unfinished
from s3shunt.ports import Catalog, ObjectStore, Truth

AT_ONCE = 1000
FORMS = ("jsonl", "csv", "bucket", "folder", "cache", "mediahaven")
LOOKED = ("folder", "cache", "mediahaven")
"""Forms that tell what an archive holds: the store may have it as well."""

with_account = say.with_account
with_name = click.option("--name", default="main", show_default=True, help="Which [catalog:NAME].")


@dataclass
class Tally:
    """What came of it. ``known`` are rows that say the same; ``conflicting`` those that say something else and stay, too."""

    added: int = 0
    known: int = 0
    conflicting: int = 0
    failed: int = 0
    bytes: int = 0
    skipped: Counter[str] = field(default_factory=Counter)

    def written(self) -> dict[str, Any]:
        return asdict(self) | {"skipped": dict(self.skipped)}


class Checkpoint:
    """How far an import came, in a small file of the state directory; none for what cannot be gone on with."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def read(self) -> tuple[Any, Tally]:
        """The mark to go on behind, and what was done until there."""
        if self._path is None or not self._path.exists():
            return None, Tally()
        told = json.loads(self._path.read_text(encoding="utf-8"))
        return told["mark"], Tally(**(told["tally"] | {"skipped": Counter(told["tally"]["skipped"])}))

    def write(self, mark: Any, tally: Tally) -> None:
        """Behind the rows: who dies between the two sees them once more, as known."""
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        aside = self._path.with_suffix(f".{os.getpid()}")
        aside.write_text(json.dumps({"mark": mark, "tally": tally.written()}), encoding="utf-8")
        aside.rename(self._path)

    def drop(self) -> None:
        if self._path is not None:
            with suppress(FileNotFoundError):
                self._path.unlink()


@dataclass
class Import:
    """Entries on their way into a catalog. ``strict`` raises ConfigError at the first that is none; ``rehearse`` changes nothing."""

    house: House
    truth: Truth
    catalog: Catalog
    checkpoint: Checkpoint
    rehearse: bool = False
    strict: bool = False
    links: bool = False
    """Whether the source links files into a store: then little is done at once, for each file is read."""
    looked: ObjectStore | None = None
    """The store in which archived objects were looked for in vain, and are once more when their rows stand."""

    def run(self, source: Source, progress: "Shown") -> Tally:
        mark, tally = self.checkpoint.read()
        progress.begin(tally)
        found = source(mark)
        while batch := list(islice(found, AT_ONCE // 50 if self.links else AT_ONCE)):
            self._take(batch, tally)
            self.checkpoint.write(batch[-1].mark, tally)
            progress.at(tally)
        self.checkpoint.drop()
        return tally

    def _take(self, batch: Iterable[Found], tally: Tally) -> None:
        offered: list[Entry] = []
        for found in batch:
            if found.problem:
                self._problem(found.problem, tally)
            elif found.entry is None:
                tally.skipped[found.skipped] += 1
            else:
                offered.append(found.entry)
        if not self.rehearse:  # a job that finds nothing to do costs nothing; one that is missing would never come
            now, policies = self.house.clock.now(), self.house.policies
            self.truth.enqueue(*[job for one in offered if (job := unfinished(one, policies, now))])
        taken = self.truth.adopt(offered, rehearse=self.rehearse)
        kept = self._kept(taken, tally)
        tally.added += len(kept)
        tally.bytes += sum(one.facts.size for one in kept if one.facts)
        self._left_out(offered, taken, tally)

    def _kept(self, taken: list[Entry], tally: Tally) -> list[Entry]:
        """Without what somebody wrote before its row stood, and without what was linked for it."""
        if self.looked is None or self.rehearse:
            return taken
        kept = list(sources.kept(self.looked, self.truth, self.catalog, taken))
        ours = {id(one) for one in kept}
        for one in taken:
            if id(one) not in ours:
                tally.skipped["objects that were written meanwhile"] += 1
                self._cleared(one, None)
        return kept

    def _left_out(self, offered: list[Entry], taken: list[Entry], tally: Tally) -> None:
        """Why, and without leaving anything behind that was landed for them."""
        ours = {id(one) for one in taken}
        left = [one for one in offered if id(one) not in ours]
        rows = {_version(row.ref): row for row in self.truth.rows_of([one.ref for one in left])}
        for one in left:
            row = rows.get(_version(one.ref))
            self._cleared(one, row)
            if row is not None and _same(row, one):
                tally.known += 1
                continue
            tally.conflicting += 1
            say.err.print(f"{one.ref}: {_why(row)}", markup=False)

    def _cleared(self, offered: Entry, row: Entry | None) -> None:
        """What was linked for an entry that is not taken goes again, unless it is what the row stands on."""
        if self.rehearse or not self.links or offered.place is None or (row is not None and row.place == offered.place):
            return
        store, name = self.house.place(offered.place)
        store.delete(name)

    def _problem(self, problem: str, tally: Tally) -> None:
        if self.strict:
            raise ConfigError(problem)
        tally.failed += 1
        say.err.print(problem, markup=False)


def _version(ref: ObjectRef) -> tuple[str, str, str, str]:
    return ref.account, ref.bucket, ref.key, ref.version or NULL


def _same(row: Entry, offered: Entry) -> bool:
    """Whether a row already says what is offered: the same bytes, in the same place of the archive where both name one."""
    if row.archive_id and offered.archive_id and (row.archive, row.archive_id) != (offered.archive, offered.archive_id):
        return False
    if row.facts is None or offered.facts is None:
        return row.facts is offered.facts
    return (row.facts.size, row.facts.etag.strip('"')) == (offered.facts.size, offered.facts.etag.strip('"'))


def _why(row: Entry | None) -> str:
    if row is None:
        return "another version of the key is current, or another object has the external id"
    size = row.facts.size if row.facts else None
    return f"known with other bytes or another copy ({row.state.value}, {size} bytes, archive id {row.archive_id}): left as it is"


class Shown:
    """A bar on a terminal, nothing elsewhere."""

    def __init__(self, total: int | None) -> None:
        self._bar = Progress(
            TextColumn("importing"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[told]}"), TimeElapsedColumn(),
            console=say.err, disable=not say.err.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task("", total=total, told="")

    def begin(self, tally: Tally) -> None:
        if tally != Tally():
            say.err.print(f"going on behind {_count(tally)} that were looked at before")
        self.at(tally)

    def at(self, tally: Tally) -> None:
        self._bar.update(self._task, completed=_count(tally), told=f"{tally.added} new, {tally.failed} failed")

    @contextmanager
    def drawn(self) -> Iterator[None]:
        with self._bar:
            yield


def _count(tally: Tally) -> int:
    return tally.added + tally.known + tally.conflicting + tally.failed + tally.skipped.total()


@click.command("import")
@click.argument("source")
@click.option("--form", type=click.Choice(FORMS), default="jsonl", show_default=True, help="What SOURCE is.")
@click.option("--bucket", default=None, help="The bucket that a folder's files belong to; of MediaHaven's records only those of this one.")
@click.option("--archive", default=None, help="For a folder, a cache: the [archive:NAME] that holds its files.")
@click.option("--store", default="main", show_default=True, help="The [store:NAME] that the objects belong to.")
@click.option("--landing", default="landing", show_default=True, help="For a cache: the [store:NAME] its files are linked into.")
@click.option("--days", default=30, show_default=True, help="For a cache: how long its files stay readable.")
@click.option("--query", default="", help="For MediaHaven: a clause in its query language, behind the search.")
@click.option("--key", default="", help="For MediaHaven: keys made of external ids, such as '{external_id}.mxf'; needs --bucket.")
@click.option("--look/--no-look", default=True, help="Whether the store is asked for what an archive holds, too: that is online.")
@click.option("--dry-run", is_flag=True, help="Only say what would come of it.")
@click.option("--strict", is_flag=True, help="Stop at the first line that is no entry.")
@click.option("--anew", is_flag=True, help="From the beginning, also where an import of this was broken off.")
@with_account
@with_name
@say.with_ini
@say.with_json
def import_(ini: Path, name: str, source: str, *, dry_run: bool, strict: bool, anew: bool, as_json: bool, **given: Any) -> None:
    """Adopt entries from SOURCE: a file of lines, a bucket of a store, a folder, files on the disk cache, or MediaHaven.

    What the catalog has a row for already is left as it is. One that was broken off goes on where it was.
    SOURCE is a file ("-": stdin), a bucket, a folder, or the name of an [archive:NAME].
    """
    house = say.house(ini)
    with _opened(house, source, rehearse=dry_run, **given) as (read, total):
        path = None if dry_run or source == "-" else _path(house, name, source, given)
        checkpoint = Checkpoint(path)
        if anew:
            checkpoint.drop()
        work = Import(
            house, house.truth(name), house.catalog(name), checkpoint, rehearse=dry_run, strict=strict, links=given["form"] == "cache",
            looked=house.store(given["store"]) if given["look"] and given["form"] in LOOKED else None,
        )  # fmt: skip
        shown = Shown(total)
        with shown.drawn():
            tally = work.run(read, shown)
    say.document(tally.written() | ({"dry_run": True} if dry_run else {}), as_json=as_json)


def _path(house: House, name: str, source: str, given: dict[str, Any]) -> Path:
    """Another for everything that makes it another import; a file that was changed is another one."""
    stamp = ""
    if given["form"] in ("jsonl", "csv"):
        found = Path(source).stat()
        source, stamp = str(Path(source).resolve()), f"{found.st_size} {found.st_mtime_ns}"
    told = json.dumps([name, source, stamp, given], sort_keys=True)
    return house.state / "imports" / f"{sha256(told.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}.json"


@contextmanager
def _opened(house: House, source: str, *, form: str, rehearse: bool, **given: Any) -> Iterator[tuple[Source, int | None]]:
    """The source, and how many it has where that is known."""
    if form not in ("jsonl", "csv"):
        yield _walked(house, source, form, rehearse=rehearse, **given), None
    elif source == "-":
        yield partial(sources.lines, sys.stdin, form), None
    else:
        with Path(source).open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            yield partial(sources.lines, file, form), None


def _walked(
    house: House, source: str, form: str, *, rehearse: bool, bucket: str | None, archive: str | None, store: str, landing: str, days: int,
    account: str, query: str, key: str, look: bool,
) -> Source:
    if form == "bucket":
        return partial(sources.told, house.policies, partial(sources.bucket, house.store(store), store, source, account))
    if form == "mediahaven":
        return _inventory(Archived(house, source, store, account), bucket=bucket or "", clause=query, key=key, look=look)
    if bucket is None or archive is None:
        raise click.UsageError(f"a {form} needs --bucket and --archive")
    if form == "folder":
        read: Source = partial(sources.folder, Path(source), bucket, account, archive)
        return partial(sources.told, house.policies, partial(sources.looked, house.store(store), store, read) if look else read)
    return partial(Cached(Archived(house, archive, store, account), landing, days, rehearse, look).found, Path(source), bucket)


def _inventory(archived: Archived, *, bucket: str, clause: str, key: str, look: bool) -> Source:
    archive = archived.house.archive(archived.archive)
    if not hasattr(archive, "holdings"):
        raise ConfigError(f"[archive:{archived.archive}]: expected an archive that can say all it holds, such as MediaHaven")
    if key and (not bucket or "{external_id}" not in key):
        raise click.UsageError("--key needs --bucket, and '{external_id}' in it")

    def source(mark: int | None) -> Iterator[Found]:
        start = max(0, (mark or 0) - OVERLAP)
        return sources.holdings(archived, archive.holdings(bucket=bucket, key=key, clause=clause, start=start), look=look)

    return source


OVERLAP = 200
"""Records that are looked at once more after a break: some may have gone meanwhile, and the others moved up."""
