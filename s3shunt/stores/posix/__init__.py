"""``posix:///directory``: a store in a directory, for landed copies and small houses.

An object is a directory that holds its bytes, a plain file of their length,
and ``facts``, which names that file: renaming ``facts`` into place publishes
both at once. Names are encoded (``names``); links are never followed.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from hashlib import md5, sha256
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from s3shunt import config
from s3shunt.config import option
from s3shunt.model import NULL, Facts, Fingerprint, ObjectRef
from s3shunt.policy.notation import facts_read, facts_written
from s3shunt.ports import Evict, ObjectStore
from s3shunt.protocol.errors import BadDigest, IncompleteBody, InvalidRange, NoSuchKey, PreconditionFailed, ServiceUnavailable
from s3shunt.protocol.lengths import exactly
from s3shunt.stores.posix import names
from s3shunt.stores.posix.tree import TRIES, Tree, disk

CHUNK = 1 << 20
ASIDE = "+aside"
FACTS = "facts"
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Options:
    url: str = option(config.url, help="posix:///DIRECTORY")
    capacity: int | None = option(
        config.some(config.size), "", help="How many bytes the store takes for full; empty: the file system says."
    )
    reserve: int | None = option(config.some(config.size), "", help="How many bytes recalled copies may take here; empty: any number.")
    fsync: bool = option(config.flag, "yes", help="Whether what was written is on the disk before it is acknowledged.")


class PosixStore:
    Options = Options
    evict = Evict.LOCKED

    def __init__(self, options: Options, house: Any) -> None:
        self.options = options
        self._clock = house.clock
        self.root = Path(options.url.removeprefix("posix://"))
        self._tree = Tree(self.root, durable=options.fsync)
        try:
            (self.root / ASIDE).mkdir(parents=True, exist_ok=True, mode=0o700)
            _sweep(self.root / ASIDE)
        except OSError as error:
            raise ValueError(f"{self.root} cannot be used: {error.strerror}") from None

    # Reading

    def head(self, ref: ObjectRef) -> Facts | None:
        if ref.version not in (None, NULL):
            return None
        try:
            with disk(), self._tree.opened(names.path(ref)) as at:
                return _known(at)[0]
        except NoSuchKey:
            return None

    def open(self, ref: ObjectRef) -> tuple[BinaryIO, int]:
        """The object as a file to send from, and its size. It stays whole even when the object is overwritten meanwhile."""
        file, facts = self._open(ref)
        return file, facts.size

    def _open(self, ref: ObjectRef) -> tuple[BinaryIO, Facts]:
        if ref.version not in (None, NULL):
            raise NoSuchKey(Key=ref.key)
        with disk():
            for _ in range(TRIES):
                with self._tree.opened(names.path(ref)) as at:
                    facts, data = _known(at)
                    with suppress(FileNotFoundError):  # overwritten between the two: its facts are others now
                        return os.fdopen(os.open(data, READ, dir_fd=at), "rb"), facts
        raise ServiceUnavailable(f"The bytes of {ref} are not where its facts say.")

    def read(self, ref: ObjectRef, *, start: int = 0, end: int | None = None, etag: str | None = None) -> Iterator[bytes]:
        file, facts = self._open(ref)
        if etag is not None and etag.strip('"') != facts.etag.strip('"'):
            file.close()
            raise PreconditionFailed(Condition="If-Match")
        if start and start >= facts.size:
            file.close()
            raise InvalidRange
        return _chunks(file, start, facts.size if end is None else min(end, facts.size))

    # Writing

    def write(self, ref: ObjectRef, chunks: Iterable[bytes], *, size: int, facts: Facts | None = None) -> Facts:
        stamp = f"{self._clock.now():013d}-{secrets.token_hex(8)}"
        aside, told = self.root / ASIDE / stamp, self.root / ASIDE / f"{stamp}.{FACTS}"
        with ExitStack() as stack:
            stack.callback(_forget, aside, told)
            etag, digest = self._spill(stack, aside, exactly(chunks, size))
            made = replace(facts or Facts(size=0, etag="", last_modified=0), size=size, etag=etag, stamp=stamp, parts=())
            made = replace(made, last_modified=self._clock.now())
            line = json.dumps({"data": stamp, "sha256": digest, "facts": facts_written(made)})
            self._spill(stack, told, iter([line.encode()]))
            with disk(), self._tree.locked(names.path(ref), create=True) as at:
                self._publish(at, aside, told, stamp)
        return made

    def take(self, ref: ObjectRef, path: Path, checksum: str) -> Facts:
        """A file that lies on the same disk becomes the object: linked, not copied, and read once.

        ``checksum`` ("md5:<hex>" or "sha256:<hex>") is what its bytes must have. Raises BadDigest, OSError. Who writes
        to the file by its first name later changes the object: that name should go.
        """
        stamp = f"{self._clock.now():013d}-{secrets.token_hex(8)}"
        aside, told = self.root / ASIDE / stamp, self.root / ASIDE / f"{stamp}.{FACTS}"
        with ExitStack() as stack:
            stack.callback(_forget, aside, told)
            os.link(path, aside, follow_symlinks=False)
            file = stack.enter_context(os.fdopen(os.open(aside, READ), "rb"))
            fcntl.flock(file, fcntl.LOCK_EX)
            size, etag, digest = _digested(file)
            if checksum not in (f"md5:{etag}", f"sha256:{digest}"):
                raise BadDigest("the file is not what the archive holds")
            made = Facts(size=size, etag=f'"{etag}"', last_modified=self._clock.now(), stamp=stamp)
            line = json.dumps({"data": stamp, "sha256": digest, "facts": facts_written(made)})
            self._spill(stack, told, iter([line.encode()]))
            with disk(), self._tree.locked(names.path(ref), create=True) as at:
                self._publish(at, aside, told, stamp)
        return made

    def _publish(self, at: int, aside: Path, told: Path, stamp: str) -> None:
        os.rename(aside, stamp, dst_dir_fd=at)
        self._tree.sync(at)
        os.rename(told, FACTS, dst_dir_fd=at)
        self._tree.sync(at)
        _keep_only(at, (FACTS, stamp))

    def _spill(self, stack: ExitStack, path: Path, chunks: Iterator[bytes]) -> tuple[str, str]:
        """Locked until it is published: one that is not locked is what a killed writer left. Returns ETag and SHA-256."""
        tag, digest = md5(usedforsecurity=False), sha256()
        with disk():
            file = stack.enter_context(os.fdopen(os.open(path, WRITE, 0o600), "wb"))
            fcntl.flock(file, fcntl.LOCK_EX)
        for chunk in chunks:
            tag.update(chunk)
            digest.update(chunk)
            with disk():
                file.write(chunk)
        with disk():
            file.flush()
            self._tree.sync(file.fileno())
        return f'"{tag.hexdigest()}"', digest.hexdigest()

    # Deleting

    def delete(self, ref: ObjectRef) -> None:
        self._delete(ref, None)

    def delete_exact(self, ref: ObjectRef, fingerprint: Fingerprint) -> None:
        self._delete(ref, fingerprint)

    def _delete(self, ref: ObjectRef, fingerprint: Fingerprint | None) -> None:
        if ref.version not in (None, NULL):
            return
        way = names.path(ref)
        with suppress(NoSuchKey), disk(), self._tree.locked(way) as at:
            if fingerprint is not None and _known(at)[0].fingerprint != fingerprint:
                return
            with suppress(FileNotFoundError):
                os.unlink(FACTS, dir_fd=at)
                self._tree.sync(at)
            _keep_only(at, ())
            self._tree.prune(way, len(names.bucket_path(ref.account, ref.bucket)))

    # All of it

    def usage(self) -> tuple[int, int] | None:
        with disk():
            told = os.statvfs(self.root)
            if self.options.capacity is None:
                return (told.f_blocks - told.f_bfree) * told.f_frsize, told.f_blocks * told.f_frsize
            used = sum(path.lstat().st_size for path in self.root.rglob("*") if path.is_file())
        return used, max(used, self.options.capacity)

    def list(
        self, bucket: str, *, prefix: str = "", after: str = "", limit: int = 1000, account: str = ""
    ) -> list[tuple[str, Facts]]:
        begin, behind = prefix.encode(), after.encode()
        with suppress(NoSuchKey), disk():
            return [*islice(self._walk(names.bucket_path(account, bucket), b"", begin, behind), limit)]
        return []

    def _walk(self, way: Sequence[str], at: bytes, begin: bytes, behind: bytes) -> Iterator[tuple[str, Facts]]:
        """In byte order: a key comes before what goes on behind it."""
        with self._tree.opened(way) as descriptor:
            found = sorted((at + names.piece(name)[0], names.piece(name)[1] == names.MORE, name) for name in _names(descriptor))
        for key, goes_on, name in found:
            if goes_on and _worth(key, begin, behind):
                yield from self._walk([*way, name], key, begin, behind)
            elif not goes_on and key > behind and key.startswith(begin):
                yield from self._listed([*way, name], key)

    def _listed(self, way: Sequence[str], key: bytes) -> Iterator[tuple[str, Facts]]:
        with suppress(FileNotFoundError), self._tree.opened(way) as at:
            facts = _known(at)[0]
            yield key.decode("utf-8", "surrogateescape"), Facts(size=facts.size, etag=facts.etag, last_modified=facts.last_modified)


def _worth(start: bytes, begin: bytes, behind: bytes) -> bool:
    """Whether keys that start so can begin with ``begin`` and come behind ``behind``."""
    return (start.startswith(begin) or begin.startswith(start)) and (start > behind or behind.startswith(start))


def _known(at: int) -> tuple[Facts, str]:
    """The facts in an object's directory, and the name of the file of its bytes."""
    with os.fdopen(os.open(FACTS, READ, dir_fd=at), "rb") as file:
        told = json.loads(file.read())
    return facts_read(told["facts"]), told["data"]


def _chunks(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    with file:
        file.seek(start)
        while start < end:
            with disk():
                chunk = file.read(min(CHUNK, end - start))
            if not chunk:
                raise IncompleteBody(f"The file ended {end - start} bytes early.")
            start += len(chunk)
            yield chunk


def _digested(file: BinaryIO) -> tuple[int, str, str]:
    """Size, MD5 and SHA-256 of what is in a plain file."""
    tag, digest, size = md5(usedforsecurity=False), sha256(), 0
    while chunk := file.read(CHUNK):
        tag.update(chunk)
        digest.update(chunk)
        size += len(chunk)
    return size, tag.hexdigest(), digest.hexdigest()


def _names(at: int) -> list[str]:
    return os.listdir(at)  # pathlib knows no descriptors


def _keep_only(at: int, kept: Sequence[str]) -> None:
    for name in _names(at):
        if name not in kept:
            os.unlink(name, dir_fd=at)


def _forget(*paths: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _sweep(aside: Path) -> None:
    """What killed writers left: what is being written is locked."""
    for left in aside.iterdir():
        with suppress(FileNotFoundError, BlockingIOError), left.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()


_: type[ObjectStore] = PosixStore
