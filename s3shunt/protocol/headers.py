"""Which headers go on to the store, and which come back from it: two allow-lists.

What is not named here stays behind, so no header of ours, of a host pipeline or
of a store's own dialect ever crosses by accident.
"""

import re
from collections.abc import Iterable

from s3shunt.protocol.errors import InvalidArgument, NotImplemented
from s3shunt.protocol.names import Known

Fields = list[tuple[str, str]]

_TO_STORE = frozenset({
    "cache-control", "content-disposition", "content-encoding", "content-language", "content-md5", "content-type", "expires",
    "if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "origin", "range",
    "x-amz-acl", "x-amz-bucket-object-lock-enabled", "x-amz-bypass-governance-retention", "x-amz-checksum-algorithm",
    "x-amz-checksum-mode", "x-amz-checksum-type", "x-amz-confirm-remove-self-bucket-access",
    "x-amz-copy-source-if-match", "x-amz-copy-source-if-modified-since", "x-amz-copy-source-if-none-match",
    "x-amz-copy-source-if-unmodified-since", "x-amz-copy-source-range", "x-amz-if-match-last-modified-time",
    "x-amz-if-match-size", "x-amz-max-parts", "x-amz-metadata-directive", "x-amz-mfa", "x-amz-mp-object-size",
    "x-amz-object-attributes", "x-amz-object-ownership", "x-amz-optional-object-attributes", "x-amz-part-number-marker",
    "x-amz-request-payer", "x-amz-sdk-checksum-algorithm", "x-amz-storage-class", "x-amz-tagging", "x-amz-tagging-directive",
    "x-amz-transition-default-minimum-object-size", "x-amz-website-redirect-location",
})  # fmt: skip
_TO_STORE_PREFIXES = (
    "x-amz-meta-", "x-amz-grant-", "x-amz-object-lock-", "x-amz-server-side-encryption",
    "x-amz-copy-source-server-side-encryption-customer-",
)  # fmt: skip

CHECKSUMS = ("crc32", "crc32c", "crc64nvme", "sha1", "sha256")
"""The algorithms of ``x-amz-checksum-*``."""

_CHECKSUM_HEADERS = frozenset(f"x-amz-checksum-{name}" for name in CHECKSUMS)

ARCHIVE_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Classes that are ours: remembered in the catalog, never sent to a store."""

_REFUSED = frozenset({"x-amz-write-offset-bytes", "x-amz-rename-source", "x-amz-object-if-match"})
"""Left out, these would make the request mean something else."""

_FROM_STORE = frozenset({
    "accept-ranges", "allow", "cache-control", "content-disposition", "content-encoding", "content-language", "content-length",
    "content-range", "content-type", "etag", "expires", "last-modified", "location", "retry-after", "vary",
})  # fmt: skip
_FROM_STORE_PREFIXES = ("x-amz-", "access-control-")
_STORES_OWN = frozenset({"x-amz-request-id", "x-amz-id-2", "x-amz-cf-id", "x-amz-security-token"})

_UNFIT = re.compile("[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")


def fit(value: str) -> bool:
    """Whether a value can stand on one header line."""
    return _UNFIT.search(value) is None


def to_store(fields: Iterable[tuple[str, str]]) -> Fields:
    """The client's headers that the store shall see, by lower-case name.

    ``x-amz-storage-class`` GLACIER and DEEP_ARCHIVE stay here, as does
    ``aws-chunked``, whose framing was taken off. Authorization, dates, hashes,
    hop-by-hop headers and the copy source are made anew by the proxy. Raises
    NotImplemented for a header that cannot be left out without changing what is
    asked, InvalidArgument for a value that does not fit on a line.
    """
    kept = [(name, value) for spelled, value in fields if (name := _ASKED[spelled]) and value != ""]
    if not kept:
        return kept
    if unfit := [name for name, value in kept if not fit(value)]:
        raise InvalidArgument(f"The value of the header {unfit[0]} is not valid.", ArgumentName=unfit[0])
    kept = [(name, without_aws_chunked(value) if name == "content-encoding" else value) for name, value in kept]
    summed = any(name in _CHECKSUM_HEADERS for name, _ in kept)
    return [(name, value) for name, value in kept if value and _makes_sense(name, value, summed=summed)]


def concerns_store(name: str) -> bool:
    """Whether ``to_store`` has anything to do with a header of this name."""
    return name.lower() in _REFUSED or _ASKED[name] != ""


def _asked(spelled: str) -> str:
    """The name of a header that goes on, in lower case; empty for one that stays. Raises NotImplemented."""
    name = spelled.lower()
    if name in _REFUSED:
        raise NotImplemented(f"The header {name} is not implemented.")
    return name if name in _TO_STORE or name in _CHECKSUM_HEADERS or name.startswith(_TO_STORE_PREFIXES) else ""


def _makes_sense(name: str, value: str, *, summed: bool) -> bool:
    if name == "x-amz-storage-class":
        return value.upper() not in ARCHIVE_CLASSES
    if name == "x-amz-sdk-checksum-algorithm":
        return summed  # it announces a header or a trailer; ours carries no trailer
    return True


def from_store(fields: Iterable[tuple[str, str]]) -> Fields:
    """The store's headers that the client shall see, spelled as the store did; but Content-Length, which servers look for.

    Hop-by-hop headers, the store's Date, Server, cookies and request ids stay
    behind, and so does a value that would not fit on one line.
    """
    kept = shown(fields)
    whole = "".join([value for _, value in kept])
    if whole.isascii() and whole.isprintable():
        return kept
    return [(name, value) for name, value in kept if fit(value)]


def shown(fields: Iterable[tuple[str, str]]) -> Fields:
    """The same of fields whose values are known to fit: those of an answer that was read strictly from its wire."""
    return [(name, value) for spelled, value in fields if (name := _SHOWN[spelled])]


def _shown(spelled: str) -> str:
    """How the client sees the name of a header; empty for one that he shall not see."""
    name = spelled.lower()
    if name == "content-length":
        return "Content-Length"
    return spelled if name in _FROM_STORE or (name.startswith(_FROM_STORE_PREFIXES) and name not in _STORES_OWN) else ""


_ASKED, _SHOWN = Known(_asked), Known(_shown)


def without_aws_chunked(value: str) -> str:
    """``Content-Encoding`` without the token that described the upload's framing."""
    tokens = [token.strip() for token in value.split(",")]
    if not any(token.lower() == "aws-chunked" for token in tokens):
        return value
    return ",".join(token for token in tokens if token and token.lower() != "aws-chunked")
