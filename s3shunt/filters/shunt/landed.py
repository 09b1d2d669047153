"""The bytes of a restored object, read from the place where they landed; never others, never fewer."""

import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from s3shunt import green
from s3shunt.connect import House
from s3shunt.model import Entry, ObjectRef, Place
from s3shunt.policy import recall
from s3shunt.ports import ObjectStore
from s3shunt.protocol.errors import IncompleteBody, InvalidObjectState, InvalidRange, NoSuchBucket, NoSuchKey, PreconditionFailed

PIECE = 256 * 1024


class Landed:
    def __init__(self, house: House, catalog: str) -> None:
        self.house = house
        self.catalog = house.catalog(catalog)

    def open(self, entry: Entry, place: Place, start: int, end: int, *, wrapper: Any = None) -> Iterable[bytes]:
        """Bytes ``start`` to ``end`` of the landed copy.

        One that is missing, or is not what the entry tells of, is recalled anew:
        InvalidObjectState, as for an object on tape.
        """
        assert entry.facts is not None
        store, ref = self.house.place(place)
        size = entry.facts.size
        try:
            return green.offload(_opened, store, ref, size, place.etag, (start, end), wrapper)
        except (NoSuchKey, NoSuchBucket, PreconditionFailed, InvalidRange):
            green.offload(self._missing, entry)
        raise InvalidObjectState(StorageClass=entry.storage_class)

    def _missing(self, entry: Entry) -> None:
        """Only if the entry still stands on that copy; a commit that fails was done by somebody else."""
        row = self.catalog.find_truth(entry.ref)
        if row is None or row.place != entry.place:
            return
        step = recall.missing(row, uuid.uuid4().hex, self.house.clock.now())
        if step is not None:
            self.catalog.commit(step)


def _opened(store: ObjectStore, ref: ObjectRef, size: int, etag: str, span: tuple[int, int], wrapper: Any) -> Iterable[bytes]:  # noqa: PLR0917
    """Runs where blocking is allowed. Raises NoSuchKey for a copy of another size or with other bytes than were verified."""
    start, end = span
    found = store.head(ref)
    if found is None or found.size != size or (etag and found.etag != etag):
        raise NoSuchKey
    if start == end:
        return ()
    opener: Callable[[ObjectRef], tuple[Any, int]] | None = getattr(store, "open", None)
    if wrapper is not None and opener is not None and (start, end) == (0, size):
        file, there = opener(ref)
        if there != size:
            file.close()
            raise NoSuchKey
        return wrapper(file, PIECE)  # type: ignore[no-any-return]
    return Pieces(store.read(ref, start=start, end=end, etag=found.etag or None), end - start)


class Pieces:
    """A blocking iterator as a response body: fetched off the hub in large pieces, and short only by raising."""

    def __init__(self, source: Iterator[bytes], length: int) -> None:
        self.source = source
        self.length = length
        self.sent = 0

    def __iter__(self) -> Iterator[bytes]:
        while self.sent < self.length:
            piece = green.offload(self._gather)
            self.sent += len(piece)
            if not piece or self.sent > self.length:
                raise IncompleteBody(f"The landed copy gave {self.sent} of {self.length} bytes.")
            yield piece

    def _gather(self) -> bytes:
        pieces, size = [], 0
        for data in self.source:
            pieces.append(data)
            size += len(data)
            if size >= PIECE:
                break
        return b"".join(pieces)

    def close(self) -> None:
        if hasattr(self.source, "close"):
            green.offload(self.source.close)


class Reader:
    """Pieces as a file to read from: a request body."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.pieces = iter(pieces)
        self.rest = b""

    def read(self, size: int = -1) -> bytes:
        if not self.rest:
            self.rest = next(self.pieces, b"")
        if size < 0:
            size = len(self.rest)
        data, self.rest = self.rest[:size], self.rest[size:]
        return data
