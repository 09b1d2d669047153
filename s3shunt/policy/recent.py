"""What one process remembers of the catalog, and when it may believe it.

The memory is believed while the process hears of every change: a probe sent
behind all changes on the link they come by was answered not long ago. What was
read before a change became known, and arrives after, is not kept. Every
rule here is needed: ``tests/policy/test_recent.py`` walks all interleavings,
and finds a stale answer when one is taken away.

Safe from several threads without a lock: each step is one dictionary
operation, and their order within a method is chosen so that a race forgets.
"""

from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import Final

from s3shunt.model import NULL, Entry, ObjectRef

Name = tuple[str, str, str, str]
"""Account, bucket, key and version; the version '' is the current one, whichever that is."""

TRUST: Final = 0.5
"""Seconds that an answered probe counts, from its sending."""

NEGATIVE: Final = 1.0
"""Seconds that "there is no entry" is remembered."""


class Unknown:
    """Not remembered, or not to be believed."""


UNKNOWN: Final = Unknown()


def name(ref: ObjectRef) -> Name:
    return (ref.account, ref.bucket, ref.key, "" if ref.version is None else ref.version or NULL)


def touched(ref: ObjectRef) -> tuple[Name, Name]:
    """What a change of the row of ``ref`` makes wrong: that version, and which one is current."""
    account, bucket, key = ref.account, ref.bucket, ref.key
    return (account, bucket, key, ref.version or NULL), (account, bucket, key, "")


SPARED: Final = 8
"""At most so many are gone through for one that goes."""


@dataclass(slots=True)
class Kept:
    """An entry, or that there is none; until when it is believed; whether somebody asked for it of late."""

    entry: Entry | None
    expires: float
    used: bool = False


class Recent:
    """At most ``capacity`` entries. All times are monotonic seconds.

    First to go is what was not used since it came, or was last spared ("second chance"): a look need not move anything.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._kept: OrderedDict[Name, Kept] = OrderedDict()
        self._reading: dict[Name, set[object]] = {}
        self._until = -inf

    def look(self, asked: Name, now: float) -> Entry | Unknown | None:
        if now >= self._until:  # looked at first: what is found after that was not forgotten by then, whatever other threads do
            return UNKNOWN
        kept = self._kept.get(asked)
        if kept is None or now >= kept.expires:
            return UNKNOWN
        kept.used = True
        return kept.entry

    def begin(self, asked: Name, now: float) -> object | None:
        """A ticket for who is about to read ``asked`` elsewhere; None while nothing may be kept."""
        if now >= self._until:
            return None
        ticket = object()
        self._reading.setdefault(asked, set()).add(ticket)
        return ticket

    def keep(self, asked: Name, ticket: object, entry: Entry | None, now: float) -> None:
        """Remember what was read, unless a change became known since ``begin``."""
        self._kept[asked] = Kept(entry, now + NEGATIVE if entry is None else inf)
        if ticket not in self._reading.get(asked, ()):  # looked at last: a change known by now was forgotten before, or is here
            self._kept.pop(asked, None)
        while len(self._kept) > self.capacity:
            self._drop_one()

    def _drop_one(self) -> None:
        """The oldest that was not used. Those before it are spared: they go to the end, and count as not used."""
        with suppress(KeyError, RuntimeError, StopIteration):  # another thread was faster
            for _ in range(SPARED):
                asked, kept = next(iter(self._kept.items()))
                if not kept.used:
                    break
                kept.used = False
                self._kept.move_to_end(asked)
            self._kept.popitem(last=False)

    def end(self, asked: Name, ticket: object) -> None:
        tickets = self._reading.get(asked)
        if tickets is not None:
            tickets.discard(ticket)
            if not tickets:
                self._reading.pop(asked, None)

    def forget(self, *changed: Name) -> None:
        for one in changed:
            self._reading.pop(one, None)
            self._kept.pop(one, None)

    def believe(self, probed: float) -> None:
        """The probe sent at ``probed`` was answered, and all that came before the answer was forgotten."""
        self._until = probed + TRUST

    def lose(self) -> None:
        """The link broke: changes may have been missed."""
        self._until = -inf
        self._reading.clear()
        self._kept.clear()
