"""Recalls that are due together are asked for together, where the archive offers it: one call instead of hundreds.

Each recall's job stays the only one that may ask for it: who leads takes the jobs
of the others before it speaks for them, and whoever leads at the same moment in this
process joins. An outcome that nobody knows is resolved as ever, by the next holder of each job:
the archive is looked at under the recall's tag before it is asked again.
"""

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from random import random
from typing import Any

from s3shunt.model import Entry, Job, Recall, State
from s3shunt.policy import recall as policy_of
from s3shunt.ports import Archive, Batches
from s3shunt.protocol.errors import S3Error, ServiceUnavailable
from s3shunt.work import Later, Outcome, Task, outage

MOST = 100
"""Recalls in one call: what MediaHaven shows on one page, and what is in doubt when its answer is lost."""
LOOKED_AT = 2000


@dataclass(slots=True)
class Ticket:
    recall: Recall
    answer: "Future[str]" = field(default_factory=Future)


class Wave:
    def __init__(
        self, task: Task, asked: Callable[[Recall, str], object], waits: Callable[[Entry, Recall], Outcome | None] = lambda *_: None
    ) -> None:
        """``asked`` writes down what an archive called a recall's request; ``waits`` says what becomes of one that there is no room for."""
        self._task, self._asked, self._waits = task, asked, waits
        self._waiting: list[Ticket] = []
        self._lock = threading.Lock()
        self._gate = threading.Lock()

    def ask(self, archive: Archive, recall: Recall) -> str:
        """The request of this recall; what came along is settled. Raises what the archive raises."""
        if not hasattr(archive, "request_many"):
            return archive.request(recall)
        ticket = Ticket(recall)
        with self._lock:
            self._waiting.append(ticket)
        with ExitStack() as held:
            with self._gate:
                mine = self._taken(ticket)
                held.callback(_given_up, mine)
                jobs = held.enter_context(self._task.crew.gather(self._task, self._names(mine))) if mine else []
            if mine:
                self._lead(archive, mine, [kept for job in jobs if (kept := self._queued(job))])
        return _answered(ticket)

    def _taken(self, ticket: Ticket) -> list[Ticket]:
        """All that wait for the same archive; none when this one is already spoken for."""
        with self._lock:
            if ticket not in self._waiting:
                return []
            mine = [one for one in self._waiting if one.recall.archive == ticket.recall.archive]
            self._waiting = [one for one in self._waiting if one not in mine]
        return mine

    def _names(self, mine: list[Ticket]) -> list[str]:
        """Recalls that are due and that nobody has asked for; whose jobs are free is seen when they are taken."""
        ours, now = {ticket.recall.id for ticket in mine}, self._task.clock.now()
        unasked = self._task.truth.recalls(archive=mine[0].recall.archive, unasked=True, limit=LOOKED_AT)
        return [recall.id for recall in unasked if recall.due <= now and recall.id not in ours][: max(0, MOST - len(mine))]

    def _queued(self, job: Job) -> tuple[Job, Recall] | None:
        """As it is now that nobody else has its job; what is not to be asked for finds its own way."""
        recall = self._task.truth.recall(job.dedupe)
        row = self._task.truth.find(recall.ref) if recall else None
        if recall and row and row.state is State.QUEUED and not recall.request_id and not policy_of.overtaken(row, recall):
            if (waits := self._waits(row, recall)) is None:
                return job, recall
            self._task.crew.settle(self._task, job, waits)
            return None
        self._task.crew.settle(self._task, job, Later(job.due))
        return None

    def _lead(self, archive: Any, mine: list[Ticket], company: list[tuple[Job, Recall]]) -> None:
        many: Batches = archive
        try:
            requests = many.request_many([*(ticket.recall for ticket in mine), *(recall for _, recall in company)])
        except S3Error as error:
            self._refused(mine, company, error)
            return
        for ticket in mine:
            _answer(ticket, archive, requests.get(ticket.recall.id))
        now = self._task.clock.now()
        for job, recall in company:
            if request_id := requests.get(recall.id):
                self._asked(recall, request_id)
            self._task.crew.settle(self._task, job, Later(turn(now, self._task.options.every) if request_id else now))

    def _refused(self, mine: list[Ticket], company: list[tuple[Job, Recall]], error: S3Error) -> None:
        for ticket in mine:
            ticket.answer.set_exception(error)
        now, reason = self._task.clock.now(), f"{error.code}: {error}"
        for job, _ in company:
            self._task.crew.settle(self._task, job, outage(self._task.options, job, now, reason, random()))


def _answered(ticket: Ticket) -> str:
    """Raises what the leader was told; ServiceUnavailable where he was told nothing."""
    try:
        return ticket.answer.result()
    except CancelledError:
        raise ServiceUnavailable("Who asked for it, among others, did not come back.") from None


def _given_up(mine: list[Ticket]) -> None:
    """Nothing, where there was an answer."""
    for ticket in mine:
        ticket.answer.cancel()


def _answer(ticket: Ticket, archive: Archive, request_id: str | None) -> None:
    """Who was left out is asked for alone, and told why."""
    try:
        ticket.answer.set_result(request_id or archive.request(ticket.recall))
    except S3Error as error:
        ticket.answer.set_exception(error)


def turn(now: int, every: int) -> int:
    """The next of the moments at which all that wait are looked at: the same for every worker."""
    return now - now % max(1, every) + max(1, every)
