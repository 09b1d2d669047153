"""What S3 answers of a version that we know: status, headers and bytes of a GET or HEAD, from its facts alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate

from s3shunt.model import NULL, Facts, ObjectRef
from s3shunt.protocol import conditions, ranges
from s3shunt.protocol.errors import InvalidArgument, InvalidPartNumber, InvalidRequest, NotImplemented, PreconditionFailed
from s3shunt.protocol.headers import fit

Fields = list[tuple[str, str]]

MAX_PART = 10_000
OVERRIDES = {
    f"response-{name}": name
    for name in ("cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires")
}
_KEPT_BY_304 = ("cache-control", "etag", "expires", "last-modified", "vary", "x-amz-version-id")


@dataclass(frozen=True, slots=True)
class Answer:
    """``start`` to ``end`` (exclusive) are the bytes that a GET sends."""

    status: int
    headers: Fields
    start: int = 0
    end: int = 0


def answer(facts: Facts, ref: ObjectRef, headers: Mapping[str, str], parameters: Mapping[str, str]) -> Answer:
    """Conditions first, then part or range. Raises PreconditionFailed, InvalidRange, InvalidPartNumber, InvalidRequest, InvalidArgument."""
    known = described(facts, ref)
    judged = conditions.judge(headers, facts.etag, facts.last_modified)
    if judged == 412:
        raise PreconditionFailed(Condition="If-Match" if "if-match" in headers else "If-Unmodified-Since")
    if judged == 304:
        return Answer(304, [(name, known[name]) for name in _KEPT_BY_304 if name in known])
    known |= _overridden(parameters)
    part = parameters.get("partNumber")
    if part is not None and "range" in headers:
        raise InvalidRequest("Cannot specify both Range header and partNumber query parameter.")
    found = _part(facts, part) if part is not None else _range(facts, headers)
    if found is None and headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
        known |= facts.checksums
    if part is not None and facts.parts:
        known["x-amz-mp-parts-count"] = str(len(facts.parts))
    return _cut(known, facts.size, found)


def _overridden(parameters: Mapping[str, str]) -> dict[str, str]:
    """What the reader wants some headers to say, as it goes on the wire. Raises InvalidArgument for what is not one line."""
    asked = {name: value.encode().decode("latin-1") for name, value in parameters.items() if name in OVERRIDES}
    for name, value in asked.items():
        if not fit(value):
            raise InvalidArgument("Header value cannot be represented using ISO-8859-1.", ArgumentName=name)
    return {OVERRIDES[name]: value for name, value in asked.items()}


def described(facts: Facts, ref: ObjectRef) -> dict[str, str]:
    """All headers that HEAD answers of the whole version, by lower-case name."""
    known = {"accept-ranges": "bytes", **{name.lower(): value for name, value in facts.headers.items()}}
    known |= {
        "content-length": str(facts.size),
        "etag": quoted(facts.etag),
        "last-modified": formatdate(facts.last_modified // 1000, usegmt=True),
    }
    known |= {f"x-amz-meta-{name}": value for name, value in facts.metadata.items()}
    known |= {name.lower(): value for name, value in {**facts.sse, **facts.lock}.items()}
    if facts.tags:
        known["x-amz-tagging-count"] = str(len(facts.tags))
    if ref.version not in (None, NULL):
        known["x-amz-version-id"] = str(ref.version)
    return known


def quoted(etag: str) -> str:
    """An ETag as it stands on the wire."""
    return etag if etag.endswith('"') else f'"{etag}"'


def same(one: str, other: str) -> bool:
    """Whether two ETags, quoted or bare, are the same."""
    return one.strip('"') == other.strip('"')


def _range(facts: Facts, headers: Mapping[str, str]) -> tuple[int, int] | None:
    if not conditions.range_holds(headers, facts.etag, facts.last_modified):
        return None
    return ranges.parse(headers.get("range"), facts.size)


def _part(facts: Facts, number: str) -> tuple[int, int] | None:
    if not (number.isascii() and number.isdigit() and 1 <= int(number[:6]) <= MAX_PART):
        raise InvalidArgument("Part number must be an integer between 1 and 10000, inclusive", ArgumentName="partNumber")
    if not facts.parts and "-" in facts.etag:
        raise NotImplemented("The sizes of this object's parts are not known.")
    index, sizes = int(number) - 1, facts.parts or (facts.size,)
    if index >= len(sizes):
        raise InvalidPartNumber
    start = sum(sizes[:index])
    return (start, start + sizes[index]) if facts.size else None


def _cut(known: dict[str, str], size: int, found: tuple[int, int] | None) -> Answer:
    if found is None:
        return Answer(200, list(known.items()), 0, size)
    start, end = found
    known |= {"content-length": str(end - start), "content-range": ranges.content_range(start, end, size)}
    return Answer(206, list(known.items()), start, end)
