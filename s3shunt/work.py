"""What every job is made of: what may come of it, how much of the house it sees, and how it changes a row.

A job is registered steps: read the entry, one effect, one conditional change. A
worker that dies between any two of them leaves work to be repeated, never a lie.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import md5, sha256
from typing import Any, ClassVar, Protocol

from s3shunt import config
from s3shunt.config import option
from s3shunt.model import Entry, Job, ObjectRef, Step
from s3shunt.policy.archive import Hold
from s3shunt.protocol.errors import SlowDown

TRIES = 20


@dataclass(frozen=True, slots=True)
class Done:
    """The job leaves the ledger."""


@dataclass(frozen=True, slots=True)
class Later:
    """The job comes back; ``failed`` counts an attempt against it."""

    due: int
    reason: str = ""
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Dead:
    """The job goes to the dead letters: no repetition can help."""

    reason: str


Outcome = Done | Later | Dead


@dataclass(frozen=True)
class JobOptions:
    """``[job:NAME]``: what all kinds of jobs share."""

    every: int = option(config.duration, "5s", help="How often a job that waits for something looks again; how often a periodic one runs.")
    concurrency: int = option(config.number, "1", help="How many of this kind one worker runs at once; 0: none here.")
    lease: int = option(config.duration, "60s", help="How long a worker that gives no sign of life keeps its job.")
    attempts: int = option(config.number, "10", help="Failures after which a job goes to the dead letters. Outages do not count.")
    retry: int = option(config.duration, "5s", help="Wait after the first failure; it doubles with each, and is jittered.")
    patience: int = option(config.duration, "15m", help="The longest wait between two tries.")


def backoff(options: JobOptions, attempts: int, share: float) -> int:
    """Milliseconds until the next try after ``attempts`` failures; ``share`` is a random number below 1."""
    longest = min(options.patience, options.retry << min(attempts, 40))
    return int(longest * (0.5 + share / 2))


def outage(options: JobOptions, job: Job, now: int, reason: str, share: float) -> Later:
    """What the job needs does not answer: the waits grow, but no outage is long enough for the dead letters."""
    return Later(now + backoff(options, job.attempts, share), reason, failed=job.attempts + 3 < options.attempts)


class Crew(Protocol):
    """Who runs a task's jobs, as the task sees it."""

    def gather(self, task: "Task", names: Sequence[str]) -> AbstractContextManager[list[Job]]:
        """Further jobs of this kind by their names, those that are due and free: held and kept alive until each is settled.

        What is not settled at the end is let go of, and comes back when its lease has run out.
        """

    def settle(self, task: "Task", job: Job, outcome: Outcome) -> None:
        """What came of a job that was gathered."""


class Task:
    """One kind of job. ``needs`` names what it sees of the house; the rest is out of its reach."""

    kind: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    periodic: ClassVar[bool] = False
    Options: ClassVar[type[JobOptions]] = JobOptions
    crew: Crew
    """The runner puts itself here."""

    def __init__(self, options: Any, house: Any) -> None:
        self.options = options
        self.clock = house.clock
        self.truth = house.truth()
        self.catalog = house.catalog()
        self.house = Reach(house, self.needs)

    def run(self, job: Job) -> Outcome:
        raise NotImplementedError

    def buried(self, job: Job, reason: str) -> None:
        """The job will not come back: what it was to do is ended in a way that clients can see."""

    def change(self, ref: ObjectRef, decide: Callable[[Entry | None], Step | None]) -> bool:
        """Read the row, decide, commit; anew when it moved meanwhile. False when there was nothing to do."""
        for _ in range(TRIES):
            step = decide(self.truth.find(ref))
            if step is None:
                return False
            if self.catalog.commit(step):
                return True
        raise SlowDown(f"{ref} changes faster than a step can follow")

    def hold(self, token: str) -> Hold:
        now = self.clock.now()
        return Hold(token=token, now=now, lease=now + self.options.lease)


class Reach:
    """As much of the house as a kind of job says that it needs."""

    def __init__(self, house: Any, names: Iterable[str]) -> None:
        for name in names:
            setattr(self, name, getattr(house, name))


class Measured:
    """Chunks on their way through: counted and digested, with a sign of life now and then.

    ``beat`` is called before each chunk and raises when the work is no longer ours.
    """

    def __init__(self, chunks: Iterable[bytes], beat: Callable[[], None] = lambda: None) -> None:
        self.size = 0
        self._chunks = chunks
        self._beat = beat
        self._digests = {"sha256": sha256(), "md5": md5(usedforsecurity=False)}

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._beat()
            self.size += len(chunk)
            for digest in self._digests.values():
                digest.update(chunk)
            yield chunk

    def drain(self) -> "Measured":
        """Read all of it for its digests alone."""
        for _ in self:
            pass
        return self

    def agrees(self, size: int, checksum: str) -> bool:
        """Whether so many bytes with this checksum ("sha256:<hex>" or "md5:<hex>") went by."""
        algorithm, _, value = checksum.partition(":")
        digest = self._digests.get(algorithm)
        return self.size == size and digest is not None and digest.hexdigest() == value.lower()


class Overtaken(Exception):
    """Somebody else holds the row by now: what is being copied is nobody's."""


def heart(task: Task, ref: ObjectRef, token: str, renewed: Callable[[Entry | None, Hold], Step | None]) -> Callable[[], None]:
    """A sign of life for a row held under ``token``, given at most three times a lease. Raises Overtaken."""
    last = task.clock.now()

    def beat() -> None:
        nonlocal last
        now = task.clock.now()
        if now - last < task.options.lease // 3:
            return
        last = now
        if not task.change(ref, lambda row: renewed(row, task.hold(token))):
            raise Overtaken(str(ref))

    return beat
