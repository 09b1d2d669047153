"""Looks after what the dead left behind: evictions, and writes that began and never ended.

``every`` so often it takes the intents whose lease has run out, asks the store
what became of the write, and finishes or forgets it; and it brings the index up
to date where a writer died before he could. It never deletes from a store.

    [job:sweep]
    every = 5s
"""

from dataclasses import dataclass

from s3shunt import config
from s3shunt.config import option
from s3shunt.model import NULL, Facts, Intent, Job, ObjectRef, State
from s3shunt.policy import archive, record
from s3shunt.policy.record import Wait, Written
from s3shunt.work import Done, JobOptions, Later, Outcome, Task


@dataclass(frozen=True)
class Options(JobOptions):
    every: int = option(config.duration, "5s", help="How often writes that never ended are looked for.")
    store: str = option(config.word, "main", help="The [store:NAME] of keys whose entry is gone.")


class SweepJob(Task):
    Options = Options
    kind = "sweep"
    needs = ("store", "policies")
    periodic = True

    def run(self, job: Job) -> Outcome:
        if job.payload:
            return self._evictor(job)
        now = self.clock.now()
        for intent in self.truth.lapsed(now):
            self._writer(intent, now)
        if hasattr(self.catalog, "drain"):
            self.catalog.drain(now)
        return Later(now + self.options.every)

    def _evictor(self, job: Job) -> Outcome:
        """A row that was taken for eviction and never given back."""
        row = self.truth.find(record.ref_of(dict(job.payload)))
        policy = next((p for p in self.house.policies if p.name == job.payload["policy"]), None)
        now = self.clock.now()
        if row is None or policy is None or row.state is not State.EVICTING:
            return Done()
        if (row.lease or 0) > now:
            return Later(row.lease)
        step = archive.sweep(row, self.house.store(row.store).head(row.ref), policy, now)
        return Done() if step is None or self.catalog.commit(step) else Later(now)

    def _writer(self, intent: Intent, now: int) -> None:
        """One that moved meanwhile, or has to wait for an eviction, is met again next time."""
        row = self.truth.find(intent.ref)
        store = self.house.store(row.store if row else self.options.store)
        newest = ObjectRef(intent.ref.bucket, intent.ref.key, account=intent.ref.account)
        seen = store.head(newest)
        written = self._written(intent, seen, now) if seen else None
        if written and row and written.ref != row.ref and self.truth.find(written.ref):
            step = record.abandon(row, intent)  # the newest version has a row of its own
        else:
            step = record.sweep(row, intent, written, self.house.policies, now, current=self.truth.find(newest))
        if not isinstance(step, Wait):
            self.catalog.commit(step)

    def _written(self, intent: Intent, seen: Facts, now: int) -> Written:
        bucket = self.truth.bucket(intent.ref.account, intent.ref.bucket)
        version = seen.stamp if bucket is not None and bucket.versioned and seen.stamp else NULL
        ref = ObjectRef(intent.ref.bucket, intent.ref.key, version, intent.ref.account)
        return Written(ref=ref, facts=seen, storage_class=intent.storage_class or "STANDARD", external_id=intent.external_id, now=now)


factory = SweepJob
