"""``shunt``: a read whose bytes are not in the store.

An object on tape answers GET with 403 InvalidObjectState, as S3 does, whatever
the range, part or condition (a condition that makes the body moot is answered
first: 304 or 412). A restored one is served from its landed copy, with the
headers of the original. A copy from a restored object is streamed from there;
from an object on tape it is refused.

``archived_get`` says what a GET of an object on tape does: ``refuse``;
``restore``, which also starts the restore; ``busy``, which starts it and answers
202 with Retry-After and a small document (Url, Status ``busy``, Progress) until
the bytes are there. Both need the caller's right to restore and the door
``restore`` in front; else, and for the anonymous, the GET is refused.

Stands behind ``record``, before ``proxy``.

May answer InvalidObjectState, NoSuchKey for what a DELETE hides, ObjectLost,
PreconditionFailed, InvalidRange, InvalidPartNumber, NotImplemented for torrents,
ServiceUnavailable when the store of the landed copies does not answer.

Section::

    [filter:shunt]
    use = egg:s3shunt#shunt
    catalog = main
    archived_get = refuse
    restore_days = 14
    restore_tier = Standard
    retry_after = 60s
"""

from contextlib import suppress
from dataclasses import dataclass

from s3shunt import config
from s3shunt.config import option
from s3shunt.connect import House
from s3shunt.filters.shunt.copy import Copies
from s3shunt.filters.shunt.landed import Landed
from s3shunt.filters.shunt.reads import Notes
from s3shunt.model import Entry
from s3shunt.policy import grants, shunt
from s3shunt.protocol import entity, restore
from s3shunt.protocol.errors import InvalidObjectState, InvalidRequest, NoSuchKey, NotImplemented, ObjectLost, RestoreAlreadyInProgress
from s3shunt.protocol.operations import Archived, Right
from s3shunt.wsgi import Handler, Request, Response, filter_factory

NEED_BYTES = (Archived.BYTES, Archived.REFUSE)
"""What operations do with an archived object that cannot do it without the object's bytes."""


@dataclass(frozen=True)
class Options:
    catalog: str = option(config.word, "main", help="Name of the [catalog:NAME] that is told when a landed copy is missing.")
    archived_get: str = option(config.choice("refuse", "restore", "busy"), "refuse", help="What a GET of an object on tape does.")
    restore_days: int = option(config.number, "14", help="Days of a restore that a GET started.")
    restore_tier: str = option(config.choice(*restore.TIERS), "Standard", help="Tier of a restore that a GET started.")
    retry_after: int = option(config.duration, "60s", help="When to come back, told with 202 busy.")


class Shunt:
    def __init__(self, forward: Handler, options: Options, house: House) -> None:
        self.forward = forward
        self.options = options
        self.house = house
        self.landed = Landed(house, options.catalog)
        self.copies = Copies(forward, self.landed, house, options.catalog)
        notes = Notes(house, options.catalog)
        self.noted = notes if notes.wanted else _unnoted

    def __call__(self, request: Request) -> Response:
        operation, context = request.operation, request.context
        if operation.name in ("CopyObject", "UploadPartCopy"):
            return self.copies(request)
        if context.plain or operation.archived not in NEED_BYTES:
            return self.forward(request)
        if shunt.ordinary(context.entry):
            return self.noted(request, self.forward(request))
        verdict = shunt.decide(context.entry, self.house.clock.now())
        if isinstance(verdict, shunt.Forward):
            return self.noted(request, self.forward(request))
        if isinstance(verdict, shunt.Absent):
            raise NoSuchKey(Key=request.ref.key)
        if isinstance(verdict, shunt.Lost):
            raise ObjectLost(Key=request.ref.key)
        if operation.archived is Archived.REFUSE:
            raise _refusal(request, verdict)
        return self.noted(request, self._answered(request, verdict))

    def _answered(self, request: Request, verdict: shunt.Serve | shunt.Refuse) -> Response:
        entry = request.context.entry
        assert entry is not None and entry.facts is not None  # noqa: PT018  # decide() forwards the others
        _overridden_by_known(request)
        answer = entity.answer(entry.facts, entry.ref, request.fields, request.parameters)
        if answer.status == 304:
            return Response(status=304, headerlist=answer.headers, app_iter=())
        if isinstance(verdict, shunt.Refuse):
            return self._refused(request, entry, verdict)
        body = self.landed.open(entry, verdict.place, answer.start, answer.end, wrapper=request.environ.get("wsgi.file_wrapper"))
        return Response(status=answer.status, headerlist=answer.headers, app_iter=body)

    def _refused(self, request: Request, entry: Entry, verdict: shunt.Refuse) -> Response:
        if self.options.archived_get == "refuse" or not self._may_restore(request):
            raise _refusal(request, verdict)
        if not verdict.ongoing:
            with suppress(RestoreAlreadyInProgress):  # somebody else was faster, which is as good
                request.context.restore(request, self.options.restore_days, self.options.restore_tier)  # type: ignore[misc]
        if self.options.archived_get == "restore":
            raise _refusal(request, verdict)
        return self._busy(request, entry)

    def _may_restore(self, request: Request) -> bool:
        decision = request.context.decision
        return (
            request.context.restore is not None
            and decision is not None
            and grants.allows(decision.identity, Right.RESTORE, request.ref)
        )

    def _busy(self, request: Request, entry: Entry) -> Response:
        """Not an error to its reader, who knows nothing of tapes: come back."""
        body = restore.busy(f"{request.host_url}{request.raw_path}")
        headers = [
            ("Content-Type", "application/xml"),
            ("Content-Length", str(len(body))),
            ("Retry-After", str(max(self.options.retry_after // 1000, 1))),
            ("x-amz-storage-class", entry.storage_class),
        ]
        return Response(status=202, headerlist=headers, app_iter=[body])


def _unnoted(_request: Request, response: Response) -> Response:
    return response


def _refusal(request: Request, verdict: shunt.Serve | shunt.Refuse) -> Exception:
    if request.operation.name == "GetObjectTorrent" or isinstance(verdict, shunt.Serve):
        return NotImplemented(f"{request.operation} is not implemented for archived objects.")
    return InvalidObjectState(StorageClass=verdict.storage_class)


def _overridden_by_known(request: Request) -> None:
    """Only who signed may choose the headers of the answer."""
    identity = request.context.decision.identity if request.context.decision else request.context.identity
    asked = entity.OVERRIDES.keys() & request.parameters.keys()
    if asked and (identity is None or identity.anonymous):
        raise InvalidRequest("Request specific response headers cannot be used for anonymous GET requests.")


factory = filter_factory(Shunt, Options, "filter:shunt")
