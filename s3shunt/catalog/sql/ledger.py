"""The job ledger and the two outboxes: what is due, what the outside is to hear, what the index is to forget."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, delete, func, or_, select, update

from s3shunt.catalog.sql import rows, schema
from s3shunt.catalog.sql.database import Conflict, Database
from s3shunt.model import Entry, Event, Job, JobState, ObjectRef

J = schema.job.c
WAITING = JobState.WAITING.value


class Ledger:
    """The Ledger, the Events and the index's outbox of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def enqueue(self, *jobs: Job) -> None:
        with self._database.write() as connection:
            enqueue(connection, self._database.insert, jobs)

    def claim(self, kinds: Sequence[str], now: int, lease: int, owner: str, limit: int = 1) -> list[Job]:
        return self._claim([J.kind.in_(kinds)], now, lease, owner, limit)

    def claim_named(self, kind: str, names: Sequence[str], now: int, lease: int, owner: str) -> list[Job]:
        wanted = [J.kind == kind, J.dedupe.in_([rows.key_bytes(name) for name in names])]
        return self._claim(wanted, now, lease, owner, len(names)) if names else []

    def _claim(self, wanted: list[ColumnElement[bool]], now: int, lease: int, owner: str, limit: int) -> list[Job]:
        due = [*wanted, J.state == WAITING, J.due <= now, or_(J.lease.is_(None), J.lease <= now)]
        query = select(schema.job).where(*due).order_by(J.due, J.id).limit(limit).with_for_update(skip_locked=True)
        with self._database.write() as connection:
            found = connection.execute(query).all()
            token = _tokens(connection, self._database.insert, len(found)) if found else 0
            claimed = [
                replace(rows.job(row), lease=lease, owner=owner, token=number) for number, row in enumerate(found, token + 1)
            ]
            for job in claimed:
                taken = {"lease": job.lease, "owner": job.owner, "token": job.token}
                connection.execute(update(schema.job).where(J.id == job.id).values(taken))
        return claimed

    def extend(self, job: Job, lease: int) -> bool:
        with self._database.write() as connection:
            return connection.execute(update(schema.job).where(*_held(job)).values(lease=lease)).rowcount == 1

    def finish(self, job: Job) -> bool:
        with self._database.write() as connection:
            return connection.execute(delete(schema.job).where(*_held(job))).rowcount == 1

    def postpone(self, job: Job, due: int, *, reason: str = "", failed: bool = False) -> bool:
        values = {"due": due, "lease": None, "owner": None, "reason": rows.said(reason), "attempts": J.attempts + int(failed)}
        with self._database.write() as connection:
            return connection.execute(update(schema.job).where(*_held(job)).values(values)).rowcount == 1

    def bury(self, job: Job, reason: str) -> bool:
        values = {"state": JobState.DEAD.value, "lease": None, "reason": rows.said(reason)}
        with self._database.write() as connection:
            return connection.execute(update(schema.job).where(*_held(job)).values(values)).rowcount == 1

    def jobs(self, *, kind: str | None = None, dead: bool = False, limit: int = 1000) -> list[Job]:
        where = [J.state == (JobState.DEAD.value if dead else WAITING)]
        if kind is not None:
            where.append(J.kind == kind)
        with self._database.read() as connection:
            found = connection.execute(select(schema.job).where(*where).order_by(J.due, J.id).limit(limit)).all()
        return [rows.job(row) for row in found]

    def revive(self, id: int, due: int) -> bool:  # noqa: A002
        values = {"state": WAITING, "due": due, "attempts": 0, "lease": None}
        try:
            with self._database.write() as connection:
                dead = (J.id == id, J.state == JobState.DEAD.value)
                return connection.execute(update(schema.job).where(*dead).values(values)).rowcount == 1
        except Conflict:  # another one of the same name is live
            return False

    def backlog(self) -> dict[tuple[str, str], tuple[int, int]]:
        query = select(J.kind, J.state, func.count(), func.min(J.due)).group_by(J.kind, J.state)
        with self._database.read() as connection:
            return {(kind, state): (count, due) for kind, state, count, due in connection.execute(query)}

    def pending(self, limit: int = 100) -> list[tuple[int, Event]]:
        with self._database.read() as connection:
            found = connection.execute(select(schema.event).order_by(schema.event.c.id).limit(limit)).all()
        return [(row.id, rows.event(row)) for row in found]

    def delivered(self, *ids: int) -> None:
        self._forget(schema.event, ids)

    def publishes(self, older_than: int, limit: int = 1000) -> list[tuple[int, Entry | ObjectRef]]:
        table, entry = schema.publish, schema.entry
        due = select(table).where(table.c.at <= older_than).order_by(table.c.id).limit(limit).subquery()
        same = [due.c[column] == entry.c[column] for column in ("account", "bucket", "key", "version")]
        with self._database.read() as connection:
            refs = {row.id: rows.ref(row) for row in connection.execute(select(due))}
            query = select(due.c.id.label("outbox_id"), entry).join_from(due, entry, and_(*same))
            entries = {row.outbox_id: rows.entry(row) for row in connection.execute(query)}
        return [(id_, entries.get(id_, ref)) for id_, ref in sorted(refs.items())]

    def published(self, *ids: int) -> None:
        self._forget(schema.publish, ids)

    def _forget(self, table: Any, ids: Iterable[int]) -> None:
        if ids:
            with self._database.write() as connection:
                connection.execute(delete(table).where(table.c.id.in_(ids)))


def enqueue(connection: Connection, insert_or: Callable[..., Any], jobs: Iterable[Job]) -> None:
    """Add jobs; one that is live already only moves forward in time."""
    values = [rows.job_values(job) for job in jobs]
    if not values:
        return
    new = insert_or(schema.job)
    sooner = case((new.excluded.due < J.due, new.excluded.due), else_=J.due)
    live = {"index_elements": [J.kind, J.dedupe], "index_where": schema.LIVE}
    connection.execute(new.on_conflict_do_update(**live, set_={"due": sooner}), values)


def release(connection: Connection, kind: str, dedupe: str) -> None:
    connection.execute(delete(schema.job).where(J.kind == kind, J.dedupe == rows.key_bytes(dedupe), J.state == WAITING))


def _tokens(connection: Connection, insert_or: Callable[..., Any], count: int) -> int:
    """The number below ``count`` fresh ones. The row stays locked until the claim is committed, so tokens only grow."""
    table = schema.counter
    new = insert_or(table).values(name="token", value=count)
    more = new.on_conflict_do_update(index_elements=[table.c.name], set_={"value": table.c.value + count})
    return connection.execute(more.returning(table.c.value)).scalar_one() - count


def _held(job: Job) -> tuple[Any, ...]:
    return (J.id == job.id, J.token == job.token, J.state == WAITING)
