"""An S3 store in this process, standing where ``apps/proxy`` would forward: for walks and properties.

A plain reading of S3 on ``stores.memory``: objects, versions, listings, copy,
multipart, tags. It demands a decision as the proxy does, ignores an archive
class, and stores nothing of a body that raises. ``down`` makes it unreachable.
"""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import replace
from email.utils import formatdate
from hashlib import md5
from typing import Any

from lxml import etree

from s3shunt.model import NULL, Facts, ObjectRef
from s3shunt.protocol import addressing, conditions, ranges
from s3shunt.protocol import errors as s3
from s3shunt.protocol.errors import text
from s3shunt.stores.memory import Held, MemoryStore
from s3shunt.wsgi import Request, Response, document

XMLNS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
KEPT = ("content-type", "cache-control", "content-disposition", "content-encoding", "content-language", "expires")

OWN = (
    s3.BucketNotEmpty, s3.InvalidRange, s3.MethodNotAllowed, s3.NoSuchBucket, s3.NoSuchKey, s3.NoSuchUpload, s3.NoSuchVersion,
    s3.PreconditionFailed,
)  # fmt: skip
"""What a store answers, where a door would raise it."""


class Storefront:
    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.buckets: dict[tuple[str, str], dict[str, str]] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.heads: dict[str, Request] = {}
        self.down = False
        self.seen: list[str] = []
        self._serial = itertools.count(1)

    def __call__(self, request: Request) -> Response:
        if self.down:
            raise s3.ServiceUnavailable(retry_after=5)
        decision = request.context.decision
        if decision is None or replace(decision.ref, version=None) != replace(request.ref, version=None):
            raise s3.AccessDenied
        name = request.operation.name
        self.seen.append(name)
        act: Callable[[Request], Response] | None = getattr(self, f"do_{name}", None)
        if act is None:
            raise s3.NotImplemented
        try:
            if request.ref.bucket and name != "CreateBucket" and self._bucket(request.ref) not in self.buckets:
                raise s3.NoSuchBucket(BucketName=request.ref.bucket)
            return act(request)
        except OWN as refusal:
            return _refusal(request, refusal)

    # buckets

    def do_ListBuckets(self, request: Request) -> Response:
        names = sorted(name for account, name in self.buckets if account == request.ref.account)
        rows = "".join(f"<Bucket><Name>{name}</Name></Bucket>" for name in names)
        return xml(f"<ListAllMyBucketsResult {XMLNS}><Buckets>{rows}</Buckets></ListAllMyBucketsResult>")

    def do_CreateBucket(self, request: Request) -> Response:
        self.buckets.setdefault(self._bucket(request.ref), {})
        return empty(200, ("Location", f"/{request.ref.bucket}"))

    def do_HeadBucket(self, request: Request) -> Response:
        return empty(200)

    def do_DeleteBucket(self, request: Request) -> Response:
        if self.store.list(request.ref.bucket, account=request.ref.account, limit=1):
            raise s3.BucketNotEmpty
        del self.buckets[self._bucket(request.ref)]
        return empty(204)

    def do_GetBucketVersioning(self, request: Request) -> Response:
        inner = "<Status>Enabled</Status>" if self.store.versioned(request.ref.bucket) else ""
        return xml(f"<VersioningConfiguration {XMLNS}>{inner}</VersioningConfiguration>")

    # objects

    def do_PutObject(self, request: Request) -> Response:
        body = b"".join(request.input)
        return self._wrote(request, self._put(request.ref, body, _facts(request)))

    def _put(self, ref: ObjectRef, body: bytes, facts: Facts) -> Held:
        self.store.write(replace(ref, version=None), [body], size=len(body), facts=facts)
        return self.store.versions(ref)[0]

    def _wrote(self, request: Request, held: Held) -> Response:
        return empty(200, ("ETag", held.facts.etag), *_version(held, self.store.versioned(request.ref.bucket)))

    def do_CopyObject(self, request: Request) -> Response:
        source = replace(addressing.copy_source(request.headers["x-amz-copy-source"]), account=request.ref.account)
        held = self._held(source)
        facts = held.facts if request.headers.get("x-amz-metadata-directive") != "REPLACE" else _facts(request)
        made = self._put(request.ref, held.body or b"", facts)
        answer = xml(f"<CopyObjectResult {XMLNS}><ETag>{text(made.facts.etag)}</ETag></CopyObjectResult>")
        answer.headerlist.extend(_version(made, self.store.versioned(request.ref.bucket)))
        return answer

    def do_GetObject(self, request: Request) -> Response:
        return self._read(request)

    def do_HeadObject(self, request: Request) -> Response:
        return self._read(request)

    def _read(self, request: Request) -> Response:
        held = self._held(request.ref)
        facts, body = held.facts, held.body or b""
        status = conditions.judge(request.headers, facts.etag, facts.last_modified)
        if status == 412:
            raise s3.PreconditionFailed
        if status == 304:
            return Response(status=304, headerlist=[("ETag", facts.etag)], app_iter=[])
        fields = head_fields(facts) + list(_version(held, self.store.versioned(request.ref.bucket)))
        part = ranges.parse(request.headers.get("range"), facts.size)
        if part is not None:
            fields.append(("Content-Range", ranges.content_range(*part, facts.size)))
            body = body[part[0] : part[1]]
        fields.append(("Content-Length", str(len(body))))
        return Response(status=206 if part else 200, headerlist=fields, app_iter=[] if request.method == "HEAD" else [body])

    def do_DeleteObject(self, request: Request) -> Response:
        versioned = self.store.versioned(request.ref.bucket)
        self.store.delete(request.ref)
        if versioned and request.ref.version is None:
            marker = self.store.versions(request.ref)[0]
            return empty(204, ("x-amz-delete-marker", "true"), ("x-amz-version-id", marker.version))
        return empty(204, *((("x-amz-version-id", request.ref.version),) if request.ref.version else ()))

    def do_DeleteObjects(self, request: Request) -> Response:
        root = etree.fromstring(document(request))
        rows = ""
        for target in root.iter("{*}Object"):
            key, version = target.findtext("{*}Key", ""), target.findtext("{*}VersionId")
            self.store.delete(replace(request.ref, key=key, version=version))
            rows += f"<Deleted><Key>{text(key)}</Key>{f'<VersionId>{version}</VersionId>' if version else ''}</Deleted>"
        return xml(f"<DeleteResult {XMLNS}>{rows}</DeleteResult>")

    def do_GetObjectTagging(self, request: Request) -> Response:
        tags = self._held(request.ref).facts.tags
        rows = "".join(f"<Tag><Key>{text(k)}</Key><Value>{text(v)}</Value></Tag>" for k, v in tags.items())
        return xml(f"<Tagging {XMLNS}><TagSet>{rows}</TagSet></Tagging>")

    # multipart

    def do_CreateMultipartUpload(self, request: Request) -> Response:
        upload = f"upload-{next(self._serial)}"
        self.uploads[upload], self.heads[upload] = {}, request
        ref = request.ref
        inner = f"<Bucket>{ref.bucket}</Bucket><Key>{text(ref.key)}</Key><UploadId>{upload}</UploadId>"
        return xml(f"<InitiateMultipartUploadResult {XMLNS}>{inner}</InitiateMultipartUploadResult>")

    def do_UploadPart(self, request: Request) -> Response:
        body = b"".join(request.input)
        self._parts(request)[int(request.parameters["partNumber"])] = body
        return empty(200, ("ETag", f'"{md5(body).hexdigest()}"'))

    def do_CompleteMultipartUpload(self, request: Request) -> Response:
        document(request)
        parts = [body for _, body in sorted(self._parts(request).items())]
        upload = request.parameters["uploadId"]
        etag = f'"{md5(b"".join(md5(p).digest() for p in parts)).hexdigest()}-{len(parts)}"'
        held = self._put(request.ref, b"".join(parts), _facts(self.heads[upload]))
        made = replace(held.facts, etag=etag, parts=tuple(len(p) for p in parts))
        self.store._push(request.ref, replace(held, facts=made))  # the part sizes are ours to know
        del self.uploads[upload], self.heads[upload]
        inner = f"<Bucket>{request.ref.bucket}</Bucket><Key>{text(request.ref.key)}</Key><ETag>{text(etag)}</ETag>"
        answer = xml(f"<CompleteMultipartUploadResult {XMLNS}>{inner}</CompleteMultipartUploadResult>")
        answer.headerlist.extend(_version(held, self.store.versioned(request.ref.bucket)))
        return answer

    def do_AbortMultipartUpload(self, request: Request) -> Response:
        self._parts(request)
        del self.uploads[request.parameters["uploadId"]]
        return empty(204)

    def _parts(self, request: Request) -> dict[int, bytes]:
        try:
            return self.uploads[request.parameters["uploadId"]]
        except KeyError:
            raise s3.NoSuchUpload from None

    # listings

    def do_ListObjects(self, request: Request) -> Response:
        asked = request.parameters
        second = asked.get("list-type") == "2"
        after = asked.get("start-after" if second else "marker", "")
        found = self.store.list(request.ref.bucket, prefix=asked.get("prefix", ""), account=request.ref.account, limit=10**9)
        rows, truncated = _page(found, after, asked.get("prefix", ""), asked.get("delimiter", ""), int(asked.get("max-keys", 1000)))
        inner = f"<Name>{request.ref.bucket}</Name><Prefix>{text(asked.get('prefix', ''))}</Prefix>"
        inner += f"<IsTruncated>{str(truncated).lower()}</IsTruncated>"
        inner += "".join(
            f"<Contents>{_item(name, facts)}</Contents>" if facts else f"<CommonPrefixes><Prefix>{text(name)}</Prefix></CommonPrefixes>"
            for name, facts in rows
        )
        return xml(f"<ListBucketResult {XMLNS}>{inner}</ListBucketResult>")

    def do_ListObjectVersions(self, request: Request) -> Response:
        asked = request.parameters
        ref = request.ref
        names = sorted({k for a, b, k in self.store._keys if (a, b) == (ref.account, ref.bucket)}, key=str.encode)
        mark = asked.get("key-marker", "")
        rows = ""
        for name in names:
            if not name.startswith(asked.get("prefix", "")) or name.encode() <= mark.encode():
                continue
            for number, held in enumerate(self.store.versions(replace(ref, key=name))):
                latest = f"<VersionId>{held.version}</VersionId><IsLatest>{str(number == 0).lower()}</IsLatest>"
                if held.body is None:
                    rows += f"<DeleteMarker><Key>{text(name)}</Key>{latest}{_modified(held.facts)}</DeleteMarker>"
                else:
                    rows += f"<Version>{_item(name, held.facts, latest)}</Version>"
        inner = f"<Name>{ref.bucket}</Name><IsTruncated>false</IsTruncated>{rows}"
        return xml(f"<ListVersionsResult {XMLNS}>{inner}</ListVersionsResult>")

    def _held(self, ref: ObjectRef) -> Held:
        kept = self.store.versions(ref)
        kept = kept[:1] if ref.version is None else [held for held in kept if held.version == ref.version]
        if not kept:
            raise s3.NoSuchKey(Key=ref.key) if ref.version is None else s3.NoSuchVersion(Key=ref.key)
        if kept[0].body is None:
            marker = (("x-amz-delete-marker", "true"), ("x-amz-version-id", kept[0].version))
            raise s3.NoSuchKey(headers=marker) if ref.version is None else s3.MethodNotAllowed(headers=marker)
        return kept[0]

    @staticmethod
    def _bucket(ref: ObjectRef) -> tuple[str, str]:
        return ref.account, ref.bucket


def _refusal(request: Request, refusal: s3.S3Error) -> Response:
    body = s3.to_xml(refusal, resource=request.raw_path, request_id="store")
    fields = [("Content-Type", "application/xml"), ("Content-Length", str(len(body))), *refusal.headers]
    return Response(status=refusal.status, headerlist=fields, app_iter=[] if request.method == "HEAD" else [body])


def head_fields(facts: Facts) -> list[tuple[str, str]]:
    """The headers a HEAD of this version answers, but for its length."""
    fields = [("ETag", facts.etag), ("Last-Modified", formatdate(facts.last_modified // 1000, usegmt=True)), ("Accept-Ranges", "bytes")]
    fields += list(facts.headers.items())
    return fields + [(f"x-amz-meta-{name}", value) for name, value in facts.metadata.items()]


def _facts(request: Request) -> Facts:
    headers = {name: request.headers[name] for name in KEPT if request.headers.get(name)}
    headers.setdefault("content-type", "binary/octet-stream")
    meta = {name.lower()[11:]: value for name, value in request.headers.items() if name.lower().startswith("x-amz-meta-")}
    return Facts(size=0, etag="", last_modified=0, headers=headers, metadata=meta)


def _version(held: Held, versioned: bool) -> Iterable[tuple[str, str]]:
    return (("x-amz-version-id", held.version),) if versioned and held.version != NULL else ()


def _page(found: list[tuple[str, Facts]], after: str, prefix: str, delimiter: str, limit: int) -> tuple[list[tuple[str, Any]], bool]:
    rows: dict[str, Facts | None] = {}
    for key, facts in found:
        head, cut, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
        name = prefix + head + cut if cut else key
        if name.encode() <= after.encode() or (cut and after.startswith(name)):
            continue
        rows.setdefault(name, None if cut else facts)
    names = list(rows.items())
    return names[:limit], len(names) > limit


def _item(name: str, facts: Facts, more: str = "") -> str:
    return (
        f"<Key>{text(name)}</Key>{more}{_modified(facts)}<ETag>{text(facts.etag)}</ETag>"
        f"<Size>{facts.size}</Size><StorageClass>STANDARD</StorageClass>"
    )


def _modified(facts: Facts) -> str:
    import datetime as dt

    moment = dt.datetime.fromtimestamp(facts.last_modified / 1000, dt.UTC)
    return f"<LastModified>{moment:%Y-%m-%dT%H:%M:%S}.{facts.last_modified % 1000:03d}Z</LastModified>"


def xml(inner: str) -> Response:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n{inner}'.encode()
    return Response(headerlist=[("Content-Type", "application/xml"), ("Content-Length", str(len(body)))], app_iter=[body])


def empty(status: int, *fields: tuple[str, str]) -> Response:
    return Response(status=status, headerlist=[*fields, *([] if status == 204 else [("Content-Length", "0")])], app_iter=[])
