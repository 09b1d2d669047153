"""The keys of clients, remembered for a short while."""

from s3shunt import green
from s3shunt.model import Key
from s3shunt.ports import Keys
from s3shunt.protocol.errors import ServiceUnavailable

UNKNOWN_FOR = 1000
"""Milliseconds for which a key is taken to be unknown, or its source to be down."""


class KeyRing:
    """Keys remembered for a short while; a source that is down costs only those who were not seen before."""

    SIZE = 10_000
    LONGEST = 256
    """No access key has more letters; what strangers make up would else take much room."""

    def __init__(self, source: Keys, cache: int) -> None:
        self._source = source
        self._cache = cache
        self._kept: dict[str, tuple[int, Key | None]] = {}

    def find(self, access_key: str, now: int) -> Key | None:
        """Raises ServiceUnavailable when the source does not answer and the key was never found in it."""
        if len(access_key) > self.LONGEST:
            return None
        until, key = self._kept.get(access_key, (-1, None))
        if now < until:
            return key
        try:
            key = green.offload(self._source.find, access_key)
            until = now + (self._cache if key else min(self._cache, UNKNOWN_FOR))
        except ServiceUnavailable:
            if key is None:
                raise
            until = now + UNKNOWN_FOR
        if len(self._kept) >= self.SIZE:  # strangers go first: a flood of them pushes nobody out
            known = {name: row for name, row in self._kept.items() if row[1]}
            self._kept = known if len(known) < self.SIZE else {}
        self._kept[access_key] = (until, key)
        return key
