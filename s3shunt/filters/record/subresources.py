"""Tags, ACL, lock and attributes: of an object that is not in the store they are served, and changed, in its entry."""

from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate

from s3shunt.filters.record.keeper import Keeper, Lapsed, Plan
from s3shunt.model import NULL, STORE_IS_TRUTH, Entry, Facts, State, Step, Swap
from s3shunt.protocol import locks
from s3shunt.protocol import subresources as documents
from s3shunt.protocol.errors import AccessDenied, NoSuchKey, NoSuchObjectLockConfiguration, NotImplemented, S3Error
from s3shunt.protocol.operations import Effect
from s3shunt.wsgi import Handler, Request, Response, document

Edit = Callable[[Facts], Facts]


class Subresources:
    def __init__(self, forward: Handler, keeper: Keeper) -> None:
        self.forward = forward
        self.keeper = keeper

    def __call__(self, request: Request) -> Response:
        entry = request.context.entry
        if entry is None or entry.state in STORE_IS_TRUTH:
            return self._in_store(request)
        if entry.state is State.DELETED or entry.facts is None:
            raise NoSuchKey(Key=request.ref.key)
        if request.operation.effect is Effect.FACTS:
            return self._changed(request)
        return self._told(request, entry, entry.facts)

    # The store is the truth

    def _in_store(self, request: Request) -> Response:
        """A change is counted like a write, so that the bytes do not leave the store with the old tags."""
        if request.context.plain or request.operation.effect is not Effect.FACTS:
            return self.forward(request)
        plan = Plan(ref=request.ref, operation=request.operation.name)
        if request.context.entry is None:
            response = self.forward(request)
            if response.status_int < 300 and self.keeper.row(request.ref) is not None:
                self._amended(plan)
            return response
        intent = self.keeper.begin(plan)
        try:
            response = self.forward(request)
        except S3Error as error:
            if error.status < 500:
                self.keeper.abandon(intent)
            raise
        if response.status_int < 300:
            try:
                self.keeper.amend(intent, self.keeper.seen(intent.ref))
            except Lapsed:
                self._amended(plan)
        elif response.status_int < 500:
            self.keeper.abandon(intent)
        return response

    def _amended(self, plan: Plan) -> None:
        intent = self.keeper.begin(plan)
        self.keeper.amend(intent, self.keeper.seen(intent.ref))

    # The entry is

    def _changed(self, request: Request) -> Response:
        edit = self._edit(request)

        def decide() -> Step | None:
            row = self.keeper.catalog.find_truth(request.ref)
            if row is None or row.facts is None or row.state is State.DELETED:
                raise NoSuchKey(Key=request.ref.key)
            return None if row.state in STORE_IS_TRUTH else Step(swaps=(Swap(row, replace(row, facts=edit(row.facts))),))

        step = self.keeper.commit(decide)
        if step is None:  # written anew meanwhile
            return self._in_store(request)
        status = 204 if request.method == "DELETE" else 200
        return Response(status=status, headerlist=[*_version(step.swaps[0].old), ("Content-Length", "0")], app_iter=())

    def _edit(self, request: Request) -> Edit:
        match request.operation.name:
            case "PutObjectTagging":
                tags = documents.read_tagging(document(request))
                return lambda facts: replace(facts, tags=tags)
            case "DeleteObjectTagging":
                return lambda facts: replace(facts, tags={})
            case "PutObjectAcl":
                acl = _acl(request)
                return lambda facts: replace(facts, acl=acl)
            case "PutObjectLegalHold":
                hold = {locks.HOLD: documents.read_legal_hold(document(request))}
                return lambda facts: replace(facts, lock={**facts.lock, **hold})
            case "PutObjectRetention":
                return self._retention(request)
        raise NotImplemented(f"{request.operation} is not implemented for archived objects.")

    def _retention(self, request: Request) -> Edit:
        """Retention may grow; GOVERNANCE may shrink for those who may bypass it."""
        now = self.keeper.now
        asked = documents.read_retention(document(request), now)
        bypass = request.fields.get("x-amz-bypass-governance-retention", "").lower() == "true"

        def edit(facts: Facts) -> Facts:
            rest = {name: value for name, value in facts.lock.items() if name not in (locks.MODE, locks.UNTIL, locks.HOLD)}
            held = {name: value for name, value in facts.lock.items() if name in (locks.MODE, locks.UNTIL)}
            if locks.holds(held, now, bypass=bypass) and not _longer(held, asked):
                raise AccessDenied("Access Denied because object protected by object lock.")
            hold = {locks.HOLD: facts.lock[locks.HOLD]} if locks.HOLD in facts.lock else {}
            return replace(facts, lock={**rest, **hold, **asked})

        return edit

    def _told(self, request: Request, entry: Entry, facts: Facts) -> Response:
        body = _document(request, entry, facts)
        headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body))), *_version(entry)]
        if request.operation.name == "GetObjectAttributes":
            headers.append(("Last-Modified", formatdate(facts.last_modified // 1000, usegmt=True)))
        return Response(headerlist=headers, app_iter=[body])


def _document(request: Request, entry: Entry, facts: Facts) -> bytes:
    match request.operation.name:
        case "GetObjectTagging":
            return documents.tagging(facts.tags)
        case "GetObjectAcl":
            return documents.acl(facts)
        case "GetObjectAttributes":
            return documents.attributes(facts, entry.storage_class, request.fields.get("x-amz-object-attributes", ""))
        case "GetObjectLegalHold" if locks.HOLD in facts.lock:
            return documents.legal_hold(facts.lock[locks.HOLD])
        case "GetObjectRetention" if facts.lock.get(locks.MODE):
            return documents.retention(facts.lock)
        case "GetObjectLegalHold" | "GetObjectRetention":
            raise NoSuchObjectLockConfiguration
    raise NotImplemented(f"{request.operation} is not implemented for archived objects.")


def _acl(request: Request) -> str:
    """A document, or the one canned ACL that needs no account of others."""
    body = document(request)
    if any(name.lower().startswith("x-amz-grant-") for name in request.fields):
        raise NotImplemented("Grants by header are not implemented for archived objects.")
    if body:
        return documents.read_acl(body)
    if request.fields.get("x-amz-acl") != "private":
        raise NotImplemented("Of the canned ACLs only private is implemented for archived objects.")
    return ""


def _longer(held: dict[str, str], asked: dict[str, str]) -> bool:
    until, wished = locks.moment(held.get(locks.UNTIL, "")), locks.moment(asked.get(locks.UNTIL, ""))
    weaker = held.get(locks.MODE) == "COMPLIANCE" and asked.get(locks.MODE) != "COMPLIANCE"
    return until is not None and wished is not None and wished >= until and not weaker


def _version(entry: Entry | None) -> list[tuple[str, str]]:
    version = entry.ref.version if entry is not None else None
    return [("x-amz-version-id", version)] if version not in (None, NULL) else []
