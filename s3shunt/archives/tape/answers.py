"""From rows of the book to what the port says."""

import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

from s3shunt.archives.tape.faults import struck
from s3shunt.model import ObjectRef
from s3shunt.ports import Progress, Status
from s3shunt.protocol.errors import IncompleteBody

NO_COPY = "no copy is left"


def one(db: sqlite3.Connection, query: str, *values: object) -> sqlite3.Row | None:
    row: sqlite3.Row | None = db.execute(query, values).fetchone()
    return row


def known(db: sqlite3.Connection, tag: str, archive_id: str, ref: ObjectRef | None) -> sqlite3.Row | None:
    """By tag, by id, or the newest of a name."""
    if tag:
        return one(db, "SELECT * FROM object WHERE tag = ?", tag)
    if archive_id:
        return one(db, "SELECT * FROM object WHERE archive_id = ?", archive_id)
    if ref is None:
        return None
    return one(
        db,
        "SELECT * FROM object WHERE account = ?1 AND bucket = ?2 AND key = ?3 AND (?4 IS NULL OR coalesce(version, 'null') = ?4)"
        " ORDER BY written DESC, rowid DESC LIMIT 1",
        ref.account, ref.bucket, key_bytes(ref.key), ref.version,
    )  # fmt: skip


def copies(db: sqlite3.Connection, archive_id: str) -> list[sqlite3.Row]:
    return db.execute("SELECT * FROM copy WHERE archive_id = ? ORDER BY cartridge", (archive_id,)).fetchall()


def key_bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")


def key_text(key: bytes) -> str:
    return key.decode("utf-8", "surrogateescape")


def names(row: sqlite3.Row) -> tuple[str, str]:
    """How ``faults.json`` may call an object."""
    return row["archive_id"], f"{row['bucket']}/{key_text(row['key'] or b'')}"


def status(row: sqlite3.Row, faults: Mapping[str, Any], now: int) -> Status:
    """How one request stands."""
    if row["key"] is None or row["failed"] == NO_COPY or struck(faults, "lose", *names(row)):
        return Status(progress=Progress.FAILED, retry=False, reason=NO_COPY)
    if row["failed"] is not None or struck(faults, "recall", *names(row)):
        return Status(progress=Progress.FAILED, reason=row["failed"] or "the drive could not read")
    if row["ready_at"] is None:
        return Status(progress=Progress.WAITING)
    if row["ready_at"] <= now:
        return Status(progress=Progress.READY, percent=100)
    return Status(progress=Progress.WAITING, percent=100 * (now - row["begun"]) // (row["ready_at"] - row["begun"]))


def whole(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    """All bytes; raises IncompleteBody when the copy ends early."""
    seen = 0
    for chunk in chunks:
        seen += len(chunk)
        yield chunk
    if seen < size:
        raise IncompleteBody(f"The copy ended after {seen} of {size} bytes.")


def truncated(chunks: Iterator[bytes], length: int) -> Iterator[bytes]:
    """The first ``length`` bytes, and a clean end: the worst kind of archive."""
    for chunk in chunks:
        if length <= 0:
            return
        yield chunk[:length]
        length -= len(chunk)


def turned(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """As many bytes, one bit of the first of them another."""
    for number, chunk in enumerate(chunks):
        yield bytes([chunk[0] ^ 1]) + chunk[1:] if number == 0 and chunk else chunk
