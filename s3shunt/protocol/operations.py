"""What S3 calls a request, and everything the doors must know of it: one table.

``of`` names the operation from method, target and headers. The columns are read
by grants (right), shunt and restore (archived), sigv4 (body), proxy (retry) and
record (effect); nobody keeps a list of operations of their own.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from s3shunt.model import ObjectRef
from s3shunt.protocol.errors import MethodNotAllowed, NotImplemented


class Right(StrEnum):
    """What a grant may allow."""

    READ = "read"
    WRITE = "write"
    DELETE = "delete"
    LIST = "list"
    RESTORE = "restore"
    ADMIN = "admin"


class Archived(StrEnum):
    """What becomes of the operation when the object's bytes are not online."""

    FORWARD = "forward"  # nothing to do with one object's bytes
    HEAD = "head"  # answered from the entry
    BYTES = "bytes"  # needs the bytes: refused, or served from the landed copy
    FACTS = "facts"  # a sub-resource (tags, ACL, lock, attributes) served and changed in the entry
    RESTORE = "restore"
    REPLACE = "replace"  # a write that makes the old bytes moot
    DELETE = "delete"
    REFUSE = "refuse"  # cannot be done on archived bytes at all


class Body(StrEnum):
    """What the request body is."""

    NONE = "none"
    BYTES = "bytes"
    DOCUMENT = "document"
    TARGETS = "targets"  # a document that names further objects: rights are checked on each


class Effect(StrEnum):
    """What a success changes."""

    NONE = "none"
    WRITE = "write"  # a new version of the key
    DELETE = "delete"
    FACTS = "facts"  # tags, ACL, lock of one version
    UPLOAD = "upload"  # multipart bookkeeping
    BUCKET = "bucket"


@dataclass(frozen=True, slots=True)
class Operation:
    name: str
    method: str
    scope: str
    subresource: str
    right: Right
    archived: Archived = Archived.FORWARD
    body: Body = Body.NONE
    retry: bool = False
    effect: Effect = Effect.NONE

    copies: bool = field(init=False, default=False)
    """Whether x-amz-copy-source names where the bytes come from."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "copies", self.subresource.endswith("copy"))

    def __str__(self) -> str:
        return self.name


def _rows() -> list[Operation]:
    r, a, b, e = Right, Archived, Body, Effect
    row = Operation
    rows = [
        row("ListBuckets", "GET", "service", "", r.LIST, retry=True),
        row("HeadBucket", "HEAD", "bucket", "", r.LIST, retry=True),
        row("ListObjects", "GET", "bucket", "", r.LIST, retry=True),
        row("ListObjectVersions", "GET", "bucket", "versions", r.LIST, retry=True),
        row("ListMultipartUploads", "GET", "bucket", "uploads", r.LIST, retry=True),
        row("GetBucketLocation", "GET", "bucket", "location", r.LIST, retry=True),
        row("CreateBucket", "PUT", "bucket", "", r.ADMIN, body=b.DOCUMENT, effect=e.BUCKET),
        row("DeleteBucket", "DELETE", "bucket", "", r.ADMIN, effect=e.BUCKET),
        row("DeleteObjects", "POST", "bucket", "delete", r.DELETE, a.DELETE, b.TARGETS, effect=e.DELETE),
        row("PostObject", "POST", "bucket", "", r.WRITE, a.REPLACE, b.TARGETS, effect=e.WRITE),
        row("GetObject", "GET", "object", "", r.READ, a.BYTES, retry=True),
        row("HeadObject", "HEAD", "object", "", r.READ, a.HEAD, retry=True),
        row("GetObjectAttributes", "GET", "object", "attributes", r.READ, a.FACTS, retry=True),
        row("GetObjectTorrent", "GET", "object", "torrent", r.READ, a.REFUSE),
        row("SelectObjectContent", "POST", "object", "select", r.READ, a.REFUSE, b.DOCUMENT),
        row("PutObject", "PUT", "object", "", r.WRITE, a.REPLACE, b.BYTES, effect=e.WRITE),
        row("CopyObject", "PUT", "object", "copy", r.WRITE, a.REPLACE, effect=e.WRITE),
        row("DeleteObject", "DELETE", "object", "", r.DELETE, a.DELETE, effect=e.DELETE),
        row("RestoreObject", "POST", "object", "restore", r.RESTORE, a.RESTORE, b.DOCUMENT),
        row("CreateMultipartUpload", "POST", "object", "uploads", r.WRITE, effect=e.UPLOAD),
        row("UploadPart", "PUT", "object", "uploadId", r.WRITE, body=b.BYTES, effect=e.UPLOAD),
        row("UploadPartCopy", "PUT", "object", "uploadId copy", r.WRITE, effect=e.UPLOAD),
        row("ListParts", "GET", "object", "uploadId", r.WRITE, retry=True),
        row("CompleteMultipartUpload", "POST", "object", "uploadId", r.WRITE, a.REPLACE, b.DOCUMENT, effect=e.WRITE),
        row("AbortMultipartUpload", "DELETE", "object", "uploadId", r.WRITE, effect=e.UPLOAD),
    ]
    facts = {"acl": r.ADMIN, "tagging": r.WRITE, "legal-hold": r.ADMIN, "retention": r.ADMIN}
    names = {"acl": "ObjectAcl", "tagging": "ObjectTagging", "legal-hold": "ObjectLegalHold", "retention": "ObjectRetention"}
    for sub, right in facts.items():
        rows.append(row(f"Get{names[sub]}", "GET", "object", sub, r.READ, a.FACTS, retry=True))
        rows.append(row(f"Put{names[sub]}", "PUT", "object", sub, right, a.FACTS, b.DOCUMENT, effect=e.FACTS))
    rows.append(row("DeleteObjectTagging", "DELETE", "object", "tagging", r.WRITE, a.FACTS, effect=e.FACTS))
    for sub, name in BUCKET_CONFIGURATION.items():
        rows.append(row(f"Get{name}", "GET", "bucket", sub, r.ADMIN, retry=True))
        rows.append(row(f"Put{name}", "PUT", "bucket", sub, r.ADMIN, body=b.DOCUMENT, effect=e.BUCKET))
        rows.append(row(f"Delete{name}", "DELETE", "bucket", sub, r.ADMIN, effect=e.BUCKET))
    return rows


BUCKET_CONFIGURATION = {
    "accelerate": "BucketAccelerateConfiguration",
    "acl": "BucketAcl",
    "analytics": "BucketAnalyticsConfiguration",
    "cors": "BucketCors",
    "encryption": "BucketEncryption",
    "intelligent-tiering": "BucketIntelligentTieringConfiguration",
    "inventory": "BucketInventoryConfiguration",
    "lifecycle": "BucketLifecycleConfiguration",
    "logging": "BucketLogging",
    "metrics": "BucketMetricsConfiguration",
    "notification": "BucketNotificationConfiguration",
    "object-lock": "ObjectLockConfiguration",
    "ownershipControls": "BucketOwnershipControls",
    "policy": "BucketPolicy",
    "policyStatus": "BucketPolicyStatus",
    "publicAccessBlock": "PublicAccessBlock",
    "replication": "BucketReplication",
    "requestPayment": "BucketRequestPayment",
    "tagging": "BucketTagging",
    "versioning": "BucketVersioning",
    "website": "BucketWebsite",
}

OPERATIONS: dict[tuple[str, str, str], Operation] = {(o.method, o.scope, o.subresource): o for o in _rows()}
"""By (method, scope, subresource)."""

BY_NAME: dict[str, Operation] = {o.name: o for o in OPERATIONS.values()}

SUBRESOURCES = frozenset(
    {name for row in OPERATIONS.values() for name in row.subresource.split() if name not in ("", "copy")}
)

PARAMETERS = frozenset({
    "continuation-token", "delimiter", "encoding-type", "fetch-owner", "key-marker", "list-type", "marker",
    "max-keys", "max-parts", "max-uploads", "part-number-marker", "partNumber", "prefix", "start-after",
    "upload-id-marker", "version-id-marker", "versionId", "x-id", "id", "max-buckets", "bucket-region",
    "response-cache-control", "response-content-disposition", "response-content-encoding",
    "response-content-language", "response-content-type", "response-expires", "select-type",
})
"""Query parameters that qualify an operation without naming another one."""


def scope(ref: ObjectRef) -> str:
    if ref.key:
        return "object"
    return "bucket" if ref.bucket else "service"


@lru_cache(maxsize=256)  # the same few sets of names come again and again: those of a client's presigned URLs, of its uploads
def _subresource(query: tuple[str, ...]) -> str:
    """The one that is asked for, '' for none. Raises NotImplemented."""
    names = {name for name in query if not name.lower().startswith("x-amz-")}
    if unknown := names - SUBRESOURCES - PARAMETERS:
        raise NotImplemented(f"The parameter {min(unknown)!r} is not implemented.")
    asked = names & SUBRESOURCES
    if len(asked) > 1:
        raise NotImplemented(f"The parameters {' and '.join(sorted(asked))} cannot be combined.")
    return next(iter(asked), "")


def of(method: str, ref: ObjectRef, query: Collection[str], headers: Mapping[str, str]) -> Operation:
    """The operation of a request. ``headers`` is keyed as the caller likes, case-insensitively.

    Raises NotImplemented for a subresource or parameter that is not in the
    table (it must never pass for a plain operation), MethodNotAllowed for a
    method the target does not know.
    """
    where = "object" if ref.key else scope(ref)
    subresource = _subresource(tuple(query)) if query else ""
    if method == "PUT" and where == "object" and "x-amz-copy-source" in headers and subresource in ("", "uploadId"):
        subresource = f"{subresource} copy".strip()
    found = OPERATIONS.get((method, where, subresource))
    if found is None:
        known = any(row[1:] == (where, subresource) for row in OPERATIONS)
        raise MethodNotAllowed if known else NotImplemented
    return found
