"""``mediahaven+https://host``: MediaHaven's tape archive, through its REST API of version 1 or 2.

Objects are ingested by the site's own flow: ``write`` looks for the record of the
same name and bytes, and says that there is none yet until there is. A recall is
an export to ``destination``, under a file name that no other recall has; it is
looked for before it is asked for again. What MediaHaven says of a job is
believed with patience: a failed job may yet complete, an unknown one be known
again, and a completed one counts only once its file is there, whole.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from hashlib import md5, sha256
from typing import Any

from s3shunt.archives.mediahaven import entrance, exports, hints, records
from s3shunt.archives.mediahaven.book import Book, doomed
from s3shunt.archives.mediahaven.delivery import Delivery, InDirectory, InStore, verified
from s3shunt.archives.mediahaven.exports import LOST, REFUSED, Asked, Graces
from s3shunt.archives.mediahaven.holdings import Holdings
from s3shunt.archives.mediahaven.link import NotTaken, NotThis
from s3shunt.archives.mediahaven.names import Names
from s3shunt.archives.mediahaven.options import Options
from s3shunt.archives.mediahaven.polling import Polling
from s3shunt.archives.mediahaven.records import Record
from s3shunt.archives.mediahaven.shredder import MediaHavenShredder
from s3shunt.model import Facts, ObjectRef, Recall
from s3shunt.ports import Archive, Batches, Copy, Holding, Inventory, Notices, Progress, Status
from s3shunt.protocol.errors import IncompleteBody, NoSuchKey, ServiceUnavailable
from s3shunt.protocol.lengths import exactly

SWEEP = 600_000


class MediaHavenArchive:
    Options = Options

    def __init__(self, options: Options, house: Any) -> None:
        self.options = options
        self.readback = "tag" if options.api == "2" else "destination"
        self._clock = house.clock
        self._home = house.state / "mediahaven" / sha256(f"{options.url} {options.username}".encode()).hexdigest()[:16]
        self._link = entrance.link(options, house.clock, self._home)
        self._names = Names(options, self._link)
        self._book = Book(self._home / "exports")
        self._delivery: Delivery = (
            InDirectory(options.delivery_path) if options.arrival == "path" and options.delivery_path
            else InStore(house, options.delivery, options.destination)
        )  # fmt: skip
        self._polling = Polling(self._link, house.clock, by_tag=options.api == "2", cycle=options.cycle)
        self._sizes: dict[str, int] = {}
        self._swept = 0
        self._lock = threading.Lock()

    # Taking

    def write(self, tag: str, chunks: Iterable[bytes], *, size: int, ref: ObjectRef, facts: Facts) -> str:  # noqa: ARG002
        """The id of the record that the site's own flow made of these bytes; ServiceUnavailable while there is none."""
        known = [one for one in self._names.by_ref(ref) if one.size == size and one.md5]
        etag = facts.etag.strip('"')
        known = [one for one in known if one.md5 == etag] if len(etag) == 32 and not facts.sse else known
        if not known:
            raise ServiceUnavailable("not ingested yet: MediaHaven has no record of this name, size and MD5")
        seen = md5(usedforsecurity=False)
        for chunk in exactly(chunks, size):
            seen.update(chunk)
        chosen = self._names.one([one for one in known if one.md5 == seen.hexdigest()])
        if chosen is None:
            raise ServiceUnavailable("not ingested yet: MediaHaven's record of this name holds other bytes")
        return chosen.id

    # Knowing

    def find(self, *, tag: str = "", archive_id: str = "", ref: ObjectRef | None = None) -> Copy | None:
        if archive_id:
            found = self._names.by_id(archive_id)
        elif tag:
            found = self._names.one(self._names.by_tag(tag)) if self.options.tag_field else self._names.by_id(tag)
        else:
            found = self._names.one(self._names.by_ref(ref)) if ref is not None and ref.key else None
        return self._copy(found) if found is not None else None

    def _copy(self, found: Record) -> Copy:
        """What is not safely on tape yet counts no copy: nothing leaves a store on its account."""
        if found.size is None:
            raise NotThis(f"MediaHaven does not tell the size of {found.id}.")
        safe = {
            "on_tape": self.options.copies_on_tape, "on_disk": self.options.copies_on_disk, "completed": self.options.copies_completed,
        }  # fmt: skip
        copies = safe.get(found.status, 0) if found.md5 else 0
        return Copy(
            archive_id=found.id, size=found.size, checksum=f"md5:{found.md5}", copies=copies, facts=records.facts(found),
            external_id=found.external_id, kind=found.type,
        )  # fmt: skip

    # Giving back

    def request(self, recall: Recall) -> str:
        return self.request_many([recall])[recall.id]

    def request_many(self, recalls: Sequence[Recall]) -> dict[str, str]:
        """In version 2 all of a tier and day are one call. Left out is what MediaHaven refuses, or has not safely archived yet."""
        self._sweep()
        asked: dict[str, Asked] = {}
        batches: dict[tuple[str, str], list[Recall]] = {}
        listed: set[str] = set()
        for recall in recalls:
            try:
                known = self._looked(recall, listed)
            except NotThis:
                if len(recalls) == 1:
                    raise
                continue
            if known is not None:
                asked[recall.id] = known
                continue
            alone = "" if self.options.api == "2" else recall.id
            batches.setdefault((recall.tier + alone, exports.tag(self.options.tag, recall)), []).append(recall)
        for batch in batches.values():
            asked |= self._ask(batch) if len(recalls) == 1 else self._ask_each(batch)
        return {id_: str(request) for id_, request in asked.items()}

    def _ask_each(self, batch: Sequence[Recall]) -> dict[str, Asked]:
        """Together; where MediaHaven refuses that, whose fault it is shows when each is asked for alone."""
        try:
            return self._ask(batch)
        except (NotThis, NoSuchKey):
            asked: dict[str, Asked] = {}
            for recall in batch if len(batch) > 1 else ():
                asked |= self._ask_each([recall])
            return asked

    def _looked(self, recall: Recall, listed: set[str]) -> Asked | None:
        """The request there is already, or a reason why there cannot be one; None when it has to be asked.

        ``listed``: the tags whose jobs were looked through in this call.
        """
        name, tag = self._name(recall), exports.tag(self.options.tag, recall)
        page = self._book.get(name)
        if page.get("job") and "ended" not in page:
            return Asked(name, recall.archive_id, tag, page["job"])
        found = self._names.by_id(recall.archive_id)
        if found is None or not found.exportable:
            reason = "MediaHaven may not export" if found else "MediaHaven has no record"
            return Asked(name, recall.archive_id, tag, f"{REFUSED}{reason} {recall.archive_id}")
        copy = self._copy(found)
        for attempt in range(recall.attempts + 1):
            before = exports.file_name(self.options.tag, recall.id, attempt)
            if "ended" not in self._book.get(before) and self._delivery.size(before) == copy.size:
                return Asked(before, recall.archive_id, tag, LOST)
        if not copy.copies:
            raise NotThis(f"MediaHaven holds {found.id} as '{found.status or 'unknown'}': not safely archived yet")
        if self.options.api == "2":
            asked = Asked(name, recall.archive_id, tag, "")
            job = self._polling.look(asked, self.options.tag, listed if "asked" in page else None)
            return replace(asked, job=job) if job else None
        return Asked(name, recall.archive_id, tag, LOST) if "asked" in page else None

    def _ask(self, batch: Sequence[Recall]) -> dict[str, Asked]:
        """One order. What is written before and after it tells the next one whether the answer came."""
        names = {self._name(recall): recall for recall in batch}
        tag, options = exports.tag(self.options.tag, batch[0]), self.options
        location = {"Expedited": options.location_expedited, "Bulk": options.location_bulk}.get(batch[0].tier) or options.location
        files = {name: recall.archive_id for name, recall in names.items()}
        told = {"location": location, "path": options.destination, "reason": options.reason}
        if options.api == "2":
            document = exports.v2_request(files, tag=tag, **told)
        else:
            document = exports.v1_request(batch[0].archive_id, next(iter(files)), **told)
        now = self._clock.now()
        for name in names:
            self._book.put(name, {"asked": now})
        try:
            answer = self._link.order("POST", "/exports", document)
        except NotTaken as refused:
            for name in names:
                self._book.drop(name)
            raise refused.error from None
        return self._told(names, exports.jobs(answer), tag, now)

    def _told(self, names: dict[str, Recall], jobs: list[exports.Job], tag: str, now: int) -> dict[str, Asked]:
        """Which job is whose: by the file it names, else in the order they were asked in."""
        asked: dict[str, Asked] = {}
        for place, (name, recall) in enumerate(names.items()):
            named = next((job for job in jobs if name in job.names), None)
            in_order = jobs[place] if len(jobs) == len(names) and jobs[place].record in ("", recall.archive_id) else None
            job = named or in_order
            if job is not None:
                self._book.put(name, {"asked": now, "job": job.id})
            asked[recall.id] = Asked(name, recall.archive_id, tag, job.id if job else LOST)
        return asked

    def _name(self, recall: Recall) -> str:
        return exports.file_name(self.options.tag, recall.id, recall.attempts)

    def status(self, requests: Sequence[str]) -> dict[str, Status]:
        self._sweep()
        known = {request: asked for request in requests if (asked := exports.read(request))}
        polled = self._polling.poll([asked for asked in known.values() if asked.job != LOST and not asked.job.startswith(REFUSED)])
        return {request: self._status(known.get(request), polled) for request in requests}

    def _status(self, asked: Asked | None, polled: dict[str, tuple[str, int, int]]) -> Status:
        if asked is None or "ended" in (page := self._book.get(asked.name)):
            return Status(progress=Progress.GONE)
        if asked.job.startswith(REFUSED):
            return Status(progress=Progress.FAILED, retry=False, reason=asked.job.removeprefix(REFUSED))
        if asked.job == LOST:
            now = self._clock.now()
            state, percent, age = LOST, 0, now - int(page.get("asked", now))
        else:
            state, percent, age = polled.get(asked.job, ("waiting", 0, 0))
        looked = state in exports.DELIVERED or state in ("", LOST)
        size = self._size(asked.record) if looked else 0
        if size is None:
            return Status(progress=Progress.FAILED, retry=False, reason=f"MediaHaven has no record {asked.record}")
        there = self._delivery.size(asked.name) if looked else None
        graces = Graces(
            failed=self.options.failed_grace, gone=self.options.gone_grace,
            delivery=self.options.delivery_grace, lost=self.options.lost_answer,
        )  # fmt: skip
        told = exports.verdict(state, percent, size=size, there=there, age=age, graces=graces)
        if told.progress in (Progress.FAILED, Progress.GONE):
            self._failed(asked, page, unfit=there is not None and there != size)
        return told

    def _failed(self, asked: Asked, page: dict[str, Any], *, unfit: bool) -> None:
        """The next attempt is another export; what this one left is no use to anybody."""
        if unfit:
            self._delivery.drop(asked.name)
        if "failed" not in page:
            self._book.put(asked.name, {**page, "failed": self._clock.now()})

    def _size(self, id_: str) -> int | None:
        """Of a record's bytes, which never change."""
        if id_ not in self._sizes:
            found = self._names.by_id(id_)
            if found is None or found.size is None:
                return None
            if len(self._sizes) > 100_000:
                self._sizes.clear()
            self._sizes[id_] = found.size
        return self._sizes[id_]

    def read(self, request_id: str) -> Iterator[bytes]:
        asked = exports.read(request_id)
        if asked is None or asked.job.startswith(REFUSED):
            raise NoSuchKey(f"The request {request_id} has nothing to give.")
        found, there = self._names.by_id(asked.record), self._delivery.size(asked.name)
        if found is None or found.size is None:
            raise NoSuchKey(f"MediaHaven has no record {asked.record}.")
        if there is None:
            raise ServiceUnavailable(f"The file of export {asked.job} is not there.")
        if there != found.size:
            raise IncompleteBody(f"The file of export {asked.job} has {there} of {found.size} bytes.")
        return verified(self._delivery.read(asked.name), found.size, found.md5)

    def cancel(self, request_id: str) -> None:
        """The delivered file goes, also when it comes later: MediaHaven's API has no call to stop an export."""
        self._end(request_id, late=True)

    def release(self, request_id: str) -> None:
        self._end(request_id, late=False)

    def _end(self, request_id: str, *, late: bool) -> None:
        asked = exports.read(request_id)
        if asked is None or asked.job.startswith(REFUSED):
            return
        late = late or bool(self._book.get(asked.name).get("late"))
        self._book.put(asked.name, {"job": asked.job, "ended": self._clock.now(), "late": late})
        self._delivery.drop(asked.name)

    def _sweep(self) -> None:
        """Files that came after nobody wanted them; now and then."""
        now = self._clock.now()
        with self._lock:
            if now - self._swept < SWEEP:
                return
            self._swept = now
        for name, page in self._book.pages():
            stray, old = doomed(page, now)
            if stray:
                self._delivery.drop(name)
            if old:
                self._book.drop(name)

    def holdings(self, *, bucket: str = "", key: str = "", clause: str = "", start: int = 0) -> Iterator[list[Holding]]:
        """``clause`` is in MediaHaven's query language."""
        return Holdings(self.options, self._names, self._copy, bucket=bucket, key=key).pages(clause, start)

    def noticed(self, document: bytes) -> frozenset[str]:
        """For who has made sure that MediaHaven sent it: PREMIS, version 2 or 3."""
        return hints.records(document)

    def shredder(self) -> MediaHavenShredder:
        return MediaHavenShredder(self.options, self._link)


_archive: type[Archive] = MediaHavenArchive
_batches: type[Batches] = MediaHavenArchive
_notices: type[Notices] = MediaHavenArchive
_inventory: type[Inventory] = MediaHavenArchive
