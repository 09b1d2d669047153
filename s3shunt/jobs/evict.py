"""Takes the bytes of a verified object out of the store, in a way that cannot hit a newer version.

Only what the archive holds in enough verified copies, that nobody writes, wants,
or pinned. The row is taken first, and while it is taken writers wait; a worker
who dies here is looked after by ``sweep`` when the lease has run out. A store
with no exact deletion is left alone.

Policies with ``evict = high H low L`` are looked at ``every`` so often: above H
per cent of the store what nobody has read for longest goes until L is reached,
``batch`` objects at a time and a look every ``pace``, across restarts and
however many workers there are. No store is listed: one with a ``capacity`` is as full as the
catalog says, any other as it says itself.

    [job:evict]
    every = 1m
    lease = 30s
    pace = 5s
    batch = 500
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from uuid import uuid4

from s3shunt import config
from s3shunt.config import option
from s3shunt.model import NULL, Entry, Job, Policy, State
from s3shunt.policy import archive as policy_of
from s3shunt.policy import space
from s3shunt.policy.archive import Hold
from s3shunt.policy.record import dedupe, evict_job, ref_of
from s3shunt.ports import Evict
from s3shunt.work import Done, JobOptions, Later, Outcome, Task

log = logging.getLogger(__name__)

SMALL, PAGE = 100, 1000
PAGES = 50
TRIES = 10
DAY = 86_400_000


@dataclass(frozen=True)
class Options(JobOptions):
    every: int = option(config.duration, "1m", help="How often watermarks are looked at, and a row that is not ready is looked at again.")
    concurrency: int = option(config.number, "2", help="How many objects one worker evicts at once.")
    lease: int = option(config.duration, "30s", help="How long an eviction may take; writers of the key wait meanwhile.")
    store: str = option(config.word, "main", help="The [store:NAME] whose watermarks are looked at.")
    pace: int = option(config.duration, "5s", help="How often a store above its low mark is looked at until it is reached.")
    batch: int = option(config.some(config.number), "500", help="How many objects at most are sent out of the store after one such look.")


class EvictJob(Task):
    Options = Options
    kind = "evict"
    needs = ("store", "archive", "policies")
    periodic = True

    def run(self, job: Job) -> Outcome:
        if not job.payload:
            return Later(self.clock.now() + (self.options.pace if self._watermarks() else self.options.every))
        policy = next((p for p in self.house.policies if p.name == job.payload["policy"]), None)
        row = self.truth.find(ref_of(dict(job.payload)))
        if policy is None or row is None or row.state not in (State.VERIFIED, State.DELETED):
            return Done()
        if row.state is State.VERIFIED and job.dedupe != dedupe(row):
            return Done()  # written again since: the new generation has a job of its own
        if not _exactly(row, self.house.store(row.store).evict):
            log.warning("[store:%s] cannot delete one version exactly: %s stays", row.store, row.ref)
            return Done()
        now = self.clock.now()
        if not policy_of.evictable(row, policy, now) or space.covered(self.truth.pins(), row.ref, now):
            return self._not_yet(row, policy)
        return self._evict(row, policy)

    def _not_yet(self, row: Entry, policy: Policy) -> Outcome:
        """Somebody writes, wants or pinned it, or the archive has not made all copies yet."""
        now = self.clock.now()
        if row.facts is not None and row.facts.lock:
            return Done()
        if row.state is State.VERIFIED and policy.high is not None:
            return Done()  # the next look at the marks chooses anew
        if row.state is State.VERIFIED and row.copies < policy.copies:
            copy = self.house.archive(row.archive).find(archive_id=row.archive_id)
            if copy is not None:
                self.change(row.ref, lambda row: policy_of.counted(row, copy))
        if row.pinned > now or space.covered(self.truth.pins(), row.ref, now):
            return Later(now + DAY, "pinned")
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

    # Watermarks

    def _watermarks(self) -> bool:
        """Send out what has to leave next. Whether the low mark is still to be reached."""
        self.truth.settle()
        self.truth.unpin_past(self.clock.now())
        policies = [policy for policy in self.house.policies if policy.high is not None]
        if not policies or self.house.store(self.options.store).evict is Evict.NONE:
            return False
        cold = self._cold(policies)
        first = next(cold, None)  # read before the sum: what left between the two counts as gone, never twice
        usage = self._usage()
        leaving = self._leaving(policies, usage)
        if usage is None or not leaving:
            return False
        used, capacity = usage
        drain = space.Drain(leaving, capacity, used, self.options.batch, self.truth.pins(), self.clock.now(), self.house.policies)
        chosen = self._chosen(drain, first, cold)
        self.truth.enqueue(*chosen)
        log.info("[store:%s] %d of %d bytes used: %d objects leave", self.options.store, used, capacity, len(chosen))
        return True

    def _usage(self) -> tuple[int, int] | None:
        """Bytes used and capacity, less what is leaving at this moment."""
        store = self.house.store(self.options.store)
        capacity = getattr(getattr(store, "options", None), "capacity", None)
        told = store.usage() if capacity is None else (self.truth.room(self.options.store).held, capacity)
        if told is None:
            return None
        going = [row for row in self.truth.select(state=State.EVICTING) if row.store == self.options.store]
        return told[0] - sum(row.facts.size for row in going if row.facts), told[1]

    def _leaving(self, policies: list[Policy], usage: tuple[int, int] | None) -> list[Policy]:
        """The policies between whose marks the store is on its way down. That outlives every worker."""
        if usage is None:
            return []
        known = {policy.name: f"drain {self.options.store} {policy.name}" for policy in policies}
        before = {name for name, kept in known.items() if self.truth.remembered(kept)}
        after = space.draining(policies, *usage, before)
        for name in before ^ after:
            self.truth.remember(known[name], int(name in after))
        return [policy for policy in policies if policy.name in after]

    def _chosen(self, drain: space.Drain, first: Entry | None, cold: Iterator[Entry]) -> list[Job]:
        """The same rows for whoever looks: a job that is live already is not put a second time."""
        jobs, row, way = [], first, self.house.store(self.options.store).evict
        while row is not None and not drain.done:
            policy = drain.choose(row) if _exactly(row, way) else None
            if policy is not None:
                jobs.append(evict_job(row, policy.name, drain.now))
            row = next(cold, None)
        return jobs

    def _cold(self, policies: list[Policy]) -> Iterator[Entry]:
        """Least recently used first, a page at a time. What cannot leave is passed over, up to a bound."""
        buckets = sorted({bucket for policy in policies for bucket in policy.buckets})
        after, limit = None, max(SMALL, min(PAGE, self.options.batch))
        for _ in range(PAGES):
            page = self.truth.coldest(self.options.store, buckets=buckets, after=after, limit=limit)
            yield from (row for _, row in page)
            if len(page) < limit:
                return
            after = (page[-1][0], page[-1][1].ref)
        log.warning("[store:%s] the %d least recently used objects cannot leave", self.options.store, PAGES * limit)


def _exactly(row: Entry, way: Evict) -> bool:
    """Whether this row's bytes can be deleted and nothing else: by version only where there is one."""
    stamped = row.ref.version != NULL or (row.facts is not None and bool(row.facts.stamp))
    return way is not Evict.NONE and (way is not Evict.VERSION or stamped)


factory = EvictJob
