"""Brings an archived object back: ask, wait, land beside, verify, publish by swap.

A worker that dies may be followed by any other: the request carries the recall's
id, a landing its own name, and what is left of a landing that failed is looked
for. Recalls that are due together are asked for in one call where the archive offers it. All that wait for one archive
are looked at in one call per ``every``, at the same moments by all workers; one that a notice speaks of between two of
them is looked at by itself. What lands with another size or checksum than the archive's is never
readable: it is deleted and asked for again, ``attempts`` times in all.

    [job:recall]
    every = 5s
    concurrency = 8
    landing = landing
"""

import threading
from dataclasses import dataclass, replace
from functools import partial
from random import random
from uuid import uuid4

from s3shunt import config
from s3shunt.config import option
from s3shunt.jobs.recall.reserve import Reserve
from s3shunt.jobs.recall.wave import Wave, turn
from s3shunt.model import IN_PROGRESS, Entry, Job, Place, Recall, RecallState, State, Step
from s3shunt.policy import recall as policy_of
from s3shunt.policy.archive import renewed
from s3shunt.ports import Archive, Progress, Status
from s3shunt.protocol.errors import BadDigest, S3Error, ServiceUnavailable, SlowDown
from s3shunt.work import Done, JobOptions, Later, Measured, Outcome, Overtaken, Task, backoff, heart


@dataclass(frozen=True)
class Options(JobOptions):
    every: int = option(config.duration, "5s", help="How often an archive is asked how its recalls stand: once for all of them.")
    concurrency: int = option(config.number, "8", help="How many recalls one worker attends to at once.")
    lease: int = option(config.duration, "2m", help="How long a worker that gives no sign of life keeps its landing.")
    landing: str = option(config.word, "landing", help="The [store:NAME] where recalled copies land.")
    attempts: int = option(config.number, "5", help="How often an archive is asked for one object before the recall is given up.")
    grace: int = option(config.duration, "30s", help="Wait before a request that the archive no longer knows is asked anew.")


class RecallJob(Task):
    Options = Options
    kind = "recall"
    needs = ("archive", "place", "day")

    def __init__(self, options: Options, house: object) -> None:
        super().__init__(options, house)
        self._boards: dict[str, tuple[int, dict[str, Status]]] = {}
        self._lock = threading.Lock()
        self._reserve = Reserve(self, self._change)
        self._wave = Wave(self, self._asked, self._reserve.waits)

    def run(self, job: Job) -> Outcome:
        recall = self.truth.recall(str(job.payload["recall"]))
        if recall is None:
            return Done()
        archive = self.house.archive(recall.archive)
        row = self.truth.find(recall.ref)
        if recall.state is RecallState.LANDED:
            return self._release(archive, recall)
        if row is not None and row.state is State.DELETED and recall.active:
            return Later(self.clock.now() + self.options.every)  # the DELETE may yet be undone
        if policy_of.overtaken(row, recall) or row.state not in IN_PROGRESS:
            return self._forsaken(archive, recall, row)
        if row.state is State.QUEUED:
            return self._ask(archive, row, recall)
        if row.state is State.LANDING and (row.lease or 0) > self.clock.now():
            return Later(row.lease)
        return self._look(archive, row, recall, job.due)

    def _release(self, archive: Archive, recall: Recall) -> Outcome:
        if recall.request_id:
            archive.release(recall.request_id)
        return Done()

    def _forsaken(self, archive: Archive, recall: Recall, row: Entry | None) -> Outcome:
        """Overwritten, deleted or cancelled: the archive need not go on, and what landed goes."""
        if recall.request_id:
            archive.cancel(recall.request_id)
        if recall.place is not None and (row is None or row.place != recall.place):
            self._delete(recall.place)
        if recall.active:
            self.catalog.commit(Step(recalls=(policy_of.forsaken(recall),)))
        return Done()

    def _ask(self, archive: Archive, row: Entry, recall: Recall) -> Outcome:
        if recall.due > self.clock.now():
            return Later(recall.due)
        if waits := self._reserve.waits(row, recall):
            return waits
        self._asked(recall, self._wave.ask(archive, recall))
        return Later(turn(self.clock.now(), self.options.every))

    def _asked(self, recall: Recall, request_id: str) -> None:
        self._change(recall, partial(policy_of.asked, request_id=request_id))

    def _look(self, archive: Archive, row: Entry, recall: Recall, due: int) -> Outcome:
        status = self._status(archive, recall, due)
        if status.progress is Progress.WAITING:
            return Later(turn(self.clock.now(), self.options.every))
        if status.progress is Progress.READY:
            return self._land(archive, row, recall)
        if status.progress is Progress.GONE:
            return self._again(recall, status.reason or "the archive does not know the request any more", wait=self.options.grace)
        return self._again(recall, status.reason or "the archive failed", retry=status.retry)

    def _status(self, archive: Archive, recall: Recall, due: int) -> Status:
        """From one call for all recalls of this archive that wait, made once between two turns.

        A job that is due between them was moved forward by a notice: it is worth a call of its own.
        """
        request, now, every = recall.request_id or "", self.clock.now(), self.options.every
        with self._lock:
            at, board = self._boards.get(recall.archive, (0, {}))
            if request not in board or now >= turn(at, every):
                waiting = self.truth.recalls(archive=recall.archive, limit=100_000)
                requests = sorted({request} | {other.request_id for other in waiting if other.request_id})
                at, board = now, archive.status(requests)
                self._boards[recall.archive] = (at, board)
            if at < due:
                board |= archive.status([request])
        return board.get(request, Status(progress=Progress.GONE))

    def _land(self, archive: Archive, row: Entry, recall: Recall) -> Outcome:
        hold = self.hold(uuid4().hex)
        place = policy_of.landing_place(recall, self.options.landing, hold)
        step = policy_of.landing(row, recall, place, hold)
        if step is None or not self.catalog.commit(step):
            return Later(self.clock.now() + 1000)
        try:
            place = self._copied(archive, row, recall, place, hold.token)
        except (Overtaken, ServiceUnavailable, SlowDown):
            self._delete(place)
            self.change(row.ref, lambda row: renewed(row, replace(hold, lease=hold.now)))
            raise
        except S3Error as error:
            self._delete(place)
            archive.cancel(recall.request_id)  # the next request may be given another copy
            return self._again(recall, f"{error.code}: {error}", token=hold.token)
        landed = partial(policy_of.landed, place=place, hold=self.hold(hold.token), day=self.house.day)
        if not self._change(recall, landed, hold.token):
            self._delete(place)
            return Later(self.clock.now())
        return self._release(archive, recall)

    def _copied(self, archive: Archive, row: Entry, recall: Recall, place: Place, token: str) -> Place:
        """The bytes in their place, as many and the same as the archive says, and known by their ETag. Raises what is wrong with them."""
        copy = archive.find(archive_id=recall.archive_id)
        if copy is None or copy.size != row.facts.size or not copy.copies:
            raise BadDigest("the archive holds no sound copy of what the entry says")
        store, ref = self.house.place(place)
        measured = Measured(archive.read(recall.request_id), heart(self, row.ref, token, renewed))
        store.write(ref, measured, size=copy.size)
        seen = store.head(ref)
        if seen is None or seen.size != copy.size or not measured.agrees(copy.size, copy.checksum):
            raise BadDigest("what landed is not what the archive holds")
        return replace(place, etag=seen.etag)

    def _again(self, recall: Recall, reason: str, *, retry: bool = True, wait: int = 0, token: str = "") -> Outcome:
        """Asked once more later, or given up: then the entry is archived as if nobody had asked."""
        now = self.clock.now()
        due = now + max(wait, backoff(self.options, recall.attempts, random()))
        if not retry or recall.attempts >= self.options.attempts:
            self._change(recall, partial(policy_of.give_up, reason=reason, now=now), token)
            return Done()
        self._change(recall, partial(policy_of.again, reason=reason, due=due), token)
        return Later(due, reason)

    def buried(self, job: Job, reason: str) -> None:
        recall = self.truth.recall(str(job.payload["recall"]))
        if recall is not None and recall.active:
            self._change(recall, partial(policy_of.give_up, reason=reason, now=self.clock.now()))

    def _change(self, recall: Recall, decide: partial, token: str = "") -> bool:
        """One step of the row and its recall, both as they are now, unless another worker lands it."""

        def step(row: Entry | None) -> Step | None:
            latest = self.truth.recall(recall.id)
            overtaken = latest is None or policy_of.overtaken(row, latest)
            landing = row is not None and row.state is State.LANDING and row.token != token and (row.lease or 0) > self.clock.now()
            return None if overtaken or landing else decide(row, latest)

        return self.change(recall.ref, step)

    def _delete(self, place: Place) -> None:
        store, ref = self.house.place(place)
        store.delete(ref)


factory = RecallJob
