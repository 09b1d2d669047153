"""DeleteObjects: what nobody knows goes to the store in one document, what the catalog knows one by one."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from hashlib import md5

from s3shunt import green
from s3shunt.filters.record.deletes import Deletes
from s3shunt.filters.record.keeper import Keeper, Plan
from s3shunt.model import ObjectRef
from s3shunt.protocol import delete, deleted, xml
from s3shunt.protocol.deleted import Result
from s3shunt.protocol.errors import AccessDenied, MalformedXML, S3Error, ServiceUnavailable
from s3shunt.wsgi import Handler, Request, Response, document, subrequest, taken


class Many:
    def __init__(self, forward: Handler, keeper: Keeper, one: Deletes) -> None:
        self.forward = forward
        self.keeper = keeper
        self.one = one

    def __call__(self, request: Request) -> Response:
        asked = document(request)
        named, denied = delete.targets(asked, request.ref), _denied(request)
        known = set() if request.context.plain else green.offload(self._known, named)
        if not denied and not known:
            response = self.forward(request)
            if response.status_int < 300 and not request.context.plain:
                self._late(named)
            return response
        told = {number: _refused(ref, AccessDenied()) for number, ref in enumerate(named) if ref in denied}
        for number in sorted(known - told.keys()):
            told[number] = self._one(request, named[number], deleted.conditions(asked)[number])
        told |= self._rest(request, asked, named, told.keys())
        body = deleted.write((told[number] for number in range(len(named))), quietly=deleted.quiet(asked))
        return Response(headerlist=[("Content-Type", "application/xml"), ("Content-Length", str(len(body)))], app_iter=[body])

    def _known(self, named: Sequence[ObjectRef]) -> set[int]:
        """Places of those that have rows; a version by id may uncover another one that has."""
        return {number for number, ref in enumerate(named) if self.keeper.catalog.history(ref)}

    def _late(self, named: Sequence[ObjectRef]) -> None:
        """Rows that nobody knew when we looked."""
        for number in sorted(green.offload(self._known, named)):
            if named[number].version is None:
                self.one.late(Plan(ref=named[number], operation="DeleteObjects"))

    def _one(self, request: Request, ref: ObjectRef, conditions: dict[str, str]) -> Result:
        try:
            response = self.one(subrequest(request, "DeleteObject", ref, fields=conditions.items()))
            return _outcome(ref, response)
        except S3Error as error:
            return _refused(ref, error)

    def _rest(self, request: Request, asked: bytes, named: Sequence[ObjectRef], told: object) -> dict[int, Result]:
        """All others, in one question; the results come in any order."""
        left = [number for number in range(len(named)) if number not in told]
        if not left:
            return {}
        body = deleted.without(asked, set(range(len(named))) - set(left))
        digest = b64encode(md5(body).digest()).decode()
        fields = [("Content-Type", "application/xml"), ("Content-MD5", digest), *_governance(request)]
        sub = subrequest(request, "DeleteObjects", request.ref, fields=fields, query="delete", body=body)
        assert sub.context.decision is not None
        sub.context.decision = replace(sub.context.decision, targets=frozenset(named[number] for number in left))
        try:
            found = _results(self.forward(sub))
        except S3Error as error:
            return {number: _refused(named[number], error) for number in left}
        self._late([named[number] for number in left])
        lost = ServiceUnavailable("The store did not say what became of it.")
        return {number: found.get((named[number].key, named[number].version)) or _refused(named[number], lost) for number in left}


def _denied(request: Request) -> frozenset[ObjectRef]:
    return request.context.decision.denied if request.context.decision else frozenset()


def _governance(request: Request) -> list[tuple[str, str]]:
    return [(n, v) for n, v in request.fields.items() if n.lower() in ("x-amz-bypass-governance-retention", "x-amz-mfa")]


def _results(response: Response) -> dict[tuple[str, str | None], Result]:
    """Raises ServiceUnavailable for an answer that is no result."""
    try:
        return {(row.key, row.version): row for row in deleted.results(taken(response))}
    except MalformedXML:
        raise ServiceUnavailable from None


def _outcome(ref: ObjectRef, response: Response) -> Result:
    body = taken(response)
    if response.status_int < 300:
        marker = response.headers.get("x-amz-version-id") if "x-amz-delete-marker" in response.headers else None
        return Result(key=ref.key, version=ref.version, marker=marker)
    try:
        error = xml.read(body, "Error")
    except MalformedXML:
        return _refused(ref, ServiceUnavailable())
    code, message = xml.value(error, "Code") or "InternalError", xml.value(error, "Message") or ""
    return Result(key=ref.key, version=ref.version, code=code, message=message)


def _refused(ref: ObjectRef, error: S3Error) -> Result:
    return Result(key=ref.key, version=ref.version, code=error.code, message=str(error))
