"""Finds what no entry tells of: objects written behind our back, or before there was a policy; and what a changed policy says of others.

``every`` so often the buckets of each policy that has ``after`` are listed, and
objects that are old and large enough get an archive job, those that are verified
and may leave the store by the policy of today an eviction. Buckets are those the
catalog remembers, those a policy names without a pattern, and those named here
(``account/bucket`` where the store has accounts). ``s3shunt catalog scan`` has it done at once.

    [job:scan]
    every = 1d
    buckets = films AUTH_desk/rushes
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from s3shunt import config
from s3shunt.config import option
from s3shunt.model import NULL, Bucket, Entry, Facts, Job, ObjectRef, Policy, State
from s3shunt.policy.record import archive_job, evict_job, matches
from s3shunt.work import Done, JobOptions, Later, Outcome, Task

PAGE = 1000


@dataclass(frozen=True)
class Options(JobOptions):
    every: int = option(config.duration, "1d", help="How often buckets are listed.")
    lease: int = option(config.duration, "5m", help="How long a worker that gives no sign of life keeps the scan.")
    store: str = option(config.word, "main", help="The [store:NAME] that is listed.")
    buckets: tuple[str, ...] = option(config.words, " ", help="Further buckets, as 'bucket' or 'account/bucket'.")


class ScanJob(Task):
    Options = Options
    kind = "scan"
    needs = ("store", "policies")
    periodic = True

    def run(self, job: Job) -> Outcome:
        for policy in self.house.policies:
            if policy.after is not None:
                self._scan(policy)
        return Later(self.clock.now() + self.options.every) if job.dedupe == self.kind else Done()

    def _scan(self, policy: Policy) -> None:
        for bucket in self._buckets(policy):
            for key, facts in self._objects(bucket, policy):
                if facts.last_modified + policy.after <= self.clock.now():
                    self._found(bucket, ObjectRef(bucket.name, key, account=bucket.account), facts, policy)

    def _buckets(self, policy: Policy) -> Iterator[Bucket]:
        remembered = {(bucket.account, bucket.name): bucket for bucket in self.truth.buckets()}
        for text in (*self.options.buckets, *policy.buckets):
            account, _, name = text.rpartition("/")
            if not any(sign in name for sign in "*?["):
                remembered.setdefault((account, name), Bucket(name=name, account=account))
        return (bucket for bucket in remembered.values() if any(fnmatchcase(bucket.name, pattern) for pattern in policy.buckets))

    def _objects(self, bucket: Bucket, policy: Policy) -> Iterator[tuple[str, Facts]]:
        store, after = self.house.store(self.options.store), ""
        while page := store.list(bucket.name, prefix=policy.prefix, after=after, limit=PAGE, account=bucket.account):
            yield from page
            after = page[-1][0]

    def _found(self, bucket: Bucket, ref: ObjectRef, facts: Facts, policy: Policy) -> None:
        """An old object: its entry, if it has one, may have lost its job; entries that went further are left alone."""
        if not matches(policy, ref) or not policy.min_size <= facts.size <= (policy.max_size or facts.size):
            return
        row = self.truth.find(ref)
        if row is not None:
            if row.state is State.ONLINE and not row.writers and not row.reason:
                self.truth.enqueue(archive_job(row, policy.name, row.due or self.clock.now()))
            if row.state is State.VERIFIED and policy.evict_after is not None:
                self.truth.enqueue(evict_job(row, policy.name, self.clock.now(), policy.evict_after))
            return
        if bucket.plain and self.truth.bucket(bucket.account, bucket.name) is not None:
            self.truth.save_bucket(replace(bucket, plain=False))  # from here on its reads look the entry up
        version = self._version(bucket, ref)
        if version:
            self.truth.enqueue(archive_job(Entry(ref=replace(ref, version=version)), policy.name, self.clock.now()))

    def _version(self, bucket: Bucket, ref: ObjectRef) -> str:
        """Listings do not say which version is current; nothing when it is gone meanwhile."""
        if not bucket.versioned:
            return NULL
        seen = self.house.store(self.options.store).head(ref)
        return (seen.stamp or NULL) if seen else ""


factory = ScanJob
