"""Jobs, and who has them."""

from collections.abc import Sequence
from dataclasses import replace

from s3shunt.catalog.memory.kept import Kept
from s3shunt.model import Job, JobState


class Ledger(Kept):
    def enqueue(self, *jobs: Job) -> None:
        with self._lock:
            for job in jobs:
                live = self._live(job.kind, job.dedupe)
                if live is None:
                    id_ = self._next()
                    self._jobs[id_] = replace(job, id=id_)
                elif job.due < live.due:
                    self._jobs[live.id] = replace(live, due=job.due)

    def _live(self, kind: str, dedupe: str) -> Job | None:
        return next(
            (j for j in self._jobs.values() if (j.kind, j.dedupe) == (kind, dedupe) and j.state is JobState.WAITING), None
        )

    def _release(self, kind: str, dedupe: str) -> None:
        live = self._live(kind, dedupe)
        if live is not None:
            del self._jobs[live.id]

    def claim(self, kinds: Sequence[str], now: int, lease: int, owner: str, limit: int = 1) -> list[Job]:
        with self._lock:
            due = [
                job
                for job in sorted(self._jobs.values(), key=lambda j: (j.due, j.id))
                if job.kind in kinds and self._claimable(job, now)
            ][:limit]
            return self._take(due, lease, owner)

    def claim_named(self, kind: str, names: Sequence[str], now: int, lease: int, owner: str) -> list[Job]:
        with self._lock:
            found = [live for name in names if (live := self._live(kind, name)) and self._claimable(live, now)]
            return self._take(sorted(found, key=lambda j: (j.due, j.id)), lease, owner)

    def _claimable(self, job: Job, now: int) -> bool:
        return job.state is JobState.WAITING and job.due <= now and (job.lease is None or job.lease <= now)

    def _take(self, due: list[Job], lease: int, owner: str) -> list[Job]:
        claimed = [replace(job, lease=lease, owner=owner, token=self._next()) for job in due]
        self._jobs.update({job.id: job for job in claimed})
        return claimed

    def extend(self, job: Job, lease: int) -> bool:
        with self._lock:
            if not self._held(job):
                return False
            self._jobs[job.id] = replace(self._jobs[job.id], lease=lease)
            return True

    def finish(self, job: Job) -> bool:
        with self._lock:
            return self._held(job) and self._jobs.pop(job.id) is not None

    def postpone(self, job: Job, due: int, *, reason: str = "", failed: bool = False) -> bool:
        with self._lock:
            if not self._held(job):
                return False
            kept = self._jobs[job.id]
            self._jobs[job.id] = replace(kept, due=due, lease=None, owner=None, reason=reason, attempts=kept.attempts + failed)
            return True

    def bury(self, job: Job, reason: str) -> bool:
        with self._lock:
            if not self._held(job):
                return False
            self._jobs[job.id] = replace(self._jobs[job.id], state=JobState.DEAD, lease=None, reason=reason)
            return True

    def _held(self, job: Job) -> bool:
        kept = self._jobs.get(job.id)
        return kept is not None and kept.token == job.token and kept.state is JobState.WAITING

    def jobs(self, *, kind: str | None = None, dead: bool = False, limit: int = 1000) -> list[Job]:
        with self._lock:
            rows = sorted(self._jobs.values(), key=lambda j: (j.due, j.id))
        return [j for j in rows if (kind is None or j.kind == kind) and (j.state is JobState.DEAD) == dead][:limit]

    def revive(self, id: int, due: int) -> bool:  # noqa: A002
        with self._lock:
            job = self._jobs.get(id)
            if job is None or job.state is not JobState.DEAD or self._live(job.kind, job.dedupe):
                return False
            self._jobs[id] = replace(job, state=JobState.WAITING, due=due, attempts=0, lease=None)
            return True

    def backlog(self) -> dict[tuple[str, str], tuple[int, int]]:
        with self._lock:
            found: dict[tuple[str, str], list[int]] = {}
            for job in self._jobs.values():
                found.setdefault((job.kind, job.state.value), []).append(job.due)
        return {of: (len(dues), min(dues)) for of, dues in found.items()}
