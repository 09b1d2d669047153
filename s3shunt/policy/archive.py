"""The steps of archiving and eviction: pin, verify, evict, and what a sweep makes of a dead evictor.

Pure, like ``record``. None means: there is nothing to do for you, let the row be.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256

from s3shunt.model import NULL, STORE_IS_TRUTH, Entry, Event, Facts, Job, ObjectRef, Policy, State, Step, Swap
from s3shunt.policy import media
from s3shunt.policy.record import ARCHIVE_CLASSES, archive_job, dedupe, evict_job, name
from s3shunt.ports import Copy
from s3shunt.protocol.subresources import is_private


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Who acts, and how long the others will leave it to them."""

    token: str
    now: int
    lease: int


def pin(
    row: Entry | None, ref: ObjectRef, seen: Facts, policy: Policy, hold: Hold, *, external_id: str | None = None
) -> Step | None:
    """Say what will be copied. A dead archiver's pin may be taken over once its lease has run out.

    Of a version nobody knew it is not said that it is current: a newer one may have been written since ``seen``.
    ``external_id`` is for one that nobody knew.
    """
    if row is None:
        known = Entry(ref=ref, state=State.ARCHIVING, facts=seen, generation=1, current=ref.version in (None, NULL))
        known = replace(known, external_id=external_id, media_kind=media.kind_of(ref, seen))
        fresh = replace(known, token=hold.token, lease=hold.lease, archive=policy.archive)
        return Step(swaps=(Swap(None, fresh),), jobs=(_orphan_job(fresh, hold.lease),))
    held = row.state is State.ARCHIVING and row.token != hold.token and (row.lease or 0) > hold.now
    if row.state not in (State.ONLINE, State.ARCHIVING) or held:
        return None
    pinned = replace(
        row, state=State.ARCHIVING, facts=seen, token=hold.token, lease=hold.lease, archive=policy.archive, due=None, reason=""
    )
    return Step(swaps=(Swap(row, pinned),), jobs=(_orphan_job(pinned, hold.lease),))


def tag(row: Entry) -> str:
    """The archive's name for the copy of what is pinned: the same whoever pins it, another after every write."""
    pinned = f"{dedupe(row)} {row.facts.fingerprint if row.facts else None}"
    return f"s3shunt-{sha256(pinned.encode('utf-8', 'surrogatepass')).hexdigest()[:40]}"


def unarchivable(seen: Facts, policy: Policy, *, asked: bool) -> str:
    """Why an object must stay online, or nothing. ``asked``: by class at PUT, so its age and size do not matter."""
    if seen.sse.get("x-amz-server-side-encryption-customer-algorithm"):
        return "encrypted with a key of the client's"
    if seen.lock:
        return "locked or under legal hold"
    if not is_private(seen.acl) and not policy.ignore_acl:
        return "its ACL grants rights to others"
    if not asked and policy.after is None:
        return "its policy takes objects by their class only, and this one has none"
    if not asked and seen.size < policy.min_size:
        return f"smaller than {policy.min_size} bytes"
    if policy.max_size is not None and seen.size > policy.max_size:
        return f"larger than {policy.max_size} bytes"
    return ""


def refused(row: Entry | None, reason: str) -> Step | None:
    """It will not be archived: online, with the reason, and nobody tries again until it is written anew."""
    if row is None or row.state not in (State.ONLINE, State.ARCHIVING):
        return None
    return Step(swaps=(Swap(row, replace(row, state=State.ONLINE, token=None, lease=None, due=None, reason=reason)),))


def renewed(row: Entry | None, hold: Hold) -> Step | None:
    """The holder is alive and goes on."""
    if row is None or row.token != hold.token or row.state not in (State.ARCHIVING, State.LANDING):
        return None
    return Step(swaps=(Swap(row, replace(row, lease=hold.lease)),))


def counted(row: Entry | None, copy: Copy) -> Step | None:
    """The archive has verified further copies since."""
    if row is None or row.state is not State.VERIFIED or row.archive_id != copy.archive_id or copy.copies == row.copies:
        return None
    return Step(swaps=(Swap(row, replace(row, copies=copy.copies)),))


class Use(StrEnum):
    """What a copy in an archive is good for."""

    KEPT = "kept"  # an entry stands on it
    OPEN = "open"  # an entry may yet
    NONE = "none"


def use(rows: Sequence[Entry], archive: str, archive_id: str, written_as: str = "") -> Use:
    """``rows`` are all of the key; ``written_as`` is the copy's tag where an archiver has not yet said whose it is."""
    if any((row.archive, row.archive_id) == (archive, archive_id) for row in rows):
        return Use.KEPT
    undecided = [row for row in rows if row.state in (State.ONLINE, State.ARCHIVING) and row.facts is not None]
    hidden = any(row.state is State.DELETED for row in rows)
    if written_as and (hidden or any(tag(row) == written_as for row in undecided)):
        return Use.OPEN
    return Use.NONE


def verified(row: Entry | None, seen: Facts | None, copy: Copy, policy: Policy, hold: Hold) -> Step | None:
    """The archive's copy was read back. It counts only if the store still holds what was pinned."""
    if row is None or row.state is not State.ARCHIVING or row.token != hold.token or row.facts is None:
        return None
    if seen is None:
        return gone(row)
    if seen.fingerprint != row.facts.fingerprint:
        return changed(row, seen, policy, hold)
    safe = replace(row, state=State.VERIFIED, token=None, lease=None, archive_id=copy.archive_id, copies=copy.copies)
    jobs = () if policy.evict_after is None else (evict_job(safe, policy.name, hold.now, policy.evict_after),)
    due = jobs[0].due if jobs else None
    return Step(swaps=(Swap(row, replace(safe, due=due)),), jobs=jobs, released=(("discard", _orphan_job(row, 0).dedupe),))


def changed(row: Entry, seen: Facts, policy: Policy, hold: Hold) -> Step:
    """The store holds another version than the one that was pinned: begin again with it."""
    fresh = replace(row, state=State.ONLINE, token=None, lease=None, generation=row.generation + 1, facts=seen, archive_id=None, copies=0)
    return Step(swaps=(Swap(row, fresh),), jobs=(archive_job(fresh, policy.name, hold.now),))


def gone(row: Entry) -> Step:
    """The store, which is the truth, holds nothing: neither does the catalog, unless somebody is writing."""
    empty = replace(row, state=State.ONLINE, token=None, lease=None, facts=None, archive_id=None, copies=0)
    return Step(swaps=(Swap(row, empty if row.writers else None),))


def failed(row: Entry | None, reason: str, due: int, policy: Policy, hold: Hold) -> Step | None:
    """The archive did not take it: online again, with the reason and the next try."""
    if row is None or row.state is not State.ARCHIVING or row.token != hold.token:
        return None
    back = replace(row, state=State.ONLINE, token=None, lease=None, reason=reason, due=due)
    return Step(swaps=(Swap(row, back),), jobs=(archive_job(back, policy.name, due),))


def wanted(row: Entry, now: int) -> int | None:
    """Until when somebody's restore keeps the bytes where they are; None when nobody's does."""
    live = [interest.until for interest in row.interests if interest.until is not None and interest.until > now]
    return max(live, default=None)


def evictable(row: Entry | None, policy: Policy, now: int) -> bool:
    """Only what is verified, in enough copies, that nobody writes, wants, or pinned."""
    if row is None or row.state is not State.VERIFIED or row.facts is None or row.pinned > now:
        return False
    return not row.writers and not row.facts.lock and row.copies >= policy.copies and wanted(row, now) is None


def evict(row: Entry, policy: Policy, hold: Hold) -> Step | None:
    """Take the row for a deletion from the store. While it is taken writers wait."""
    if not evictable(row, policy, hold.now):
        return None
    taken = replace(row, state=State.EVICTING, token=hold.token, lease=hold.lease, due=None)
    return Step(swaps=(Swap(row, taken),), jobs=(sweep_job(taken, policy.name, hold.lease),))


def crown(row: Entry | None, current: Entry | None, hold: Hold, *, newest: bool) -> Step | None:
    """Before its bytes go, a version becomes the current one if it is: afterwards the store would show the one before it.

    ``newest``: the store's newest is this version. It is asked after the row was taken, since when writers wait,
    and after ``current``, the key's current row, was read; one that the store no longer holds stays current.
    """
    if row is None or row.state is not State.EVICTING or row.token != hold.token:
        return None
    rival = current if current is not None and current.ref != row.ref else None
    rightful = newest and (rival is None or rival.state in STORE_IS_TRUTH)
    passed = (Swap(rival, replace(rival, current=False)),) if rival is not None and rightful else ()
    return Step(swaps=(*passed, Swap(row, replace(row, current=rightful))))


def other(row: Entry | None, seen: Facts | None, policy: Policy, hold: Hold) -> Step | None:
    """The store holds something else than what is to be evicted: that is the truth now."""
    if row is None or row.state is not State.EVICTING or row.token != hold.token:
        return None
    return _newer(row, seen, policy, hold.now) if seen is not None else evicted(row, policy, hold)


def evicted(row: Entry | None, policy: Policy, hold: Hold) -> Step | None:
    """The store's bytes are gone: the entry is the truth."""
    if row is None or row.state is not State.EVICTING or row.token != hold.token:
        return None
    return Step(swaps=(Swap(row, _archived(row, policy)),), released=(("sweep", dedupe(row)),), events=(_event(row, hold.now),))


def sweep(row: Entry | None, seen: Facts | None, policy: Policy, now: int) -> Step | None:
    """An evictor died. What the store holds says how far it came; its delete may still land, and can hit nothing newer."""
    if row is None or row.state is not State.EVICTING or (row.lease or 0) > now or row.facts is None:
        return None
    if seen is None:
        return Step(swaps=(Swap(row, _archived(row, policy)),), events=(_event(row, now),))
    if seen.fingerprint == row.facts.fingerprint:
        back = replace(row, state=State.VERIFIED, token=None, lease=None)
        return Step(swaps=(Swap(row, back),), jobs=(evict_job(back, policy.name, now),))
    return _newer(row, seen, policy, now)


def heal(row: Entry | None, policy: Policy | None, now: int) -> Step | None:
    """The store has no bytes for a verified entry: a dead evictor's delete landed after the sweep. A write that is under way goes on."""
    if row is None or row.state is not State.VERIFIED or not row.archive_id:
        return None
    return Step(swaps=(Swap(row, _archived(row, policy)),), events=(_event(row, now),))


def sweep_job(row: Entry, policy: str, due: int) -> Job:
    """Looks after a row whose holder may die."""
    return Job(kind="sweep", dedupe=dedupe(row), payload={**name(row.ref), "policy": policy}, due=due)


def _orphan_job(row: Entry, due: int) -> Job:
    """Looks for the copy of an archiver who died, or was overtaken, before an entry stood on it."""
    payload = {"archive": row.archive or "", "tag": tag(row), **name(row.ref)}
    return Job(kind="discard", dedupe=f"tag {row.archive} {tag(row)}", payload=payload, due=due)


def _archived(row: Entry, policy: Policy | None) -> Entry:
    """Objects moved by age take the policy's class only now; a class asked at PUT stays."""
    kept = row.storage_class in ARCHIVE_CLASSES
    return replace(
        row,
        state=State.ARCHIVED,
        token=None,
        lease=None,
        due=None,
        interests=(),
        storage_class=row.storage_class if kept or policy is None else policy.storage_class,
    )


def _newer(row: Entry, seen: Facts | None, policy: Policy, now: int) -> Step:
    fresh = replace(
        row,
        state=State.ONLINE,
        facts=seen,
        generation=row.generation + 1,
        token=None,
        lease=None,
        archive_id=None,
        copies=0,
        storage_class="STANDARD",
        media_kind=media.kind_of(row.ref, seen),
        media={},
    )
    return Step(swaps=(Swap(row, fresh),), jobs=(archive_job(fresh, policy.name, now),))


def _event(row: Entry, now: int) -> Event:
    return Event(name="s3:LifecycleTransition", ref=row.ref, at=now, detail={"archive": row.archive})
