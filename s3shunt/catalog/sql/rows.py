"""A row becomes a noun of the model, and the other way about. What has a shape of its own is JSON in ASCII."""

import json
from collections.abc import Mapping
from typing import Any

from s3shunt.model import (
    NULL,
    Bucket,
    Entry,
    Event,
    Facts,
    Intent,
    Job,
    JobState,
    ObjectRef,
    Place,
    Recall,
    RecallState,
    State,
    Upload,
)  # fmt: skip
from s3shunt.policy import media, notation
from s3shunt.policy.claims import Claim

Row = Any
Values = dict[str, Any]

_ENTRY = (
    "revision", "generation", "token", "lease", "writers", "storage_class", "store", "archive", "archive_id", "copies",
    "restored_until", "due", "media_kind", "pinned",
)  # fmt: skip
_FACTS = ("size", "etag", "last_modified", "stamp", "acl", "owner")
_FACTS_JSON = ("headers", "metadata", "checksums", "parts", "tags", "lock", "sse")
_RECALL = ("id", "generation", "archive", "archive_id", "tier", "request_id", "tape", "position", "attempts", "created", "due")
_INTENT = ("id", "operation", "started", "lease", "generation", "storage_class", "external_id")
_UPLOAD = ("id", "storage_class", "external_id", "checksum_type", "created")
_JOB = ("kind", "due", "lease", "owner", "token", "attempts")


_encoded = json.JSONEncoder(separators=(",", ":")).encode


def dump(value: Any) -> str:
    return _encoded(value if type(value) is dict or not isinstance(value, Mapping) else dict(value))


def said(reason: str) -> str:
    """A text of whatever origin as both databases can keep it."""
    return reason.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def key_bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")


def name(ref: ObjectRef) -> Values:
    """The columns that name one version; ``versioned`` keeps whether its ref said so."""
    return pk(ref) | {"versioned": int(ref.version is not None)}


def pk(ref: ObjectRef) -> Values:
    return {"account": ref.account, "bucket": ref.bucket, "key": key_bytes(ref.key), "version": ref.version or NULL}


def ref(row: Row) -> ObjectRef:
    key = bytes(row.key).decode("utf-8", "surrogateescape")
    return ObjectRef(row.bucket, key, row.version if row.versioned else None, row.account)


def entry_values(entry: Entry) -> Values:
    facts = entry.facts
    values = name(entry.ref) | {column: getattr(entry, column) for column in _ENTRY} | place_values(entry.place)
    values |= {column: getattr(facts, column, None) for column in _FACTS}
    values |= {column: dump(getattr(facts, column)) if facts else None for column in _FACTS_JSON}
    return values | {
        "current": int(entry.current),
        "state": entry.state.value,
        "interests": dump(notation.interests_written(entry.interests)),
        "media": dump(entry.media),
        "media_codec": entry.media.get("codec"),
        "media_container": entry.media.get("container"),
        "media_duration": media.duration(entry),
        "unprobed": int(media.unprobed(entry)),
        "external_id": None if entry.external_id is None else said(entry.external_id),
        "reason": said(entry.reason),
    }


def claim_values(claim: Claim) -> Values:
    return {
        "account": claim.account, "external_id": said(claim.external_id), "bucket": claim.bucket, "key": key_bytes(claim.key),
    }  # fmt: skip


def entry(row: Row) -> Entry:
    return Entry(
        ref=ref(row),
        state=State(row.state),
        facts=facts(row),
        current=bool(row.current),
        place=place(row),
        interests=notation.interests_read(json.loads(row.interests)),
        media=json.loads(row.media),
        external_id=row.external_id,
        reason=row.reason,
        **{column: getattr(row, column) for column in _ENTRY},
    )


def facts(row: Row) -> Facts | None:
    if row.size is None:
        return None
    shaped = {column: json.loads(getattr(row, column)) for column in _FACTS_JSON}
    return Facts(**{column: getattr(row, column) for column in _FACTS}, **(shaped | {"parts": tuple(shaped["parts"])}))


def place_values(place: Place | None) -> Values:
    if place is None:
        return {"place_store": None, "place_name": None, "place_etag": None}
    return {"place_store": place.store, "place_name": place.name, "place_etag": place.etag}


def place(row: Row) -> Place | None:
    return Place(row.place_store, row.place_name, row.place_etag or "") if row.place_store is not None else None


def recall_values(recall: Recall) -> Values:
    plain = {column: getattr(recall, column) for column in _RECALL}
    state = {"active": int(recall.active), "state": recall.state.value, "reason": said(recall.reason)}
    return name(recall.ref) | plain | place_values(recall.place) | state


def recall(row: Row) -> Recall:
    plain = {column: getattr(row, column) for column in _RECALL}
    return Recall(ref=ref(row), state=RecallState(row.state), place=place(row), reason=row.reason, **plain)


def intent_values(intent: Intent) -> Values:
    before = None if intent.before is None else dump(notation.entry_written(intent.before))
    return name(intent.ref) | {column: getattr(intent, column) for column in _INTENT} | {"before": before}


def intent(row: Row) -> Intent:
    before = None if row.before is None else notation.entry_read(json.loads(row.before))
    return Intent(ref=ref(row), before=before, **{column: getattr(row, column) for column in _INTENT})


def upload_values(upload: Upload) -> Values:
    return name(upload.ref) | {column: getattr(upload, column) for column in _UPLOAD}


def upload(row: Row) -> Upload:
    return Upload(ref=ref(row), **{column: getattr(row, column) for column in _UPLOAD})


def bucket(row: Row) -> Bucket:
    return Bucket(
        name=row.name, account=row.account, owner=row.owner, plain=bool(row.plain), versioned=bool(row.versioned), generation=row.generation
    )


def job_values(job: Job) -> Values:
    plain = {column: getattr(job, column) for column in _JOB}
    plain["dedupe"] = key_bytes(job.dedupe)
    return plain | {"payload": dump(job.payload), "state": job.state.value, "reason": said(job.reason)}


def job(row: Row) -> Job:
    plain = {column: getattr(row, column) for column in _JOB}
    dedupe = bytes(row.dedupe).decode("utf-8", "surrogateescape")
    return Job(id=row.id, dedupe=dedupe, payload=json.loads(row.payload), state=JobState(row.state), reason=row.reason, **plain)


def event_values(event: Event) -> Values:
    return name(event.ref) | {"name": event.name, "at": event.at, "detail": dump(event.detail)}


def event(row: Row) -> Event:
    return Event(name=row.name, ref=ref(row), at=row.at, detail=json.loads(row.detail))
