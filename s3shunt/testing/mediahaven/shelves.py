"""The stand-in's records: what the site's own flow ingested, how it is told, and how it is searched."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from hashlib import md5, sha256
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from s3shunt.testing.mediahaven.knobs import Knobs

_CLAUSE = re.compile(r'\s*([+-])\(([A-Za-z0-9_]+):(?:"((?:[^"\\]|\\.)*)"|([A-Za-z0-9_.-]+))\)', re.DOTALL)


class BadQuery(ValueError):
    """Refused with 400."""


@dataclass
class Held:
    id: str
    fields: dict[str, str]
    body: bytes = field(repr=False)
    external_id: str = ""
    mime: str = "application/mxf"
    status: str = "on_tape"
    tape: str = "T00001"
    archived: int = 0
    fragment: bool = False
    exportable: bool = True
    type: str = "video"
    told: dict[str, Any] = field(default_factory=dict)  # overrides of what Technical says

    @property
    def names(self) -> tuple[str, str]:
        return self.id, f"{self.fields.get('s3_bucket', '')}/{self.fields.get('s3_object_key', '')}"

    @cached_property
    def md5(self) -> str:
        return md5(self.body).hexdigest()

    def __getstate__(self) -> dict[str, Any]:
        """Without the bytes, which are kept beside."""
        return {**vars(self), "body": b""}


class Shelves:
    def __init__(self) -> None:
        self.held: dict[str, Held] = {}

    def ingest(self, bucket: str, key: str, body: bytes, *, now: int, domain: str = "example", tag: str = "", **more: Any) -> Held:
        """One more record; the same name again makes a second one. ``tag``: the same tag is the same record."""
        known = next((one for one in self.held.values() if tag and one.fields.get("s3shunt_tag") == tag), None)
        if known is not None:
            return known
        digest = sha256(f"{len(self.held)} {tag} {bucket} {key}".encode("utf-8", "surrogateescape")).hexdigest()
        fields = {"s3_bucket": bucket, "s3_object_key": key, "s3_domain": domain, "md5_viaa": md5(body).hexdigest()}
        fields |= {"s3shunt_tag": tag} if tag else {}
        made = Held(id=digest, fields=fields, body=body, archived=now + len(self.held), **more)
        self.held[made.id] = made
        return made

    def search(self, query: str, knobs: Knobs) -> list[Held]:
        """Raises BadQuery for what an index would choke on."""
        clauses = list(parsed(query))
        return [one for one in self.held.values() if all(_matches(one, *clause, loose=knobs.loose) for clause in clauses)]


def value_of(raw_query: str, name: str, *, strict: bool) -> str:
    """One value of a query string as sent; strict as MediaHaven's front is with '+'."""
    raw = next((part.partition("=")[2] for part in raw_query.split("&") if part.partition("=")[0] == name), "")
    if strict and "+" in raw:
        raise BadQuery("'+' is no space")
    try:
        return unquote_to_bytes(raw if strict else raw.replace("+", " ")).decode()
    except UnicodeDecodeError:
        raise BadQuery("not UTF-8") from None


def parsed(query: str) -> Iterator[tuple[bool, str, str]]:
    """(wanted, field, value) for each clause."""
    at = 0
    while query[at:].strip(" "):
        found = _CLAUSE.match(query, at)
        if found is None:
            raise BadQuery(f"cannot be parsed from {at} on")
        value = re.sub(r"\\(.)", r"\1", found[3], flags=re.DOTALL) if found[3] is not None else found[4]
        yield found[1] == "+", found[2], value
        at = found.end()


def _matches(one: Held, wanted: bool, name: str, value: str, *, loose: bool) -> bool:
    own = {**one.fields, "ExternalId": one.external_id, "Type": one.type}.get(name)
    same = own is not None and (own == value or (loose and name != "Type" and value.lower() in own.lower()))
    return same is wanted


def id_of(segment: str) -> str:
    return unquote(segment)


# How a record is told


def told(one: Held, knobs: Knobs, *, whole: bool, flat: bool) -> dict[str, Any]:
    shown = knobs.properties == "told" or (knobs.properties == "not in results" and whole)
    return _flat(one, knobs, shown=shown) if flat else _sections(one, knobs, shown=shown)


def _flat(one: Held, knobs: Knobs, *, shown: bool) -> dict[str, Any]:
    facts = {
        "mediaObjectId": one.id[:32], "fragmentId": one.id, "externalId": one.external_id, "type": one.type.capitalize(),
        "status": "FINISHED", "originalStatus": "completed", "archiveStatus": one.status, "exportable": one.exportable,
    }  # fmt: skip
    if knobs.dates:
        facts["archiveDate"] = _date(one.archived)
    if shown:
        facts["mdProperties"] = [{"attribute": name, "value": _nested(name, value, knobs)} for name, value in one.fields.items()]
    return facts


def _sections(one: Held, knobs: Knobs, *, shown: bool) -> dict[str, Any]:
    technical = {"FileSize": len(one.body), "Md5": one.md5, "MimeType": one.mime} | one.told
    facts: dict[str, Any] = {
        "Internal": {
            "RecordId": one.id, "MediaObjectId": one.id[:32], "FragmentId": one.id, "ArchiveStatus": one.status, "IsFragment": one.fragment,
        },
        "Technical": {name: value for name, value in technical.items() if value is not None},
        "Administrative": {"ExternalId": one.external_id, **({"ArchiveDate": _date(one.archived)} if knobs.dates else {})},
        "Context": {"IsExportable": one.exportable},
    }  # fmt: skip
    if shown:
        facts["Dynamic"] = {name: _nested(name, value, knobs) for name, value in one.fields.items()}
    return facts


def _nested(name: str, value: str, knobs: Knobs) -> Any:
    return [[{"value": value, "attribute": name, "dottedKey": None}]] if knobs.nested else value


def _date(moment: int) -> str:
    return f"{datetime.fromtimestamp(moment / 1000, UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def page(rows: list[Any], start: int, count: int, knobs: Knobs) -> Mapping[str, Any]:
    """The envelope of version 2."""
    shown = rows[start : start + min(count, knobs.page)]
    return {"NrOfResults": len(shown), "TotalNrOfResults": len(rows), "StartIndex": start, "Results": shown}


def document(given: bytes) -> dict[str, Any]:
    try:
        read = json.loads(given or b"{}")
    except ValueError:
        raise BadQuery("not JSON") from None
    if not isinstance(read, dict):
        raise BadQuery("expected an object")
    return read
