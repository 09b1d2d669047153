"""Which objects were read of late: a bounded notebook that a process hands in now and then.

A read costs a look into a dict. Of an object at most one note an hour is kept; what
does not fit, and what a dying process had, is forgotten: an object is then taken to
be colder than it is, and no more.
"""

from collections.abc import Mapping

from s3shunt.model import ObjectRef

HOUR = 3_600_000


class Reads:
    def __init__(self, *, coarse: int = HOUR, every: int = 30_000, most: int = 50_000) -> None:
        """An object is noted again after ``coarse``; ``most`` are remembered; notes are due ``every`` so often."""
        self._coarse, self._every, self._most = coarse, every, most
        self._noted: dict[ObjectRef, int] = {}
        self._fresh: dict[ObjectRef, int] = {}
        self._due = 0

    def note(self, ref: ObjectRef, now: int) -> bool:
        """Somebody read it. Whether it is time to hand in."""
        last = self._noted.get(ref)
        if last is not None and now - last < self._coarse:
            return False
        if len(self._noted) >= self._most:
            self._noted.clear()
        if len(self._fresh) < self._most:
            self._noted[ref] = self._fresh[ref] = now
        if not self._due:
            self._due = now + self._every
        return now >= self._due

    def take(self) -> Mapping[ObjectRef, int]:
        """The notes since the last time."""
        fresh, self._fresh, self._due = self._fresh, {}, 0
        return fresh
