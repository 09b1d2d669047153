"""PutObject, CopyObject, CompleteMultipartUpload: an intent before, the facts after."""

from dataclasses import dataclass, replace

from s3shunt import green
from s3shunt.filters.record.keeper import Keeper, Lapsed, Plan, Renewing
from s3shunt.model import NULL, STORE_IS_TRUTH, Facts, Intent, ObjectRef, State, Upload
from s3shunt.policy.placement import asked_class, by_metadata, external_id, known_id, tracked
from s3shunt.policy.record import Written
from s3shunt.protocol import addressing, conditions, entity, multipart
from s3shunt.protocol.errors import ConditionalRequestConflict, PreconditionFailed, S3Error, ServiceUnavailable, SlowDown
from s3shunt.protocol.operations import Body
from s3shunt.wsgi import Handler, Request, Response, taken

CONDITIONS = ("if-match", "if-none-match")
UNSURE = frozenset({"InternalError", "ServiceUnavailable", "SlowDown", "RequestTimeout"})
"""Errors in a document after which the write may have happened all the same."""


TRIES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What the store made of a write. Neither done nor refused: nobody knows yet."""

    response: Response
    done: bool = False
    refused: bool = False
    etag: str = ""


class Writes:
    def __init__(self, forward: Handler, keeper: Keeper) -> None:
        self.forward = forward
        self.keeper = keeper

    def __call__(self, request: Request) -> Response:
        plan = self._plan(request)
        if request.context.plain:
            return self.forward(request)
        if request.context.entry is not None or plan.storage_class or plan.external_id or self._ages(request):
            return self._tracked(request, plan)
        return self._plain(request, plan)

    def _ages(self, request: Request) -> bool:
        length = request.input.length if request.operation.body is Body.BYTES else None
        return tracked(self.keeper.house.policies, request.ref, length)

    def _plan(self, request: Request) -> Plan:
        """Raises InvalidStorageClass. A Complete has the class its upload was created with."""
        ref, name = replace(request.ref, version=None), request.operation.name
        if name == "CompleteMultipartUpload":
            upload = None if request.context.plain else self._upload(request)
            if upload is None:
                return Plan(ref=ref, operation=name)
            return Plan(ref=ref, operation=name, storage_class=upload.storage_class, external_id=upload.external_id)
        policies = self.keeper.house.policies
        asked = asked_class(policies, ref, request.fields.get("x-amz-storage-class"), others=request.context.store_archives)
        if asked is not None:  # ours alone from here on
            del request.fields["x-amz-storage-class"]
            request.context.notes["class"] = asked
        return Plan(ref=ref, operation=name, storage_class=asked, external_id=self._external_id(request, ref))

    def _external_id(self, request: Request, ref: ObjectRef) -> str | None:
        """Raises InvalidArgument. A copy brings along what its source's metadata says, unless that is replaced."""
        policies = self.keeper.house.policies
        if request.operation.name != "CopyObject" or not by_metadata(policies, ref):
            return external_id(policies, ref, request.fields)
        if request.fields.get("x-amz-metadata-directive", "COPY").upper() == "REPLACE":
            return external_id(policies, ref, request.fields)
        return known_id(policies, ref, self._source(request))

    def _source(self, request: Request) -> Facts | None:
        """What is copied, as its entry tells it where that is the truth, else as the store does."""
        source = replace(addressing.copy_source(request.fields["x-amz-copy-source"]), account=request.ref.account)
        row = self.keeper.row(source)
        return row.facts if row is not None and row.state not in STORE_IS_TRUTH else self.keeper.seen(source)

    def _plain(self, request: Request, plan: Plan) -> Response:
        """Nobody knew the key. If somebody does by now, it is as if we had begun with an intent."""
        result = told(request, self.forward(request))
        if result.done and self.keeper.known(plan.ref) is not None:
            self._late(plan, result)
        return result.response

    def _tracked(self, request: Request, plan: Plan) -> Response:
        intent = self.keeper.begin(plan)
        if request.operation.body is Body.BYTES:
            request.input = Renewing(request.input, intent, self.keeper)
        try:
            self._hold(request, intent)
            response = self.forward(request)
        except S3Error as error:
            if error.status < 500:
                self.keeper.abandon(intent)
            raise  # of the others nobody knows what the store did: the sweep will see
        result = told(request, response)
        if result.refused:
            self.keeper.abandon(intent)
        elif result.done:
            self._finished(plan, intent, result)
        return result.response

    def _hold(self, request: Request, intent: Intent) -> None:
        """Conditions on what the store has not got are judged here, while nobody else writes, and go no further."""
        asked = {name: request.fields[name] for name in CONDITIONS if name in request.fields}
        row = self.keeper.row(intent.ref) if asked else None
        if row is None or row.facts is None or row.state in STORE_IS_TRUTH or row.state is State.DELETED:
            return
        if conditions.judge(asked, row.facts.etag, row.facts.last_modified) is not None:
            raise PreconditionFailed
        if row.writers > 1:
            raise ConditionalRequestConflict
        for name in asked:
            del request.fields[name]

    def _finished(self, plan: Plan, intent: Intent, result: Result) -> None:
        try:
            self._settle(plan, intent, result)
        except Lapsed:
            self._late(plan, result)

    def _late(self, plan: Plan, result: Result) -> None:
        """The row was not ours while we wrote: it counts only if the store still holds something. Raises ServiceUnavailable."""
        intent = self.keeper.begin(plan)
        try:
            self._settle(plan, intent, result)
        except Lapsed:
            raise ServiceUnavailable(retry_after=1) from None

    def _settle(self, plan: Plan, intent: Intent, result: Result) -> None:
        """The row is read, then the store is asked, then the row is changed if it still stands: so nobody's class gets on another's bytes.

        What the store holds by now may be another's write, who will tell of it. Raises Lapsed, and ServiceUnavailable for what is gone.
        """
        for _ in range(TRIES):
            row = self.keeper.row(intent.ref)
            seen, latest = self._seen(plan, result)
            if seen is None or (result.etag and not entity.same(seen.etag, result.etag)):
                if not self.keeper.abandon(intent):
                    raise Lapsed
                if seen is None:
                    raise ServiceUnavailable("The object was removed while it was written. Try again.", retry_after=1)
                return
            if row is None:
                raise Lapsed
            if self.keeper.finish(intent, self._written(plan, result, seen, latest=latest), row.revision):
                return
        raise SlowDown(retry_after=1)

    def _written(self, plan: Plan, result: Result, seen: Facts, *, latest: bool) -> Written:
        return Written(
            ref=self._version(plan, result),
            facts=seen,
            storage_class=plan.storage_class or "STANDARD",
            external_id=plan.external_id,
            now=self.keeper.now,
            latest=latest,
        )

    def _seen(self, plan: Plan, result: Result) -> tuple[Facts | None, bool]:
        """The version that was written, and whether the store holds nothing newer."""
        ref, top = self._version(plan, result), self.keeper.seen(plan.ref)
        if ref.version == NULL or (top is not None and top.stamp == ref.version):
            return top, True
        return self.keeper.seen(ref), False

    def _version(self, plan: Plan, result: Result) -> ObjectRef:
        return replace(plan.ref, version=result.response.headers.get("x-amz-version-id", NULL))

    # Multipart uploads

    def _upload(self, request: Request) -> Upload | None:
        """What is known of the upload, if it is one of this key: some stores take any id for any key."""
        found = green.offload(self.keeper.truth.upload, request.parameters.get("uploadId", ""))
        ref = replace(request.ref, version=None)
        return found if found is not None and replace(found.ref, version=None) == ref else None

    def create_upload(self, request: Request) -> Response:
        """The class is kept until Complete: the store never hears of it."""
        plan = self._plan(request)
        if request.context.plain or not (plan.storage_class or plan.external_id):
            return self.forward(request)
        self.keeper.demand(plan)
        response, document = kept(self.forward(request))
        upload = multipart.upload_id(document) if response.status_int < 300 else None
        if upload is not None:
            remembered = Upload(
                id=upload, ref=plan.ref, storage_class=plan.storage_class, external_id=plan.external_id, created=self.keeper.now
            )
            green.offload(self.keeper.truth.save_upload, remembered)
        return response

    def abort_upload(self, request: Request) -> Response:
        response = self.forward(request)
        upload = self._upload(request) if response.status_int < 300 and not request.context.plain else None
        if upload is not None:
            green.offload(self.keeper.truth.drop_upload, upload.id)
        return response


def told(request: Request, response: Response) -> Result:
    """What an answer to a write says; where it is a document, that is read to its end."""
    if response.status_int >= 300:
        return Result(response=response, refused=response.status_int < 500)
    if request.operation.name == "PutObject":
        return Result(response=response, done=True, etag=response.headers.get("ETag", ""))
    response, document = kept(response)
    outcome = multipart.outcome(document)
    if outcome is None:
        return Result(response=response, done=True, etag=response.headers.get("ETag", ""))
    if outcome.error:
        return Result(response=response, refused=outcome.error not in UNSURE)
    return Result(response=response, done=True, etag=outcome.etag)


def kept(response: Response) -> tuple[Response, bytes]:
    """An answer whose document has been read, and can be read again by who comes next."""
    document = taken(response)
    headers = [(name, value) for name, value in response.headerlist if name.lower() != "content-length"]
    headers.append(("Content-Length", str(len(document))))
    return Response(status=response.status, headerlist=headers, app_iter=[document]), document
