"""Who gets a drive when: the library's robot, as a pure function of what is waiting and what time it is.

A drive does one thing at a time. It stays with its cartridge while anything on
it is waiting, in the order of the tape, and then takes the cartridge of who has
waited longest in the most urgent tier.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

TIERS = {"Expedited": 0, "Standard": 1, "Bulk": 2}


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds; ``rate`` None streams in no time."""

    mount: int
    seek: int
    rate: int | None = None

    def needed(self, size: int, *, mounted: bool) -> int:
        return (0 if mounted else self.mount) + self.seek + (size * 1000 // self.rate if self.rate else 0)


@dataclass(frozen=True, slots=True)
class Drive:
    number: int
    cartridge: str | None = None
    head: int = 0
    free_at: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """``begun`` and ``ready_at`` are None until a drive takes it."""

    id: str
    cartridge: str
    position: int
    size: int
    tier: str
    asked: int
    begun: int | None = None
    ready_at: int | None = None


def run(drives: Sequence[Drive], waiting: Sequence[Waiting], times: Times, now: int) -> tuple[list[Drive], list[Waiting]]:
    """The drives and what they took, up to ``now``. What no drive has begun yet stays open for better company."""
    pool, open_, taken = list(drives), list(waiting), []
    while open_:
        drive = min(pool, key=lambda d: (d.free_at, d.number))
        start = max(drive.free_at, min(one.asked for one in open_))
        elsewhere = {d.cartridge for d in pool if d is not drive and d.free_at > start}
        ready = [one for one in open_ if one.asked <= start and one.cartridge not in elsewhere]
        if start > now:
            break
        if not ready:  # all of it lies on cartridges that other drives hold: wait until one of them is free
            pool[pool.index(drive)] = replace(drive, free_at=min(d.free_at for d in pool if d.free_at > start))
            continue
        chosen = _choose(ready, drive)
        done = start + times.needed(chosen.size, mounted=chosen.cartridge == drive.cartridge)
        taken.append(replace(chosen, begun=start, ready_at=done))
        open_.remove(chosen)
        pool[pool.index(drive)] = Drive(drive.number, chosen.cartridge, chosen.position + chosen.size, done)
        pool = [replace(d, cartridge=None) if d.cartridge == chosen.cartridge and d.number != drive.number else d for d in pool]
    return pool, taken


def _choose(ready: list[Waiting], drive: Drive) -> Waiting:
    here = [one for one in ready if one.cartridge == drive.cartridge]
    if not here:
        first = min(ready, key=lambda one: (TIERS.get(one.tier, 1), one.asked, one.id))
        here = [one for one in ready if one.cartridge == first.cartridge]
    return min(here, key=lambda one: (one.position < drive.head and one.cartridge == drive.cartridge, one.position, one.id))
