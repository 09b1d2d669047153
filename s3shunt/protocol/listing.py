"""What a client asks of a listing, and the values a listing is made of.

Order is S3's: by the UTF-8 bytes of the key, which is how Python compares
``str`` (code point by code point). A *name* is what takes one place in a page:
a key, or a common prefix.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from s3shunt.protocol.errors import InvalidArgument, S3Error

MAX_KEYS = 1000
MAX_KEY_BYTES = 1024
LAST = "\U0010ffff"
"""No character sorts behind it."""


class Kind(StrEnum):
    """The three listings, by the name of their document's root."""

    V1 = "ListBucketResult"
    V2 = "ListBucketResult2"
    VERSIONS = "ListVersionsResult"

    @property
    def root(self) -> str:
        return self.value.removesuffix("2")


@dataclass(frozen=True, slots=True)
class Restore:
    """RestoreStatus: ``until`` is None while the restore is in progress."""

    until: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One object or version as listed; texts are as on the wire, unescaped.

    ``version`` is None where versions are not listed; ``delete_marker`` has no
    size, ETag or class.
    """

    key: str
    size: str = "0"
    etag: str = ""
    last_modified: str = ""
    storage_class: str = "STANDARD"
    owner: tuple[str, str] | None = None
    version: str | None = None
    latest: bool = False
    delete_marker: bool = False
    checksum_algorithms: tuple[str, ...] = ()
    checksum_type: str = ""
    restore: Restore | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A listing as asked. ``after`` is the position behind which it goes on (of ``after_version`` within that key).

    ``start_after`` and ``token`` are echoed as they came.
    """

    kind: Kind
    prefix: str = ""
    delimiter: str = ""
    limit: int = MAX_KEYS
    after: str = ""
    after_version: str | None = None
    start_after: str | None = None
    token: str | None = None
    encoded: bool = False
    with_owner: bool = True
    with_restore: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """What the client is shown; where it goes on (a key or prefix, and a version), None at the end.

    A ``str`` among the items is a common prefix.
    """

    items: tuple[Item | str, ...] = ()
    next: tuple[str, str | None] | None = None


def asked(parameters: Mapping[str, str], headers: Mapping[str, str]) -> Query:
    """Raises InvalidArgument. The position of a continuation token is the caller's to fill in."""
    attributes = headers.get("x-amz-optional-object-attributes") or ""
    common = {
        "prefix": parameters.get("prefix", ""),
        "delimiter": parameters.get("delimiter", ""),
        "limit": _limit(parameters.get("max-keys", "")),
        "encoded": _encoded(parameters.get("encoding-type")),
        "with_restore": "RestoreStatus" in re.split(r"[\s,]+", attributes),
    }
    if "versions" in parameters:
        key, version = parameters.get("key-marker", ""), parameters.get("version-id-marker") or None
        if version and not key:
            raise _invalid("version-id-marker", version, "A version-id marker cannot be specified without a key marker.")
        return Query(kind=Kind.VERSIONS, after=key, after_version=version, **common)  # type: ignore[arg-type]
    form = parameters.get("list-type") or "1"
    if form == "1":
        return Query(kind=Kind.V1, after=parameters.get("marker", ""), **common)  # type: ignore[arg-type]
    if form != "2":
        raise _invalid("list-type", form, "Invalid List Type specified in Request")
    return Query(
        kind=Kind.V2,
        after=parameters.get("start-after", ""),
        start_after=parameters.get("start-after"),
        token=parameters.get("continuation-token"),
        with_owner=parameters.get("fetch-owner", "").lower() == "true",
        **common,  # type: ignore[arg-type]
    )


def _limit(text: str) -> int:
    if not text:
        return MAX_KEYS
    if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) > 2**31 - 1:
        raise _invalid("max-keys", text, "Argument maxKeys must be an integer between 0 and 2147483647")
    return min(int(text), MAX_KEYS)


def _encoded(text: str | None) -> bool:
    if text not in (None, "url"):
        raise _invalid("encoding-type", text or "", "Invalid Encoding Method specified in Request")
    return text == "url"


def _invalid(name: str, value: str, message: str) -> S3Error:
    return InvalidArgument(message, ArgumentName=name, ArgumentValue=value)


def upstream(query: Query, position: tuple[str, str | None], limit: int) -> list[tuple[str, str]]:
    """The question to the store: from a position of ours, never by a token of its own.

    Always with encoding-type=url: XML cannot hold every key.
    """
    after, version = position
    pairs = {"prefix": query.prefix, "delimiter": query.delimiter}
    if query.kind is Kind.VERSIONS:
        pairs |= {"key-marker": after, "version-id-marker": (version or "") if after else ""}
    else:
        pairs["marker" if query.kind is Kind.V1 else "start-after"] = after
    given = [(name, value) for name, value in pairs.items() if value]
    if query.kind is Kind.V2:
        given = [("list-type", "2"), *given, *([("fetch-owner", "true")] if query.with_owner else [])]
    elif query.kind is Kind.VERSIONS:
        given = [("versions", ""), *given]
    return [*given, ("encoding-type", "url"), ("max-keys", str(limit))]


def name_of(key: str, query: Query) -> str:
    """The name under which a key is listed: itself, or the common prefix it rolls up into."""
    if not query.delimiter or not key.startswith(query.prefix):
        return key
    found = key.find(query.delimiter, len(query.prefix))
    return key if found < 0 else key[: found + len(query.delimiter)]


def is_prefix(name: str, query: Query) -> bool:
    """Whether a listed name is a common prefix: every key that contains the delimiter rolls up."""
    return bool(query.delimiter) and name.endswith(query.delimiter) and len(name) >= len(query.prefix) + len(query.delimiter)


def beyond(prefix: str) -> str:
    """A position behind every legal key that begins so."""
    return prefix + LAST * (MAX_KEY_BYTES // 4)


def before(key: str) -> str:
    """A position with nothing a store may hold between it and ``key`` but keys full of U+10FFFF."""
    last = ord(key[-1]) - 1
    if last <= 0:
        return key[:-1]
    return key[:-1] + chr(0xD7FF if 0xD800 <= last <= 0xDFFF else last) + LAST


def iso(milliseconds: int) -> str:
    """``2012-12-21T00:00:00.000Z``"""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"


def milliseconds(stamp: str) -> int:
    """The other way; 0 for what is no time."""
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        return 0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
