"""How much somebody may still ask for: one number for each (the generic cell rate algorithm, ITU-T I.371).

``spent`` is a moment: until then, at the steady rate, what was taken is paid for. A
bucket that was never used, or is full again, has any moment that is past.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """``each``: milliseconds that one token costs; ``burst``: tokens in a full bucket."""

    each: float
    burst: int


def take(spent: float, now: float, wanted: int, limit: Limit) -> tuple[float, int, int]:
    """Take up to ``wanted`` tokens: the new ``spent``, how many there were, and, if none, milliseconds until there is one."""
    spent = min(max(spent, now), now + limit.each * limit.burst)  # more than all was never taken: the clock went back
    room = math.floor((now - spent) / limit.each + limit.burst + 1e-6)
    if room < 1:
        return spent, 0, max(1, math.ceil(spent - now - limit.each * (limit.burst - 1)))
    granted = min(wanted, room)
    return spent + granted * limit.each, granted, 0


def share(limit: Limit) -> int:
    """Tokens that one process takes out of a bucket that several share: few enough to leave some for the others."""
    return max(1, min(limit.burst // 16, math.ceil(1000 / limit.each / 8)))


@dataclass(slots=True)
class Account:
    """What one process knows of somebody: tokens in hand (until when), a refusal (until when), and its own count.

    While one ``asking`` fetches more, the others go on credit, down to a whole burst: ``hand`` is below zero until that is paid.

    ``pays`` and ``counts`` are what most requests need, and need no lock: they call nothing, so no other thread comes in between.
    """

    asking: bool = False
    hand: int = 0
    until: float = 0
    refused: float = 0
    spent: float = 0.0

    def pays(self, now: float) -> bool:
        """Whether there was a token in hand, which is gone now."""
        if self.hand > 0 and now < self.until:
            self.hand -= 1
            return True
        return False

    def counts(self, now: float, limit: Limit) -> bool:
        """``take`` of one token, by its own count. False where there is none, or a closer look must tell."""
        spent = self.spent
        if spent < now:  # noqa: PLR1730  # max() would be a call
            spent = now
        spent += limit.each
        if spent > now + limit.each * limit.burst:
            return False
        self.spent = spent
        return True


class Accounts:
    """Of the ``most`` who asked last; who is forgotten begins with a full bucket."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: OrderedDict[str, Account] = OrderedDict()

    def of(self, subject: str) -> Account:
        try:
            self._known.move_to_end(subject)
            return self._known[subject]
        except KeyError:  # nobody knew him, or another thread just forgot him
            known = self._known.setdefault(subject, Account())
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return known

    def __len__(self) -> int:
        return len(self._known)
