"""Takes an object to its archive: pin, copy, read back, verify against the store.

The row is pinned first, so that everybody knows what is being copied; the copy
is looked for under its tag before it is written, so that a worker who died after
writing costs nothing but a look. It counts only when the checksum that the
archive gives back equals that of the store's bytes as they went by, and when the
store still holds what was pinned. What the policy or S3 forbids to archive goes
back online with the reason and is not tried again.

    [job:archive]
    concurrency = 2
    lease = 5m
"""

from dataclasses import dataclass
from random import random
from uuid import uuid4

from s3shunt import config
from s3shunt.config import option
from s3shunt.model import Entry, Facts, Job, ObjectRef, Policy, State, Step
from s3shunt.policy import archive as policy_of
from s3shunt.policy.claims import same_key
from s3shunt.policy.placement import known_id
from s3shunt.policy.record import ARCHIVE_CLASSES, ref_of
from s3shunt.ports import Copy
from s3shunt.protocol.errors import BadDigest, S3Error, ServiceUnavailable, SlowDown
from s3shunt.work import Dead, Done, JobOptions, Later, Measured, Outcome, Overtaken, Task, backoff, heart, outage


@dataclass(frozen=True)
class Options(JobOptions):
    concurrency: int = option(config.number, "2", help="How many objects one worker copies to the archive at once.")
    lease: int = option(config.duration, "5m", help="How long a worker that gives no sign of life keeps its object.")
    store: str = option(config.word, "main", help="The [store:NAME] of objects that no entry knows.")


class ArchiveJob(Task):
    Options = Options
    kind = "archive"
    needs = ("store", "archive", "policies")

    def run(self, job: Job) -> Outcome:
        policy = next((p for p in self.house.policies if p.name == job.payload["policy"]), None)
        ref = ref_of(dict(job.payload))
        row = self.truth.find(ref)
        if policy is None or (row is not None and row.state not in (State.ONLINE, State.ARCHIVING, State.DELETED)):
            return Done()
        if waits := self._waits(row):
            return Later(waits)
        seen = self.house.store(row.store if row else self.options.store).head(ref)
        if seen is None:
            return self._on(policy_of.gone(row) if row else None)
        asked = row is not None and row.storage_class in ARCHIVE_CLASSES
        if reason := policy_of.unarchivable(seen, policy, asked=asked):
            return self._on(policy_of.refused(row, reason))
        token = uuid4().hex
        step = policy_of.pin(row, ref, seen, policy, self.hold(token), external_id=self._external_id(ref, seen))
        if step is None or not self.catalog.commit(step):
            return Later(self.clock.now() + 1000)
        return self._pinned(job, ref, policy, token)

    def _external_id(self, ref: ObjectRef, seen: Facts) -> str | None:
        """Of an object that came by nobody's door; an id that is another's stays another's."""
        found = known_id(self.house.policies, ref, seen)
        holder = self.truth.holder(ref.account, found) if found else None
        return found if holder is None or same_key(holder, ref) else None

    def _on(self, step: Step | None) -> Outcome:
        """The end, unless the row that was read before the store was asked has moved since."""
        return Done() if step is None or self.catalog.commit(step) else Later(self.clock.now() + 1000)

    def _waits(self, row: Entry | None) -> int | None:
        """Until when this row is somebody else's, or too young."""
        now = self.clock.now()
        if row is None:
            return None
        if row.state is State.ARCHIVING:
            return row.lease if (row.lease or 0) > now else None
        if row.writers or row.state is State.DELETED:
            return now + self.options.every
        return row.due if row.due is not None and row.due > now else None

    def _pinned(self, job: Job, ref: ObjectRef, policy: Policy, token: str) -> Outcome:
        row = self.truth.find(ref)
        if row is None or row.token != token:
            return Later(self.clock.now() + 1000)
        try:
            copy = self._copy(row, token)
        except Overtaken:
            return Done()  # whoever overtook us has a job of his own, and the orphan is looked for
        except S3Error as error:
            return self._back(job, row, policy, error)
        if copy is None:
            return self._back(job, row, policy, BadDigest("the archive's copy is not what the store holds"))
        seen = self.house.store(row.store).head(ref)
        self.change(ref, lambda row: policy_of.verified(row, seen, copy, policy, self.hold(token)))
        return Done()

    def _copy(self, row: Entry, token: str) -> Copy | None:
        """The archive's copy of what is pinned, read back; None when it is not the store's bytes."""
        store, archive = self.house.store(row.store), self.house.archive(row.archive)
        facts, tag = row.facts, policy_of.tag(row)
        source = store.read(row.ref, etag=facts.etag)
        measured = Measured(source, heart(self, row.ref, token, policy_of.renewed))
        found = archive.find(tag=tag)
        if found is not None:
            measured.drain()
            archive_id = found.archive_id
        else:
            archive_id = archive.write(tag, measured, size=facts.size, ref=row.ref, facts=facts)
        copy = archive.find(archive_id=archive_id)
        return copy if copy is not None and copy.size == facts.size and measured.agrees(facts.size, copy.checksum) else None

    def _back(self, job: Job, row: Entry, policy: Policy, error: S3Error) -> Outcome:
        """Online again with the reason; the next try waits longer each time, and the last was the last."""
        reason, now, hold = f"{error.code}: {error}", self.clock.now(), self.hold(row.token or "")
        if isinstance(error, ServiceUnavailable | SlowDown):
            later = outage(self.options, job, now, reason, random())
        elif job.attempts + 1 >= self.options.attempts:
            return Dead(reason)
        else:
            later = Later(now + backoff(self.options, job.attempts, random()), reason, failed=True)
        self.change(row.ref, lambda row: policy_of.failed(row, reason, later.due, policy, hold))
        return later

    def buried(self, job: Job, reason: str) -> None:
        self.change(ref_of(dict(job.payload)), lambda row: policy_of.refused(row, reason))


factory = ArchiveJob
