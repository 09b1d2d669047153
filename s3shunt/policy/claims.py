"""Who has an external id: within an account one key, for as long as a row of it carries the id, or a write that wants it is open.

A claim is counted, so that many versions of a key, and many writers, can share
one; the last that lets go frees the id. What a step does to the claims follows
from its rows and intents alone, and is done in its transaction.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from s3shunt.model import Entry, Intent, ObjectRef, Swap


class Claim(NamedTuple):
    account: str
    external_id: str
    bucket: str
    key: str

    @property
    def ref(self) -> ObjectRef:
        return ObjectRef(self.bucket, self.key, account=self.account)


def moved(swaps: Iterable[Swap], opened: Iterable[Intent], closed: Iterable[Intent]) -> list[tuple[Claim, int]]:
    """What is taken (above 0) and let go, in the one order in which everybody does it."""
    count: Counter[Claim] = Counter()
    for swap in swaps:
        count.update(_of(swap.new))
        count.subtract(_of(swap.old))
    for intent in opened:
        count.update(_of(intent))
    for intent in closed:
        count.subtract(_of(intent))
    return sorted(((claim, change) for claim, change in count.items() if change), key=lambda one: (one[0][:2], one[1]))


class Claims:
    """What is held, counted; for a catalog that keeps it in memory."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], tuple[Claim, int]] = {}

    def holder(self, account: str, external_id: str) -> ObjectRef | None:
        found = self._held.get((account, external_id))
        return found[0].ref if found else None

    def take(self, moves: Iterable[tuple[Claim, int]]) -> bool:
        """All of them, or none and False: another key has an id that is to be taken."""
        moves = list(moves)
        if not moves:
            return True
        after = dict(self._held)
        for claim, change in moves:
            holder, count = after.get(claim[:2], (claim, 0))
            if holder != claim:
                if change > 0:
                    return False
                continue
            after[claim[:2]] = (claim, count + change)
            if count + change <= 0:
                del after[claim[:2]]
        self._held = after
        return True


def same_key(one: ObjectRef, other: ObjectRef) -> bool:
    return (one.account, one.bucket, one.key) == (other.account, other.bucket, other.key)


def _of(one: Entry | Intent | None) -> Iterator[Claim]:
    if one is not None and one.external_id:
        yield Claim(one.ref.account, one.external_id, one.ref.bucket, one.ref.key)
