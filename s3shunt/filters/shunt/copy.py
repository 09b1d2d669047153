"""CopyObject and UploadPartCopy whose source is not in the store: refused, or streamed from the landed copy."""

import re
from dataclasses import replace
from email.utils import mktime_tz, parsedate_tz
from urllib.parse import quote, urlencode

from s3shunt.connect import House
from s3shunt.filters.shunt.landed import Landed, Reader
from s3shunt.model import NULL, Entry, Facts, ObjectRef, Place
from s3shunt.policy import shunt
from s3shunt.protocol import addressing, conditions, multipart
from s3shunt.protocol.errors import InvalidArgument, InvalidObjectState, InvalidRequest, NoSuchKey, ObjectLost, PreconditionFailed
from s3shunt.wsgi import Body, Handler, Request, Response, dropped, subrequest

LARGEST = 5 << 30
_SOURCE = "x-amz-copy-source-"
_DESCRIBE = ("cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires")
_GO_ON = ("x-amz-acl", "x-amz-grant-", "x-amz-object-lock-", "x-amz-server-side-encryption", "x-amz-storage-class", "x-amz-website-")
_CHANGES = ("x-amz-storage-class", "x-amz-website-redirect-location", "x-amz-server-side-encryption")


class Copies:
    def __init__(self, forward: Handler, landed: Landed, house: House, catalog: str) -> None:
        self.forward = forward
        self.landed = landed
        self.house = house
        self.catalog = house.catalog(catalog)

    def __call__(self, request: Request) -> Response:
        source = _source(request)
        if request.context.plain and (source.account, source.bucket) == (request.ref.account, request.ref.bucket):
            return self.forward(request)
        entry = self.catalog.find(source)
        verdict = shunt.decide(entry, self.house.clock.now())
        if isinstance(verdict, shunt.Forward):
            return self.forward(request)
        if isinstance(verdict, shunt.Absent):
            raise NoSuchKey(Key=source.key)
        if isinstance(verdict, shunt.Lost):
            raise ObjectLost(Key=source.key)
        if isinstance(verdict, shunt.Refuse):
            raise InvalidObjectState("Operation is not valid for the source object's storage class", StorageClass=verdict.storage_class)
        assert entry is not None
        return self._streamed(request, entry, verdict.place)

    def _streamed(self, request: Request, entry: Entry, place: Place) -> Response:
        facts = entry.facts
        assert facts is not None
        _hold(request, facts)
        part = request.operation.name == "UploadPartCopy"
        start, end = _span(request, facts) if part else (0, facts.size)
        if end - start > LARGEST:
            raise InvalidRequest(f"The specified copy source is larger than the maximum allowable size for a copy source: {LARGEST}")
        if not part and _to_itself(request, entry):
            raise InvalidRequest("This copy request is illegal because it is trying to copy an object to itself without changing anything.")
        upload = _part_upload(request) if part else _object_upload(request, facts)
        upload.environ["CONTENT_LENGTH"] = str(end - start)
        body = self.landed.open(entry, place, start, end)
        upload.input = Body(Reader(body), end - start)
        try:
            response = self.forward(upload)
        finally:
            if hasattr(body, "close"):
                body.close()
        return self._result(request, entry, response)

    def _result(self, request: Request, entry: Entry, response: Response) -> Response:
        if response.status_int >= 300:
            return response
        dropped(response)
        part = request.operation.name == "UploadPartCopy"
        modified = self.house.clock.now() if part else self._modified(request, response)
        body = multipart.copied(response.headers.get("ETag", ""), modified, part=part)
        kept = [(n, v) for n, v in response.headerlist if n.lower().startswith(("x-amz-version-id", "x-amz-server-side-encryption"))]
        if entry.ref.version not in (None, NULL):
            kept.append(("x-amz-copy-source-version-id", str(entry.ref.version)))
        return Response(headerlist=[*kept, ("Content-Type", "application/xml"), ("Content-Length", str(len(body)))], app_iter=[body])

    def _modified(self, request: Request, response: Response) -> int:
        """As the store will say it from now on."""
        version = response.headers.get("x-amz-version-id", NULL)
        seen = self.forward(subrequest(request, "HeadObject", replace(request.ref, version=None if version == NULL else version)))
        dropped(seen)
        parts = parsedate_tz(seen.headers.get("Last-Modified", ""))
        return mktime_tz(parts) * 1000 if parts else self.house.clock.now()


def _source(request: Request) -> ObjectRef:
    """As the rights were decided for it, which tells the account."""
    named = addressing.copy_source(request.fields["x-amz-copy-source"])
    decided = request.context.decision.targets if request.context.decision else frozenset()
    name = (named.bucket, named.key, named.version)
    found = [target for target in decided if (target.bucket, target.key, target.version) == name]
    return found[0] if found else replace(named, account=request.ref.account)


def _hold(request: Request, facts: Facts) -> None:
    """The conditions on the source."""
    given = {name.lower(): value for name, value in request.fields.items()}
    asked = {name.removeprefix(_SOURCE): value for name, value in given.items() if name.startswith(f"{_SOURCE}if-")}
    if conditions.judge(asked, facts.etag, facts.last_modified) is not None:
        raise PreconditionFailed


def _span(request: Request, facts: Facts) -> tuple[int, int]:
    given = request.fields.get("x-amz-copy-source-range")
    if given is None:
        return 0, facts.size
    found = re.fullmatch(r"bytes=([0-9]{1,15})-([0-9]{1,15})", given)
    if found is None or not int(found[1]) <= int(found[2]) < facts.size:
        message = f"Range specified is not valid for source object of size: {facts.size}"
        raise InvalidArgument(message, ArgumentName="x-amz-copy-source-range")
    return int(found[1]), int(found[2]) + 1


def _to_itself(request: Request, entry: Entry) -> bool:
    target, source = request.ref, entry.ref
    same = (target.account, target.bucket, target.key) == (source.account, source.bucket, source.key) and source.version == NULL
    changed = "class" in request.context.notes or any(name in request.fields for name in _CHANGES)
    return same and not changed and _directive(request, "x-amz-metadata-directive") == "COPY"


def _directive(request: Request, name: str) -> str:
    value = request.fields.get(name, "COPY").upper()
    if value not in ("COPY", "REPLACE"):
        raise InvalidArgument(f"Unknown {name.removeprefix('x-amz-')}.", ArgumentName=name, ArgumentValue=value)
    return value


def _part_upload(request: Request) -> Request:
    query = "&".join(f"{name}={quote(request.parameters.get(name, ''), safe='')}" for name in ("partNumber", "uploadId"))
    return subrequest(request, "UploadPart", request.ref, query=query)


def _object_upload(request: Request, facts: Facts) -> Request:
    given = [(name.lower(), value) for name, value in request.fields.items()]
    fields = {name: value for name, value in given if name.startswith(_GO_ON)}
    if _directive(request, "x-amz-metadata-directive") == "REPLACE":
        fields |= {name: value for name, value in given if name in _DESCRIBE or name.startswith("x-amz-meta-")}
    else:
        fields |= {name: value for name, value in facts.headers.items() if name in _DESCRIBE}
        fields |= {f"x-amz-meta-{name}": value for name, value in facts.metadata.items()}
    if _directive(request, "x-amz-tagging-directive") == "REPLACE":
        fields |= {name: value for name, value in given if name == "x-amz-tagging"}
    elif facts.tags:
        fields["x-amz-tagging"] = urlencode(facts.tags)
    return subrequest(request, "PutObject", replace(request.ref, version=None), fields=fields.items())
