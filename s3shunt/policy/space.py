"""What room copies take, which leave first, whose bytes stay, and whether what an archive brings back fits.

Nothing here looks at a store: sizes come from the rows of the catalog, and a sum
of their changes says how much there is.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from s3shunt.model import STORE_IS_TRUTH, Entry, ObjectRef, Pin, Policy, Recall, Room, State, Step, Swap
from s3shunt.policy.archive import evictable
from s3shunt.policy.expiry import expire_job
from s3shunt.policy.record import evict_job, matches

WAITS = "waits for room to land"


class Kind(StrEnum):
    HELD = "held"
    LANDED = "landed"
    COMING = "coming"


Share = tuple[str, Kind]
"""A store's id, '' for wherever copies land, and what lies there."""


def shares(row: Entry | None) -> tuple[Share, ...]:
    """Where the bytes of a row take room."""
    if row is None or row.facts is None:
        return ()
    held = ((row.store, Kind.HELD),) if row.state in STORE_IS_TRUTH else ()
    landed = ((row.place.store, Kind.LANDED),) if row.place is not None else ()
    return (*held, *landed, *((("", Kind.COMING),) if promised(row) else ()))


def moved(swaps: Iterable[Swap]) -> dict[Share, tuple[int, int]]:
    """By how many bytes and objects a step changes what lies where; what stays the same is left out."""
    size: Counter[Share] = Counter()
    count: Counter[Share] = Counter()
    for swap in swaps:
        for row, sign in ((swap.old, -1), (swap.new, 1)):
            for share in shares(row):
                size[share] += sign * (row.facts.size if row and row.facts else 0)
                count[share] += sign
    return {share: (size[share], count[share]) for share in sorted(size) if size[share] or count[share]}


# Which copies leave the store


def draining(policies: Iterable[Policy], used: int, capacity: int, before: Iterable[str]) -> frozenset[str]:
    """The names of the policies whose objects leave: from above ``high`` per cent until ``low`` is reached.

    ``before`` are those that were at it when this was asked last.
    """
    begun = frozenset(before)
    return frozenset(
        policy.name
        for policy in policies
        if policy.high is not None
        and policy.low is not None
        and used * 100 > capacity * (policy.low if policy.name in begun else policy.high)
    )


@dataclass(slots=True)
class Drain:
    """One walk over the rows of a store, least recently used first. Policies that share it share what is left of the excess."""

    policies: Sequence[Policy]  # those that drain, in the order of the ini
    capacity: int
    left: int  # bytes used, less what was chosen
    room: int  # objects that may yet be chosen
    pins: Sequence[Pin]
    now: int
    before: Sequence[Policy] = ()  # all policies, in the order of the ini: what an earlier one never evicts, stays

    @property
    def done(self) -> bool:
        return self.room <= 0 or not any(self._over(policy) for policy in self.policies)

    def choose(self, row: Entry) -> Policy | None:
        """The policy by which this row leaves, if it does."""
        found = (p for p in self.before or self.policies if p.archive == row.archive and matches(p, row.ref))
        policy = next((p for p in found if p in self.policies or not _leaves(p)), None)
        if policy is None or not _leaves(policy) or self.done or not self._over(policy) or not self._may_go(row, policy):
            return None
        self.left -= row.facts.size if row.facts else 0
        self.room -= 1
        return policy

    def _over(self, policy: Policy) -> bool:
        return self.left * 100 > self.capacity * (policy.low or 0)

    def _may_go(self, row: Entry, policy: Policy) -> bool:
        return evictable(row, policy, self.now) and not covered(self.pins, row.ref, self.now)


def _leaves(policy: Policy) -> bool:
    return policy.evict_after is not None or policy.high is not None


def covered(pins: Iterable[Pin], ref: ObjectRef, now: int) -> bool:
    """Whether the pin of a prefix keeps this object where it is."""
    return any(
        (pin.account, pin.bucket) == (ref.account, ref.bucket) and ref.key.startswith(pin.prefix) and pin.until > now for pin in pins
    )


def spent(row: Entry | None, read: Entry, policy: Policy, now: int) -> Step | None:
    """The whole of ``read`` went to a client, and its policy keeps nothing that was read once."""
    if row is None or not policy.read_once or (row.ref, row.generation, row.place) != (read.ref, read.generation, read.place):
        return None
    if row.state is State.VERIFIED:
        return Step(jobs=(evict_job(row, policy.name, now),))
    if row.state is State.RESTORED and (row.restored_until or 0) > now:
        over = tuple(replace(i, until=now) if i.until is not None else i for i in row.interests)
        return Step(swaps=(Swap(row, replace(row, interests=over, restored_until=now)),), jobs=(expire_job(row, now),))
    return None


# Whether a recalled copy fits


class Admission(StrEnum):
    NOW = "now"
    LATER = "later"
    NEVER = "never"


def promised(row: Entry) -> bool:
    """Whether room is kept for the bytes of this row, which are not there yet."""
    return row.state in (State.RECALLING, State.LANDING) or (row.state is State.QUEUED and row.token is not None)


def admission(row: Entry, room: Room, reserve: int) -> Admission:
    """Whether the archive may be asked for a queued row's bytes.

    Asked twice: before the promise is written down, and, against the sum that
    then holds it, after. Whoever passes the second time was counted by all who
    pass later, so that those who pass never exceed the reserve together.
    """
    size = row.facts.size if row.facts else 0
    if size > reserve:
        return Admission.NEVER
    taken = room.landed + room.coming + (0 if promised(row) else size)
    return Admission.NOW if taken <= reserve else Admission.LATER


def promise(row: Entry, recall: Recall) -> Step | None:
    """Keep room for it. None when that was done, or it is too late."""
    if row.state is not State.QUEUED or row.token is not None:
        return None
    kept = () if recall.reason != WAITS else (replace(recall, reason=""),)
    return Step(swaps=(Swap(row, replace(row, token=recall.id, reason="")),), recalls=kept)


def wait(row: Entry, recall: Recall) -> Step | None:
    """It does not fit for now: the promise is taken back, and the reason stands where operators look."""
    if row.state is not State.QUEUED or (row.token is None and recall.reason == WAITS):
        return None
    return Step(swaps=(Swap(row, replace(row, token=None, reason=WAITS)),), recalls=(replace(recall, reason=WAITS),))


def behind(recall: Recall, others: Iterable[Recall], now: int, patience: int) -> bool:
    """Whether an older recall has waited for room so long that nobody may go before it."""
    return any(
        other.reason == WAITS and other.created + patience <= now and (other.created, other.id) < (recall.created, recall.id)
        for other in others
    )
