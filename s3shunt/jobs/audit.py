"""Holds the catalog against the stores and the archives, and says where they disagree.

Every finding is a line of the log and an item of ``audit()``. Nothing is changed
unless ``repair = yes``; then what can be mended is: bytes that are gone from
the store though the archive has them, landed copies that are missing or
nobody's, and entries whose only copy is gone are marked ``lost`` (or found again).

    [job:audit]
    every = 7d
    repair = no
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from s3shunt import config
from s3shunt.config import option
from s3shunt.model import Entry, Job, ObjectRef, Place, State, Step, Swap
from s3shunt.policy import archive as archived
from s3shunt.policy import recall
from s3shunt.policy.record import matches
from s3shunt.work import Done, JobOptions, Later, Outcome, Task

log = logging.getLogger(__name__)

PAGE = 1000
ON_TAPE = frozenset({State.ARCHIVED, State.QUEUED, State.RECALLING, State.LANDING, State.RESTORED, State.EXPIRING})


@dataclass(frozen=True)
class Options(JobOptions):
    every: int = option(config.duration, "7d", help="How often the catalog is audited; 0s: only when asked.")
    lease: int = option(config.duration, "10m", help="How long a worker that gives no sign of life keeps the audit.")
    repair: bool = option(config.flag, "no", help="Whether what can be mended is mended.")
    landing: str = option(config.word, "landing", help="The [store:NAME] where recalled copies land.")


@dataclass(frozen=True, slots=True)
class Finding:
    """One disagreement. ``kind`` is a word to count by."""

    kind: str
    ref: ObjectRef
    detail: str
    repaired: bool = False


class AuditJob(Task):
    Options = Options
    kind = "audit"
    needs = ("store", "archive", "place", "policies", "clock")
    periodic = True

    def run(self, job: Job) -> Outcome:
        if not self.options.every:
            return Done()
        for finding in self.findings(repair=self.options.repair):
            log.warning("audit: %s %s: %s%s", finding.kind, finding.ref, finding.detail, " (repaired)" if finding.repaired else "")
        return Later(self.clock.now() + self.options.every) if not job.payload else Done()

    def findings(self, *, repair: bool) -> Iterator[Finding]:
        for row in self._rows():
            found = list(self._look(row))
            for kind, detail, step in found if found and self._unchanged(row) else ():
                yield Finding(kind, row.ref, detail, bool(repair and step is not None and self.catalog.commit(step)))
        yield from self._strays(repair=repair)

    def _unchanged(self, row: Entry) -> bool:
        """What moved while it was looked at was seen half in one state and half in the next: it is looked at another time."""
        again = self.truth.find(row.ref)
        return again is not None and again.revision == row.revision

    def _rows(self) -> Iterator[Entry]:
        last = None
        while page := self.truth.select(after=last, limit=PAGE):
            yield from page
            last = page[-1]

    def _look(self, row: Entry) -> Iterator[tuple[str, str, Step | None]]:
        """What is wrong with a row: a word, a sentence, and the step that would mend it."""
        if row.facts is None or row.writers:
            return
        if row.state is State.VERIFIED:
            yield from self._verified(row)
        if row.state in ON_TAPE or row.state is State.LOST:
            yield from self._on_tape(row)
        if row.state is State.RESTORED and row.place is not None:
            store, ref = self.house.place(row.place)
            seen = store.head(ref)
            if seen is None or seen.size != row.facts.size:
                yield "missing", "the landed copy is gone or wrong", recall.missing(row, uuid4().hex, self.clock.now())

    def _verified(self, row: Entry) -> Iterator[tuple[str, str, Step | None]]:
        if self.house.store(row.store).head(row.ref) is None:
            policy = next((p for p in self.house.policies if p.archive == row.archive and matches(p, row.ref)), None)
            yield "gone", "the store has no bytes, the archive has", archived.heal(row, policy, self.clock.now())

    def _on_tape(self, row: Entry) -> Iterator[tuple[str, str, Step | None]]:
        copy = self.house.archive(row.archive).find(archive_id=row.archive_id) if row.archive and row.archive_id else None
        held = copy is not None and copy.size == row.facts.size
        if not held and row.state is not State.LOST:
            lost = replace(row, state=State.LOST, token=None, lease=None, reason="no copy in the archive holds")
            mend = Step(swaps=(Swap(row, lost),)) if row.state is State.ARCHIVED else None
            yield "lost", f"{row.archive} does not hold {row.archive_id}", mend
        if held and row.state is State.LOST:
            yield "found", "a copy was found after all", Step(swaps=(Swap(row, replace(row, state=State.ARCHIVED, reason="")),))
        if self.house.store(row.store).head(row.ref) is not None:
            yield "double", "the store holds bytes of a key whose entry says they are on tape", None

    def _strays(self, *, repair: bool) -> Iterator[Finding]:
        """Landed copies that no entry and no recall under way stands on."""
        store, name = self.house.place(Place(self.options.landing, ""))
        known = self._places()
        for key, facts in _all(store.list, name):
            if (self.options.landing, key) in known or facts.last_modified + self.options.lease > self.clock.now():
                continue
            if repair:
                store.delete(replace(name, key=key))
            yield Finding("stray", replace(name, key=key), "a landed copy that is nobody's", repair)

    def _places(self) -> set[tuple[str, str]]:
        rows = {(row.place.store, row.place.name) for row in self._rows() if row.place}
        recalls = {(r.place.store, r.place.name) for r in self.truth.recalls(limit=100_000) if r.place}
        return rows | recalls


def _all(page_of: Callable[..., Any], name: ObjectRef) -> Iterator[Any]:
    after = ""
    while page := page_of(name.bucket, after=after, limit=PAGE, account=name.account):
        yield from page
        after = page[-1][0]


def audit(house: Any, *, repair: bool = False) -> Iterator[Finding]:
    """Every disagreement between the catalog, the stores and the archives of a house."""
    section = house.ini.section("job", "audit") if "audit" in house.ini.names("job") else {}
    return AuditJob(config.read(Options, "job:audit", section), house).findings(repair=repair)


factory = AuditJob
