# ruff: noqa: SLF001  # it fills the tables behind the catalog's back
"""How long the cache takes to decide what leaves, at the size of a broadcaster: 10^7 objects, 95 of 100 TB.

A real catalog, built row for row, with all its indexes, in SQLite and in a private PostgreSQL; the real job. After every
decision the objects it chose are made to have left, so that no two decisions find the same rows. Takes
some ten minutes and 10 GB for each database, which are gone at the end.

    .venv/bin/python bench/cache.py --rows 10000000 --catalog sqlite --catalog postgres
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import text

from s3shunt import connect
from s3shunt.catalog.sql import SqlCatalog, schema
from s3shunt.config import Ini
from s3shunt.jobs.evict import EvictJob, Options
from s3shunt.model import Job, Pin
from s3shunt.policy.record import ref_of
from s3shunt.stores.memory import MemoryStore
from s3shunt.stores.memory import Options as StoreOptions
from s3shunt.testing.services import postgres as service

NOW = 1_795_176_000_000
INI = """
[DEFAULT]
state = {state}
[policy:films]
buckets = films-*
archive = tape
evict = high 85 low 75
[policy:clips]
buckets = clips
archive = tape
evict = high 85 low 75
"""
AVERAGE = 10_445_360  # bytes: 10^7 of them are 95 of 100 TiB
ROUNDS = 15

FIXED = {
    "account": "'main'", "version": "'null'", "versioned": "0", "current": "1", "state": "'verified'", "revision": "n", "generation": "1",
    "writers": "0", "storage_class": "'STANDARD'", "store": "'main'", "archive": "'tape'", "copies": "1", "interests": "'[]'",
    "media": "'{}'", "reason": "''", "etag": "'\"0123456789abcdef0123456789abcdef\"'", "stamp": "''",
    "headers": "'{\"content-type\":\"application/mxf\"}'", "metadata": "'{\"pid\":\"0123456789\"}'", "checksums": "'{}'", "parts": "'[]'",
    "tags": "'{}'", "acl": "''", "lock": "'{}'", "sse": "'{}'", "owner": "'main'",
}  # fmt: skip


def columns(rows: int, *, sqlite: bool) -> dict[str, str]:
    """Every row's values as SQL over its number ``n``: keys in order, sizes and last reads all over the place."""
    number = "printf('%09d', n)" if sqlite else "lpad(n::text, 9, '0')"
    key = f"CAST('archive/2026/' || {number} || '.mxf' AS BLOB)" if sqlite else f"convert_to('archive/2026/' || {number} || '.mxf', 'UTF8')"
    bucket = f"printf('films-%02d', n * 20 / {rows + 1})" if sqlite else f"'films-' || lpad((n * 20 / {rows + 1})::text, 2, '0')"
    mixed = f"(n * 7368787 % {rows})"
    return FIXED | {
        "key": key, "bucket": bucket, "archive_id": f"'A' || {number}", "size": f"1 + {mixed} * {2 * AVERAGE} / {rows}",
        "last_modified": f"{NOW} - 70000000000 + n", "last_read": f"{NOW} - 60000000000 + {mixed} * 60000000000 / {rows}",
        "pinned": f"CASE WHEN n % 100 = 0 THEN {NOW * 2} ELSE 0 END",
    }  # fmt: skip


@contextmanager
def databases(kind: str, where: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{where}/catalog.db"
        return
    with service.postgres("shared_buffers=1GB", "maintenance_work_mem=512MB", "max_wal_size=8GB", "autovacuum=off") as url:
        yield url


def build(catalog: SqlCatalog, rows: int) -> float:
    """Seconds."""
    began = time.monotonic()
    catalog.upgrade()
    database = catalog._database
    indexes = sorted(schema.entry.indexes, key=lambda index: str(index.name))
    values = columns(rows, sqlite=database.sqlite)
    counted = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {0}) SELECT {1} FROM c"
    series = counted if database.sqlite else "SELECT {1} FROM generate_series(1::bigint, {0}) AS c(n)"
    names = ", ".join(f'"{name}"' for name in values)
    with database.engine.execution_options(writes=True).begin() as connection:
        unbounded(connection, database)
        for index in indexes:
            index.drop(connection)
        connection.execute(text(f"INSERT INTO entry ({names}) " + series.format(rows, ", ".join(values.values())).replace(":", r"\:")))
        for index in indexes:
            index.create(connection)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not database.sqlite:
            connection.execute(text("SET statement_timeout = 0"))
            connection.execute(text("VACUUM ANALYZE entry"))
    return time.monotonic() - began


def unbounded(connection, database) -> None:
    if not database.sqlite:
        connection.execute(text("SET LOCAL statement_timeout = 0"))


def timed(what, *args) -> tuple[float, object]:
    began = time.monotonic()
    answer = what(*args)
    return time.monotonic() - began, answer


def leave(catalog: SqlCatalog, jobs: list[Job]) -> None:
    """As if all of them had been done."""
    names = [{"bucket": str(j.payload["bucket"]), "key": ref_of(dict(j.payload)).key.encode()} for j in jobs]
    with catalog._database.write() as connection:
        one = "UPDATE entry SET state = 'archived' WHERE account = 'main' AND bucket = :bucket AND key = :key RETURNING size"
        gone = sum(connection.execute(text(one), name).scalar_one() for name in names)
        values = {"bytes": -gone, "objects": -len(names)}
        connection.execute(text("INSERT INTO space (store, kind, bytes, objects) VALUES ('main', 'held', :bytes, :objects)"), values)
        connection.execute(text("DELETE FROM job"))


def decisions(house: connect.House, catalog: SqlCatalog, batch: int) -> list[float]:
    took = []
    for _ in range(ROUNDS):
        job = EvictJob(Options(batch=batch), house)
        seconds, _ = timed(job.run, Job(kind="evict", dedupe="evict"))
        chosen = [found for found in catalog.jobs(kind="evict", limit=2 * batch) if found.payload]
        assert len(chosen) == batch, len(chosen)
        took.append(seconds)
        leave(catalog, chosen)
    return took


def scattered(catalog: SqlCatalog, changes: int) -> None:
    """Commits since the sum was settled last."""
    values = [{"store": "main", "kind": "held", "bytes": 1, "objects": 0}] * changes
    with catalog._database.write() as connection:
        unbounded(connection, catalog._database)
        connection.execute(schema.space.insert(), values)


def measure(kind: str, rows: int, batch: int, where: Path) -> dict[str, object]:
    path = where / "cache.ini"
    path.write_text(INI.format(state=where))
    with databases(kind, where) as url:
        house = connect.House(Ini(path, {}))
        catalog = SqlCatalog(SqlCatalog.Options(url=url, index="redis://unused", deadline=60_000), house)
        house.put("catalog", "main", catalog)
        capacity = (100 << 40) * rows // 10_000_000
        house.put("store", "main", MemoryStore(StoreOptions(capacity=capacity), house))
        told: dict[str, object] = {"catalog": kind, "rows": rows, "batch": batch, "built_s": round(build(catalog, rows))}
        told["recount_s"] = round(timed(catalog.recount)[0], 2)
        told["used_per_cent"] = round(100 * catalog.room("main").held / capacity, 1)
        told["load_before"] = os.getloadavg()[0]
        took = decisions(house, catalog, batch)
        told |= {"first_s": round(took[0], 3), "median_s": round(statistics.median(took), 3), "worst_s": round(max(took), 3)}
        scattered(catalog, 300_000)
        told["sum_of_300000_changes_s"] = round(timed(catalog.room, "main")[0], 3)
        told["settled_s"] = round(timed(catalog.settle)[0], 3)
        told["sum_settled_s"] = round(timed(catalog.room, "main")[0], 4)
        notes = {row.ref: NOW for row in catalog.scan("main", "films-03", limit=10_000)}
        told["note_10000_reads_s"] = round(timed(catalog.note_reads, notes)[0], 2)
        seconds, pinned = timed(catalog.pin, Pin("films-07", "", NOW * 2, "main"))
        told |= {"pinned": pinned, "pin_prefix_s": round(seconds, 1)}
        told["load_after"] = os.getloadavg()[0]
        catalog.close()
    return told


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--rows", type=int, default=10_000_000)
    asked.add_argument("--batch", type=int, default=500)
    asked.add_argument("--catalog", action="append", choices=["sqlite", "postgres"])
    given = asked.parse_args()
    for kind in given.catalog or ["sqlite", "postgres"]:
        where = Path(tempfile.mkdtemp(prefix="s3shunt-bench-"))
        try:
            print(json.dumps(measure(kind, given.rows, given.batch, where)), flush=True)
        finally:
            shutil.rmtree(where)


if __name__ == "__main__":
    sys.exit(main())
