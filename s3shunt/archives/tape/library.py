"""What the library knows, in one SQLite file that several processes share and that survives any of them."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from s3shunt.protocol.errors import ServiceUnavailable

SCHEMA = """
CREATE TABLE IF NOT EXISTS object (
    archive_id TEXT PRIMARY KEY, tag TEXT NOT NULL UNIQUE, account TEXT NOT NULL, bucket TEXT NOT NULL, key BLOB NOT NULL,
    version TEXT, size INTEGER NOT NULL, sha256 TEXT NOT NULL, facts TEXT NOT NULL, written INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS object_name ON object (account, bucket, key, written);
CREATE TABLE IF NOT EXISTS copy (
    archive_id TEXT NOT NULL, cartridge TEXT NOT NULL, position INTEGER NOT NULL, size INTEGER NOT NULL,
    PRIMARY KEY (archive_id, cartridge));
CREATE TABLE IF NOT EXISTS request (
    id TEXT PRIMARY KEY, archive_id TEXT NOT NULL, cartridge TEXT, position INTEGER, size INTEGER, tier TEXT NOT NULL,
    asked INTEGER NOT NULL, begun INTEGER, ready_at INTEGER, failed TEXT);
CREATE TABLE IF NOT EXISTS drive (number INTEGER PRIMARY KEY, cartridge TEXT, head INTEGER NOT NULL, free_at INTEGER NOT NULL);
"""


class Library:
    """Raises ServiceUnavailable when the file cannot be used."""

    def __init__(self, path: Path, drives: int) -> None:
        self._path = path
        with self.transaction() as db:
            for statement in SCHEMA.split(";"):
                db.execute(statement)
            db.executemany("INSERT OR IGNORE INTO drive VALUES (?, NULL, 0, 0)", [(number,) for number in range(drives)])
            db.execute("DELETE FROM drive WHERE number >= ?", (drives,))

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it, on the disk, or nothing."""
        try:
            with closing(sqlite3.connect(self._path, timeout=30, isolation_level=None)) as db:
                db.row_factory = sqlite3.Row
                db.execute("PRAGMA synchronous = FULL")
                db.execute("BEGIN IMMEDIATE")
                yield db
                db.execute("COMMIT")
        except sqlite3.Error as error:
            raise ServiceUnavailable(f"The tape library's book cannot be used: {error}") from None
