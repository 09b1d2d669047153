"""``restore``: RestoreObject, and what HEAD and GET say of an archived object.

``POST ?restore`` writes the wish into the catalog and answers 202; a worker does
the rest. 200 for a copy that is readable already, whose end is moved; 409
RestoreAlreadyInProgress for a second wish of the same or a slower tier while one
is under way; 403 InvalidObjectState for an object that is not archived. The
table of all cases is in ``docs/restore.md``.

HEAD of an object whose bytes are not in the store is answered from the catalog
with every header of the original. GET and HEAD tell ``x-amz-storage-class``
GLACIER or DEEP_ARCHIVE, and ``x-amz-restore`` in one of its two legal forms:
what the store says under these names is not handed on.

With ``restore = store`` the store has archive classes of its own. What is ours stays
ours: a key whose entry names an archive class, or is anything but online. For every
other key the store gets RestoreObject and the class at PUT, and what it says of
restores and classes is handed on as it is; where it has nothing either, the archives
are asked as ever.

Stands behind ``lookup``, before ``listing``.

May answer NoSuchKey, NoSuchVersion, MethodNotAllowed for a delete marker's
version, InvalidObjectState, RestoreAlreadyInProgress, MalformedXML,
InvalidArgument, NotImplemented for SELECT, ObjectLost, PreconditionFailed,
SlowDown while the object is just leaving the store, ServiceUnavailable while the
catalog does not answer.

Section::

    [filter:restore]
    use = egg:s3shunt#restore
    catalog = main
    max_days = 3650
    patience = 5s
    restore = ours
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter

from s3shunt import config, green
from s3shunt.config import option
from s3shunt.connect import House
from s3shunt.model import NULL, STORE_IS_TRUTH, Entry, State
from s3shunt.policy import restore as steps
from s3shunt.policy.record import ARCHIVE_CLASSES, Wait
from s3shunt.policy.shunt import ordinary
from s3shunt.protocol import entity
from s3shunt.protocol import restore as wire
from s3shunt.protocol.conditions import date
from s3shunt.protocol.errors import (
    AccessDenied,
    InvalidObjectState,
    MethodNotAllowed,
    NoSuchKey,
    NoSuchVersion,
    ServiceUnavailable,
    SlowDown,
)
from s3shunt.protocol.names import Known
from s3shunt.wsgi import Handler, Request, Response, document, dropped, filter_factory, subrequest

CONTENDED = 20

_NAME = itemgetter(0)
_TELLS = Known(lambda name: name.lower() in ("x-amz-restore", "x-amz-storage-class"))


@dataclass(frozen=True)
class Options:
    catalog: str = option(config.word, "main", help="Name of the [catalog:NAME] that restores are written to.")
    max_days: int | None = option(config.number, "3650", help="The most Days a restore may ask for; empty: any number.")
    patience: int = option(config.duration, "5s", help="How long a restore waits for an object that is just leaving the store.")
    restore: str = option(
        config.choice("ours", "store"), "ours",
        help="Who restores what has no entry of ours: nobody (ours), or the store, which has archive classes of its own.",
    )  # fmt: skip


class Restore:
    def __init__(self, forward: Handler, options: Options, house: House) -> None:
        self.forward = forward
        self.options = options
        self.house = house
        self.catalog = house.catalog(options.catalog)
        self.store_archives = options.restore == "store"

    def __call__(self, request: Request) -> Response:
        name, context = request.operation.name, request.context
        context.store_archives = self.store_archives
        if name == "RestoreObject":
            return self._post(request)
        if name not in ("GetObject", "HeadObject"):
            return self.forward(request)
        context.restore = self._restore
        if name == "HeadObject" and (answered := self._head(request)) is not None:
            return answered
        response = self.forward(request)
        return response if context.plain else self._told(request, response)

    # HEAD and GET

    def _head(self, request: Request) -> Response | None:
        """From the entry where that is the truth; None where the store is to be asked."""
        entry = request.context.entry
        if entry is None or entry.state in STORE_IS_TRUTH:
            return None
        if entry.state is State.DELETED or entry.facts is None:
            raise NoSuchKey(Key=request.ref.key)
        answer = entity.answer(entry.facts, entry.ref, request.fields, request.parameters)
        response = Response(status=answer.status, headerlist=answer.headers, app_iter=())
        return self._told(request, response)

    def _told(self, request: Request, response: Response) -> Response:
        """The class and the restore of the version in the answer, and nothing the store says of such, unless it is the store's."""
        entry = request.context.entry
        if self.store_archives and not _ours(entry):
            return response
        if ordinary(entry) and not any(map(_TELLS.__getitem__, map(_NAME, response.headerlist))):
            return response  # as with most reads: nothing to say, and nothing to take away
        told = response.by_name()
        if "x-amz-restore" in told:
            response.say(("x-amz-restore", None))
        if told.get("x-amz-storage-class") in ARCHIVE_CLASSES:
            response.say(("x-amz-storage-class", None))
        if entry is None or response.status_int not in (200, 206) or not _about(entry, told):
            return response
        if entry.storage_class in ARCHIVE_CLASSES:
            response.say(("x-amz-storage-class", entry.storage_class))
        standing = steps.standing(entry, self.house.clock.now())
        if standing is not None:
            response.say(("x-amz-restore", wire.header(standing.until)))
        return response

    # POST ?restore

    def _post(self, request: Request) -> Response:
        body, limit = document(request, wire.MAX_BYTES), self.options.max_days
        if self.store_archives and (answered := self._by_the_store(request)) is not None:
            return answered
        asked = wire.RestoreRequest.from_xml(body, max_days=limit)
        status = self._restore(request, asked.days, asked.tier)
        return Response(status=status, headerlist=[("Content-Length", "0")], app_iter=())

    def _by_the_store(self, request: Request) -> Response | None:
        """Its answer, whatever it is; None for what is ours, or turns out to be in an archive of ours alone."""
        context = request.context
        row = None if context.plain else green.offload(self.catalog.find_truth, request.ref)
        if _ours(row):
            return None
        response = self.forward(request)
        if row is not None or response.status_int != 404 or self._discovered(request, response) is None:
            return response
        dropped(response)
        return None

    def _restore(self, request: Request, days: int, tier: str) -> int:
        """202 or 200 once the wish is in the catalog; raises what refuses it."""
        for _ in green.tries(CONTENDED + self.options.patience // 100):
            row = self._row(request)
            done = green.offload(self._wish, row, self._wished(request, days, tier))
            if done is not None:
                return done
        raise SlowDown(retry_after=1)

    def _wish(self, row: Entry, wish: steps.Wish) -> int | None:
        """None when the row moved, or is just leaving the store: decide anew."""
        known = self.house.truth(self.options.catalog).recalls(ref=row.ref, limit=1)
        granted = steps.decide(row, wish, known[0] if known else None)
        if isinstance(granted, Wait) or not self.catalog.commit(granted.step):
            return None
        return granted.status

    def _wished(self, request: Request, days: int, tier: str) -> steps.Wish:
        decision, now = request.context.decision, self.house.clock.now()
        identity = decision.identity.access_key if decision else ""
        return steps.Wish(days=days, tier=tier, identity=identity, now=now, day=self.house.day, recall_id=uuid.uuid4().hex)

    def _row(self, request: Request) -> Entry:
        """The truth of what is to be restored; for what nobody knows the store is asked, then the archives."""
        context = request.context
        row = None if context.plain else green.offload(self.catalog.find_truth, request.ref)
        if row is not None and (row.facts is not None or row.state is State.DELETED):
            return row
        response = self.forward(subrequest(request, "HeadObject", request.ref))
        dropped(response)
        if response.status_int < 300:
            raise InvalidObjectState("Restore is not allowed for the object's current storage class", StorageClass=_class(response))
        return self._unknown(request, response)

    def _unknown(self, request: Request, response: Response) -> Entry:
        if response.status_int == 405:
            raise MethodNotAllowed
        if response.status_int == 403:
            raise AccessDenied
        if response.status_int != 404:
            raise ServiceUnavailable(retry_after=5)
        found = self._discovered(request, response)
        if found is None:
            raise NoSuchVersion(VersionId=request.ref.version) if request.ref.version else NoSuchKey(Key=request.ref.key)
        return found

    @staticmethod
    def _discovered(request: Request, response: Response) -> Entry | None:
        """What an archive knows by this name; nobody is asked about a delete marker."""
        discover = request.context.discover
        return discover(request) if discover is not None and "x-amz-delete-marker" not in response.headers else None


def _ours(entry: Entry | None) -> bool:
    """Whether its restores are ours where the store has some, too: an archive class of ours, or anything but online."""
    return entry is not None and (entry.state is not State.ONLINE or entry.storage_class in ARCHIVE_CLASSES)


def _class(response: Response) -> str:
    return response.headers.get("x-amz-storage-class", "STANDARD")


def _about(entry: Entry, told: Mapping[str, str]) -> bool:
    """Whether the answer is of the version that the entry tells of; where the store is the truth, only at equal identity."""
    if entry.facts is None:
        return False
    if told.get("x-amz-version-id", NULL) != (entry.ref.version or NULL) or not entity.same(told.get("etag", ""), entry.facts.etag):
        return False
    return date(told.get("last-modified")) == entry.facts.last_modified // 1000


factory = filter_factory(Restore, Options, "filter:restore")
