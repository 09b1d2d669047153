"""What people may read of a key in Redis: a hash of plain texts, under a name that is its key's alone. Nobody here reads it."""

from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import quote

from s3shunt.model import NULL, Entry, ObjectRef
from s3shunt.policy import restore

PREFIX = "s3shunt:view:"
ABSENT = "absent"
"""The state of a key that no entry tells of: deleted, or online and nothing more to say of it."""


def label(ref: ObjectRef) -> str:
    """``s3shunt:view:bucket/key``, or ``s3shunt:view:account:bucket/key``; what is not a plain character is percent-encoded.

    No two keys share a name: behind the prefix there is no colon but the one, and no slash before the one behind the bucket.
    """
    account = f"{_plain(ref.account)}:" if ref.account else ""
    return f"{PREFIX}{account}{_plain(ref.bucket)}/{_plain(ref.key, safe='/')}"


def fields(entry: Entry | None, now: int) -> dict[str, str]:
    """By what an operator would ask first; what is not known is left out."""
    if entry is None:
        return {"state": ABSENT, "updated": _date(now)}
    facts = entry.facts
    said = {
        "state": entry.state.value,
        "class": entry.storage_class,
        "version": entry.ref.version if entry.ref.version != NULL else None,
        "size": facts.size if facts else None,
        "etag": facts.etag.strip('"') if facts else None,
        "modified": _date(facts.last_modified) if facts else None,
        "store": entry.store,
        "archive": entry.archive,
        "archive_id": entry.archive_id,
        "copies": entry.copies or None,
        "external_id": entry.external_id,
        "kind": entry.media_kind,
        **{name: entry.media[name] for name in ("codec", "container", "duration", "timecode") if name in entry.media},
        "restore": _restore(entry, now),
        "expires": _date(entry.restored_until) if entry.restored_until else None,
        "wanted_by": len(entry.interests) or None,
        "due": _date(entry.due) if entry.due else None,
        "writers": entry.writers or None,
        "pinned": _date(entry.pinned) if entry.pinned else None,
        "reason": entry.reason or None,
        "updated": _date(now),
    }
    return {name: str(value) for name, value in said.items() if value is not None}


def latest(rows: Iterable[tuple[int, Entry | ObjectRef]]) -> list[tuple[int, ObjectRef, Entry | ObjectRef]]:
    """Of an outbox the last change of each key, with its number."""
    found: dict[str, tuple[int, ObjectRef, Entry | ObjectRef]] = {}
    for number, what in sorted(rows, key=lambda row: row[0]):
        ref = what.ref if isinstance(what, Entry) else what
        found[label(ref)] = (number, ref, what)
    return list(found.values())


def _restore(entry: Entry, now: int) -> str | None:
    """What a HEAD says of it; short, as Redis keeps the order of short values only."""
    standing = restore.standing(entry, now)
    if standing is None:
        return None
    return "in progress" if standing.until is None else "readable"


def _date(moment: int) -> str:
    """Milliseconds as ISO 8601, or as they are where no calendar goes so far."""
    try:
        return datetime.fromtimestamp(moment // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return str(moment)


def _plain(text: str, safe: str = "") -> str:
    return quote(text.encode("utf-8", "surrogateescape"), safe=safe)
