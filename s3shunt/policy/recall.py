"""The steps of a recall: asked, landing, landed; failed and tried again, given up, overtaken.

``token`` of a RECALLING row is the recall's id, so that any worker may go on
with it; of a LANDING row it is the one worker's who writes the landed copy.
"""

from dataclasses import replace

from s3shunt.model import Entry, Event, Job, Place, Recall, RecallState, State, Step, Swap
from s3shunt.policy.archive import Hold, Use
from s3shunt.policy.expiry import expire_job, queue, until
from s3shunt.policy.record import name


def look_now(recall: Recall, now: int) -> Job:
    """Enqueued, it moves the due date of the recall's job forward and does nothing else, however often it comes."""
    return Job(kind="recall", dedupe=recall.id, payload={"recall": recall.id, **name(recall.ref)}, due=now)


def overtaken(row: Entry | None, recall: Recall) -> bool:
    """Whether the object was overwritten or deleted since the recall was asked for."""
    return row is None or row.ref != recall.ref or row.generation > recall.generation or not recall.active


def asked(row: Entry, recall: Recall, request_id: str) -> Step | None:
    """The archive took the request."""
    if row.state is not State.QUEUED:
        return None
    return Step(
        swaps=(Swap(row, replace(row, state=State.RECALLING, token=recall.id, lease=None)),),
        recalls=(replace(recall, state=RecallState.ASKED, request_id=request_id, attempts=recall.attempts + 1),),
    )


def landing_place(recall: Recall, store: str, hold: Hold) -> Place:
    """A name nobody else ever writes: the recall, the generation, the one who lands."""
    return Place(store, f"{recall.id}/{recall.generation}/{hold.token}")


def landing(row: Entry, recall: Recall, place: Place, hold: Hold) -> Step | None:
    """The bytes are ready: take the row to land them; also from one who died landing."""
    ready = row.state is State.RECALLING and row.token == recall.id
    orphaned = row.state is State.LANDING and (row.lease or 0) <= hold.now
    if not ready and not orphaned:
        return None
    return Step(
        swaps=(Swap(row, replace(row, state=State.LANDING, token=hold.token, lease=hold.lease)),),
        recalls=(replace(recall, state=RecallState.READY, place=place),),
        jobs=(_orphan_job(row, place, hold.lease),),
    )


def use(row: Entry | None, place: Place) -> Use:
    """What a landed copy is good for; while its lander holds the row it may yet be published."""
    if row is None:
        return Use.NONE
    if row.place == place:
        return Use.KEPT
    writing = row.state is State.LANDING and row.token == place.name.rpartition("/")[2]
    return Use.OPEN if writing or row.state is State.DELETED else Use.NONE


def _orphan_job(row: Entry, place: Place, due: int) -> Job:
    """Looks for what is left of a lander who died, or was overtaken, before an entry stood on it."""
    payload = {"store": place.store, "name": place.name, **name(row.ref)}
    return Job(kind="discard", dedupe=f"landing {place.store} {place.name}", payload=payload, due=due)


def landed(row: Entry, recall: Recall, place: Place, hold: Hold, day: int) -> Step | None:
    """Written beside and verified: published by this swap and nothing else. The days begin now."""
    if row.state is not State.LANDING or row.token != hold.token:
        return None
    interests = tuple(replace(i, until=until(hold.now, i.days, day)) if i.until is None else i for i in row.interests)
    end = max((i.until for i in interests if i.until is not None), default=hold.now)
    fresh = replace(row, state=State.RESTORED, token=None, lease=None, place=place, interests=interests, restored_until=end, reason="")
    event = Event(name="s3:ObjectRestore:Completed", ref=row.ref, at=hold.now, detail={"until": end, "class": row.storage_class})
    return Step(
        swaps=(Swap(row, fresh),),
        recalls=(replace(recall, state=RecallState.LANDED, place=place, reason=""),),
        jobs=(expire_job(fresh, end),),
        released=(("discard", _orphan_job(row, place, 0).dedupe),),
        events=(event,),
    )


def again(row: Entry, recall: Recall, reason: str, due: int) -> Step | None:
    """It failed, and may be asked once more; to the client it is still in progress."""
    if row.state not in (State.RECALLING, State.LANDING, State.QUEUED):
        return None
    return Step(
        swaps=(Swap(row, replace(row, state=State.QUEUED, token=None, lease=None, reason=reason)),),
        recalls=(replace(recall, state=RecallState.FAILED, request_id=None, place=None, due=due, reason=reason),),
    )


def give_up(row: Entry, recall: Recall, reason: str, now: int) -> Step | None:
    """It failed for good, or an operator cancelled it: archived, as if nobody had asked."""
    if row.state not in (State.RECALLING, State.LANDING, State.QUEUED):
        return None
    back = replace(row, state=State.ARCHIVED, token=None, lease=None, interests=(), reason=reason)
    event = Event(name="s3shunt:ObjectRestore:Failed", ref=row.ref, at=now, detail={"reason": reason})
    return Step(swaps=(Swap(row, back),), recalls=(replace(recall, state=RecallState.DEAD, reason=reason),), events=(event,))


def cancelled(row: Entry, recall: Recall, now: int) -> Step | None:
    """An operator took it back."""
    step = give_up(row, recall, "cancelled", now)
    if step is None:
        return None
    ended = replace(recall, state=RecallState.CANCELLED, reason="cancelled")
    return Step(swaps=step.swaps, recalls=(ended,), released=(("recall", recall.id),))


def forsaken(recall: Recall) -> Recall:
    """Nobody waits for it any more."""
    return replace(recall, state=RecallState.CANCELLED, reason="the object was overwritten or deleted")


def missing(row: Entry, recall_id: str, now: int) -> Step | None:
    """The landed copy of a restored entry is gone or wrong: recall it anew for those who still want it."""
    if row.state is not State.RESTORED:
        return None
    waiting = tuple(replace(i, until=None) for i in row.interests if i.until is not None and i.until > now)
    back = replace(row, place=None, restored_until=None)
    if not waiting:
        return None
    queued, recall, job = queue(back, waiting, recall_id, now)
    return Step(swaps=(Swap(row, queued),), recalls=(recall,), jobs=(job,))
