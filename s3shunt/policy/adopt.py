"""How an object that only an archive knows comes into the catalog."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from s3shunt.model import NULL, Entry, Facts, Job, ObjectRef, Policy, State, Step, Swap
from s3shunt.policy import media
from s3shunt.policy.expiry import expire_job
from s3shunt.policy.record import ARCHIVE_CLASSES, Written, archive_job, evict_job, matches, policy_for
from s3shunt.ports import Copy


def candidates(policies: Sequence[Policy], ref: ObjectRef) -> list[Policy]:
    """The policies whose archives may hold it, each archive once."""
    found: dict[str, Policy] = {}
    for policy in policies:
        if matches(policy, ref):
            found.setdefault(policy.archive, policy)
    return list(found.values())


def adopted(ref: ObjectRef, copy: Copy, policy: Policy, store: str, now: int, *, external_id: str | None = None) -> Step:
    """The archive is all there is to go by: a new row, archived."""
    facts = copy.facts or _facts(copy, now)
    entry = Entry(
        ref=replace(ref, version=NULL),
        state=State.ARCHIVED,
        facts=facts,
        generation=1,
        storage_class=policy.storage_class,
        store=store,
        archive=policy.archive,
        archive_id=copy.archive_id,
        copies=copy.copies,
        external_id=external_id,
        media_kind=media.kind_of(ref, facts, copy.kind),
        reason="found in the archive by name",
    )
    return Step(swaps=(Swap(None, entry),))


def withdrawn(row: Entry | None, seen: Facts | None) -> Step | None:
    """What was adopted a moment ago, when the store has the object (``seen``) after all: who wrote it may have looked for a row too early.

    None where there is nothing to take back.
    """
    fresh = row is not None and row.state in (State.ARCHIVED, State.QUEUED, State.RESTORED) and row.generation == 1 and not row.writers
    return Step(swaps=(Swap(row, None),)) if fresh and seen is not None else None


ALONE = {
    State.ARCHIVING: State.ONLINE,
    State.EVICTING: State.VERIFIED,
    State.QUEUED: State.ARCHIVED,
    State.RECALLING: State.ARCHIVED,
    State.LANDING: State.ARCHIVED,
    State.EXPIRING: State.ARCHIVED,
}
"""What becomes of a row that somebody was at work on, when it comes without him. A read finds out whether an eviction was done."""


def alone(entry: Entry) -> Entry:
    """A row that another catalog wrote out: its jobs, recalls and writers stayed there, and nobody waits for them here."""
    idle = replace(entry, token=None, lease=None, writers=0)
    if entry.state not in ALONE:
        return idle
    then = replace(idle, state=ALONE[entry.state])
    return replace(then, place=None, restored_until=None, interests=()) if then.state is State.ARCHIVED else then


def unfinished(entry: Entry, policies: Sequence[Policy], now: int) -> Job | None:
    """What is left to be done about a row that comes without its jobs; who grows old or cold is found by those who look for such."""
    if entry.state is State.RESTORED and entry.restored_until is not None:
        return expire_job(entry, entry.restored_until)
    if entry.state is State.ONLINE and entry.facts is not None and entry.storage_class in ARCHIVE_CLASSES:
        taker = policy_for(policies, Written(ref=entry.ref, facts=entry.facts, storage_class=entry.storage_class))
        return archive_job(entry, taker.name, now) if taker else None
    if entry.state is State.VERIFIED:
        policy = next((one for one in candidates(policies, entry.ref) if one.archive == entry.archive), None)
        return evict_job(entry, policy.name, now, policy.evict_after) if policy and policy.evict_after is not None else None
    return None


class Taken:
    """Names and external ids that rows have already, and those that one batch takes one after the other."""

    def __init__(self) -> None:
        self._names: set[tuple[str, str, bytes, str]] = set()
        self._current: set[tuple[str, str, bytes]] = set()
        self._claims: dict[tuple[str, str], tuple[str, bytes]] = {}

    def row(self, account: str, bucket: str, key: bytes, version: str, *, current: bool) -> None:
        self._names.add((account, bucket, key, version))
        if current:
            self._current.add((account, bucket, key))

    def claim(self, account: str, external_id: str, bucket: str, key: bytes) -> None:
        self._claims[account, external_id] = (bucket, key)

    def take(self, entry: Entry, key: bytes, said: Callable[[str], str] = str) -> bool:
        """Whether it may come in; then it is in. ``said``: an external id as it is kept."""
        ref = entry.ref
        name = (ref.account, ref.bucket, key)
        version = ref.version or NULL
        if (*name, version) in self._names or (entry.current and name in self._current):
            return False
        if entry.external_id:
            mine = (ref.bucket, key)
            if self._claims.setdefault((ref.account, said(entry.external_id)), mine) != mine:
                return False
        self.row(*name, version, current=entry.current)
        return True


def _facts(copy: Copy, now: int) -> Facts:
    """An archive that kept no facts: the ETag is the MD5 where it is known, else one that no client takes for an MD5."""
    kind, _, digest = copy.checksum.partition(":")
    etag = digest if kind == "md5" else f"{digest[:32]}-1"
    return Facts(size=copy.size, etag=f'"{etag}"', last_modified=now)
