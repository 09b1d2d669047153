"""Many rows at once: a whole catalog comes in at thousands of rows a second, and only what nobody has a row of."""

from collections.abc import Iterable, Sequence
from secrets import randbits

from sqlalchemy import Connection, insert, select

from s3shunt.catalog.sql import cache, claims, many, rows, schema
from s3shunt.catalog.sql.database import Conflict, Database
from s3shunt.clock import Clock
from s3shunt.model import Entry, ObjectRef, Swap
from s3shunt.policy.adopt import Taken

E = schema.entry.c
C = schema.claim.c
KEY = ("account", "bucket", "key")
ID = ("account", "external_id")
REVISION_BITS = 48
TRIES = 5
ROOMY = ("cache_size = -131072", "wal_autocheckpoint = 16384")
"""For the connection that brings in many rows: of a large file SQLite else reads and writes each page of its indexes again and again."""


class Bulk:
    """The Bulk of one database."""

    def __init__(self, database: Database, clock: Clock, *, outbox: bool) -> None:
        self._database = database
        self._clock = clock
        self._outbox = outbox

    def rows_of(self, refs: Sequence[ObjectRef]) -> list[Entry]:
        with self._database.read() as connection:
            return [rows.entry(row) for row in many.named(connection, select(schema.entry), schema.entry, KEY, _keys(refs))]

    def adopt(self, entries: Sequence[Entry], *, rehearse: bool = False) -> list[Entry]:
        if rehearse:
            with self._database.read() as connection:
                return _fresh(connection, entries)
        for _ in range(TRIES - 1):
            try:
                return self._adopt(entries)
            except Conflict:
                continue  # somebody else wrote one of them: what is fresh has to be seen anew
        return self._adopt(entries)

    def _adopt(self, entries: Sequence[Entry]) -> list[Entry]:
        with self._database.write() as connection:
            if self._database.sqlite:
                for pragma in ROOMY:
                    connection.exec_driver_sql(f"PRAGMA {pragma}")
            fresh = _fresh(connection, entries)
            if not fresh:
                return []
            swaps = [Swap(None, entry) for entry in fresh]
            many.insert_all(connection, schema.entry, [_values(entry) for entry in fresh])
            cache.count(connection, swaps)
            claims.take_fresh(connection, swaps)
            if self._outbox:
                at = self._clock.now()
                connection.execute(insert(schema.publish), [rows.name(entry.ref) | {"at": at} for entry in fresh])
        return fresh


def _values(entry: Entry) -> rows.Values:
    return rows.entry_values(entry) | cache.last_used(None, entry) | {"revision": randbits(REVISION_BITS)}


def _fresh(connection: Connection, entries: Iterable[Entry]) -> list[Entry]:
    """What of these nobody has a row of, each once."""
    entries = list(entries)
    taken = Taken()
    names = select(E.account, E.bucket, E.key, E.version, E.current)
    for account, bucket, key, version, current in many.named(connection, names, schema.entry, KEY, _keys(entry.ref for entry in entries)):
        taken.row(account, bucket, bytes(key), version, current=bool(current))
    wanted = sorted({(entry.ref.account, rows.said(entry.external_id)) for entry in entries if entry.external_id})
    holders = select(C.account, C.external_id, C.bucket, C.key)
    for account, external_id, bucket, key in many.named(connection, holders, schema.claim, ID, wanted):
        taken.claim(account, external_id, bucket, bytes(key))
    return [entry for entry in entries if taken.take(entry, rows.key_bytes(entry.ref.key), rows.said)]


def _keys(refs: Iterable[ObjectRef]) -> list[tuple[str, str, bytes]]:
    return sorted({(ref.account, ref.bucket, rows.key_bytes(ref.key)) for ref in refs})
