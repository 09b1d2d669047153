"""The catalog as doors read it: this process's memory, then the index, then the database.

After a write was answered no process gives the old answer later than a second,
and what the index loses is only slower. While the index or the link to it is
away, everything is asked of the database.

``find`` is best called by a green thread itself: it waits for nothing but green
sockets and offloaded calls. ``commit`` blocks as the database does.
"""

import logging
import os
from dataclasses import replace
from typing import Any

from s3shunt import green
from s3shunt.model import Entry, ObjectRef, Step
from s3shunt.policy.recent import Recent, Unknown, name, touched
from s3shunt.policy.view import latest
from s3shunt.ports import Catalog, Hit, Truth
from s3shunt.protocol.errors import ServiceUnavailable

log = logging.getLogger(__name__)

CAPACITY = 100_000
PROBE = 0.1  # seconds between two probes of the link
DRAIN = 0.25  # seconds between two looks at the outbox
OVERDUE = 200  # milliseconds after which anybody publishes what its writer did not
DELAY = 1.0  # seconds an answer waits whose change was not published: by then others did, or believe nothing any more
RECONNECT = 0.5
BATCH = 1000
AHEAD = 3_600_000  # no clock of a writer is further ahead than this


class TieredCatalog:
    """Everything that is not here is the database's own (``renew``, ``bucket``, ``claim`` ...)."""

    def __init__(self, truth: Truth, index: Any, house: Any) -> None:
        self._truth = truth
        self._index = index
        self._clock = house.clock
        self._monotonic = house.clock.monotonic
        self._counts = house.numbers.tally.counts
        self._shows = bool(getattr(getattr(truth, "options", None), "view", False))
        self.recent = Recent(CAPACITY)
        self._open = False  # the index may be read: the link stands, and no publish row was open behind it
        self._closed = False
        self._followers: dict[int, object] = {}  # by process: forked ones each have their own link
        if green.hub():
            self._follow()

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._truth, attribute)

    @property
    def indexed(self) -> bool:
        """Whether the index is read now; nobody follows it before the first lookup."""
        return self._open or os.getpid() not in self._followers

    def find(self, ref: ObjectRef) -> Entry | None:
        asked, now = name(ref), self._monotonic()
        found = self.recent.look(asked, now)
        if not isinstance(found, Unknown):
            self._counts["lookup", "memory"] += 1
            return found
        self._follow()
        ticket = self.recent.begin(asked, now)
        if ticket is None:
            return self._read(ref)
        try:
            entry = self._read(ref)
            self.recent.keep(asked, ticket, entry, self._clock.monotonic())
        finally:
            self.recent.end(asked, ticket)
        return entry

    def find_truth(self, ref: ObjectRef) -> Entry | None:
        self._counts["lookup", "database"] += 1
        return green.offload(self._truth.find, ref)

    def _read(self, ref: ObjectRef) -> Entry | None:
        if not self._open:
            return self.find_truth(ref)
        found = self._index.get(ref)
        if isinstance(found, Hit):
            self._counts["lookup", "index"] += 1
            return found.entry
        entry = self.find_truth(ref)
        if found.ticket:
            self._index.fill(ref, entry, found.ticket)
        return entry

    def commit(self, step: Step) -> bool:
        if not green.offload(self._truth.commit, step):
            return False
        changed = [swap.new.ref if swap.new else swap.old.ref for swap in step.swaps if swap.new or swap.old]
        if changed:
            self._publish(changed)
        return True

    def _publish(self, changed: list[ObjectRef]) -> None:
        """The row in the outbox stays until a drain: to forget twice is to forget once."""
        self._forget(changed)
        try:
            self._index.publish(*changed)
        except ServiceUnavailable:
            self._wait(DELAY)

    def _forget(self, changed: list[ObjectRef]) -> None:
        for ref in changed:
            self.recent.forget(*touched(ref))

    def scan(self, *args: Any, **kwargs: Any) -> list[Entry]:
        return self._truth.scan(*args, **kwargs)

    def select(self, **kwargs: Any) -> list[Entry]:
        return self._truth.select(**kwargs)

    def history(self, ref: ObjectRef) -> list[Entry]:
        return self._truth.history(ref)

    def drain(self, now: int) -> int:
        """Publish what its writers left in the outbox; how many rows went. While index or database are away: none."""
        try:
            return self._drain(now - OVERDUE)
        except ServiceUnavailable as error:
            log.debug("the outbox is left for later: %s", error)
            return 0

    def _drain(self, older_than: int) -> int:
        """At most BATCH rows. Raises ServiceUnavailable."""
        rows = green.offload(self._truth.publishes, older_than, BATCH)
        if rows:
            changed = [what.ref if isinstance(what, Entry) else what for _, what in rows]
            self._forget(changed)
            self._index.publish(*changed)
            self._show(rows)
            green.offload(self._truth.published, *[id_ for id_, _ in rows])
        return len(rows)

    def _show(self, rows: list[tuple[int, Entry | ObjectRef]]) -> None:
        """Keys as they are by now, for people to read. What is not taken is not shown, and nothing waits for it."""
        if not self._shows:
            return
        try:
            self._index.show([(number, ref, self._current(what)) for number, ref, what in latest(rows)])
        except ServiceUnavailable as error:
            log.debug("changes are not shown: %s", error)

    def _current(self, what: Entry | ObjectRef) -> Entry | None:
        if isinstance(what, Entry) and what.current:
            return what
        ref = what.ref if isinstance(what, Entry) else what
        return self.find_truth(replace(ref, version=None))

    # The link

    def _follow(self) -> None:
        """See to it that this process hears of changes. Within a thread pool there is no one to listen: the next green caller will."""
        if os.getpid() not in self._followers and (green.on_hub() or not green.hub()):
            green.spawn(self._for_ever)

    def close(self) -> None:
        """Follow the link no longer; everything is asked of the database from here on."""
        self._closed = True

    def _for_ever(self) -> None:
        mine = object()
        if self._followers.setdefault(os.getpid(), mine) is not mine:
            return
        self._let_go()
        while not self._closed:
            try:
                with self._index.listen() as link:
                    self._stand(link)
            except ServiceUnavailable as error:
                log.debug("the index is away: %s", error)
            self._let_go()
            green.sleep(RECONNECT)

    def _stand(self, link: Any) -> None:
        """Until the link breaks."""
        while self._drain(self._clock.now() + AHEAD) >= BATCH:
            self._hear(link)
        drained = self._clock.monotonic()
        while not self._closed:
            self._hear(link)
            self._open = True
            if self._clock.monotonic() - drained >= DRAIN:
                self.drain(self._clock.now())
                drained = self._clock.monotonic()
            green.sleep(PROBE)

    def _hear(self, link: Any) -> None:
        probed = self._clock.monotonic()
        self.recent.forget(*link.heard())
        self.recent.believe(probed)

    def _let_go(self) -> None:
        self._open = False
        self.recent.lose()

    def _wait(self, seconds: float) -> None:
        if green.on_hub():
            green.sleep(seconds)
        else:
            self._clock.sleep(seconds)


_: type[Catalog] = TieredCatalog
