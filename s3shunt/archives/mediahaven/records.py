"""What MediaHaven says of an object, whichever of its three shapes it says it in. Pure.

v2 and ``application/vnd.mediahaven.v2+json`` give sections (``Internal``,
``Technical``, ``Administrative``, ``Dynamic``); v1's plain JSON is flat, with its
dynamic fields in ``mdProperties``. Sections and fields may be missing, values
may be nested lists: what is not said is empty here, and never guessed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from s3shunt.model import Facts

PROPERTIES = ("MdProperties", "mdProperties")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """``fields`` are the dynamic ones, each with all of its values; ``archived`` is 0 where no date is told."""

    id: str
    size: int | None = None
    md5: str = ""
    mime: str = ""
    status: str = ""
    type: str = ""
    external_id: str = ""
    archived: int = 0
    fragment: bool = False
    exportable: bool = True
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def says(self, wanted: Mapping[str, str]) -> bool | None:
        """Whether its own fields are these; None when one of them is not told."""
        if any(name not in self.fields for name in wanted):
            return None
        return all(value in self.fields[name] for name, value in wanted.items())


def results(payload: Any) -> tuple[list[Record], int]:
    """The records of one page, and how many there are on all pages."""
    told = payload if isinstance(payload, Mapping) else {}
    rows = _first(told, "Results", "MediaDataList", "mediaDataList") or []
    total = _first(told, "TotalNrOfResults", "totalNrOfResults")
    found = [one for row in rows if isinstance(row, Mapping) and (one := record(row)).id]
    return found, total if isinstance(total, int) else len(found)


def count(payload: Any) -> int:
    """How many rows one page has, whatever they are."""
    told = payload if isinstance(payload, Mapping) else {}
    return len(_first(told, "Results", "MediaDataList", "mediaDataList") or [])


def record(told: Mapping[str, Any]) -> Record:
    sections = [_section(told, name) for name in ("Internal", "Technical", "Administrative", "Context")]
    flat = {**told, **{name: value for section in sections for name, value in section.items()}}
    fields = dict(_fields(told))
    external = _first(flat, "ExternalId", "externalId")
    return Record(
        id=_text(_first(flat, "FragmentId", "fragmentId", "RecordId", "MediaObjectId", "mediaObjectId")),
        size=_number(_first(flat, "FileSize", "fileSize")),
        md5=(_text(_first(flat, "Md5", "md5")) or (fields.get("md5_viaa") or fields.get("md5") or ("",))[0]).lower(),
        mime=_text(_first(flat, "MimeType", "mimeType")),
        status=_text(_first(flat, "ArchiveStatus", "archiveStatus")).lower(),
        type=_text(_first(flat, "Type", "type")),
        external_id=_text(external),
        archived=_milliseconds(_text(_first(flat, "ArchiveDate", "archiveDate", "LastModifiedDate", "lastModifiedDate"))),
        fragment=_first(flat, "IsFragment", "isFragment") is True,
        exportable=_first(flat, "IsExportable", "exportable") is not False,
        fields=fields,
    )


def facts(found: Record) -> Facts | None:
    """Enough to answer HEAD for an object that only MediaHaven knows; None where its date or MD5 is not told."""
    if not found.md5 or not found.archived or found.size is None:
        return None
    headers = {"content-type": found.mime} if found.mime else {}
    return Facts(size=found.size, etag=f'"{found.md5}"', last_modified=found.archived, headers=headers)


def newest(found: Sequence[Record]) -> Record | None:
    """One of several records for one name: the one archived last, of equals the first by id; None where it cannot be told."""
    last = max((one.archived for one in found), default=0)
    latest = sorted((one for one in found if one.archived == last), key=lambda one: one.id)
    if len({(one.size, one.md5) for one in latest}) > 1:
        return None
    return latest[0] if latest else None


def _fields(told: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name in PROPERTIES:
        for one in told.get(name) or ():
            if isinstance(one, Mapping) and one.get("attribute"):
                yield str(one["attribute"]), tuple(_leaves(one.get("value")))
    for name, value in _section(told, "Dynamic").items():
        yield name, tuple(_leaves(value))


def _leaves(value: Any) -> Iterator[str]:
    """Every text in a value, however deep it was nested."""
    if isinstance(value, Mapping):
        value = [value["value"]] if "value" in value else list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    elif value is not None:
        yield str(value)


def _section(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = told.get(name)
    return found if isinstance(found, Mapping) else {}


def _first(told: Mapping[str, Any], *names: str) -> Any:
    return next((told[name] for name in names if told.get(name) is not None), None)


def _text(value: Any) -> str:
    return str(value) if isinstance(value, (str, int)) else ""


def _number(value: Any) -> int | None:
    """A size; a text that is no number is none."""
    return int(value) if isinstance(value, (int, str)) and str(value).isdecimal() else None


def _milliseconds(date: str) -> int:
    try:
        return int(datetime.fromisoformat(date).timestamp() * 1000)
    except ValueError:
        return 0
