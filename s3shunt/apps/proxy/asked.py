"""What the store is asked: nothing but what was decided, in our own words."""

import logging
from dataclasses import replace

from s3shunt.context import Decision
from s3shunt.model import ObjectRef
from s3shunt.protocol import addressing, delete, headers, operations
from s3shunt.protocol.errors import AccessDenied, InvalidRequest, InvalidStorageClass
from s3shunt.wsgi import Request, document
from s3shunt.wsgi.fields import header_name

log = logging.getLogger(__name__)

FORWARDED = (operations.SUBRESOURCES | operations.PARAMETERS) - {"versionId", "x-id"}
CLASSED = ("PutObject", "CopyObject", "CreateMultipartUpload")
"""Operations in which a storage class means something."""

Fields = list[tuple[str, str]]


def decided(request: Request) -> Decision:
    """The decision that allows exactly this request. Raises AccessDenied without one."""
    decision, ref = request.context.decision, request.ref
    if decision is None or decision.operation is not request.operation or not (decision.ref is ref or _same(decision.ref, ref)):
        log.error("request %s: %s %s without a decision for it", request.context.request_id, request.method, ref)
        raise AccessDenied
    operation = request.operation
    named = _named(request) if operation.copies or operation.name == "DeleteObjects" else ()
    if decision.denied or (named and not {*map(_whole, named)} <= {*map(_whole, decision.targets)}):
        log.error("request %s: %s %s names what was not allowed", request.context.request_id, request.operation, ref)
        raise AccessDenied
    return decision


def _same(one: ObjectRef, other: ObjectRef) -> bool:
    return _whole(one) == _whole(other)


def _whole(ref: ObjectRef) -> ObjectRef:
    """Doors may pin a version; rights are those of the key."""
    return ref if ref.version is None else replace(ref, version=None)


def _named(request: Request) -> list[ObjectRef]:
    """Everything the request touches beyond its target."""
    source = _source(request)
    named = delete.targets(document(request), request.ref) if request.operation.name == "DeleteObjects" else ()
    return [*named, *([source] if source else [])]


def _source(request: Request) -> ObjectRef | None:
    if not request.operation.copies:
        return None
    return replace(addressing.copy_source(request.fields["x-amz-copy-source"]), account=request.ref.account)


def path(ref: ObjectRef) -> str:
    """Path style, encoded as it is signed; the only place where an upstream path is made."""
    return addressing.escape(f"/{ref.bucket}/{ref.key}" if ref.key else f"/{ref.bucket}")


def fields_of(request: Request) -> Fields:
    """The client's headers that the store shall see, the copy source in our words, and the class where it means something."""
    environ, operation = request.environ, request.operation
    there = tuple(environ)
    going = _GOING.get(there)
    if going is None:
        going = _going(there)
    fields = headers.to_store([(name, environ[variable]) for variable, name in going]) if going else []
    if operation.copies:
        fields += _copy_source(request)
    return [*fields, *_archive_class(request)] if operation.name in CLASSED else fields


def _going(there: tuple[str, ...]) -> list[tuple[str, str]]:
    """Which of these variables are headers that concern the store, and their names: mostly none. Most requests have the same variables."""
    going = [(variable, name) for variable in there if (name := header_name(variable)) and headers.concerns_store(name)]
    if len("".join(there)) <= ROOM:
        if len(_GOING) >= KINDS:
            _GOING.clear()
        _GOING[there] = going
    return going


_GOING: dict[tuple[str, ...], list[tuple[str, str]]] = {}
ROOM, KINDS = 2048, 512
"""Letters of the names that are remembered together, and how many such sets."""


def _copy_source(request: Request) -> Fields:
    source = _source(request)
    if source is None:
        return []
    version = f"?versionId={addressing.escape(source.version)}" if source.version else ""
    return [("x-amz-copy-source", path(source) + version)]


def _archive_class(request: Request) -> Fields:
    """For a store that has some itself. Else who asks for one is told that nobody kept it: the object would stay where it is."""
    asked = request.fields.get("x-amz-storage-class", "")
    if asked.strip().upper() not in headers.ARCHIVE_CLASSES:
        return []
    if not request.context.store_archives:
        raise InvalidStorageClass(StorageClassRequested=asked)
    return [("x-amz-storage-class", asked)]


def query_of(request: Request, decision: Decision) -> list[tuple[str, str]]:
    """What the store is asked, each parameter once: of a repeated one the first, which was decided on."""
    query = [(name, value) for name, value in request.parameters.items() if name in FORWARDED] if request.query else []
    if decision.identity.anonymous and any(name.startswith("response-") for name, _ in query):
        raise InvalidRequest("Request specific response headers cannot be used for anonymous GET requests.")
    return [*query, ("versionId", request.ref.version)] if request.ref.version else query
