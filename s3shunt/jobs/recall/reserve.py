"""Room for what is recalled: an archive is asked for no more than fits into the landing store's ``reserve``.

What has to wait stays queued, with the reason; to its client it is in progress.
Copies past their date make room first. One that is not past its date stays, however full it is.
"""

from collections.abc import Callable
from random import uniform

from s3shunt.model import Entry, Place, Recall, Step
from s3shunt.policy import space
from s3shunt.policy.expiry import expire_job
from s3shunt.policy.recall import give_up
from s3shunt.policy.space import Admission
from s3shunt.work import Done, Later, Outcome, Task

Change = Callable[[Recall, Callable[[Entry, Recall], Step | None]], bool]
PAGE = 100


class Reserve:
    """``change`` makes one step of a row and its recall, both as they are at that moment."""

    def __init__(self, task: Task, change: Change) -> None:
        self._task, self._change = task, change

    def waits(self, row: Entry, recall: Recall) -> Outcome | None:
        """What becomes of a recall that cannot be asked for now; None for one that room is kept for."""
        reserve = self._reserve()
        if reserve is None:
            return None
        verdict = self._asked(row, recall, reserve)
        if verdict is Admission.NOW:
            return None
        if verdict is Admission.NEVER:
            now = self._task.clock.now()
            self._change(recall, lambda row, recall: give_up(row, recall, f"larger than the {reserve} bytes kept for landed copies", now))
            return Done()
        self._change(recall, space.wait)
        self._make_room()
        return Later(self._task.clock.now() + int(self._task.options.every * uniform(0.5, 1.5)), space.WAITS)

    def _reserve(self) -> int | None:
        store, _ = self._task.house.place(Place(self._task.options.landing, ""))
        return getattr(getattr(store, "options", None), "reserve", None)

    def _asked(self, row: Entry, recall: Recall, reserve: int) -> Admission:
        """Before the promise, and after it."""
        verdict = space.admission(row, self._room(), reserve)
        if verdict is not Admission.NOW or self._behind(recall):
            return Admission.LATER if verdict is Admission.NOW else verdict
        if not space.promised(row):
            self._change(recall, space.promise)
        kept = self._task.truth.find(recall.ref)
        if kept is None or not space.promised(kept):
            return Admission.LATER
        return space.admission(kept, self._room(), reserve)

    def _room(self) -> space.Room:
        return self._task.truth.room(self._task.options.landing)

    def _behind(self, recall: Recall) -> bool:
        ahead = self._task.truth.recalls(unasked=True, limit=PAGE)
        return space.behind(recall, ahead, self._task.clock.now(), self._task.options.patience)

    def _make_room(self) -> None:
        now = self._task.clock.now()
        self._task.truth.enqueue(*(expire_job(row, now) for row in self._task.truth.expired(now, PAGE)))
