"""From the store's answers to ``Facts``."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from s3shunt.model import NULL, Facts
from s3shunt.protocol.headers import from_store

# What says nothing of the version itself, or has a field of its own in ``Facts``.
_NOT_THE_VERSIONS = frozenset({
    "accept-ranges", "allow", "content-length", "content-range", "etag", "last-modified", "location", "retry-after", "vary",
    "x-amz-checksum-type", "x-amz-delete-marker", "x-amz-expiration", "x-amz-missing-meta", "x-amz-mp-parts-count",
    "x-amz-replication-status", "x-amz-request-charged", "x-amz-restore", "x-amz-storage-class", "x-amz-tagging-count",
    "x-amz-version-id",
})  # fmt: skip
_PREFIXES = ("access-control-", "x-amz-meta-", "x-amz-checksum-", "x-amz-object-lock-", "x-amz-server-side-encryption")


def facts(headers: Mapping[str, str]) -> Facts:
    """``headers`` by lower-case name, values as on the wire. Two answers for one version give equal facts."""
    version = headers.get("x-amz-version-id", NULL)
    told = [(name.lower(), value) for name, value in from_store(headers.items())]
    own = {n: v for n, v in told if n not in _NOT_THE_VERSIONS and not n.startswith(_PREFIXES)}
    checksums = {n: v for n, v in headers.items() if n.startswith("x-amz-checksum-")}
    return Facts(
        size=int(headers.get("content-length", "0")),
        etag=headers.get("etag", ""),
        last_modified=milliseconds(headers.get("last-modified", "")),
        stamp="" if version == NULL else version,
        headers=own,
        metadata={n.removeprefix("x-amz-meta-"): v for n, v in headers.items() if n.startswith("x-amz-meta-")},
        checksums=checksums,
        lock={n: v for n, v in headers.items() if n.startswith("x-amz-object-lock-")},
        sse={n: v for n, v in headers.items() if n.startswith("x-amz-server-side-encryption")},
    )


def milliseconds(date: str) -> int:
    """An HTTP date; 0 where there is none that can be read."""
    try:
        return int(parsedate_to_datetime(date).timestamp()) * 1000
    except ValueError:
        return 0


def part_count(etag: str) -> int:
    """How many parts a multipart object's ETag tells of; 0 for another."""
    digest, dash, count = etag.strip('"').rpartition("-")
    return int(count) if dash and len(digest) == 32 and count.isdecimal() else 0


def listed(item: Mapping[str, Any]) -> Facts:
    """One row of a listing."""
    return Facts(size=item["Size"], etag=item.get("ETag", ""), last_modified=int(item["LastModified"].timestamp() * 1000))
