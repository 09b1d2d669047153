"""When a restored copy may go, and what becomes of its entry then."""

from dataclasses import replace

from s3shunt.model import Entry, Event, Interest, Job, Recall, State, Step, Swap
from s3shunt.policy.archive import Hold
from s3shunt.policy.record import dedupe, name


def until(now: int, days: int, day: int) -> int:
    """The end of a restore that begins now: Days later, then the next full day since the epoch (UTC).

    A moment that is a full day already is not moved (Oct 15 10:30 + 3 days -> Oct 19 00:00).
    """
    end = now + days * day
    return -(-end // day) * day


def expire(row: Entry | None, hold: Hold) -> Step | None:
    """Take a restored entry past its date for the deletion of its landed copy; also from a holder who died."""
    if row is None:
        return None
    past = row.state is State.RESTORED and (row.restored_until or 0) <= hold.now
    orphaned = row.state is State.EXPIRING and (row.lease or 0) <= hold.now
    if not past and not orphaned:
        return None
    return Step(swaps=(Swap(row, replace(row, state=State.EXPIRING, token=hold.token, lease=hold.lease)),))


def expired(row: Entry | None, hold: Hold, recall_id: str) -> Step | None:
    """The landed copy is gone. Who asked for it meanwhile gets a recall of its own."""
    if row is None or row.state is not State.EXPIRING or row.token != hold.token:
        return None
    waiting = tuple(interest for interest in row.interests if interest.until is None)
    back = replace(row, token=None, lease=None, place=None, restored_until=None, interests=waiting)
    event = Event(name="s3:ObjectRestore:Delete", ref=row.ref, at=hold.now)
    if not waiting:
        return Step(swaps=(Swap(row, replace(back, state=State.ARCHIVED)),), events=(event,))
    queued, recall, job = queue(back, waiting, recall_id, hold.now)
    return Step(swaps=(Swap(row, queued),), recalls=(recall,), jobs=(job,), events=(event,))


def queue(row: Entry, interests: tuple[Interest, ...], recall_id: str, now: int) -> tuple[Entry, Recall, Job]:
    """The row waiting for a new recall, the recall and its job."""
    recall = Recall(
        id=recall_id,
        ref=row.ref,
        generation=row.generation,
        archive=row.archive or "",
        archive_id=row.archive_id or "",
        tier=fastest(interests),
        created=now,
        due=now,
    )
    job = Job(kind="recall", dedupe=recall_id, payload={"recall": recall_id, **name(row.ref)}, due=now)
    return replace(row, state=State.QUEUED, interests=interests, reason=""), recall, job


def expire_job(row: Entry, due: int) -> Job:
    return Job(kind="expire", dedupe=dedupe(row), payload=name(row.ref), due=due)


SPEED = {"Bulk": 0, "Standard": 1, "Expedited": 2}


def fastest(interests: tuple[Interest, ...]) -> str:
    return max((interest.tier for interest in interests), key=SPEED.__getitem__, default="Standard")
