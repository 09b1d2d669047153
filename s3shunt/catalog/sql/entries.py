"""Entries, intents and recalls: what ``commit`` changes in one transaction, and how it is read.

A swap is one conditional statement on its own row; a step is one transaction
of them. No condition reads another table.
"""

from collections.abc import Collection
from secrets import randbits

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, or_, select, tuple_, update

from s3shunt import green
from s3shunt.catalog.sql import cache, claims, ledger, rows, schema
from s3shunt.catalog.sql.database import Conflict, Database
from s3shunt.clock import Clock
from s3shunt.model import NULL, Entry, Intent, ObjectRef, Recall, State, Step, Swap
from s3shunt.policy import transitions

E = schema.entry.c
modified_at = func.coalesce(E.last_modified, 0)
LISTING_ORDER = (E.key, E.current.desc(), modified_at.desc(), E.version)

REVISION_BITS = 48
"""A row begins with a revision of its own, so that nobody takes it for one that was there, and went, before."""


class Entries:
    """The Catalog, Intents and Recalls of one database. ``outbox``: every change also becomes a row for the index."""

    def __init__(self, database: Database, clock: Clock, *, outbox: bool) -> None:
        self._database = database
        self._clock = clock
        self._outbox = outbox

    def find(self, ref: ObjectRef) -> Entry | None:
        """May be called by a green thread itself."""
        return green.offload(self._find, ref)

    def _find(self, ref: ObjectRef) -> Entry | None:
        where = [E.account == ref.account, E.bucket == ref.bucket, E.key == rows.key_bytes(ref.key)]
        where.append(E.current == 1 if ref.version is None else E.version == (ref.version or NULL))
        with self._database.read() as connection:
            row = connection.execute(select(schema.entry).where(*where)).first()
        return rows.entry(row) if row else None

    def find_truth(self, ref: ObjectRef) -> Entry | None:
        return self.find(ref)

    def commit(self, step: Step) -> bool:
        for swap in step.swaps:
            transitions.check(swap)
        try:
            with self._database.write() as connection:
                self._commit(connection, step)
        except Conflict:
            return False
        return True

    def _commit(self, connection: Connection, step: Step) -> None:
        for swap in sorted(step.swaps, key=_order):
            _replace(connection, swap)
        cache.count(connection, step.swaps)
        closed = [_ended(connection, intent) for intent in step.closed]
        anew = [_ended(connection, intent.id) for intent in step.opened]
        if step.opened:
            connection.execute(insert(schema.intent), [rows.intent_values(intent) for intent in step.opened])
        _exactly_one(int(all(closed)))
        claims.move(connection, self._database.insert, step.swaps, step.opened, [intent for intent in (*closed, *anew) if intent])
        recalls = sorted(step.recalls, key=lambda recall: recall.active)  # one ends before another begins
        _write(connection, schema.recall, [rows.recall_values(recall) for recall in recalls])
        for kind, dedupe in step.released:
            ledger.release(connection, kind, dedupe)
        ledger.enqueue(connection, self._database.insert, step.jobs)
        if step.events:
            connection.execute(insert(schema.event), [rows.event_values(event) for event in step.events])
        if self._outbox and step.swaps:
            at = self._clock.now()
            connection.execute(insert(schema.publish), [rows.name(_ref(swap)) | {"at": at} for swap in step.swaps])

    def scan(
        self, account: str, bucket: str, *, prefix: str = "", after: ObjectRef | None = None, limit: int = 1000, versions: bool = False
    ) -> list[Entry]:
        where = [E.account == account, E.bucket == bucket, *cache.prefixed(rows.key_bytes(prefix))]
        if not versions:
            where.append(E.current == 1)
        with self._database.read() as connection:
            if after is not None:
                where += _behind(connection, after, where)
            found = connection.execute(select(schema.entry).where(*where).order_by(*LISTING_ORDER).limit(limit)).all()
        return [rows.entry(row) for row in found]

    def select(
        self, *, state: State | None = None, due_before: int | None = None, bucket: str | None = None,
        external_id: str | None = None, after: Entry | None = None, limit: int = 1000,
    ) -> list[Entry]:
        wanted = {E.state: state and state.value, E.bucket: bucket, E.external_id: external_id}
        where = [column == value for column, value in wanted.items() if value is not None]
        if due_before is not None:
            where.append(E.due <= due_before)
        pk = tuple_(E.account, E.bucket, E.key, E.version)
        if after is not None:
            where.append(pk > tuple_(*rows.pk(after.ref).values()))
        query = select(schema.entry).where(*where).order_by(E.account, E.bucket, E.key, E.version).limit(limit)
        with self._database.read() as connection:
            return [rows.entry(row) for row in connection.execute(query)]

    def history(self, ref: ObjectRef) -> list[Entry]:
        where = [E.account == ref.account, E.bucket == ref.bucket, E.key == rows.key_bytes(ref.key)]
        with self._database.read() as connection:
            return [rows.entry(row) for row in connection.execute(select(schema.entry).where(*where).order_by(*LISTING_ORDER))]

    def lapsed(self, now: int, limit: int = 100) -> list[Intent]:
        table = schema.intent
        query = select(table).where(table.c.lease <= now).order_by(table.c.lease).limit(limit)
        with self._database.read() as connection:
            return [rows.intent(row) for row in connection.execute(query)]

    def renew(self, intent: str, lease: int) -> bool:
        table = schema.intent
        with self._database.write() as connection:
            return connection.execute(update(table).where(table.c.id == intent).values(lease=lease)).rowcount == 1

    def recall(self, id: str) -> Recall | None:  # noqa: A002
        with self._database.read() as connection:
            row = connection.execute(select(schema.recall).where(schema.recall.c.id == id)).first()
        return rows.recall(row) if row else None

    def recalls(
        self, *, ref: ObjectRef | None = None, archive: str | None = None, archive_ids: Collection[str] | None = None,
        unasked: bool = False, active: bool = True, limit: int = 1000,
    ) -> list[Recall]:
        table = schema.recall
        where = [table.c.active == 1] if active else []
        if ref is not None:
            where += [table.c[column] == value for column, value in rows.pk(ref).items()]
        where += [table.c.archive == archive] if archive is not None else []
        where += [table.c.archive_id.in_(archive_ids)] if archive_ids is not None else []
        where += [table.c.request_id.is_(None)] if unasked else []
        query = select(table).where(*where).order_by(table.c.created, table.c.id).limit(limit)
        with self._database.read() as connection:
            return [rows.recall(row) for row in connection.execute(query)]


def _order(swap: Swap) -> tuple[int, tuple[str | bytes, ...]]:
    """First what lets go of being current, then what may take it: the index of current rows holds at every statement."""
    old, new = swap.old, swap.new
    lets_go = new is None or (old is not None and old.current and not new.current)
    rank = 0 if lets_go else 1 + (old is None)
    return rank, tuple(rows.pk(_ref(swap)).values())


def _ref(swap: Swap) -> ObjectRef:
    kept = swap.new or swap.old
    assert kept is not None  # transitions.check refuses a swap of nothing
    return kept.ref


def _replace(connection: Connection, swap: Swap) -> None:
    old, new = swap.old, swap.new
    if old is None:
        assert new is not None
        connection.execute(insert(schema.entry), rows.entry_values(new) | cache.last_used(old, new) | {"revision": randbits(REVISION_BITS)})
    elif new is None:
        _exactly_one(connection.execute(delete(schema.entry).where(_unchanged(old))).rowcount)
    else:
        values = rows.entry_values(new) | cache.last_used(old, new) | {"revision": old.revision + 1}
        _exactly_one(connection.execute(update(schema.entry).where(_unchanged(old)).values(values)).rowcount)


def _unchanged(old: Entry) -> ColumnElement[bool]:
    name = [E[column] == value for column, value in rows.pk(old.ref).items()]
    seen = [E.revision == old.revision, E.state == old.state.value, E.writers == old.writers, E.token.is_not_distinct_from(old.token)]
    return and_(*name, *seen)


def _ended(connection: Connection, id_: str) -> Intent | None:
    """The intent, which is gone now."""
    table = schema.intent
    row = connection.execute(delete(table).where(table.c.id == id_).returning(*table.c)).first()
    return rows.intent(row) if row else None


def _exactly_one(count: int) -> None:
    if count != 1:
        raise Conflict


def _write(connection: Connection, table: schema.Table, values: list[rows.Values]) -> None:
    """Insert or replace by id."""
    for row in values:
        connection.execute(delete(table).where(table.c.id == row["id"]))
        connection.execute(insert(table), row)


def _behind(
    connection: Connection, after: ObjectRef, where: list[ColumnElement[bool]]
) -> list[ColumnElement[bool]]:
    """What is listed later than ``after``: the rest of its key's versions, and all greater keys."""
    mark = rows.key_bytes(after.key)
    if after.version is None:
        return [E.key > mark]
    version = after.version or NULL
    row = connection.execute(select(E.current, modified_at).where(*where, E.key == mark, E.version == version)).first()
    if row is None:
        return [E.key >= mark]
    current, modified = row
    older = or_(modified_at < modified, and_(modified_at == modified, E.version > version))
    return [E.key >= mark, or_(E.key > mark, E.current < current, and_(E.current == current, older))]
