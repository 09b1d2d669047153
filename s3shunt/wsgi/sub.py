"""Another request on behalf of the same caller."""

from collections.abc import Iterable
from io import BytesIO
from urllib.parse import quote

from s3shunt.context import Context, Decision
from s3shunt.model import ANONYMOUS, ObjectRef
from s3shunt.protocol import addressing, operations
from s3shunt.wsgi.request import KEY, Request


def subrequest(
    request: Request, operation: str, ref: ObjectRef, *, fields: Iterable[tuple[str, str]] = (), query: str = "", body: bytes = b""
) -> Request:
    """Another operation of the same caller, to be handed to the doors behind. Its rights were decided with the first one's.

    ``fields`` are all the headers it has; the version goes into the query by itself.
    """
    kept = ("CONTENT_LENGTH", "CONTENT_TYPE", "RAW_URI", "RAW_PATH_INFO", "REQUEST_URI", KEY)
    environ = {n: v for n, v in request.environ.items() if n not in kept and not n.startswith(("HTTP_", "webob."))}
    row = operations.BY_NAME[operation]
    path = f"/{addressing.escape(ref.bucket)}/{addressing.escape(ref.key)}" if ref.key else f"/{addressing.escape(ref.bucket)}"
    query = "&".join(part for part in (query, f"versionId={quote(ref.version, safe='')}" if ref.version else "") if part)
    environ |= {"REQUEST_METHOD": row.method, "RAW_URI": f"{path}?{query}" if query else path, "QUERY_STRING": query}
    environ |= {"PATH_INFO": path, "wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    sub = Request(environ)
    sub.fields.update(fields)
    sub.at(ref)
    sub.__dict__["operation"] = row
    _same_caller(request.context, sub.context, row, ref)
    if body:
        sub.context.document = body
    return sub


def _same_caller(context: Context, sub: Context, operation: operations.Operation, ref: ObjectRef) -> None:
    sub.request_id, sub.identity, sub.plain, sub.looked_up = context.request_id, context.identity, context.plain, context.looked_up
    identity = context.decision.identity if context.decision else context.identity or ANONYMOUS
    sub.decision = Decision(identity, operation, ref, frozenset({ref}))
