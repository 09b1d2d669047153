"""Listing documents, read from a store and written for a client.

Written by string formatting, byte for byte what lxml would serialise (a test
compares); elements stand in S3's order.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from operator import attrgetter
from typing import Any
from urllib.parse import quote, unquote_plus

from s3shunt.model import NULL
from s3shunt.protocol import xml
from s3shunt.protocol.listing import Item, Kind, Page, Query, Restore, iso, milliseconds

MAX_DOCUMENT = 16 << 20
"""A thousand keys of 1024 bytes, each byte percent-encoded, with room for their facts."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One page of a store's listing, in S3's order; ``next`` is a key marker it named, '' when none.

    ``ordered`` is False when the store itself had another order.
    """

    items: tuple[Item | str, ...]
    truncated: bool
    next: str = ""
    ordered: bool = True


def read(document: bytes, kind: Kind) -> Stored:
    """Raises MalformedXML."""
    root = xml.read(document, kind.root, limit=MAX_DOCUMENT)
    decode: Callable[[str], str] = unquote_plus if xml.value(root, "EncodingType") == "url" else str
    items: list[Item | str] = []
    top: dict[str, str] = {}
    for node in root:
        tag = xml.name(node)
        if tag in ("Contents", "Version", "DeleteMarker"):
            items.append(_item(node, tag, decode))
        elif tag == "CommonPrefixes":
            items.extend(decode(inner.text or "") for inner in xml.children(node, "Prefix"))
        else:
            top[tag] = node.text or ""
    keys = [one.key for one in items if isinstance(one, Item)]
    ordered = all(one <= other for one, other in pairwise(keys))
    items.sort(key=name)  # stable: the versions of a key keep their order
    following = top.get("NextMarker") or top.get("NextKeyMarker") or ""
    return Stored(tuple(items), top.get("IsTruncated", "").strip() == "true", decode(following), ordered)


def name(one: Item | str) -> str:
    """The key of an item, or the common prefix itself."""
    return one if isinstance(one, str) else one.key


def _item(node: Any, tag: str, decode: Callable[[str], str]) -> Item:
    facts = {xml.name(inner): inner for inner in node}
    told = {name: inner.text or "" for name, inner in facts.items()}
    algorithms = xml.children(node, "ChecksumAlgorithm") if "ChecksumAlgorithm" in told else ()
    return Item(
        key=decode(told.get("Key", "")),
        size=told.get("Size", "0"),
        etag=told.get("ETag", ""),
        last_modified=told.get("LastModified", ""),
        storage_class=told.get("StorageClass") or "STANDARD",
        owner=_owner(facts["Owner"]) if "Owner" in facts else None,
        version=None if tag == "Contents" else told.get("VersionId") or NULL,
        latest=told.get("IsLatest") == "true",
        delete_marker=tag == "DeleteMarker",
        checksum_algorithms=tuple(inner.text or "" for inner in algorithms),
        checksum_type=told.get("ChecksumType", ""),
        restore=_restore(facts["RestoreStatus"]) if "RestoreStatus" in facts else None,
    )


def _owner(node: Any) -> tuple[str, str]:
    return xml.value(node, "ID", "") or "", xml.value(node, "DisplayName", "") or ""


def _restore(node: Any) -> Restore | None:
    if xml.value(node, "IsRestoreInProgress") == "true":
        return Restore()
    until = milliseconds(xml.value(node, "RestoreExpiryDate", "") or "")
    return Restore(until) if until else None


def write(query: Query, bucket: str, page: Page, token: str | None = None) -> bytes:
    """The client's document. ``token`` is V2's way to say where to go on."""
    said = _encoded if query.encoded else _text
    head = _heads[query.kind](query, page, token, said)
    begin = [xml.DECLARATION, f'<{query.kind.root} xmlns="{xml.NAMESPACE}">', xml.element("Name", bucket)]
    begin += [f"<{tag}>{value}</{tag}>" if value else f"<{tag}/>" for tag, value in head if value is not None]
    items = [one for one in page.items if type(one) is Item]
    prefixes = [one for one in page.items if type(one) is str] if len(items) < len(page.items) else ()
    if query.encoded:
        items = [replace(one, key=_encoded(one.key)) for one in items]
    end = [f"<CommonPrefixes><Prefix>{said(one)}</Prefix></CommonPrefixes>" for one in prefixes]
    end.append(f"</{query.kind.root}>")
    if query.kind is Kind.VERSIONS:
        return "".join([*begin, *[_version(_escaped(one), query) for one in items], *end]).encode()
    return _objects(items, query, "".join(begin), "".join(end))


_MARKS = bytes([*range(32), *b"<>&\x7f"])
"""What has to be written otherwise, but for an element's own."""


def _marks(written: bytes) -> int:
    return len(written) - len(written.translate(None, _MARKS))


def _escaped(one: Item) -> Item:
    texts = {field: _text(getattr(one, field)) for field in ("key", "size", "etag", "last_modified", "storage_class")}
    return replace(one, version=one.version and _text(one.version), **texts)  # type: ignore[arg-type]


_text = xml.text


def _encoded(value: str) -> str:
    return quote(value, safe="/")


Head = Iterator[tuple[str, str | None]]
Said = Callable[[str], str]


def _head_v1(query: Query, page: Page, _token: str | None, said: Said) -> Head:
    yield "Prefix", said(query.prefix)
    yield "Marker", said(query.after)
    if page.next and (query.delimiter or not page.items or page.next[0] != name(page.items[-1])):
        yield "NextMarker", said(page.next[0])
    yield from _tail(query, page, said)


def _head_v2(query: Query, page: Page, token: str | None, said: Said) -> Head:
    yield "Prefix", said(query.prefix)
    yield "NextContinuationToken", token
    yield "ContinuationToken", query.token
    yield "StartAfter", None if query.start_after is None else said(query.start_after)
    yield "KeyCount", str(len(page.items))
    yield from _tail(query, page, said)


def _head_versions(query: Query, page: Page, _token: str | None, said: Said) -> Head:
    yield "Prefix", said(query.prefix)
    yield "KeyMarker", said(query.after)
    yield "VersionIdMarker", _text(query.after_version or "")
    if page.next:
        yield "NextKeyMarker", said(page.next[0])
        yield "NextVersionIdMarker", page.next[1] and _text(page.next[1])
    yield from _tail(query, page, said)


def _tail(query: Query, page: Page, said: Said) -> Head:
    yield "MaxKeys", str(query.limit)
    yield "Delimiter", said(query.delimiter) or None
    yield "EncodingType", "url" if query.encoded else None
    yield "IsTruncated", "true" if page.next else "false"


_heads: dict[Kind, Callable[[Query, Page, str | None, Said], Head]] = {
    Kind.V1: _head_v1, Kind.V2: _head_v2, Kind.VERSIONS: _head_versions,
}  # fmt: skip


_FACTS = attrgetter("key", "last_modified", "etag", "size", "storage_class")
_OWN = _marks(b"<Contents><Key></Key><LastModified></LastModified><ETag></ETag><Size></Size><StorageClass></StorageClass></Contents>")
"""Marks that an object's own elements bring along."""


def _objects(items: list[Item], query: Query, begin: str, end: str) -> bytes:
    """Most pages need no escaping. One look at the whole says so: it has no mark but those of its elements."""
    sums = [_more(one) if one.checksum_algorithms else "" for one in items]
    ends = [_ending(one, query) for one in items] if query.with_owner or query.with_restore else [""] * len(items)
    known = len(items) * _OWN + _marks("".join([begin, end, *sums, *ends]).encode())
    text = "".join([begin, *_contents(items, sums, ends), end])
    if text.isascii() and _marks(written := text.encode()) == known:
        return written
    return "".join([begin, *_contents([_escaped(one) for one in items], sums, ends), end]).encode()


def _contents(items: list[Item], sums: list[str], ends: list[str]) -> list[str]:
    return [
        f"<Contents><Key>{key}</Key><LastModified>{modified}</LastModified><ETag>{etag}</ETag>{checksum}"
        f"<Size>{size}</Size><StorageClass>{storage_class}</StorageClass>{end}</Contents>"
        for (key, modified, etag, size, storage_class), checksum, end in zip(map(_FACTS, items), sums, ends, strict=True)
    ]  # fmt: skip


def _ending(one: Item, query: Query) -> str:
    owned = _owned(one.owner) if one.owner and query.with_owner else ""
    return f"{owned}{_restored(one.restore)}" if one.restore and query.with_restore else owned


def _version(one: Item, query: Query) -> str:
    named = f"<Key>{one.key}</Key><VersionId>{one.version}</VersionId><IsLatest>{'true' if one.latest else 'false'}</IsLatest>"
    dated = f"{named}<LastModified>{one.last_modified}</LastModified>"
    owned = _owned(one.owner) if one.owner else ""
    if one.delete_marker:
        return f"<DeleteMarker>{dated}{owned}</DeleteMarker>"
    return (
        f"<Version>{dated}<ETag>{one.etag}</ETag>{_more(one) if one.checksum_algorithms else ''}<Size>{one.size}</Size>"
        f"<StorageClass>{one.storage_class}</StorageClass>{owned}"
        f"{_restored(one.restore) if one.restore and query.with_restore else ''}</Version>"
    )


def _more(one: Item) -> str:
    kind = xml.element("ChecksumType", one.checksum_type) if one.checksum_type else ""
    return "".join(xml.element("ChecksumAlgorithm", each) for each in one.checksum_algorithms) + kind


@lru_cache(maxsize=1024)
def _owned(owner: tuple[str, str]) -> str:
    return f"<Owner>{xml.element('ID', owner[0])}{xml.element('DisplayName', owner[1])}</Owner>"


def _restored(restore: Restore) -> str:
    if restore.until is None:
        return "<RestoreStatus><IsRestoreInProgress>true</IsRestoreInProgress></RestoreStatus>"
    date = f"<RestoreExpiryDate>{iso(restore.until)}</RestoreExpiryDate>"
    return f"<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress>{date}</RestoreStatus>"
