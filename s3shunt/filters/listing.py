"""``listing``: the listing of a bucket shows what the store no longer holds.

An object whose bytes are on tape lists like any other: ListObjects (both
versions) and ListObjectVersions are answered from the store's listing and the
catalog's, spliced in S3's order. Where the catalog is the truth (archived,
being restored, restored, lost) its entry is the item; where the store is, the
store's item is, with the class that was asked for at PUT. A deleted object is
not shown while the store still has it. ``RestoreStatus`` is told to who asks
(``x-amz-optional-object-attributes: RestoreStatus``).

Stands behind ``grants`` and ``lookup``, before ``proxy``. Buckets that no
catalog entry can concern pass untouched, and so does every answer of the store
that is no listing (403, 404 ...).

May answer InvalidArgument for a parameter or continuation token that cannot be,
ServiceUnavailable when the store or the catalog does not answer.

Section::

    [filter:listing]
    use = egg:s3shunt#listing
    catalog = main
    order = bytes

Continuation tokens are signed with the secret of ``[catalog:NAME]``
(``secret_file``), else with ``secret`` in the state directory, made when it is
first needed. Proxies on several machines need the same ``secret_file``.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from s3shunt import config, green
from s3shunt.config import option
from s3shunt.connect import House
from s3shunt.model import NULL, Entry, ObjectRef, State
from s3shunt.ports import Catalog
from s3shunt.protocol import listing, listing_splice, listing_tokens, listing_xml
from s3shunt.protocol.errors import InvalidArgument, MalformedXML, ServiceUnavailable
from s3shunt.protocol.listing import Item, Kind, Page, Query
from s3shunt.protocol.listing_pages import CatalogPages, Disordered, GatheredPages, StorePages
from s3shunt.wsgi import Handler, Request, Response, filter_factory

OPERATIONS = ("ListObjects", "ListObjectVersions")
STORE_PAGES = 20
CATALOG_PAGES = 100
REREADS = 100
_OURS = ("content-length", "content-encoding", "transfer-encoding", "etag", "content-md5", "connection")


@dataclass(frozen=True)
class Options:
    catalog: str = option(config.word, "main", help="Name of the [catalog:NAME] that knows what the store no longer holds.")
    order: str = option(config.choice("bytes", "directory"), "bytes", help="How the store lists; SeaweedFS: directory, a/b before a-b.")


class Listing:
    def __init__(self, forward: Handler, options: Options, house: House) -> None:
        self.forward = forward
        self.options = options
        self.house = house
        self.store_pages = GatheredPages if options.order == "directory" else StorePages

    def __call__(self, request: Request) -> Response:
        if request.operation.name not in OPERATIONS or not self._concerned(request):
            return self.forward(request)
        bucket, query = request.ref, self._positioned(request)
        budget = _Budget()
        try:
            page = self._page(request, query, budget)
        except _Untouched as passed:
            return passed.response
        token = listing_tokens.issue(self.secret, bucket, query, page.next[0]) if page.next and query.kind is Kind.V2 else None
        return _answer(budget.first, listing_xml.write(query, bucket.bucket, _owned(page, request), token))

    def _page(self, request: Request, query: Query, budget: "_Budget") -> Page:
        catalog, now = self.house.catalog(self.options.catalog), self.house.clock.now()
        try:
            return _Walk(self.forward, catalog, request, query, now, budget, self.store_pages).page()
        except Disordered:
            self.store_pages = GatheredPages  # seen once, known from then on
            return _Walk(self.forward, catalog, request, query, now, budget, self.store_pages).page()

    def _concerned(self, request: Request) -> bool:
        """A bucket may become plain between two pages: a token of ours is honoured then, too."""
        if not request.context.plain:
            return True
        token = request.parameters.get("continuation-token")
        if not token or request.parameters.get("list-type") != "2":
            return False
        try:
            self._positioned(request)
        except InvalidArgument:
            return False
        return True

    def _positioned(self, request: Request) -> Query:
        query = listing.asked(request.parameters, request.fields)
        if query.token is None:
            return query
        return replace(query, after=listing_tokens.position(self.secret, request.ref, query, query.token))

    @cached_property
    def secret(self) -> bytes:
        given = getattr(getattr(self.house.truth(self.options.catalog), "options", None), "secret_file", None)
        return green.offload(config.secret, given or self.house.state / "secret")


def _owned(page: Page, request: Request) -> Page:
    """Entries that do not know their owner get the one the store names beside them, else the caller's account."""
    items = [one for one in page.items if isinstance(one, Item)]
    if all(one.owner for one in items):
        return page
    account = request.context.identity.account if request.context.identity else ""
    owner = next((one.owner for one in items if one.owner), (account, account))
    return replace(page, items=tuple(one if isinstance(one, str) or one.owner else replace(one, owner=owner) for one in page.items))


def _answer(first: Response, document: bytes) -> Response:
    """The store's own answer with our document in it."""
    headers = [(name, value) for name, value in first.headerlist if name.lower() not in _OURS]
    return Response(status=first.status, headerlist=headers, body=document)


class _Untouched(Exception):  # no error: the store's answer is the answer
    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


class _Enough(Exception):  # no error: the page ends here
    """As many pages were read as one request may cost."""


@dataclass(slots=True)
class _Budget:
    """What one request may still cost, and the store's first answer to it."""

    store_pages: int = STORE_PAGES
    catalog_pages: int = CATALOG_PAGES
    rereads: int = REREADS
    first: Any = None

    def spend(self, what: str) -> None:
        left = getattr(self, what)
        if not left:
            raise _Enough
        setattr(self, what, left - 1)


@dataclass
class _Walk:
    """One listing, walked over catalog and store in step until its page is full."""

    forward: Handler
    catalog: Catalog
    request: Request
    query: Query
    now: int
    budget: _Budget
    store_pages: type[StorePages]
    items: list[Item | str] = field(default_factory=list)
    reached: str | None = None

    def page(self) -> Page:
        if not self.query.limit:
            self._ask(("", None), 0)
            return Page()
        try:
            return self.fill()
        except _Enough:
            if self.reached is None:
                raise ServiceUnavailable("The listing does not advance.", retry_after=1) from None
            return Page(tuple(self.items), (self.reached, None))

    def fill(self) -> Page:
        """The catalog is asked before the store: what leaves the store in between is then found by reading its row again."""
        query, limit = self.query, self.query.limit
        rows = CatalogPages(query, self.request.ref, self._scan).stream()
        stored = self.store_pages(query, self._ask).stream()
        for name, known, listed in listing_splice.joined(rows, stored):
            if name < query.after or (name == query.after and not query.after_version):
                continue
            self._show(name, known or [], listed)
            self.reached = name
            if len(self.items) > limit or (len(self.items) == limit and stored.must_ask):
                return self._full()
        return Page(tuple(self.items))

    def _full(self) -> Page:
        items = tuple(self.items[: self.query.limit])
        last = items[-1]
        return Page(items, (last, None) if isinstance(last, str) else (last.key, last.version))

    def _show(self, name: str, rows: list[Entry], listed: list[Item] | None) -> None:
        if listing.is_prefix(name, self.query):
            self.items += [name] if self._holds(name, rows, listed is not None) else []
        elif self.query.kind is Kind.VERSIONS:
            self.items += self._versions(name, rows, listed or [])
        else:
            one = listed[0] if listed else None
            shown = listing_splice.item(self._settled(rows[0] if rows else None, one), one, self.now)
            self.items += [shown] if shown else []

    def _versions(self, key: str, rows: list[Entry], listed: list[Item]) -> list[Item]:
        by_version = {one.version: one for one in listed}
        settled = [self._settled(row, by_version.get(row.ref.version or NULL)) for row in rows]
        shown = listing_splice.versions([row for row in settled if row], listed, self.now)
        if key == self.query.after and self.query.after_version:
            return listing_splice.behind(shown, self.query.after_version)
        return shown

    def _settled(self, row: Entry | None, one: Item | None) -> Entry | None:
        """A row read just before its bytes left the store is read once more before the store's silence is believed."""
        if row is None or not listing_splice.doubtful(row, one) or not self.budget.rereads:
            return row
        self.budget.spend("rereads")
        ref = row.ref if self.query.kind is Kind.VERSIONS else replace(row.ref, version=None)
        return green.offload(self.catalog.find_truth, ref)

    def _holds(self, prefix: str, rows: list[Entry], listed: bool) -> bool:  # noqa: FBT001
        """Whether any key under a common prefix is shown. It is looked at closely only when in doubt."""
        if any(listing_splice.shows(row) for row in rows):
            return True
        if listed and not any(row.state is State.DELETED for row in rows):
            return True
        inner = replace(self.query, prefix=prefix, delimiter="", after="", after_version=None, limit=1)
        try:
            return bool(replace(self, query=inner, items=[], reached=None).fill().items)
        except _Enough:
            return True  # a prefix that turns out to be empty does no harm; one that is missing does

    def _scan(self, after: ObjectRef | None, limit: int) -> list[Entry]:
        self.budget.spend("catalog_pages")
        ref, query = self.request.ref, self.query
        versions = query.kind is Kind.VERSIONS
        return green.offload(
            self.catalog.scan, ref.account, ref.bucket, prefix=query.prefix, after=after, limit=limit, versions=versions
        )

    def _ask(self, position: tuple[str, str | None], limit: int) -> listing_xml.Stored:
        """One page of the store. What is no listing ends the walk when it comes first, and is an outage later."""
        self.budget.spend("store_pages")
        query = self.query
        if query.kind is Kind.V2 and self.store_pages is GatheredPages:
            query = replace(query, kind=Kind.V1)  # which names the marker to go on from
        response = self.forward(self.request.sub(query=listing.upstream(query, position, limit)))
        is_first = self.budget.first is None
        if is_first and response.status_int != 200:
            raise _Untouched(response)
        document = _document(response)
        try:
            page = listing_xml.read(document, self.query.kind)
        except MalformedXML:
            if is_first and f"<{self.query.kind.root}".encode() not in document[:1024]:
                response.app_iter = [document]
                raise _Untouched(response) from None
            raise ServiceUnavailable("The store's listing cannot be read.", retry_after=1) from None
        self.budget.first = self.budget.first or response
        return page


def _document(response: Response) -> bytes:
    """The body of a store's listing, bounded and closed."""
    pieces, total = [], 0
    try:
        for data in response.app_iter if response.status_int == 200 else ():
            pieces.append(data)
            total += len(data)
            if total > listing_xml.MAX_DOCUMENT:
                raise ServiceUnavailable("The store's listing is too large.", retry_after=1)
    finally:
        if hasattr(response.app_iter, "close"):
            response.app_iter.close()
    return b"".join(pieces)


factory = filter_factory(Listing, Options, "filter:listing")
