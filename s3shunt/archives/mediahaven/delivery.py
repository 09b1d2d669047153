"""Where exports arrive: in a bucket of an S3 store, or in a directory of the disk cache."""

import os
from collections.abc import Iterator
from contextlib import suppress
from hashlib import md5
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from s3shunt.archives.mediahaven.book import disk
from s3shunt.model import ObjectRef
from s3shunt.protocol.errors import BadDigest, NoSuchBucket, NoSuchKey, ServiceUnavailable
from s3shunt.protocol.lengths import exactly

CHUNK = 1 << 20


class Delivery(Protocol):
    def size(self, name: str) -> int | None:
        """Of the delivered file; None while there is none."""

    def read(self, name: str) -> Iterator[bytes]:
        """Raises NoSuchKey now when it is not there."""

    def drop(self, name: str) -> None:
        """Dropping twice is dropping once."""


class InStore:
    """``destination`` is the bucket, and what stands behind its first slash a prefix."""

    def __init__(self, house: Any, store: str, destination: str) -> None:
        self._house, self._store = house, store
        self._bucket, _, self._prefix = destination.strip("/").partition("/")

    def _ref(self, name: str) -> ObjectRef:
        return ObjectRef(self._bucket, f"{self._prefix}/{name}" if self._prefix else name)

    def size(self, name: str) -> int | None:
        found = self._house.store(self._store).head(self._ref(name))
        return None if found is None else found.size

    def read(self, name: str) -> Iterator[bytes]:
        chunks: Iterator[bytes] = self._house.store(self._store).read(self._ref(name))
        return chunks

    def drop(self, name: str) -> None:
        with suppress(NoSuchBucket):  # nothing was ever exported
            self._house.store(self._store).delete(self._ref(name))


class InDirectory:
    """Links are not followed: what lies in the directory was written by others."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def size(self, name: str) -> int | None:
        try:
            with self._open(name) as file:
                return os.fstat(file.fileno()).st_size
        except NoSuchKey:
            return None

    def read(self, name: str) -> Iterator[bytes]:
        return _chunks(self._open(name))

    def _open(self, name: str) -> BinaryIO:
        if not self._root.is_dir():
            raise ServiceUnavailable("The directory that exports arrive in is not there: is it mounted?")
        with disk():
            try:
                descriptor = os.open(self._root / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            except FileNotFoundError:
                raise NoSuchKey(Key=name) from None
            return os.fdopen(descriptor, "rb")

    def drop(self, name: str) -> None:
        with disk():
            (self._root / name).unlink(missing_ok=True)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file, disk():
        while chunk := file.read(CHUNK):
            yield chunk


def verified(chunks: Iterator[bytes], size: int, digest: str) -> Iterator[bytes]:
    """The same bytes; the last of them only when there are ``size`` of them and their MD5 is ``digest``."""
    seen, held = md5(usedforsecurity=False), b""
    for chunk in exactly(chunks, size):
        seen.update(chunk)
        if held:
            yield held
        held = chunk
    if seen.hexdigest() != digest:
        raise BadDigest("What was delivered is not what MediaHaven holds.")
    if held:
        yield held
