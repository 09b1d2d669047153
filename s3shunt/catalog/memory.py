"""``memory://``: the whole catalog in this process. The plainest reading of the ports, and the tests' house.

Nothing survives the process; ``s3shunt check`` says so.
"""

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from s3shunt import config
from s3shunt.config import option
from s3shunt.model import Bucket, Entry, Event, Intent, Job, JobState, ObjectRef, Pin, Recall, Room, Search, State, Step, Swap, Upload
from s3shunt.policy import media, space, transitions
from s3shunt.policy.adopt import Taken
from s3shunt.policy.claims import Claims, moved
from s3shunt.ports import Truth

Pk = tuple[str, str, bytes, str]


@dataclass(frozen=True)
class Options:
    url: str = option(config.url, "memory://", help="memory://")


class MemoryCatalog:
    Options = Options

    def __init__(self, options: Options | None = None, house: Any = None) -> None:  # noqa: ARG002  # every adapter is made alike
        self.options = options or Options()
        self._lock = threading.RLock()
        self._rows: dict[Pk, Entry] = {}
        self._intents: dict[str, Intent] = {}
        self._recalls: dict[str, Recall] = {}
        self._jobs: dict[int, Job] = {}
        self._events: dict[int, Event] = {}
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self._uploads: dict[str, Upload] = {}
        self._publish: dict[int, ObjectRef] = {}
        self._uses: dict[Pk, int] = {}
        self._pins: dict[tuple[str, str, bytes], Pin] = {}
        self._numbers: dict[str, int] = {}
        self._claims = Claims()
        self._serial = 0

    # Catalog

    def find(self, ref: ObjectRef) -> Entry | None:
        with self._lock:
            if ref.version is not None:
                return self._rows.get(_pk(ref))
            return next((row for row in self.history(ref) if row.current), None)

    def find_truth(self, ref: ObjectRef) -> Entry | None:
        return self.find(ref)

    def commit(self, step: Step) -> bool:
        for swap in step.swaps:
            transitions.check(swap)
        with self._lock:
            if not all(self._stands(swap) for swap in step.swaps) or not all(i in self._intents for i in step.closed):
                return False
            if not self._one_current(step.swaps) or not self._one_recall(step.recalls):
                return False
            known = [self._intents[id_] for id_ in (*step.closed, *(i.id for i in step.opened)) if id_ in self._intents]
            if not self._claims.take(moved(step.swaps, step.opened, known)):
                return False
            for swap in step.swaps:
                self._replace(swap)
            for intent in step.closed:
                del self._intents[intent]
            self._intents.update({intent.id: intent for intent in step.opened})
            self._recalls.update({recall.id: recall for recall in step.recalls})
            for kind, dedupe in step.released:
                self._release(kind, dedupe)
            self.enqueue(*step.jobs)
            for event in step.events:
                self._events[self._next()] = event
            return True

    def _stands(self, swap: Swap) -> bool:
        if swap.old is None:
            return swap.new is not None and _pk(swap.new.ref) not in self._rows
        row = self._rows.get(_pk(swap.old.ref))
        return row is not None and row.revision == swap.old.revision

    def _one_current(self, swaps: Sequence[Swap]) -> bool:
        """At most one row of a key is current."""
        after: dict[Pk, Entry | None] = {_pk(swap.old.ref): None for swap in swaps if swap.old}
        after |= {_pk(swap.new.ref): swap.new for swap in swaps if swap.new}
        keys = {pk[:3] for pk in after}
        rows = {pk: row for pk, row in self._rows.items() if pk[:3] in keys} | after
        current = [pk[:3] for pk, row in rows.items() if row is not None and row.current]
        return len(current) == len(set(current))

    def _one_recall(self, recalls: Sequence[Recall]) -> bool:
        """At most one active recall for a generation of a version."""
        after = self._recalls | {recall.id: recall for recall in recalls}
        active = [(_pk(recall.ref), recall.generation) for recall in after.values() if recall.active]
        return len(active) == len(set(active))

    def _replace(self, swap: Swap) -> None:
        if swap.old is not None:
            del self._rows[_pk(swap.old.ref)]
        self._used(swap)
        if swap.new is not None:
            revision = swap.old.revision + 1 if swap.old else self._next() << 20
            self._rows[_pk(swap.new.ref)] = replace(swap.new, revision=revision)
            self._publish[self._next()] = swap.new.ref
        elif swap.old is not None:
            self._publish[self._next()] = swap.old.ref

    def _used(self, swap: Swap) -> None:
        """A version that was written is as good as read; else what was noted stays."""
        if swap.new is None:
            self._uses.pop(_pk(swap.old.ref), None)  # type: ignore[union-attr]
        elif swap.old is None or _modified(swap.old) != _modified(swap.new):
            self._uses[_pk(swap.new.ref)] = _modified(swap.new)

    def scan(
        self, account: str, bucket: str, *, prefix: str = "", after: ObjectRef | None = None, limit: int = 1000, versions: bool = False
    ) -> list[Entry]:
        with self._lock:
            rows = [
                row
                for pk, row in self._rows.items()
                if pk[:2] == (account, bucket) and pk[2].startswith(prefix.encode()) and (versions or row.current)
            ]
        rows.sort(key=_listing_order)
        return [row for row in rows if after is None or _behind(row, after, rows)][:limit]

    def select(
        self, *, state: State | None = None, due_before: int | None = None, bucket: str | None = None,
        external_id: str | None = None, after: Entry | None = None, limit: int = 1000,
    ) -> list[Entry]:
        with self._lock:
            rows = sorted(self._rows.items())
        return [
            row
            for pk, row in rows
            if (state is None or row.state is state)
            and (due_before is None or (row.due is not None and row.due <= due_before))
            and (bucket is None or row.ref.bucket == bucket)
            and (external_id is None or row.external_id == external_id)
            and (after is None or pk > _pk(after.ref))
        ][:limit]

    def search(self, wanted: Search, *, after: Entry | None = None, limit: int = 1000) -> list[Entry]:
        with self._lock:
            rows = sorted(self._rows.items())
        return [row for pk, row in rows if media.fits(wanted, row) and (after is None or pk > _pk(after.ref))][:limit]

    def holder(self, account: str, external_id: str) -> ObjectRef | None:
        with self._lock:
            return self._claims.holder(account, external_id)

    def history(self, ref: ObjectRef) -> list[Entry]:
        with self._lock:
            name = _pk(ref)[:3]
            return sorted((row for pk, row in self._rows.items() if pk[:3] == name), key=_listing_order)

    # Many at once

    def rows_of(self, refs: Sequence[ObjectRef]) -> list[Entry]:
        names = {_pk(ref)[:3] for ref in refs}
        with self._lock:
            return [row for pk, row in self._rows.items() if pk[:3] in names]

    def adopt(self, entries: Sequence[Entry], *, rehearse: bool = False) -> list[Entry]:
        with self._lock:
            taken = Taken()
            for row in self.rows_of([entry.ref for entry in entries]):
                taken.row(*_pk(row.ref), current=row.current)
            for entry in entries:
                if entry.external_id and (holder := self._claims.holder(entry.ref.account, entry.external_id)):
                    taken.claim(holder.account, entry.external_id, *_pk(holder)[1:3])
            fresh = [entry for entry in entries if taken.take(entry, _pk(entry.ref)[2])]
            if not rehearse:
                assert self.commit(Step(swaps=tuple(Swap(None, entry) for entry in fresh)))
            return fresh

    # Intents

    def lapsed(self, now: int, limit: int = 100) -> list[Intent]:
        with self._lock:
            return sorted((i for i in self._intents.values() if i.lease <= now), key=lambda i: i.lease)[:limit]

    def renew(self, intent: str, lease: int) -> bool:
        with self._lock:
            if intent not in self._intents:
                return False
            self._intents[intent] = replace(self._intents[intent], lease=lease)
            return True

    # Registry

    def bucket(self, account: str, name: str) -> Bucket | None:
        return self._buckets.get((account, name))

    def save_bucket(self, bucket: Bucket) -> None:
        with self._lock:
            old = self._buckets.get((bucket.account, bucket.name))
            self._buckets[(bucket.account, bucket.name)] = replace(bucket, generation=(old.generation if old else 0) + 1)

    def drop_bucket(self, account: str, name: str) -> None:
        with self._lock:
            self._buckets.pop((account, name), None)

    def buckets(self) -> list[Bucket]:
        with self._lock:
            return [bucket for _, bucket in sorted(self._buckets.items())]

    def upload(self, id: str) -> Upload | None:  # noqa: A002
        return self._uploads.get(id)

    def save_upload(self, upload: Upload) -> None:
        with self._lock:
            self._uploads[upload.id] = upload

    def drop_upload(self, id: str) -> None:  # noqa: A002
        with self._lock:
            self._uploads.pop(id, None)

    # Recalls

    def recall(self, id: str) -> Recall | None:  # noqa: A002
        return self._recalls.get(id)

    def recalls(
        self, *, ref: ObjectRef | None = None, archive: str | None = None, archive_ids: Collection[str] | None = None,
        unasked: bool = False, active: bool = True, limit: int = 1000,
    ) -> list[Recall]:
        with self._lock:
            rows = sorted(self._recalls.values(), key=lambda r: (r.created, r.id))
        return [
            r
            for r in rows
            if (ref is None or _pk(r.ref) == _pk(ref))
            and (archive is None or r.archive == archive)
            and (archive_ids is None or r.archive_id in archive_ids)
            and not (unasked and r.request_id)
            and (r.active or not active)
        ][:limit]

    # Ledger

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

    # Cache

    def coldest(
        self, store: str, *, buckets: Sequence[str] = (), after: tuple[int, ObjectRef] | None = None, limit: int = 1000  # noqa: ARG002
    ) -> list[tuple[int, Entry]]:
        with self._lock:
            kept = [(self._uses[pk], pk) for pk, row in self._rows.items() if _cold(row, store)]
            behind = [(at, pk) for at, pk in sorted(kept) if after is None or (at, pk) > (after[0], _pk(after[1]))]
            return [(at, self._rows[pk]) for at, pk in behind[:limit]]

    def note_reads(self, reads: Mapping[ObjectRef, int]) -> None:
        with self._lock:
            self._uses |= {_pk(ref): at for ref, at in reads.items() if self._uses.get(_pk(ref), at) < at}

    def last_use(self, ref: ObjectRef) -> int | None:
        with self._lock:
            row = self.find(ref)
            return self._uses[_pk(row.ref)] if row else None

    def room(self, store: str) -> Room:
        with self._lock:
            taken = space.moved(Swap(None, row) for row in self._rows.values())
        return Room(*(taken.get((where, kind), (0, 0))[0] for kind in space.Kind for where in (_where(kind, store),)))

    def settle(self) -> None:
        """There is nothing to keep quick."""

    def recount(self) -> None:
        """``room`` always counts."""

    def expired(self, now: int, limit: int = 1000) -> list[Entry]:
        with self._lock:
            past = [row for row in self._rows.values() if row.state is State.RESTORED and (row.restored_until or 0) <= now]
        return sorted(past, key=lambda row: row.restored_until or 0)[:limit]

    def pin(self, pin: Pin) -> int:
        with self._lock:
            self._pins[pin.account, pin.bucket, pin.prefix.encode("utf-8", "surrogateescape")] = pin
            return self._mark(pin, pin.until)

    def unpin(self, pin: Pin) -> int:
        with self._lock:
            self._pins.pop((pin.account, pin.bucket, pin.prefix.encode("utf-8", "surrogateescape")), None)
            return self._mark(pin, 0)

    def unpin_past(self, now: int) -> int:
        with self._lock:
            self._pins = {name: pin for name, pin in self._pins.items() if pin.until > now}
            return self._set([row for row in self._rows.values() if 0 < row.pinned <= now], 0)

    def _mark(self, pin: Pin, until: int) -> int:
        below = [row for row in self._rows.values() if space.covered([replace(pin, until=1)], row.ref, 0)]
        return self._set([row for row in below if row.pinned != until], until)

    def _set(self, rows: list[Entry], until: int) -> int:
        for row in rows:
            self._replace(Swap(row, replace(row, pinned=until)))
        return len(rows)

    def pins(self) -> list[Pin]:
        with self._lock:
            return [pin for _, pin in sorted(self._pins.items())]

    def pinned(self, *, after: ObjectRef | None = None, limit: int = 1000) -> list[Entry]:
        with self._lock:
            rows = sorted(self._rows.items())
        return [row for pk, row in rows if row.pinned and (after is None or pk > _pk(after))][:limit]

    def remember(self, name: str, value: int) -> None:
        self._numbers[name] = value

    def remembered(self, name: str) -> int:
        return self._numbers.get(name, 0)

    # Events and the index's outbox

    def pending(self, limit: int = 100) -> list[tuple[int, Event]]:
        with self._lock:
            return sorted(self._events.items(), key=lambda row: row[0])[:limit]

    def delivered(self, *ids: int) -> None:
        with self._lock:
            for id_ in ids:
                self._events.pop(id_, None)

    def publishes(self, older_than: int, limit: int = 1000) -> list[tuple[int, Entry | ObjectRef]]:  # noqa: ARG002  # all are old here
        with self._lock:
            rows = sorted(self._publish.items(), key=lambda row: row[0])[:limit]
            return [(id_, self._rows.get(_pk(ref), ref)) for id_, ref in rows]

    def published(self, *ids: int) -> None:
        with self._lock:
            for id_ in ids:
                self._publish.pop(id_, None)

    def check(self) -> list[str]:
        return ["the catalog is kept in memory: nothing survives this process"]

    def upgrade(self) -> None:
        """There is no schema."""

    def _next(self) -> int:
        self._serial += 1
        return self._serial


def _pk(ref: ObjectRef) -> Pk:
    return (ref.account, ref.bucket, ref.key.encode(), ref.version or "null")


def _modified(row: Entry) -> int:
    return row.facts.last_modified if row.facts else 0


def _cold(row: Entry, store: str) -> bool:
    return row.state is State.VERIFIED and not row.pinned and row.store == store


def _where(kind: space.Kind, store: str) -> str:
    return "" if kind is space.Kind.COMING else store


def _listing_order(row: Entry) -> tuple[bytes, bool, int, str]:
    """By key; of a key the current version first, then the newest."""
    return (row.ref.key.encode(), not row.current, -(row.facts.last_modified if row.facts else 0), row.ref.version or "null")


def _behind(row: Entry, after: ObjectRef, rows: list[Entry]) -> bool:
    key, mark = row.ref.key.encode(), after.key.encode()
    if key != mark or after.version is None:
        return key > mark
    marked = next((other for other in rows if other.ref.key == after.key and other.ref.version == after.version), None)
    return marked is None or _listing_order(row) > _listing_order(marked)


_: type[Truth] = MemoryCatalog
