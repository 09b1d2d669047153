"""What the stores hold, what of it nobody reads, and what must stay: from indexes and sums, never from a walk over all rows."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, func, insert, literal_column, or_, select, text, tuple_, update

from s3shunt.catalog.sql import many, rows, schema
from s3shunt.catalog.sql.database import Database
from s3shunt.clock import Clock
from s3shunt.model import NULL, STORE_IS_TRUTH, Entry, ObjectRef, Pin, Room, State, Swap
from s3shunt.policy.space import Kind, moved

E = schema.entry.c
P = schema.pin.c
S = schema.space.c
PK = (E.account, E.bucket, E.key, E.version)
NOTES = 200
"""So many notes at once: their rows are held for a moment only."""

PAGE = 500
LITERAL = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-_ABCDEFGHIJKLMNOPQRSTUVWXYZ")


class Cache:
    """The Cache of one database."""

    def __init__(self, database: Database, clock: Clock, *, outbox: bool) -> None:
        self._database = database
        self._clock = clock
        self._outbox = outbox

    def coldest(
        self, store: str, *, buckets: Sequence[str] = (), after: tuple[int, ObjectRef] | None = None, limit: int = 1000
    ) -> list[tuple[int, Entry]]:
        where: list[Any] = [schema.COLD, E.store == store, *_among(buckets)]
        if after is not None:
            where.append(tuple_(E.last_read, *PK) > tuple_(after[0], *rows.pk(after[1]).values()))
        query = select(schema.entry).where(*where).order_by(E.last_read, *PK).limit(limit)
        with self._database.read() as connection:
            return [(row.last_read, rows.entry(row)) for row in connection.execute(query)]

    def note_reads(self, reads: Mapping[ObjectRef, int]) -> None:
        """A row that somebody is changing is left out: nobody waits for a note, and a note for nobody."""
        by_name = {tuple(rows.pk(ref).values()): at for ref, at in reads.items()}
        names = sorted(by_name)
        for start in range(0, len(names), NOTES):
            with self._database.write() as connection:
                free = self._free(connection, names[start : start + NOTES])
                noted = [{"a": a, "b": b, "k": k, "v": v, "at": by_name[a, b, k, v]} for a, b, k, v in free]
                if noted:
                    connection.execute(_NOTE, noted)

    def _free(self, connection: Connection, names: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Those that nobody is changing; on SQLite nobody can."""
        if self._database.sqlite:
            return names
        query = select(*PK).with_for_update(skip_locked=True, of=schema.entry)
        return list(_plain(many.named(connection, query, schema.entry, ("account", "bucket", "key", "version"), names)))

    def last_use(self, ref: ObjectRef) -> int | None:
        with self._database.read() as connection:
            found = connection.execute(select(E.last_read).where(*_named(ref))).scalar()
        return None if found is None else int(found)

    def room(self, store: str) -> Room:
        query = select(S.kind, func.sum(S.bytes)).where(S.store.in_((store, ""))).group_by(S.kind)
        with self._database.read() as connection:
            found = {kind: max(int(total), 0) for kind, total in connection.execute(query)}
        return Room(*(found.get(kind.value, 0) for kind in Kind))

    def settle(self) -> None:
        """Many changes become one. Two who do this at once each sum what they took away themselves."""
        with self._database.write() as connection:
            if not self._database.sqlite:
                connection.execute(_SETTLED)
                return
            last = connection.execute(select(func.max(S.id))).scalar()  # nobody else writes meanwhile
            known = S.id <= last
            summed = select(S.store, S.kind, func.sum(S.bytes), func.sum(S.objects)).where(known).group_by(S.store, S.kind)
            connection.execute(insert(schema.space).from_select(["store", "kind", "bytes", "objects"], summed))
            connection.execute(delete(schema.space).where(known))

    def recount(self) -> None:
        """What is missing is added: sums of rows and of changes that one statement sees at one moment."""
        if self._database.sqlite:
            with self._database.read() as connection:
                missing = _missing(connection)
            with self._database.write() as connection:
                _add(connection, missing)
            return
        with self._database.write() as connection:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            _add(connection, _missing(connection))

    def expired(self, now: int, limit: int = 1000) -> list[Entry]:
        where = (schema.RESTORED, E.restored_until <= now)
        with self._database.read() as connection:
            found = connection.execute(select(schema.entry).where(*where).order_by(E.restored_until).limit(limit))
            return [rows.entry(row) for row in found]

    def pin(self, pin: Pin) -> int:
        name = {"account": pin.account, "bucket": pin.bucket, "prefix": rows.key_bytes(pin.prefix)}
        new = self._database.insert(schema.pin).values(**name, until=pin.until)
        with self._database.write() as connection:
            connection.execute(new.on_conflict_do_update(index_elements=[P.account, P.bucket, P.prefix], set_={"until": pin.until}))
        return self._mark(pin, pin.until)

    def unpin(self, pin: Pin) -> int:
        with self._database.write() as connection:
            named = (P.account == pin.account, P.bucket == pin.bucket, P.prefix == rows.key_bytes(pin.prefix))
            connection.execute(delete(schema.pin).where(*named))
        return self._mark(pin, 0)

    def _mark(self, pin: Pin, until: int) -> int:
        below = [E.account == pin.account, E.bucket == pin.bucket, *prefixed(rows.key_bytes(pin.prefix)), E.pinned != until]
        return self._set(below, until, (E.key, E.version))

    def unpin_past(self, now: int) -> int:
        with self._database.write() as connection:
            connection.execute(delete(schema.pin).where(P.until <= now))
        return self._set([schema.PINNED, E.pinned <= now], 0, (E.pinned, *PK))

    def _set(self, which: list[Any], until: int, order: tuple[Any, ...]) -> int:
        """Page by page. Each row's revision moves, so that an eviction decided on the row as it was does not happen."""
        marked, behind = 0, []
        while True:
            with self._database.write() as connection:
                page = select(*PK, *order).where(*which, *behind).order_by(*order).limit(PAGE).with_for_update()
                found = connection.execute(page).all()
                self._marked(connection, _plain(row[:4] for row in found), until)
            marked += len(found)
            if len(found) < PAGE:
                return marked
            behind = [order[0] >= found[-1][4]]  # those before it, and most that equal it, are marked and not found again

    def _marked(self, connection: Connection, names: list[tuple[str, str, bytes, str]], until: int) -> None:
        if not names:
            return
        chosen = [dict(zip("abkv", name, strict=True)) for name in names]
        connection.execute(update(schema.entry).where(*_THIS).values(pinned=until, revision=E.revision + 1), chosen)
        if self._outbox:
            columns = ("account", "bucket", "key", "version", "versioned")
            changed = select(*[E[column] for column in columns], literal_column(str(self._clock.now()))).where(*_THIS)
            connection.execute(insert(schema.publish).from_select([*columns, "at"], changed), chosen)

    def pins(self) -> list[Pin]:
        with self._database.read() as connection:
            found = connection.execute(select(schema.pin).order_by(P.account, P.bucket, P.prefix)).all()
        return [Pin(row.bucket, bytes(row.prefix).decode("utf-8", "surrogateescape"), row.until, row.account) for row in found]

    def pinned(self, *, after: ObjectRef | None = None, limit: int = 1000) -> list[Entry]:
        where: list[Any] = [schema.PINNED]
        if after is not None:
            where.append(tuple_(*PK) > tuple_(*rows.pk(after).values()))
        with self._database.read() as connection:
            return [rows.entry(row) for row in connection.execute(select(schema.entry).where(*where).order_by(*PK).limit(limit))]

    def remember(self, name: str, value: int) -> None:
        table = schema.counter
        new = self._database.insert(table).values(name=name, value=value)
        with self._database.write() as connection:
            connection.execute(new.on_conflict_do_update(index_elements=[table.c.name], set_={"value": value}))

    def remembered(self, name: str) -> int:
        table = schema.counter
        with self._database.read() as connection:
            return int(connection.execute(select(table.c.value).where(table.c.name == name)).scalar() or 0)


_SETTLED = text("""
WITH gone AS (DELETE FROM space RETURNING store, kind, bytes, objects)
INSERT INTO space (store, kind, bytes, objects) SELECT store, kind, SUM(bytes), SUM(objects) FROM gone GROUP BY store, kind
""")
_THIS = (E.account == bindparam("a"), E.bucket == bindparam("b"), E.key == bindparam("k"), E.version == bindparam("v"))
"""One row: of a list of names SQLite makes a walk over the whole table."""

_NOTE = update(schema.entry).where(*_THIS, E.last_read < bindparam("at")).values(last_read=bindparam("at"))


def count(connection: Connection, swaps: Iterable[Swap]) -> None:
    """What a step changes of the room that is taken, as a row of its own: nobody waits for anybody else's."""
    _add(connection, moved(swaps))


def _add(connection: Connection, sums: Mapping[tuple[str, Any], tuple[int, int]]) -> None:
    changes = [
        {"store": store, "kind": str(kind), "bytes": size, "objects": number}
        for (store, kind), (size, number) in sums.items()
        if size or number
    ]
    if changes:
        connection.execute(insert(schema.space), changes)


def last_used(old: Entry | None, new: Entry) -> rows.Values:
    """A version that was written is as good as read; else what was noted stays."""
    before = old.facts.last_modified if old is not None and old.facts else 0
    after = new.facts.last_modified if new.facts else 0
    return {"last_read": after} if old is None or after != before else {}


def _missing(connection: Connection) -> dict[tuple[str, str], tuple[int, int]]:
    kept = [S.store, S.kind, (-S.bytes).label("bytes"), (-S.objects).label("objects")]
    both = _actual(E.store, Kind.HELD, E.state.in_([state.value for state in STORE_IS_TRUTH]))
    both = both.union_all(
        _actual(E.place_store, Kind.LANDED, E.place_store.is_not(None)),
        _actual(literal_column("''"), Kind.COMING, _PROMISED),
        select(*kept),
    )
    part = both.subquery()
    query = select(part.c.store, part.c.kind, func.sum(part.c.bytes), func.sum(part.c.objects)).group_by(part.c.store, part.c.kind)
    return {(store, kind): (int(size), int(number)) for store, kind, size, number in connection.execute(query)}


_PROMISED = or_(
    E.state.in_([State.RECALLING.value, State.LANDING.value]), and_(E.state == State.QUEUED.value, E.token.is_not(None))
)


def _actual(store: Any, kind: Kind, where: ColumnElement[bool]) -> Any:
    counted = (func.coalesce(func.sum(E.size), 0).label("bytes"), func.count().label("objects"))
    query = select(store.label("store"), literal_column(f"'{kind}'").label("kind"), *counted).where(E.size.is_not(None), where)
    return query if kind is Kind.COMING else query.group_by(store)


def prefixed(prefix: bytes) -> list[ColumnElement[bool]]:
    """The keys that begin so."""
    if not prefix:
        return []
    kept = prefix.rstrip(b"\xff")
    below = [E.key < kept[:-1] + bytes([kept[-1] + 1])] if kept else []
    return [E.key >= prefix, *below]


def _among(buckets: Sequence[str]) -> list[ColumnElement[bool]]:
    """Where all patterns are plain names the database may leave out other buckets by itself."""
    if not buckets or any(not LITERAL.issuperset(name) for name in buckets):
        return []
    return [E.bucket.in_(sorted(buckets))]


def _named(ref: ObjectRef) -> list[ColumnElement[bool]]:
    where = [E.account == ref.account, E.bucket == ref.bucket, E.key == rows.key_bytes(ref.key)]
    return [*where, E.current == 1 if ref.version is None else E.version == (ref.version or NULL)]


def _plain(found: Iterable[Any]) -> list[tuple[str, str, bytes, str]]:
    return [(account, bucket, bytes(key), version) for account, bucket, key, version in found]
