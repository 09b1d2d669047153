"""Entries as files: JSON lines and CSV, written and read back equal."""

import csv
import json
import mimetypes
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from hashlib import file_digest, md5
from pathlib import Path
from typing import IO, Any

from s3shunt.config import ConfigError
from s3shunt.model import Entry, Facts, ObjectRef, State
from s3shunt.policy import notation
from s3shunt.ports import Truth

COLUMNS = (
    "account", "bucket", "key", "version", "state", "size", "etag", "last_modified", "storage_class", "store", "archive", "archive_id",
    "copies", "external_id", "restored_until", "due", "entry",
)  # fmt: skip
"""Of a CSV file. ``entry`` holds the whole row; the others are for people and for files that others wrote."""

PAGE = 1000


def row(entry: Entry) -> dict[str, Any]:
    """What of an entry stands in a table."""
    facts = entry.facts
    return {
        "account": entry.ref.account,
        "bucket": entry.ref.bucket,
        "key": entry.ref.key,
        "version": entry.ref.version,
        "state": entry.state.value,
        "size": facts.size if facts else None,
        "etag": facts.etag if facts else None,
        "last_modified": facts.last_modified if facts else None,
        "storage_class": entry.storage_class,
        "store": entry.store,
        "archive": entry.archive,
        "archive_id": entry.archive_id,
        "copies": entry.copies,
        "external_id": entry.external_id,
        "restored_until": entry.restored_until,
        "due": entry.due,
    }


def dump(found: Iterable[Entry], file: IO[str], form: str) -> int:
    """Write entries as ``jsonl`` or ``csv``; how many."""
    count = 0
    table = csv.DictWriter(file, COLUMNS)
    if form == "csv":
        table.writeheader()
    for count, entry in enumerate(found, 1):  # noqa: B007  # the last number is the answer
        whole = json.dumps(notation.entry_written(entry), separators=(",", ":"))
        if form == "csv":
            table.writerow(row(entry) | {"entry": whole})
        else:
            file.write(whole + "\n")
    return count


def load(file: IO[str], form: str) -> Iterator[Entry]:
    """Read what ``dump`` wrote; a CSV without the ``entry`` column needs bucket, key, archive and archive_id."""
    lines: Iterable[Any] = csv.DictReader(file) if form == "csv" else file
    for number, line in enumerate(lines, 2 if form == "csv" else 1):
        try:
            yield read(line)
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{file.name}:{number}: {type(error).__name__}: {error}: expected an entry") from None


def read(line: str | Mapping[str, str]) -> Entry:
    """A line of JSON, or a row of CSV. Raises ValueError, KeyError, TypeError, AttributeError."""
    if isinstance(line, str):
        return notation.entry_read(json.loads(line))
    if line.get("entry"):
        return notation.entry_read(json.loads(line["entry"]))
    return _foreign(line)


def _foreign(line: Mapping[str, str]) -> Entry:
    """A line that another system wrote: an object that is in an archive and nowhere else."""
    ref = ObjectRef(line["bucket"], line["key"], line.get("version") or "null", line.get("account") or "")
    facts = Facts(size=int(line["size"]), etag=line.get("etag") or "", last_modified=int(line.get("last_modified") or 0))
    return Entry(
        ref=ref, facts=facts, state=State(line.get("state") or "archived"), storage_class=line.get("storage_class") or "GLACIER",
        store=line.get("store") or "main", archive=line["archive"], archive_id=line["archive_id"], copies=int(line.get("copies") or 1),
        external_id=line.get("external_id") or None,
    )  # fmt: skip


def every(truth: Truth) -> Iterator[Entry]:
    """All rows of the catalog, in key order, a page at a time."""
    after: Entry | None = None
    while page := truth.select(after=after, limit=PAGE):
        yield from page
        after = page[-1]


def of_file(root: Path, way: Sequence[str], bucket: str, account: str, archive: str) -> Entry:
    """A file below a folder as an object that the archive of that folder holds, by its path."""
    path, key = root.joinpath(*way), "/".join(way)
    with path.open("rb") as file:
        digest = file_digest(file, partial(md5, usedforsecurity=False)).hexdigest()
        stat = os.fstat(file.fileno())
    headers = {"content-type": mimetypes.guess_type(path.name)[0] or "binary/octet-stream"}
    facts = Facts(size=stat.st_size, etag=f'"{digest}"', last_modified=stat.st_mtime_ns // 1_000_000, headers=headers)
    ref = ObjectRef(bucket, key, "null", account)
    return Entry(ref=ref, facts=facts, state=State.ARCHIVED, storage_class="GLACIER", archive=archive, archive_id=key, copies=1)
