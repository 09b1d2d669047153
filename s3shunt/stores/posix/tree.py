"""Directories opened one component after another, never through a link, and changed durably."""

import errno
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from s3shunt.protocol.errors import NoSuchKey, ServiceUnavailable

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
TRIES = 100


@contextmanager
def disk() -> Iterator[None]:
    """What the file system refuses, in our words."""
    try:
        yield
    except FileNotFoundError:
        raise NoSuchKey from None
    except OSError as error:
        raise ServiceUnavailable(f"The store's file system: {errno.errorcode.get(error.errno or 0, '')} {error.strerror}") from None


class Tree:
    def __init__(self, root: Path, *, durable: bool) -> None:
        self._root = root
        self._durable = durable

    @contextmanager
    def opened(self, names: Sequence[str]) -> Iterator[int]:
        """A descriptor of a directory that is there; FileNotFoundError when it is not."""
        with ExitStack() as stack:
            yield self._descend(stack, names, create=False)

    @contextmanager
    def locked(self, names: Sequence[str], *, create: bool = False) -> Iterator[int]:
        """The same, alone with it. With ``create`` it is made; one that was removed while we waited is not it."""
        for _ in range(TRIES):
            with ExitStack() as stack:
                try:
                    descriptor = self._descend(stack, names, create=create)
                except FileNotFoundError:
                    if not create:
                        raise
                    continue  # a parent was pruned under our feet
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if os.fstat(descriptor).st_nlink == 0:
                    continue
                yield descriptor
                return
        raise FileNotFoundError

    def _descend(self, stack: ExitStack, names: Sequence[str], *, create: bool) -> int:
        at = self._open(stack, str(self._root), None)
        for name in names:
            try:
                at = self._open(stack, name, at)
            except FileNotFoundError:
                if not create:
                    raise
                with suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=at)
                    self.sync(at)
                at = self._open(stack, name, at)
        return at

    def _open(self, stack: ExitStack, name: str, parent: int | None) -> int:
        descriptor = os.open(name, DIRECTORY, dir_fd=parent)
        stack.callback(os.close, descriptor)
        return descriptor

    def prune(self, names: Sequence[str], keep: int) -> None:
        """Remove a directory and the empty ones above it, down to ``keep`` components."""
        for length in range(len(names), keep, -1):
            try:
                with self.opened(names[: length - 1]) as parent:
                    os.rmdir(names[length - 1], dir_fd=parent)
                    self.sync(parent)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.ENOENT):
                    raise
                return

    def sync(self, descriptor: int) -> None:
        if self._durable:
            os.fsync(descriptor)
