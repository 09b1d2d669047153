"""``memory://``: a store in this process; the plainest reading of the port, and the tests' store.

Nothing survives the process. ``versioned`` names buckets (shell patterns) that
keep versions: there a write makes a version id, and a delete without one a
delete marker.
"""

import itertools
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from hashlib import md5
from typing import Any

from s3shunt import clock, config
from s3shunt.config import option
from s3shunt.model import NULL, Facts, Fingerprint, ObjectRef
from s3shunt.ports import Evict, ObjectStore
from s3shunt.protocol.errors import InvalidRange, NoSuchKey, PreconditionFailed
from s3shunt.protocol.lengths import exactly

CHUNK = 64 * 1024


@dataclass(frozen=True)
class Options:
    url: str = option(config.url, "memory://", help="memory://")
    versioned: tuple[str, ...] = option(config.words, " ", help="Buckets (shell patterns) that keep versions.")
    capacity: int | None = option(config.some(config.size), "", help="How many bytes the store takes for full; for eviction by watermark.")
    reserve: int | None = option(config.some(config.size), "", help="How many bytes recalled copies may take here; empty: any number.")


@dataclass(frozen=True)
class Held:
    """One version; ``body`` None is a delete marker."""

    version: str
    facts: Facts
    body: bytes | None


class MemoryStore:
    Options = Options
    evict = Evict.LOCKED

    def __init__(self, options: Options | None = None, house: Any = None) -> None:
        self.options = options or Options()
        self._clock = house.clock if house is not None else clock.wall
        self._lock = threading.RLock()
        self._keys: dict[tuple[str, str, str], list[Held]] = {}
        self._serial = itertools.count(1)

    def head(self, ref: ObjectRef) -> Facts | None:
        with self._lock:
            held = self._find(ref)
        return held.facts if held else None

    def read(self, ref: ObjectRef, *, start: int = 0, end: int | None = None, etag: str | None = None) -> Iterator[bytes]:
        with self._lock:
            held = self._find(ref)
        if held is None or held.body is None:
            raise NoSuchKey(Key=ref.key)
        if etag is not None and etag.strip('"') != held.facts.etag.strip('"'):
            raise PreconditionFailed(Condition="If-Match")
        if start and start >= held.facts.size:
            raise InvalidRange
        body = held.body[start:end]
        return (body[at : at + CHUNK] for at in range(0, len(body), CHUNK))

    def write(self, ref: ObjectRef, chunks: Iterable[bytes], *, size: int, facts: Facts | None = None) -> Facts:
        body = b"".join(exactly(chunks, size))
        with self._lock:
            version, stamp = self._version(ref)
            made = replace(facts or Facts(size=0, etag="", last_modified=0), size=size, etag=f'"{md5(body).hexdigest()}"')
            made = replace(made, last_modified=self._clock.now(), stamp=stamp, parts=())
            self._push(ref, Held(version, made, body))
        return made

    def delete(self, ref: ObjectRef) -> None:
        with self._lock:
            if ref.version is None and self.versioned(ref.bucket):
                version, stamp = self._version(ref)
                marker = Facts(size=0, etag="", last_modified=self._clock.now(), stamp=stamp)
                self._push(ref, Held(version, marker, None))
                return
            self._remove(ref, ref.version or NULL)

    def delete_exact(self, ref: ObjectRef, fingerprint: Fingerprint) -> None:
        with self._lock:
            for held in self.versions(ref):
                if held.body is not None and held.facts.fingerprint == fingerprint and ref.version in (None, held.version):
                    self._remove(ref, held.version)

    def versions(self, ref: ObjectRef) -> list[Held]:
        """All versions of a key, delete markers included, newest first."""
        with self._lock:
            return [*self._keys.get(_name(ref), ())]

    def list(
        self, bucket: str, *, prefix: str = "", after: str = "", limit: int = 1000, account: str = ""
    ) -> list[tuple[str, Facts]]:
        with self._lock:
            names = [key for at, name, key in self._keys if (at, name) == (account, bucket) and key.startswith(prefix)]
            names = sorted((key for key in names if key.encode() > after.encode()), key=str.encode)
            found = [(key, self._find(ObjectRef(bucket, key, account=account))) for key in names]
        plain = [(key, Facts(size=h.facts.size, etag=h.facts.etag, last_modified=h.facts.last_modified)) for key, h in found if h]
        return plain[:limit]

    def usage(self) -> tuple[int, int] | None:
        if self.options.capacity is None:
            return None
        with self._lock:
            return sum(len(held.body or b"") for kept in self._keys.values() for held in kept), self.options.capacity

    def versioned(self, bucket: str) -> bool:
        return any(fnmatchcase(bucket, pattern) for pattern in self.options.versioned)

    def _find(self, ref: ObjectRef) -> Held | None:
        kept = self.versions(ref)
        if ref.version is None:
            kept = kept[:1]
        return next((h for h in kept if h.body is not None and ref.version in (None, h.version)), None)

    def _version(self, ref: ObjectRef) -> tuple[str, str]:
        """A new version's id, and the stamp that tells it from every other write."""
        stamp = f"{next(self._serial):08d}"
        return (stamp, stamp) if self.versioned(ref.bucket) else (NULL, stamp)

    def _push(self, ref: ObjectRef, held: Held) -> None:
        kept = [other for other in self.versions(ref) if other.version != held.version]
        self._keys[_name(ref)] = [held, *kept]

    def _remove(self, ref: ObjectRef, version: str) -> None:
        kept = [held for held in self.versions(ref) if held.version != version]
        self._keys[_name(ref)] = kept
        if not kept:
            del self._keys[_name(ref)]


def _name(ref: ObjectRef) -> tuple[str, str, str]:
    return (ref.account, ref.bucket, ref.key)


_: type[ObjectStore] = MemoryStore
