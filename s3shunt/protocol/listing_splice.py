"""What a listing shows of a name, given what the store lists and what the catalog knows.

And the walk over both in step: two streams in S3's order, each asked for more
only when its next name is needed. So nothing is ever said beyond what both
sides vouch for (the nearest horizon), and no page is fetched for nothing.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Generic, TypeVar

from s3shunt.model import IN_PROGRESS, NULL, STORE_IS_TRUTH, Entry, State
from s3shunt.protocol.listing import Item, Restore, iso, milliseconds

T = TypeVar("T")

ARCHIVE_CLASSES = ("GLACIER", "DEEP_ARCHIVE")


class Stream(Generic[T]):
    """Names in S3's order, each with what one side says of it.

    ``pull`` gives the next names (perhaps none) and whether there are more.
    """

    def __init__(self, pull: Callable[[], tuple[list[tuple[str, T]], bool]]) -> None:
        self._pull = pull
        self._names: deque[tuple[str, T]] = deque()
        self._more = True

    def head(self) -> str | None:
        """The next name, None at the end."""
        while not self._names and self._more:
            names, self._more = self._pull()
            self._names.extend(names)
        return self._names[0][0] if self._names else None

    def take(self, name: str) -> T | None:
        """What is said of ``name``, when that is the next one."""
        if self._names and self._names[0][0] == name:
            return self._names.popleft()[1]
        return None

    @property
    def must_ask(self) -> bool:
        """Whether the next name would have to be asked for, and may exist."""
        return not self._names and self._more


A = TypeVar("A")
B = TypeVar("B")


def joined(first: Stream[A], second: Stream[B]) -> Iterator[tuple[str, A | None, B | None]]:
    """Both streams name by name. ``first`` is asked before ``second``."""
    while True:
        heads = [head for head in (first.head(), second.head()) if head is not None]
        if not heads:
            return
        name = min(heads)
        yield name, first.take(name), second.take(name)


def shows(entry: Entry) -> bool:
    """Whether the entry is listed even when the store does not list the object."""
    return entry.facts is not None and entry.state is not State.DELETED and (
        entry.state is State.EVICTING or entry.state not in STORE_IS_TRUTH
    )


def doubtful(entry: Entry | None, listed: Item | None) -> bool:
    """The row says the store has it, the store does not: one of them was read too early."""
    return listed is None and entry is not None and entry.facts is not None and entry.state in STORE_IS_TRUTH and not shows(entry)


def item(entry: Entry | None, listed: Item | None, now: int) -> Item | None:
    """The one item of a key or version; None when it is not shown."""
    if entry is None:
        return listed
    if entry.state is State.DELETED:
        return None
    if entry.facts is None:
        return listed
    same = listed is not None and listed.etag.strip('"') == entry.facts.etag.strip('"')
    if entry.state is State.EVICTING and not same:
        return from_entry(entry, listed, now)  # gone between two questions; or what is listed is the version before
    if entry.state in STORE_IS_TRUTH:
        return _classed(entry, listed, now) if listed and same else listed
    return from_entry(entry, listed, now)


def _classed(entry: Entry, listed: Item, now: int) -> Item:
    """A class asked at PUT binds from then on; the store was never told."""
    if entry.storage_class not in ARCHIVE_CLASSES:
        return listed
    return replace(listed, storage_class=entry.storage_class, restore=restore_status(entry, now))


def from_entry(entry: Entry, listed: Item | None, now: int) -> Item:
    """The entry as an item. Raises nothing; the entry has facts."""
    facts = entry.facts
    assert facts is not None
    names = [name.removeprefix("x-amz-checksum-") for name in facts.checksums]
    return Item(
        key=entry.ref.key,
        size=str(facts.size),
        etag=f'"{facts.etag.strip(chr(34))}"',
        last_modified=iso(facts.last_modified),
        storage_class=entry.storage_class,
        owner=(facts.owner, facts.owner) if facts.owner else (listed.owner if listed else None),
        version=entry.ref.version or NULL,
        latest=entry.current,
        checksum_algorithms=tuple(sorted(name.upper() for name in names if name != "type")),
        checksum_type=facts.checksums.get("x-amz-checksum-type", ""),
        restore=restore_status(entry, now),
    )


def restore_status(entry: Entry, now: int) -> Restore | None:
    """As HEAD says it in ``x-amz-restore``; None for an object never asked for, or whose date has passed."""
    if entry.state in IN_PROGRESS or (entry.state is State.EXPIRING and any(each.until is None for each in entry.interests)):
        return Restore()
    if entry.state is State.RESTORED:
        until = entry.restored_until or 0
    elif entry.state in STORE_IS_TRUTH and entry.storage_class in ARCHIVE_CLASSES:
        until = max((interest.until or 0 for interest in entry.interests), default=0)
    else:
        return None
    return Restore(until) if now < until else None


def versions(rows: Sequence[Entry], listed: Sequence[Item], now: int) -> list[Item]:
    """All versions of one key, newest first.

    The store's own order stands; what only the catalog knows goes between by
    its date. When the current version is the catalog's, the store takes an
    older one for the latest: there is one latest, and this is it.
    """
    known = {row.ref.version or NULL: row for row in rows}
    stored = [(one, known.get(one.version or NULL)) for one in listed]
    shown = [item(row, one, now) for one, row in stored]
    absent = [row for version, row in known.items() if version not in {one.version or NULL for one in listed}]
    added = [from_entry(row, None, now) for row in absent if shows(row)]
    added.sort(key=lambda one: (not one.latest, -milliseconds(one.last_modified)))
    merged = _by_age([one for one in shown if one is not None], added)
    return _one_latest(merged, rows, {one.version or NULL for one in listed})


def _by_age(stored: list[Item], added: list[Item]) -> list[Item]:
    merged: list[Item] = []
    waiting = deque(stored)
    for one in added:
        moment = milliseconds(one.last_modified)
        while waiting and not one.latest and milliseconds(waiting[0].last_modified) >= moment:
            merged.append(waiting.popleft())
        merged.append(one)
    return [*merged, *waiting]


def _one_latest(items: list[Item], rows: Sequence[Entry], listed: set[str]) -> list[Item]:
    ours = {row.ref.version or NULL for row in rows if row.current and (row.state not in STORE_IS_TRUTH or row.ref.version not in listed)}
    if not any((one.version or NULL) in ours for one in items):
        return items
    return [replace(one, latest=(one.version or NULL) in ours) for one in items]


def behind(items: list[Item], version: str) -> list[Item]:
    """Those that follow ``version``; all of them when it is gone, for a client may delete what it has just listed."""
    for place, one in enumerate(items):
        if one.version == version:
            return items[place + 1 :]
    return items
