"""Takes the bytes of a verified object out of the store, in a way that cannot hit a newer version.

Only what the archive holds in enough verified copies, that nobody writes and
nobody wants. The row is taken first, and while it is taken writers wait; a worker
who dies here is looked after by ``sweep`` when the lease has run out. A store
with no exact deletion is left alone.

Policies with ``evict = high H low L`` are looked at ``every`` so often: above H
per cent of the store, the verified objects that have waited longest go until L.

    [job:evict]
    every = 1m
    lease = 30s
"""

import logging
from dataclasses import dataclass, replace
from uuid import uuid4

from s3shunt import config
from s3shunt.config import option
from s3shunt.model import NULL, Entry, Job, Policy, State
from s3shunt.policy import archive as policy_of
from s3shunt.policy.archive import Hold
from s3shunt.policy.record import dedupe, evict_job, matches, ref_of
from s3shunt.ports import Evict
from s3shunt.work import Done, JobOptions, Later, Outcome, Task

log = logging.getLogger(__name__)

PAGE = 1000
TRIES = 10


@dataclass(frozen=True)
class Options(JobOptions):
    every: int = option(config.duration, "1m", help="How often watermarks are looked at, and a row that is not ready is looked at again.")
    concurrency: int = option(config.number, "2", help="How many objects one worker evicts at once.")
    lease: int = option(config.duration, "30s", help="How long an eviction may take; writers of the key wait meanwhile.")
    store: str = option(config.word, "main", help="The [store:NAME] whose watermarks are looked at.")


class EvictJob(Task):
    Options = Options
    kind = "evict"
    needs = ("store", "archive", "policies")
    periodic = True

    def run(self, job: Job) -> Outcome:
        if not job.payload:
            self._watermarks()
            return Later(self.clock.now() + self.options.every)
        policy = next((p for p in self.house.policies if p.name == job.payload["policy"]), None)
        row = self.truth.find(ref_of(dict(job.payload)))
        if policy is None or row is None or row.state not in (State.VERIFIED, State.DELETED):
            return Done()
        if row.state is State.VERIFIED and job.dedupe != dedupe(row):
            return Done()  # written again since: the new generation has a job of its own
        if not _exactly(row, self.house.store(row.store).evict):
            log.warning("[store:%s] cannot delete one version exactly: %s stays", row.store, row.ref)
            return Done()
        if not policy_of.evictable(row, policy, self.clock.now()):
            return self._not_yet(row, policy)
        return self._evict(row, policy)

    def _not_yet(self, row: Entry, policy: Policy) -> Outcome:
        """Somebody writes or wants it, or the archive has not made all copies yet."""
        now = self.clock.now()
        if row.facts is not None and row.facts.lock:
            return Done()
        if row.state is State.VERIFIED and row.copies < policy.copies:
            copy = self.house.archive(row.archive).find(archive_id=row.archive_id)
            if copy is not None:
                self.change(row.ref, lambda row: policy_of.counted(row, copy))
        return Later(policy_of.wanted(row, now) or now + self.options.every)

    def _evict(self, row: Entry, policy: Policy) -> Outcome:
        store, hold = self.house.store(row.store), self.hold(uuid4().hex)
        step = policy_of.evict(row, policy, hold)
        if step is None or not self.catalog.commit(step):
            return Later(self.clock.now())
        if (row.ref.version != NULL or store.evict is Evict.VERSION) and not self._crowned(row, hold):
            return Later(self.clock.now() + self.options.lease)
        seen = store.head(row.ref)
        if seen is not None and seen.fingerprint == row.facts.fingerprint:
            store.delete_exact(row.ref, row.facts.fingerprint)
            seen = store.head(row.ref)
        if seen is not None and seen.fingerprint == row.facts.fingerprint:
            return Later(self.clock.now() + self.options.lease, "the store did not delete it", failed=True)
        self.change(row.ref, lambda row: policy_of.other(row, seen, policy, hold))
        return Done()

    def _crowned(self, row: Entry, hold: Hold) -> bool:
        """Whether it stands in the catalog which version is current; False when a sweep took the row away."""
        store, plain = self.house.store(row.store), replace(row.ref, version=None)
        for _ in range(TRIES):
            current = self.truth.find(plain)
            seen = store.head(plain)
            newest = seen is not None and seen.fingerprint == row.facts.fingerprint
            step = policy_of.crown(self.truth.find(row.ref), current, hold, newest=newest)
            if step is None or self.catalog.commit(step):
                return step is not None
        return False

    def _watermarks(self) -> None:
        usage = self.house.store(self.options.store).usage()
        policies = [policy for policy in self.house.policies if policy.high is not None]
        if usage is None or not policies:
            return
        now, rows = self.clock.now(), sorted(self._verified(), key=lambda row: row.facts.last_modified)
        for policy in policies:
            mine = [row for row in rows if row.archive == policy.archive and matches(policy, row.ref)]
            for row in policy_of.to_evict(mine, *usage, policy, now):
                self.truth.enqueue(evict_job(row, policy.name, now))

    def _verified(self) -> list[Entry]:
        rows: list[Entry] = []
        while page := self.truth.select(state=State.VERIFIED, after=rows[-1] if rows else None, limit=PAGE):
            rows += page
        return [row for row in rows if row.store == self.options.store and row.facts is not None]


def _exactly(row: Entry, way: Evict) -> bool:
    """Whether this row's bytes can be deleted and nothing else: by version only where there is one."""
    stamped = row.ref.version != NULL or (row.facts is not None and bool(row.facts.stamp))
    return way is not Evict.NONE and (way is not Evict.VERSION or stamped)


factory = EvictJob
