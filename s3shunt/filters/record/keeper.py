"""Commits, again and again until the row stands still: what every kind of write needs of the catalog."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace

from s3shunt import green
from s3shunt.connect import House
from s3shunt.model import NULL, Entry, Facts, Intent, ObjectRef, Recall, State, Step
from s3shunt.policy import record
from s3shunt.policy.claims import same_key
from s3shunt.policy.record import Wait, Written
from s3shunt.protocol.errors import OperationAborted, ServiceUnavailable, SlowDown
from s3shunt.wsgi import Body

CONTENDED = 40

Decide = Callable[[], Step | Wait | None]


class Lapsed(Exception):  # no error: a sweep was faster
    """The intent is gone: somebody took it for dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a write asked for that the store will not keep. ``ref`` has no version."""

    ref: ObjectRef
    operation: str
    storage_class: str | None = None
    external_id: str | None = None


class Keeper:
    def __init__(self, house: House, catalog: str, store: str, lease: int, patience: int) -> None:
        self.house = house
        self.catalog = house.catalog(catalog)
        self.truth = house.truth(catalog)
        self.store = house.store(store)
        self.lease = lease
        self.tries = CONTENDED + patience // 100

    @property
    def now(self) -> int:
        return self.house.clock.now()

    def row(self, ref: ObjectRef) -> Entry | None:
        return green.offload(self.catalog.find_truth, ref)

    def known(self, ref: ObjectRef) -> Entry | None:
        """The row that a change of the key has to reckon with: one that is being evicted, else the current one, else the newest."""
        return green.offload(self._known, ref)

    def _known(self, ref: ObjectRef) -> Entry | None:
        rows = sorted(self.catalog.history(ref), key=lambda row: (row.state is not State.EVICTING, not row.current))
        return rows[0] if rows else None

    def seen(self, ref: ObjectRef) -> Facts | None:
        """What the store holds; the version 'null' of a bucket without versions is the current one."""
        return green.offload(self.store.head, replace(ref, version=None) if ref.version == NULL else ref)

    def commit(self, decide: Decide) -> Step | None:
        """Decide on what is true now, until it could be committed. None when there was nothing to do. Raises SlowDown."""
        for _ in green.tries(self.tries):
            done, step = green.offload(self._once, decide)
            if done:
                return step
        raise SlowDown(retry_after=1)

    def _once(self, decide: Decide) -> tuple[bool, Step | None]:
        step = decide()
        if isinstance(step, Wait):
            return False, None
        return step is None or self.catalog.commit(step), step

    # One write

    def begin(self, plan: Plan) -> Intent:
        """Counted on a row of the key. Waits while one is being evicted. Raises OperationAborted, as ``demand`` does."""

        def decide() -> Step | Wait:
            self._demand(plan)
            return record.begin(self._known(plan.ref), self._intent(plan))

        return self._opened(decide)

    def demand(self, plan: Plan) -> None:
        """Raises OperationAborted when the external id that a write asks for is another object's."""
        if plan.external_id:
            green.offload(self._demand, plan)

    def _demand(self, plan: Plan) -> None:
        if not plan.external_id:
            return
        holder = self.truth.holder(plan.ref.account, plan.external_id)
        if holder is not None and not same_key(holder, plan.ref):
            raise OperationAborted("Another object has this external id.", ExternalId=plan.external_id)

    def tombstone(self, plan: Plan) -> Intent | None:
        """None when there is nothing to hide."""

        def decide() -> Step | Wait | None:
            row = self.catalog.find_truth(plan.ref)
            return record.tombstone(row, self._intent(plan)) if row is not None else None

        step = self.commit(decide)
        return step.opened[0] if step is not None else None

    def finish(self, intent: Intent, written: Written, revision: int) -> bool:
        """False when the row moved since the store was asked. Raises Lapsed."""

        def decide() -> Step | Wait | None:
            row = self._counted(intent)
            if row.revision != revision:
                return None
            own = self.catalog.find_truth(written.ref) if row.ref != written.ref else None
            current = self.catalog.find_truth(replace(written.ref, version=None))
            if own is not None:
                return record.beside(row, own, intent, written, self.house.policies, current=current)
            return record.finish(row, intent, written, self.house.policies, recall=self.recall(row), current=current)

        return self.commit(decide) is not None

    def amend(self, intent: Intent, seen: Facts | None) -> None:
        """Tags, ACL or lock were changed in the store: what we know of them follows. Raises Lapsed."""
        self.commit(lambda: record.amend(self._counted(intent), intent, seen))

    def forget(self, intent: Intent) -> None:
        """The DELETE is done. Raises Lapsed."""

        def decide() -> Step:
            row = self._counted(intent)
            return record.forget(row, intent, self.house.policies, self.now, self.recall(row))

        self.commit(decide)

    def abandon(self, intent: Intent) -> bool:
        """It came to nothing; a DELETE is undone. False when a sweep was faster."""

        def decide() -> Step | None:
            try:
                row = self._counted(intent)
            except Lapsed:
                return None
            return record.undo(row, intent) if intent.before is not None else record.abandon(row, intent)

        return self.commit(decide) is not None

    def recall(self, row: Entry) -> Recall | None:
        known = self.truth.recalls(ref=row.ref, limit=1)
        return known[0] if known else None

    def _opened(self, decide: Decide) -> Intent:
        step = self.commit(decide)
        assert step is not None
        return step.opened[0]

    def _counted(self, intent: Intent) -> Entry:
        """The row an intent is counted on, which exists while the intent does."""
        row = self.catalog.find_truth(intent.ref) if self.truth.renew(intent.id, self.now + self.lease) else None
        if row is None:
            raise Lapsed
        return row

    def _intent(self, plan: Plan) -> Intent:
        return Intent(
            id=uuid.uuid4().hex,
            ref=plan.ref,
            operation=plan.operation,
            started=self.now,
            lease=self.now + self.lease,
            storage_class=plan.storage_class,
            external_id=plan.external_id,
        )


class Renewing(Body):
    """A request body whose passing by keeps an intent alive."""

    def __init__(self, inner: Body, intent: Intent, keeper: Keeper) -> None:
        super().__init__(inner, inner.length, inner.chunked)
        self.intent = intent
        self.keeper = keeper
        self.due = intent.started + keeper.lease // 3

    def read(self, size: int = -1) -> bytes:
        """As the inner one reads: what it verifies at its end, it verifies here."""
        if size < 0:
            return b"".join(self)
        data = self.source.read(size)
        self.taken += len(data)
        self.ended = not data or self.taken == self.length
        if self.keeper.now >= self.due:
            self._renew()
        return bytes(data)

    @property
    def passes(self) -> bool:
        """As the inner one: nothing is looked at here."""
        return self.source.passes  # type: ignore[no-any-return]

    def fill(self, pipe: int, count: int) -> int:
        moved = super().fill(pipe, count)
        if self.keeper.now >= self.due:
            self._renew()
        return moved

    def _renew(self) -> None:
        """A catalog that does not answer now may do so when the body has passed."""
        now = self.keeper.now
        self.due = now + self.keeper.lease // 3
        try:
            green.offload(self.keeper.truth.renew, self.intent.id, now + self.keeper.lease)
        except ServiceUnavailable:
            return
