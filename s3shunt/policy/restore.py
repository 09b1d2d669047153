"""What a RestoreObject does, by the state it meets: table 'restore' of ``docs/restore.md``, row by row."""

from dataclasses import dataclass, replace

from s3shunt.model import IN_PROGRESS, STORE_IS_TRUTH, Entry, Event, Interest, Recall, State, Step, Swap
from s3shunt.policy.archive import wanted
from s3shunt.policy.expiry import SPEED, expire_job, queue, until
from s3shunt.policy.record import ARCHIVE_CLASSES, Wait
from s3shunt.protocol.errors import InvalidArgument, InvalidObjectState, NoSuchKey, ObjectLost, RestoreAlreadyInProgress


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the client asked, who asked, and when."""

    days: int
    tier: str
    identity: str
    now: int
    day: int
    recall_id: str


@dataclass(frozen=True, slots=True)
class Granted:
    """The answer once ``step`` is committed: 202 accepted, or 200 for a copy that is readable already."""

    status: int
    step: Step


def decide(row: Entry | None, wish: Wish, recall: Recall | None = None) -> Granted | Wait:
    """``recall`` is the active one of the row, if any. Raises the S3 error that refuses."""
    if row is None or row.state is State.DELETED:
        raise NoSuchKey
    if row.state is State.LOST:
        raise ObjectLost
    if row.state is State.EVICTING:
        return Wait(row.lease or wish.now)
    if wish.tier == "Expedited" and row.storage_class == "DEEP_ARCHIVE":
        raise InvalidArgument("Expedited retrievals are not available for the DEEP_ARCHIVE storage class.")
    if row.state in (State.ONLINE, State.ARCHIVING, State.VERIFIED):
        return _keep(row, wish)
    if row.state in IN_PROGRESS:
        return _hurry(row, wish, recall)
    if row.state is State.RESTORED:
        return _extend(row, wish)
    if row.state is State.EXPIRING:
        return _after(row, wish)
    return _recall(row, wish)


def _keep(row: Entry, wish: Wish) -> Granted:
    """Archived by class, but the bytes have not left the store yet: they stay while the wish lives."""
    if row.storage_class not in ARCHIVE_CLASSES or row.facts is None:
        raise InvalidObjectState("Restore is not allowed for the object's current storage class", StorageClass=row.storage_class)
    status = 202 if wanted(row, wish.now) is None else 200
    kept = replace(row, interests=_with(row, _interest(wish, until(wish.now, wish.days, wish.day)), wish.now))
    return Granted(status, Step(swaps=(Swap(row, kept),), events=_posted(row, wish)))


def _recall(row: Entry, wish: Wish) -> Granted:
    queued, recall, job = queue(row, (_interest(wish, None),), wish.recall_id, wish.now)
    return Granted(202, Step(swaps=(Swap(row, queued),), recalls=(recall,), jobs=(job,), events=_posted(row, wish)))


def _hurry(row: Entry, wish: Wish, recall: Recall | None) -> Granted:
    """A faster tier is taken over; the same or a slower one is refused, and a refusal records nothing."""
    if recall is None or SPEED[wish.tier] <= SPEED[recall.tier]:
        raise RestoreAlreadyInProgress
    hurried = replace(row, interests=_with(row, _interest(wish, None), wish.now))
    return Granted(202, Step(swaps=(Swap(row, hurried),), recalls=(replace(recall, tier=wish.tier),), events=_posted(row, wish)))


def _extend(row: Entry, wish: Wish) -> Granted:
    """A live copy: everyone moves their own date only. Bytes past their date, but not yet gone, are used again."""
    live = (row.restored_until or 0) > wish.now
    interests = _with(row, _interest(wish, until(wish.now, wish.days, wish.day)), wish.now)
    end = max(interest.until for interest in interests if interest.until is not None)
    kept = replace(row, interests=interests, restored_until=end)
    return Granted(200 if live else 202, Step(swaps=(Swap(row, kept),), jobs=(expire_job(kept, end),), events=_posted(row, wish)))


def _after(row: Entry, wish: Wish) -> Granted:
    """The copy is being deleted: the recall begins when it is gone."""
    if any(interest.until is None for interest in row.interests):
        raise RestoreAlreadyInProgress
    asked = replace(row, interests=(*row.interests, _interest(wish, None)))
    return Granted(202, Step(swaps=(Swap(row, asked),), events=_posted(row, wish)))


@dataclass(frozen=True, slots=True)
class Standing:
    """What a client sees of a restore: ``until`` None while it is in progress."""

    until: int | None


def standing(row: Entry, now: int) -> Standing | None:
    """None where ``x-amz-restore`` must not appear: never asked, past its date, or not archived at all."""
    if row.state in IN_PROGRESS:
        return Standing(None)
    if row.state is State.EXPIRING and any(interest.until is None for interest in row.interests):
        return Standing(None)
    if row.state is State.RESTORED and row.place is not None and now < (row.restored_until or 0):
        return Standing(row.restored_until)
    kept = wanted(row, now) if row.state in STORE_IS_TRUTH and row.storage_class in ARCHIVE_CLASSES else None
    return Standing(kept) if kept is not None else None


def release(row: Entry, identity: str, now: int) -> Step | None:
    """One identity no longer wants it; the others are not touched."""
    rest = tuple(interest for interest in row.interests if interest.identity != identity)
    if rest == row.interests:
        return None
    end = max((interest.until for interest in rest if interest.until is not None), default=now)
    if row.state is State.RESTORED:
        kept = replace(row, interests=rest, restored_until=end)
        return Step(swaps=(Swap(row, kept),), jobs=(expire_job(kept, end),))
    return Step(swaps=(Swap(row, replace(row, interests=rest)),))


def _interest(wish: Wish, end: int | None) -> Interest:
    return Interest(wish.identity, wish.days, wish.tier, end)


def _with(row: Entry, interest: Interest, now: int) -> tuple[Interest, ...]:
    """The row's interests with this one in place of the same identity's older one; past ones go."""
    others = (i for i in row.interests if i.identity != interest.identity and (i.until is None or i.until > now))
    return (*others, interest)


def _posted(row: Entry, wish: Wish) -> tuple[Event, ...]:
    return (Event(name="s3:ObjectRestore:Post", ref=row.ref, at=wish.now, detail={"identity": wish.identity, "tier": wish.tier}),)
