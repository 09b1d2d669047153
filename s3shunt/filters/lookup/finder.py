"""Asks archives by name for what nobody knows, and adopts what they have."""

import threading
from typing import Any

from s3shunt import green
from s3shunt.connect import House
from s3shunt.model import Entry, Identity, ObjectRef
from s3shunt.policy import archive
from s3shunt.policy.adopt import adopted, candidates, withdrawn
from s3shunt.policy.claims import same_key
from s3shunt.policy.placement import known_id
from s3shunt.ports import Copy
from s3shunt.protocol.errors import ServiceUnavailable

REMEMBERED = 10_000
RETRY_AFTER = 5
SILENT_FOR = 10_000
"""Milliseconds for which an archive that did not answer for a key is not asked for it again."""


class Silent(ServiceUnavailable):
    """Nobody knows the object, and an archive that may did not answer."""

    code = ServiceUnavailable.__name__


class Finder:
    """Asks archives by name: one question at a time for a key, and its 'no' is remembered for a while.

    Raises Silent when none has it and one does not answer.
    """

    def __init__(self, house: House, options: Any) -> None:
        self.house = house
        self.options = options
        self.catalog = house.catalog(options.catalog)
        self._no: dict[ObjectRef, tuple[int, bool]] = {}
        self._asking = [green.lock() for _ in range(64)]
        self._guard = threading.Lock()

    def __call__(self, ref: ObjectRef, identity: Identity | None) -> Entry | None:
        if ref.version is not None or identity is None or identity.anonymous or self._known_no(ref):
            return None
        with self._asking[hash(ref) % len(self._asking)]:
            if self._known_no(ref):
                return None
            try:
                found = green.offload(self._ask, ref)
            except Silent:
                self._remember(ref, min(SILENT_FOR, self.options.negative), silent=True)
                raise
            if found is None:
                self._remember(ref, self.options.negative)
        return found

    def _ask(self, ref: ObjectRef) -> Entry | None:
        """Adopted only if the store truly has nothing, nobody adopted it meanwhile, and nobody deleted it."""
        known = self.catalog.find_truth(ref)
        if known is not None or self.house.store(self.options.store).head(ref) is not None:
            return known
        silent = False
        for policy in candidates(self.house.policies, ref):
            try:
                copy = self.house.archive(policy.archive).find(ref=ref)
            except ServiceUnavailable:
                silent = True
                continue
            if copy is None or self._known(ref, policy.archive, copy) or self._doomed(policy.archive, copy.archive_id):
                continue
            found = self._external_id(ref, copy)
            step = adopted(ref, copy, policy, self.options.store, self.house.clock.now(), external_id=found)
            self.catalog.commit(step)
            return self._adopted(ref)
        known = self.catalog.find_truth(ref)  # another process may have adopted it while the archive was asked
        if known is None and silent:
            raise Silent(retry_after=RETRY_AFTER)
        return known

    def _adopted(self, ref: ObjectRef) -> Entry | None:
        """The row that stands now, unless somebody wrote the object while the archive was asked."""
        row = self.catalog.find_truth(ref)
        step = withdrawn(row, self.house.store(self.options.store).head(ref))
        return None if step is not None and self.catalog.commit(step) else row

    def _known(self, ref: ObjectRef, name: str, copy: Copy) -> bool:
        """Whether it is that of a version which is known, and hidden: not every store keeps a marker of what it has not got."""
        return archive.use(self.catalog.history(ref), name, copy.archive_id) is archive.Use.KEPT

    def _external_id(self, ref: ObjectRef, copy: Copy) -> str | None:
        """One that is another object's stays another's."""
        found = known_id(self.house.policies, ref, copy.facts) or copy.external_id or None
        holder = self.house.truth(self.options.catalog).holder(ref.account, found) if found else None
        return found if holder is None or same_key(holder, ref) else None

    def _doomed(self, name: str, archive_id: str) -> bool:
        """Whether the copy is that of a deleted or overwritten object, and only kept for its retention."""
        truth, dedupe = self.house.truth(self.options.catalog), f"copy {name} {archive_id}"
        jobs = [*truth.jobs(kind="discard", limit=100_000), *truth.jobs(kind="discard", dead=True, limit=100_000)]
        return any(job.dedupe == dedupe for job in jobs)

    def _known_no(self, ref: ObjectRef) -> bool:
        until, silent = self._no.get(ref, (0, False))
        if silent and until > self.house.clock.now():
            raise Silent(retry_after=RETRY_AFTER)
        return until > self.house.clock.now()

    def _remember(self, ref: ObjectRef, duration: int, *, silent: bool = False) -> None:
        now = self.house.clock.now()
        with self._guard:
            if len(self._no) >= REMEMBERED:
                self._no = {known: no for known, no in self._no.items() if no[0] > now}
            if len(self._no) < REMEMBERED:
                self._no[ref] = now + duration, silent
