"""DeleteObject: a tombstone before where there are no versions; where there are, the rows follow the store's answer."""

from dataclasses import replace

from s3shunt import green
from s3shunt.filters.record.keeper import Keeper, Lapsed, Plan
from s3shunt.model import NULL, STORE_IS_TRUTH, Entry, Facts, Intent, ObjectRef, State, Step, Swap
from s3shunt.policy import record
from s3shunt.policy.record import Wait
from s3shunt.protocol import locks
from s3shunt.protocol.conditions import date
from s3shunt.protocol.entity import same
from s3shunt.protocol.errors import AccessDenied, PreconditionFailed, S3Error
from s3shunt.wsgi import Handler, Request, Response, dropped, subrequest

CONDITIONS = ("If-Match", "x-amz-if-match-size", "x-amz-if-match-last-modified-time")


class Deletes:
    def __init__(self, forward: Handler, keeper: Keeper) -> None:
        self.forward = forward
        self.keeper = keeper

    def __call__(self, request: Request) -> Response:
        if request.context.plain:
            return self.forward(request)
        if request.ref.version is not None:
            return self._version(request)
        row = self.keeper.known(request.ref)
        if row is not None and (row.ref.version != NULL or self._versioned(request.ref)):
            return self._marked(request)
        if row is not None:
            _hold(request, row)
        return self._tombstoned(request)

    # Without versions

    def _tombstoned(self, request: Request) -> Response:
        plan = Plan(ref=request.ref, operation="DeleteObject")
        intent = self.keeper.tombstone(plan)
        try:
            response = self.forward(request)
        except S3Error as error:
            if intent is not None and error.status < 500:
                self.keeper.abandon(intent)
            raise
        if response.headers.get("x-amz-delete-marker") == "true":
            return self._was_versioned(request, intent, response)
        if response.status_int < 300 or (response.status_int == 404 and intent is not None):
            self._done(plan, intent)
            return _no_content(response)
        if intent is not None and response.status_int < 500:
            self.keeper.abandon(intent)
        return response

    def _done(self, plan: Plan, intent: Intent | None) -> None:
        try:
            if intent is not None:
                self.keeper.forget(intent)
                return
        except Lapsed:
            pass  # what a sweep put back is to be hidden again
        self.late(plan)

    def late(self, plan: Plan) -> None:
        """The store's DELETE is done, and no tombstone stands for it: a row that is known by now goes as well."""
        row = self.keeper.row(plan.ref)
        if row is None or (row.state in STORE_IS_TRUTH and self.keeper.seen(row.ref) is not None):
            return  # never known, or written again since
        intent = self.keeper.tombstone(plan)
        if intent is not None:
            self.keeper.forget(intent)

    def _was_versioned(self, request: Request, intent: Intent | None, response: Response) -> Response:
        """The store made a delete marker: this bucket keeps versions, so the row is not to go."""
        if intent is not None:
            self.keeper.abandon(intent)
        self._remember(request.ref)
        self._hidden(request.ref, response)
        return response

    # With versions

    def _marked(self, request: Request) -> Response:
        response = self.forward(request)
        if response.status_int < 300:
            self._hidden(request.ref, response)
        return response

    def _hidden(self, ref: ObjectRef, response: Response) -> None:
        """The marker is current, unless somebody wrote since. A marker 'null' took the place of the version 'null'."""
        replaced = response.headers.get("x-amz-version-id", NULL) == NULL

        def decide() -> Step | Wait | None:
            row = self.keeper.known(ref)
            if row is not None and row.state is State.EVICTING:
                return Wait(row.lease or self.keeper.now)
            if row is None or not row.current or self.keeper.store.head(ref) is not None:
                return None
            if replaced and row.ref.version == NULL:
                return record.removed(row, None, self.keeper.house.policies, self.keeper.now, self.keeper.recall(row))
            return record.hidden(row)

        self.keeper.commit(decide)

    def _version(self, request: Request) -> Response:
        """One version by its id: the store may have it, or the archive, or both."""
        row = self.keeper.row(request.ref)
        if row is not None and row.facts is not None and row.state not in STORE_IS_TRUTH:
            _unlocked(request, row.facts, self.keeper.now)
        response = self.forward(request)
        tolerated = row is not None and row.state not in STORE_IS_TRUTH and response.status_int == 404
        if response.status_int >= 300 and not tolerated:
            return response
        top = self._top(request)
        if row is not None:
            self.keeper.commit(lambda: self._removed(request.ref, top))
        elif top is not None:
            self.keeper.commit(lambda: self._crowned(request.ref, top))
        if not tolerated:
            return response
        return _no_content(response, ("x-amz-version-id", str(request.ref.version)))

    def _top(self, request: Request) -> Response | None:
        """What the store shows of the key from now on; None where no row could take that place."""
        ref = replace(request.ref, version=None)
        if not green.offload(self.keeper.catalog.history, ref):
            return None
        response = self.forward(subrequest(request, "HeadObject", ref))
        dropped(response)
        return response

    def _removed(self, ref: ObjectRef, top: Response | None) -> Step | Wait | None:
        row = self.keeper.catalog.find_truth(ref)
        if row is None:
            return None
        heir = self._heir(ref, top) if row.current and top is not None else None
        return record.removed(row, heir, self.keeper.house.policies, self.keeper.now, self.keeper.recall(row))

    def _crowned(self, ref: ObjectRef, top: Response) -> Step | None:
        """What hid an archived version may be gone: then it is current again."""
        current = self.keeper.catalog.find_truth(replace(ref, version=None))
        heir = self._heir(ref, top) if current is None else None
        return Step(swaps=(Swap(heir, replace(heir, current=True)),)) if heir is not None else None

    def _heir(self, gone: ObjectRef, top: Response) -> Entry | None:
        """The newest row that is left, if the store has nothing newer: no version and no marker."""
        rows = [row for row in self.keeper.catalog.history(gone) if row.facts is not None and row.ref != gone]
        newest = max(rows, key=_age, default=None)
        if newest is None or (top.status_int == 404 and "x-amz-delete-marker" not in top.headers):
            return newest
        modified = date(top.headers.get("Last-Modified"))
        is_newest = top.headers.get("x-amz-version-id") == newest.ref.version
        return newest if is_newest or (modified is not None and modified < _age(newest) // 1000) else None

    def _versioned(self, ref: ObjectRef) -> bool:
        bucket = green.offload(self.keeper.truth.bucket, ref.account, ref.bucket)
        return bucket is not None and bucket.versioned

    def _remember(self, ref: ObjectRef) -> None:
        bucket = green.offload(self.keeper.truth.bucket, ref.account, ref.bucket)
        if bucket is not None and not bucket.versioned:
            green.offload(self.keeper.truth.save_bucket, replace(bucket, versioned=True))


def _age(row: Entry) -> int:
    return row.facts.last_modified if row.facts else 0


def _hold(request: Request, row: Entry) -> None:
    """Conditions of a DELETE on what the store has not got are judged by the entry, and go no further."""
    asked = {name: request.fields[name] for name in CONDITIONS if name in request.fields}
    if not asked or row.facts is None or row.state in STORE_IS_TRUTH or row.state is State.DELETED:
        return
    etag, size, modified = (asked.get(name) for name in CONDITIONS)
    holds = (
        etag in (None, "*") or same(str(etag), row.facts.etag),
        size in (None, str(row.facts.size)),
        modified is None or _seconds(modified) == row.facts.last_modified // 1000,
    )
    if not all(holds):
        raise PreconditionFailed
    for name in asked:
        del request.fields[name]


def _seconds(text: str) -> int | None:
    """Of an HTTP date (header) or an ISO one (document)."""
    found = locks.moment(text)
    return date(text) if found is None else found // 1000


def _unlocked(request: Request, facts: Facts, now: int) -> None:
    """A version under lock stays, wherever its bytes are."""
    bypass = request.fields.get("x-amz-bypass-governance-retention", "").lower() == "true"
    if locks.holds(facts.lock, now, bypass=bypass):
        raise AccessDenied("Access Denied because object protected by object lock.")


def _no_content(response: Response, *more: tuple[str, str]) -> Response:
    if response.status_int < 300:
        return response
    dropped(response)
    return Response(status=204, headerlist=list(more), app_iter=())
