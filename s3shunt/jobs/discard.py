"""Makes forget what nobody can ask for any more: landed copies and the archive's copies of overwritten or deleted objects.

The only job that is given a shredder. It looks whether an entry stands on the
copy right before it acts, and shreds nothing whose entry may yet be put back.

    [job:discard]
    every = 1m
"""

import logging
from dataclasses import dataclass

from s3shunt import config
from s3shunt.config import option
from s3shunt.model import Job, Place
from s3shunt.policy import archive, recall
from s3shunt.policy.archive import Use
from s3shunt.policy.record import ref_of
from s3shunt.protocol.errors import AccessDenied
from s3shunt.work import Done, JobOptions, Later, Outcome, Task

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options(JobOptions):
    every: int = option(config.duration, "1m", help="How often a copy is looked at whose entry is not decided yet.")


class DiscardJob(Task):
    Options = Options
    kind = "discard"
    needs = ("archive", "shredder", "place")

    def run(self, job: Job) -> Outcome:
        use = self._place(job) if "store" in job.payload else self._copy(job)
        return Later(self.clock.now() + self.options.every) if use is Use.OPEN else Done()

    def _place(self, job: Job) -> Use:
        place = Place(str(job.payload["store"]), str(job.payload["name"]))
        row = self.truth.find(ref_of(dict(job.payload)))
        use = recall.use(row, place)
        if use is Use.NONE:
            store, ref = self.house.place(place)
            store.delete(ref)
        return use

    def _copy(self, job: Job) -> Use:
        name, tag = str(job.payload["archive"]), str(job.payload.get("tag", ""))
        archive_id = str(job.payload.get("archive_id", ""))
        if tag:
            copy = self.house.archive(name).find(tag=tag)
            archive_id = copy.archive_id if copy else ""
        use = archive.use(self.truth.history(ref_of(dict(job.payload))), name, archive_id, tag)
        if use is Use.NONE and archive_id:
            self._shred(name, archive_id)
        return use

    def _shred(self, name: str, archive_id: str) -> None:
        """An archive that deletes nothing for us keeps it; asking again would not change that."""
        try:
            self.house.shredder(name).shred(archive_id)
        except AccessDenied as error:
            log.info("[archive:%s] keeps %s: %s", name, archive_id, error)


factory = DiscardJob
