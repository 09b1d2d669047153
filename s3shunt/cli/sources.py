"""Where entries come from: files of lines, a store, an archive's own listing, folders. Each says where to go on after a kill."""

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import IO, Any

from s3shunt.cli import entries
from s3shunt.config import ConfigError
from s3shunt.connect import House
from s3shunt.model import NULL, Entry, Facts, Interest, ObjectRef, Place, Policy, State
from s3shunt.policy import expiry
from s3shunt.policy.adopt import adopted, alone, candidates, withdrawn
from s3shunt.policy.placement import described, known_id
from s3shunt.ports import Catalog, Copy, Holding, ObjectStore, Truth
from s3shunt.protocol.errors import S3Error

AT_ONCE = 16
"""Questions to a store at a time."""


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that was found. ``mark`` is where to go on behind it, in JSON; ``skipped`` a reason, which is only counted."""

    mark: Any
    entry: Entry | None = None
    problem: str = ""
    skipped: str = ""


# Files of lines


def lines(file: IO[str], form: str, mark: int | None) -> Iterator[Found]:
    """What ``catalog export`` wrote, or another system; ``mark`` counts lines (jsonl) or records (csv)."""
    rows: Iterator[Any] = csv.DictReader(file) if form == "csv" else file
    number = sum(1 for _ in islice(rows, mark or 0))
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            row = error
        if row is None:
            return
        number += 1
        yield _line(row, number, form)


def _line(row: Any, number: int, form: str) -> Found:
    where = f"{'record' if form == 'csv' else 'line'} {number}"
    if isinstance(row, csv.Error):
        return Found(number, problem=f"{where}: {row}")
    if isinstance(row, str) and not row.strip():
        return Found(number, skipped="empty lines")
    try:
        entry = alone(entries.read(row))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Found(number, problem=f"{where}: {type(error).__name__}: {error}: expected an entry")
    if entry.facts is None and entry.state is State.ONLINE:
        return Found(number, skipped="writes under way")
    return Found(number, entry)


def told(policies: Sequence[Policy], read: Callable[[Any], Iterator[Found]], mark: Any) -> Iterator[Found]:
    """What is found there, with the external ids that the policies give and a guess of its kind."""
    for found in read(mark):
        yield replace(found, entry=described(policies, found.entry)) if found.entry is not None else found


def looked(store: ObjectStore, name: str, read: Callable[[Any], Iterator[Found]], mark: Any) -> Iterator[Found]:
    """What is found there, but for what the store has, too: that is online."""
    for found in read(mark):
        yield _online(store, name, found) if found.entry is not None else found


def _online(store: ObjectStore, name: str, found: Found) -> Found:
    assert found.entry is not None
    held = _held(store, name, replace(found.entry.ref, version=None))
    if isinstance(held, str):
        return Found(found.mark, problem=f"{found.entry.ref}: {held}")
    return replace(found, entry=held or replace(found.entry, store=name))


def kept(store: ObjectStore, truth: Truth, catalog: Catalog, taken: Sequence[Entry]) -> Iterator[Entry]:
    """Rows that stand now and were looked for in vain, without those of what somebody wrote meanwhile, who was told of none."""

    def stays(one: Entry) -> bool:
        seen = store.head(replace(one.ref, version=None)) if one.state is not State.ONLINE else None
        step = withdrawn(truth.find(one.ref), seen) if seen is not None else None
        return step is None or not catalog.commit(step)

    with ThreadPoolExecutor(AT_ONCE, "look") as pool:
        yield from (one for one, there in zip(taken, pool.map(stays, taken), strict=True) if there)


# A store


def bucket(store: ObjectStore, name: str, source: str, account: str, mark: str | None) -> Iterator[Found]:
    """The objects of a bucket as the store holds them, each looked at on its own for all its facts."""
    after = mark or ""
    given = {"account": account} if account else {}
    with ThreadPoolExecutor(AT_ONCE, "head") as pool:
        while page := store.list(source, after=after, limit=entries.PAGE, **given):
            keys = [key for key, _ in page]
            heads = pool.map(partial(_held, store, name), [ObjectRef(source, key, None, account) for key in keys])
            for key, entry in zip(keys, heads, strict=True):
                yield _told(key, entry)
            after = keys[-1]


def _told(key: str, held: Entry | str | None) -> Found:
    if held is None:
        return Found(key, skipped="objects that went meanwhile")
    return Found(key, problem=f"{key}: {held}") if isinstance(held, str) else Found(key, held)


def _held(store: ObjectStore, name: str, ref: ObjectRef) -> Entry | str | None:
    try:
        facts = store.head(ref)
    except S3Error as error:
        return f"{error.code}: {error}"
    return None if facts is None else Entry(ref=replace(ref, version=_version(facts)), facts=facts, store=name)


def _version(facts: Facts) -> str:
    """The stamp of a bucket with versions is the version's id; Swift's stamp is a time, a folder's its own."""
    return NULL if not facts.stamp or _timed(facts.stamp) else facts.stamp


def _timed(stamp: str) -> bool:
    return stamp.replace(".", "").isdigit() or (len(stamp) == 30 and stamp[:13].isdigit() and stamp[13] == "-")


# An archive


@dataclass(frozen=True)
class Archived:
    """Makes archived entries of an archive's copies; by the policy that would have archived them."""

    house: House
    archive: str
    store: str
    account: str

    def entry(self, name: ObjectRef, copy: Copy) -> Entry:
        ref = ObjectRef(name.bucket, name.key, NULL, self.account)
        policies = self.house.policies
        policy = next((one for one in candidates(policies, ref) if one.archive == self.archive), None)
        policy = policy or Policy(name="import", buckets=("*",), archive=self.archive)
        external_id = known_id(policies, ref, copy.facts) or copy.external_id or None
        (swap,) = adopted(ref, copy, policy, self.store, self.house.clock.now(), external_id=external_id).swaps
        assert swap.new is not None
        return replace(swap.new, reason="imported from the archive")

    def doomed(self) -> frozenset[str]:
        """Copies of deleted or overwritten objects, which are only kept for their retention."""
        prefix, truth = f"copy {self.archive} ", self.house.truth()
        jobs = [*truth.jobs(kind="discard", limit=1_000_000), *truth.jobs(kind="discard", dead=True, limit=1_000_000)]
        return frozenset(job.dedupe.removeprefix(prefix) for job in jobs if job.dedupe.startswith(prefix))


def holdings(archived: Archived, pages: Iterator[list[Holding]], *, look: bool) -> Iterator[Found]:
    """What an archive holds. ``look``: what the store has, too, is online there, and no archived object."""
    doomed = archived.doomed()
    store = archived.house.store(archived.store) if look else None
    with ThreadPoolExecutor(AT_ONCE, "look") as pool:
        for page in pages:
            yield from pool.map(partial(_holding, archived, store, doomed), page)


def _holding(archived: Archived, store: ObjectStore | None, doomed: frozenset[str], one: Holding) -> Found:
    if one.ref is None or one.copy is None:
        return Found(one.start, problem=one.problem, skipped=one.skipped)
    if one.copy.archive_id in doomed:
        return Found(one.start, skipped="copies of deleted objects")
    found = Found(one.start, archived.entry(one.ref, one.copy))
    return found if store is None else _online(store, archived.store, found)


# Folders


def files(folder: Path, mark: list[str] | None, way: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The plain files below a folder, as ways from it, always in the same order; links are left alone."""
    first = mark[0] if mark else ""
    with os.scandir(folder.joinpath(*way)) as found:
        names = sorted((one.name, one.is_dir(follow_symlinks=False), one.is_file(follow_symlinks=False)) for one in found)
    for name, is_folder, is_file in names:
        if name < first or (name == first and is_file):
            continue
        if is_folder:
            yield from files(folder, mark[1:] if mark and name == first else None, (*way, name))
        elif is_file:
            yield (*way, name)


def folder(root: Path, given: str, account: str, archive: str, mark: list[str] | None) -> Iterator[Found]:
    """Files below a folder as objects that the archive of that folder holds, by their path."""
    for way in files(root, mark):
        try:
            yield Found(list(way), entries.of_file(root, way, given, account, archive))
        except OSError as error:
            yield Found(list(way), problem=f"{'/'.join(way)}: {error.strerror}")


@dataclass(frozen=True)
class Cached:
    """Makes readable, restored entries of files that lie on the disk already: linked into a store of folders, and verified."""

    archived: Archived
    landing: str
    days: int
    rehearse: bool
    look: bool = True

    def found(self, root: Path, given: str, mark: list[str] | None) -> Iterator[Found]:
        store, _ = self.archived.house.place(Place(self.landing, ""))
        if not hasattr(store, "take"):
            raise ConfigError(f"[store:{self.landing}]: expected a posix:// store, into which files can be linked")
        for way in files(root, mark):
            ref = ObjectRef(given, "/".join(way), NULL, self.archived.account)
            try:
                yield self._file(root.joinpath(*way), ref, list(way))
            except (S3Error, OSError) as error:
                yield Found(list(way), problem=f"{ref.key}: {type(error).__name__}: {error}")

    def _file(self, path: Path, ref: ObjectRef, mark: list[str]) -> Found:
        house = self.archived.house
        if house.truth().find(replace(ref, version=None)) is not None:
            return Found(mark, skipped="known objects")
        held = _held(house.store(self.archived.store), self.archived.store, replace(ref, version=None)) if self.look else None
        if held is not None:
            return Found(mark, problem=f"{ref.key}: {held}") if isinstance(held, str) else Found(mark, held)
        copy = house.archive(self.archived.archive).find(ref=replace(ref, version=None))
        if copy is None or not copy.copies:
            return Found(mark, skipped="files that the archive does not hold safely")
        if path.stat().st_size != copy.size:
            return Found(mark, problem=f"{ref.key}: has {path.stat().st_size} bytes, the archive's copy {copy.size}")
        return Found(mark, self._restored(path, self.archived.entry(ref, copy), copy))

    def _restored(self, path: Path, entry: Entry, copy: Copy) -> Entry:
        """Raises BadDigest when the bytes are not the archive's: then nothing stays in the store."""
        house = self.archived.house
        place = Place(self.landing, "import/" + sha256(f"{entry.ref.account}/{entry.ref}".encode("utf-8", "surrogateescape")).hexdigest())
        store, name = house.place(place)
        end = expiry.until(house.clock.now(), self.days, house.day)
        etag = "" if self.rehearse else store.take(name, path, copy.checksum).etag  # type: ignore[attr-defined]
        return replace(
            entry, state=State.RESTORED, place=replace(place, etag=etag), restored_until=end,
            interests=(Interest("import", self.days, until=end),), reason="imported from the disk",
        )  # fmt: skip


Source = Callable[[Any], Iterator[Found]]
"""From a mark on; None is the beginning."""
