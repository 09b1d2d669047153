"""How all exports stand, with as few calls as the API allows: a listing for each tag, else a call for each job.

A cycle has a deadline. What it did not come to keeps its last state, and is the
first to be asked in the next one.
"""

import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

from s3shunt.archives.mediahaven import exports, query
from s3shunt.archives.mediahaven.exports import Asked, Job
from s3shunt.archives.mediahaven.link import Link

PAGE = 100
REMEMBERED = 100_000
DAYS = 1000
LOOKED = 2_000
"""For how long one listing serves those who are about to ask. Who asks again after a failure comes later than that."""


class Polling:
    def __init__(self, link: Link, clock: Any, *, by_tag: bool, cycle: int) -> None:
        self._link, self._clock, self._by_tag, self._cycle = link, clock, by_tag, cycle
        self._known: dict[str, tuple[str, int, int, int]] = {}
        """By job: state, percent, since when, when last asked."""
        self._looked: dict[str, tuple[int, list[Job]]] = {}
        self._pages: dict[str, int] = {}
        """By tag: how many calls its last listing took."""
        self._lock = threading.Lock()

    def poll(self, asked: Sequence[Asked]) -> dict[str, tuple[str, int, int]]:
        """State ('' where MediaHaven knows no such job), percent and age of each job."""
        end, wanted = self._clock.monotonic() + self._cycle / 1000, {one.job for one in asked}
        rest = set(wanted)
        for tag, jobs in sorted(Counter({one.job: one.tag for one in asked}.values()).items()) if self._by_tag else ():
            if jobs < self._pages.get(tag, 1):
                continue  # fewer calls one by one
            for job in self._listed(tag):
                if job.id in wanted:
                    self._saw(job.id, job.state, job.percent)
                    rest.discard(job.id)
        for id_ in sorted(rest, key=lambda one: (self._known.get(one, ("", 0, 0, 0))[3], one)):
            if self._clock.monotonic() > end:
                break
            found = next(iter(self._found(id_)), None)
            self._saw(id_, found.state if found else "", found.percent if found else 0)
        now = self._clock.now()
        with self._lock:
            return {id_: (known[0], known[1], now - known[2]) for id_ in wanted if (known := self._known.get(id_))}

    def look(self, asked: Asked, prefix: str, fresh: set[str] | None) -> str:
        """The id of the job that delivers under this name, or nothing.

        ``fresh``: it was asked for before, perhaps a moment ago, and nobody knows what came of it: only tags in there were listed since.
        """
        now, tag = self._clock.now(), asked.tag
        recent = {tag: known for tag, known in self._looked.items() if 0 <= now - known[0] < LOOKED}
        if tag not in recent or (fresh is not None and tag not in fresh):
            recent[tag] = (now, self._listed(tag))
            if fresh is not None:
                fresh.add(tag)
        self._looked = recent
        found = exports.ours(recent[tag][1], asked.name, asked.record, prefix)
        return found.id if found else ""

    def _found(self, id_: str) -> list[Job]:
        return exports.jobs(self._link.get(f"/exports/{query.encoded(id_)}") or [])

    def _listed(self, tag: str) -> list[Job]:
        """All pages; MediaHaven says on each how many there are."""
        found: dict[str, Job] = {}
        start = pages = 0
        while True:
            pages += 1
            page = self._link.get(query.target("/exports", tag=tag, startIndex=start, nrOfResults=PAGE)) or {}
            rows = exports.jobs(page)
            found |= {job.id: job for job in rows}
            start += len(rows)
            if not rows or not isinstance(page, dict) or start >= int(page.get("TotalNrOfResults") or 0):
                self._pages = {**self._pages, tag: pages} if len(self._pages) < DAYS else {tag: pages}
                return list(found.values())

    def _saw(self, id_: str, state: str, percent: int) -> None:
        now = self._clock.now()
        with self._lock:
            if len(self._known) > REMEMBERED:
                self._known.clear()
            before = self._known.get(id_)
            since = before[2] if before is not None and before[0] == state else now
            self._known[id_] = (state, percent, since, now)
