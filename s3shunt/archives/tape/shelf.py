"""The cartridges: directories of files, one file a copy. What is there is whole and on the disk."""

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from s3shunt.protocol.errors import ServiceUnavailable
from s3shunt.protocol.lengths import exactly

CHUNK = 1 << 20


class Shelf:
    def __init__(self, root: Path, cartridges: int) -> None:
        self.cartridges = [f"T{number:05d}" for number in range(1, cartridges + 1)]
        self._root = root
        for name in self.cartridges:
            (root / name).mkdir(parents=True, exist_ok=True)

    def write(self, archive_id: str, cartridges: Sequence[str], chunks: Iterable[bytes], size: int) -> str:
        """The same bytes on every one of the cartridges, fsynced and renamed into place; returns their SHA-256."""
        for name in cartridges:
            _sweep(self._root / name, archive_id)
        asides = [self._root / name / f".{archive_id}.{secrets.token_hex(4)}" for name in cartridges]
        with ExitStack() as stack:
            stack.callback(_forget, asides)
            digest = _spill(stack, asides, exactly(chunks, size))
            with _disk():
                for name, aside in zip(cartridges, asides, strict=True):
                    aside.rename(self._root / name / archive_id)
                    _sync(self._root / name)
        return digest

    def sound(self, archive_id: str, cartridge: str, size: int, sha256: str) -> bool:
        """Read back, every byte of it."""
        try:
            return self.hash(archive_id, cartridge) == (size, sha256)
        except OSError:
            return False

    def hash(self, archive_id: str, cartridge: str) -> tuple[int, str]:
        digest, seen = hashlib.sha256(), 0
        with (self._root / cartridge / archive_id).open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                seen += len(chunk)
        return seen, digest.hexdigest()

    def has(self, archive_id: str, cartridge: str) -> bool:
        return (self._root / cartridge / archive_id).is_file()

    def read(self, archive_id: str, cartridge: str) -> Iterator[bytes]:
        """Opens now; reads as it is asked."""
        with _disk():
            file = (self._root / cartridge / archive_id).open("rb")
        return _chunks(file)

    def drop(self, archive_id: str, cartridge: str) -> None:
        with suppress(FileNotFoundError):
            (self._root / cartridge / archive_id).unlink()
            _sync(self._root / cartridge)


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ServiceUnavailable(f"The tape library's disk: {error.strerror}") from None


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file, _disk():
        while chunk := file.read(CHUNK):
            yield chunk


def _spill(stack: ExitStack, paths: Sequence[Path], chunks: Iterator[bytes]) -> str:
    """Each file is locked until it has its name: one that is not locked is what a killed writer left."""
    digest = hashlib.sha256()
    with _disk():
        files = [stack.enter_context(path.open("xb")) for path in paths]
        for file in files:
            fcntl.flock(file, fcntl.LOCK_EX)
    for chunk in chunks:
        digest.update(chunk)
        with _disk():
            for file in files:
                file.write(chunk)
    with _disk():
        for file in files:
            file.flush()
            os.fsync(file.fileno())
    return digest.hexdigest()


def _sweep(directory: Path, archive_id: str) -> None:
    for left in directory.glob(f".{archive_id}.*"):
        with suppress(FileNotFoundError, BlockingIOError), left.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()


def _forget(paths: Sequence[Path]) -> None:
    for path in paths:
        with suppress(FileNotFoundError):
            path.unlink()


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
