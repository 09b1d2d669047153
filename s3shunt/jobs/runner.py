"""Runs what is due: claims jobs of all kinds, keeps them alive, and settles what came of them.

Any number of runners on any number of machines share one ledger. A failure stops
only the job it happened in: it is tried again after a growing, jittered wait, and
goes to the dead letters in the end. An outage of a store, an archive or the
catalog is waited for as long as it takes. ``[job:NAME]`` sets the options of a kind.
"""

import logging
import os
import random
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import Any

from s3shunt import config
from s3shunt.config import ConfigError
from s3shunt.model import Job
from s3shunt.protocol.errors import S3Error, ServiceUnavailable, SlowDown
from s3shunt.work import Dead, Done, Later, Outcome, Task, backoff, outage

log = logging.getLogger(__name__)

GROUP = "s3shunt.jobs"
GLANCE = 0.1


class Runner:
    """The jobs of one house in one process. ``kinds`` None: all that are installed."""

    def __init__(self, house: Any, *, owner: str = "", kinds: tuple[str, ...] | None = None) -> None:
        self.house = house
        self.owner = owner or f"{socket.gethostname()}:{os.getpid()}"
        self.truth = house.truth()
        self.tasks = {task.kind: task for task in tasks(house, kinds)}
        for task in self.tasks.values():
            task.crew = self
        self._held: dict[int, tuple[Job, Task]] = {}
        self._lock = threading.Lock()
        self._seeded = False
        self._freed = threading.Event()

    def run_due(self, limit: int = 1000) -> int:
        """Run each job that is due now once, one after the other. Returns how many ran."""
        self.seed()
        ran = 0
        with self._pulse():
            for kind, task in self.tasks.items():
                while ran < limit and (job := self._claim(kind, 1)):
                    self._one(task, job[0])
                    ran += 1
        return ran

    def run(self, stop: threading.Event, idle: float = 1.0) -> None:
        """Claim and run, each kind with its own concurrency, until ``stop`` is set; then wait for those under way."""
        width = sum(task.options.concurrency for task in self.tasks.values())
        with self._pulse(), ThreadPoolExecutor(max(width, 1), "job") as pool:
            busy: Counter[str] = Counter()
            while not stop.is_set():
                self._freed.clear()
                if not self._fill(pool, busy):
                    self._rest(stop, idle)

    def _rest(self, stop: threading.Event, idle: float) -> None:
        """Until a job ends, which may have made room, or work; until ``stop``; at most ``idle`` seconds."""
        left = idle
        while left > 0 and not stop.is_set() and not self._freed.wait(min(left, GLANCE)):
            left -= GLANCE

    def seed(self) -> None:
        """Periodic kinds stand in the ledger once, whoever put them there."""
        if self._seeded:
            return
        for kind, task in self.tasks.items():
            if task.periodic and not any(job.dedupe == kind for job in self.truth.jobs(kind=kind)):
                self.truth.enqueue(Job(kind=kind, dedupe=kind, due=self.house.clock.now()))
        self._seeded = True

    def _fill(self, pool: ThreadPoolExecutor, busy: "Counter[str]") -> int:
        """Start as much as there is room for. Returns how many were started."""
        started = 0
        try:
            self.seed()
            for kind, task in self.tasks.items():
                free = task.options.concurrency - busy[kind]
                for job in self._claim(kind, free) if free > 0 else ():
                    busy[kind] += 1
                    started += 1
                    pool.submit(self._one, task, job).add_done_callback(lambda future, kind=kind: self._ended(busy, kind, future))
        except S3Error as error:
            log.warning("the catalog does not answer: %s", error)
        return started

    def _ended(self, busy: "Counter[str]", kind: str, future: "Future[None]") -> None:
        with self._lock:
            busy[kind] -= 1
        self._freed.set()
        if error := future.exception():
            log.error("a %s job could not be settled and comes back when its lease has run out: %s", kind, error)

    def _claim(self, kind: str, limit: int) -> list[Job]:
        now = self.house.clock.now()
        return self.truth.claim([kind], now, now + self.tasks[kind].options.lease, self.owner, limit)

    def _one(self, task: Task, job: Job) -> None:
        with self._lock:
            self._held[job.id] = (job, task)
        try:
            self._settle(task, job, task.run(job))
        except Exception as error:  # noqa: BLE001  # one failure stops only itself
            self._settle(task, job, self._failure(task, job, error))
        finally:
            with self._lock:
                self._held.pop(job.id, None)

    @contextmanager
    def gather(self, task: Task, names: Sequence[str]) -> Iterator[list[Job]]:
        """What a job takes along: its own kind, due and free, kept alive with the others."""
        now = self.house.clock.now()
        jobs = self.truth.claim_named(task.kind, names, now, now + task.options.lease, self.owner) if names else []
        with self._lock:
            self._held.update({job.id: (job, task) for job in jobs})
        try:
            yield jobs
        finally:
            with self._lock:
                for job in jobs:
                    self._held.pop(job.id, None)

    def settle(self, task: Task, job: Job, outcome: Outcome) -> None:
        with self._lock:
            self._held.pop(job.id, None)
        self._settle(task, job, outcome)

    def _failure(self, task: Task, job: Job, error: Exception) -> Outcome:
        reason = f"{type(error).__name__}: {error}"
        now, share = self.house.clock.now(), random.random()
        if isinstance(error, ServiceUnavailable | SlowDown):
            return outage(task.options, job, now, reason, share)
        if job.attempts + 1 >= task.options.attempts:
            return Dead(reason)
        log.warning("%s job %d: %s", job.kind, job.id, reason, exc_info=not isinstance(error, S3Error))
        return Later(now + backoff(task.options, job.attempts, share), reason, failed=True)

    def _settle(self, task: Task, job: Job, outcome: Outcome) -> None:
        match outcome:
            case Done():
                self.truth.finish(job)
            case Later(due, reason, failed):
                self.truth.postpone(job, due, reason=reason, failed=failed)
            case Dead(reason):
                log.error("%s job %d is given up after %d attempts: %s", job.kind, job.id, job.attempts + 1, reason)
                task.buried(job, reason)
                self.truth.bury(job, reason)

    @contextmanager
    def _pulse(self) -> Iterator[None]:
        """Keeps the leases of held jobs alive while they run."""
        stop = threading.Event()
        shortest = min((task.options.lease for task in self.tasks.values()), default=60_000)
        thread = threading.Thread(target=self._beat, args=(stop, shortest / 3000), name="pulse", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _beat(self, stop: threading.Event, seconds: float) -> None:
        while not stop.wait(seconds):
            with self._lock:
                held = list(self._held.values())
            try:
                for job, task in held:
                    self.truth.extend(job, self.house.clock.now() + task.options.lease)
            except S3Error as error:
                log.warning("leases could not be kept alive: %s", error)


def tasks(house: Any, kinds: tuple[str, ...] | None = None) -> list[Task]:
    """Every installed kind with its options. Raises ConfigError for a section of a kind that is not."""
    points = {point.name: point for point in entry_points(group=GROUP)}
    if unknown := sorted(set(house.ini.names("job")) - points.keys()):
        raise ConfigError(f"[job:{unknown[0]}]: no such kind of job, expected one of {', '.join(sorted(points))}")
    return [make(house, points[name].load(), name) for name in sorted(points) if kinds is None or name in kinds]


def make(house: Any, factory: Any, name: str) -> Task:
    given = house.ini.section("job", name) if name in house.ini.names("job") else {}
    task: Task = factory(config.read(factory.Options, f"job:{name}", given), house)
    return task
