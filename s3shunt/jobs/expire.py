"""Deletes a landed copy past its date, and nothing else.

This job is given the places of landed copies and no way to an archive: whatever
goes wrong here, the archive's copy is out of its reach. Somebody who asks while
the copy is being deleted gets a recall of his own.

    [job:expire]
    concurrency = 2
"""

from dataclasses import dataclass
from uuid import uuid4

from s3shunt import config
from s3shunt.config import option
from s3shunt.model import Job, State
from s3shunt.policy import expiry as policy_of
from s3shunt.policy.record import ref_of
from s3shunt.work import Done, JobOptions, Later, Outcome, Task


@dataclass(frozen=True)
class Options(JobOptions):
    concurrency: int = option(config.number, "2", help="How many landed copies one worker deletes at once.")


class ExpireJob(Task):
    Options = Options
    kind = "expire"
    needs = ("place",)

    def run(self, job: Job) -> Outcome:
        ref, hold = ref_of(dict(job.payload)), self.hold(uuid4().hex)
        row = self.truth.find(ref)
        step = policy_of.expire(row, hold)
        if row is None or step is None:
            waits = row and {State.RESTORED: row.restored_until, State.EXPIRING: row.lease, State.DELETED: hold.lease}.get(row.state)
            return Later(waits) if waits else Done()
        if not self.catalog.commit(step):
            return Later(hold.now)
        if row.place is not None:
            store, name = self.house.place(row.place)
            store.delete(name)
        recall_id = uuid4().hex
        self.change(ref, lambda row: policy_of.expired(row, hold, recall_id))
        return Done()


factory = ExpireJob
