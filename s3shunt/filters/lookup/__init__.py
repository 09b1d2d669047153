"""``lookup``: what the catalog knows of the object, before any other door asks.

Leaves the entry for the doors behind (``context.entry``), or that no entry can
concern the bucket (``context.plain``): no policy names it and the catalog holds
nothing of it. That flag is at most a second old.

It also sees the answer on its way back. When the store says 404 to a read, the
catalog is read again past every cache: if it knows better by now, the request
goes in once more. An object whose bytes left the store while nobody looked is
put right. What nobody knows is looked for in the archives of the bucket's
policies by name (``discover``), and adopted as archived: ``miss`` asks before the
404 is given, ``background`` gives the 404 and asks then, ``never`` does not ask.
Archives are not asked for anonymous readers, for versions by id, for a key whose
archived copy waits to be discarded, nor again within ``negative``. While one of them does not
answer, a read of what nobody knows is 404, and a restore of it ServiceUnavailable: the archive may have it.

Stands behind ``grants``, before ``restore``.

May answer ServiceUnavailable while the catalog does not answer: for writes, for
what was not found, and in buckets with versions; reads that the store can answer
pass. May answer SlowDown while an object is on its way out of the store.

Section::

    [filter:lookup]
    use = egg:s3shunt#lookup
    catalog = main
    store = main
    discover = miss
    negative = 60s
    patience = 5s
"""

from contextlib import suppress
from dataclasses import dataclass

from s3shunt import config, green
from s3shunt.config import option
from s3shunt.connect import House
from s3shunt.filters.lookup.finder import REMEMBERED, RETRY_AFTER, Finder, Silent
from s3shunt.model import Entry, ObjectRef, State
from s3shunt.policy import archive
from s3shunt.policy.record import matches
from s3shunt.protocol.errors import S3Error, ServiceUnavailable, SlowDown
from s3shunt.protocol.names import Known
from s3shunt.protocol.operations import Archived
from s3shunt.wsgi import Handler, Request, Response, dropped, filter_factory

PLAIN_FOR = 1_000
PLAIN_AT_MOST = 60_000
CONTENDED = 20
FORWARD = Archived.FORWARD  # named once: a member of an enumeration is looked for each time it is named


@dataclass(frozen=True)
class Options:
    catalog: str = option(config.word, "main", help="Name of the [catalog:NAME] to look in.")
    store: str = option(config.word, "main", help="Name of the [store:NAME] behind the proxy.")
    discover: str = option(
        config.choice("never", "miss", "background"), "miss", help="Whether archives are asked by name for what nobody knows."
    )
    negative: int = option(config.duration, "60s", help="How long an archive's 'no' is remembered.")
    patience: int = option(config.duration, "5s", help="How long a read waits for an object that is just leaving the store.")


class Lookup:
    def __init__(self, forward: Handler, options: Options, house: House) -> None:
        self.forward = forward
        self.options = options
        self.house = house
        self.catalog = house.catalog(options.catalog)
        self.plain = _Plain(house, options.catalog)
        self.policied = Known(self._policied)
        self.finder = Finder(house, options)

    def __call__(self, request: Request) -> Response:
        context, ref = request.context, request.ref
        context.plain = plain = not self.policied[ref.bucket] and bool(ref.bucket) and self._plain(request)
        if plain or request.operation.archived is FORWARD or not ref.key:
            context.looked_up = plain
            return self.forward(request)
        context.discover = self._discover
        if not self._look(request):
            return self._without(request)
        response = self.forward(request)
        if request.method in ("GET", "HEAD") and response.status[:3] in ("404", "412"):
            return self._missed(request, response)
        return response

    def _policied(self, bucket: str) -> bool:
        """Whether a policy names it, so that it is never plain."""
        return any(matches(policy, ObjectRef(bucket, policy.prefix)) for policy in self.house.policies)

    def _plain(self, request: Request) -> bool:
        """A bucket of which nothing can be known for now is not plain: what follows will say so."""
        try:
            return self.plain(request.ref)
        except ServiceUnavailable:
            return False

    def _look(self, request: Request) -> bool:
        """Whether the catalog answered. Only reads go on without it."""
        try:
            request.context.entry = self.catalog.find(request.ref)
        except ServiceUnavailable:
            if request.method not in ("GET", "HEAD"):
                raise
            return False
        request.context.looked_up = True
        return True

    def _without(self, request: Request) -> Response:
        """The catalog does not answer: what the store has is served where it cannot be an older version; its 404 proves nothing."""
        if request.ref.version is not None:
            raise ServiceUnavailable(retry_after=RETRY_AFTER)
        response = self.forward(request)
        versioned = response.headers.get("x-amz-version-id", "null") != "null"
        if response.status_int == 404 or versioned:
            dropped(response)
            raise ServiceUnavailable(retry_after=RETRY_AFTER)
        return response

    def _missed(self, request: Request, response: Response) -> Response:
        """The store has not got it. Whoever knows better now sends the request in once more."""
        context = request.context
        if response.status_int == 412 and _conditional(request):
            return response
        try:
            entry = self._better(request, response)
        except S3Error:
            dropped(response)
            raise
        if entry is None or _same(entry, context.entry):
            return response
        dropped(response)
        context.entry = entry
        return self.forward(request)

    def _better(self, request: Request, response: Response) -> Entry | None:
        """What is known by now; a delete marker is an answer, and nobody is asked about it."""
        entry = self._settled(request.ref)
        if entry is None and response.status_int == 404 and "x-amz-delete-marker" not in response.headers:
            return self._unknown(request)
        return entry

    def _settled(self, ref: ObjectRef) -> Entry | None:
        """The row as it truly is, once nobody moves it any more. Raises SlowDown when that takes too long."""
        for _ in green.tries(max(self.options.patience // 100, 1) + CONTENDED):
            row = green.offload(self.catalog.find_truth, ref)
            if row is None or row.state not in (State.EVICTING, State.VERIFIED):
                return row
            if row.state is State.VERIFIED and not self._healed(row):
                return row
        raise SlowDown(retry_after=1)

    def _healed(self, row: Entry) -> bool:
        """Whether a verified row was found without bytes; then it is archived by now, or to be read again."""
        store = self.house.store(row.store)
        policy = next((p for p in self.house.policies if p.archive == row.archive and matches(p, row.ref)), None)
        step = archive.heal(row, policy, self.house.clock.now())
        asked = row.ref if row.ref.version != "null" else _unversioned(row.ref)
        if step is None or green.offload(store.head, asked) is not None:
            return False
        green.offload(self.catalog.commit, step)
        return True

    def _unknown(self, request: Request) -> Entry | None:
        if self.options.discover != "background":
            return self._sought(request)
        green.spawn(self._sought, request)
        return None

    def _sought(self, request: Request) -> Entry | None:
        """A read goes by what is known here when an archive does not answer."""
        with suppress(Silent):
            return self._discover(request)
        return None

    def _discover(self, request: Request) -> Entry | None:
        if self.options.discover == "never":
            return None
        return self.finder(request.ref, request.context.identity)


def _same(entry: Entry, used: Entry | None) -> bool:
    return used is not None and (entry.ref, entry.revision) == (used.ref, used.revision)


def _conditional(request: Request) -> bool:
    """Whether the client itself asked for a condition."""
    return any(name in request.fields for name in ("If-Match", "If-Unmodified-Since"))


def _unversioned(ref: ObjectRef) -> ObjectRef:
    return ObjectRef(ref.bucket, ref.key, None, ref.account)


class _Plain:
    """Whether no entry concerns a bucket that no policy names; read from the catalog at most once a second."""

    def __init__(self, house: House, catalog: str) -> None:
        self.house = house
        self.catalog = catalog
        self._seen: dict[tuple[str, str], tuple[int, bool]] = {}

    def __call__(self, ref: ObjectRef) -> bool:
        name, now = (ref.account, ref.bucket), self.house.clock.now()
        asked, plain = self._seen.get(name, (now - PLAIN_AT_MOST - 1, False))
        if now - asked <= PLAIN_FOR:
            return plain
        return self._read(name, now, (asked, plain))

    def _read(self, name: tuple[str, str], now: int, last: tuple[int, bool]) -> bool:
        """Raises ServiceUnavailable where even the last answer is too old."""
        try:
            plain = not green.offload(self.house.catalog(self.catalog).scan, *name, limit=1, versions=True)
        except ServiceUnavailable:
            if now - last[0] > PLAIN_AT_MOST:
                raise
            return last[1]
        if len(self._seen) >= REMEMBERED:
            self._seen.clear()
        self._seen[name] = (now, plain)
        return plain


factory = filter_factory(Lookup, Options, "filter:lookup")
