"""The two sides of a listing, page by page, as streams of names: what to ask next, given what came."""

from collections.abc import Callable
from dataclasses import replace

from s3shunt.model import NULL, Entry, ObjectRef
from s3shunt.protocol import listing
from s3shunt.protocol.errors import ServiceUnavailable
from s3shunt.protocol.listing import Item, Kind, Query
from s3shunt.protocol.listing_splice import Stream
from s3shunt.protocol.listing_xml import Stored, name

Ask = Callable[[tuple[str, str | None], int], Stored]
"""One page of the store behind a position (key, version), of so many names."""

Scan = Callable[[ObjectRef | None, int], list[Entry]]
"""So many rows of the catalog, behind an object or version."""


class Disordered(Exception):
    """The store does not list in the order of UTF-8 bytes: what is behind a position cannot be asked for."""


def _start(query: Query) -> str:
    """Behind which key to begin. A version marker may name a version that only the other side knows: its key is read anew."""
    return listing.before(query.after) if query.after_version else query.after


class StorePages:
    """The store's names: first as many as the client asked for, then as many as a page holds."""

    def __init__(self, query: Query, ask: Ask) -> None:
        self.query, self.ask = query, ask
        self.cursor: tuple[str, str | None] = (_start(query), None)
        self.limit = query.limit
        self.held: list[Item] = []  # versions of a key that the next page may add to

    def stream(self) -> Stream[list[Item]]:
        """Each name with its items: none for a common prefix."""
        return Stream(self._pull)

    def _pull(self) -> tuple[list[tuple[str, list[Item]]], bool]:
        page = self.ask(self.cursor, self.limit)
        self.limit = listing.MAX_KEYS
        if page.truncated and not page.ordered:
            raise Disordered
        names: list[tuple[str, list[Item]]] = [(self.held[0].key, self.held)] if self.held else []
        for one in page.items:
            self._add(names, one)
        self.held = []
        if page.truncated:
            self._advance(page)
            if names and names[-1][1] and self.query.kind is Kind.VERSIONS:
                self.held = names.pop()[1]
        return names, page.truncated

    def _add(self, names: list[tuple[str, list[Item]]], one: Item | str) -> None:
        """Some stores list what is before the marker again."""
        called = name(one)
        items = [] if isinstance(one, str) else [one]
        if names and names[-1][0] == called:
            names[-1][1].extend(items)
        elif called > self.cursor[0] or not self.cursor[0]:
            names.append((called, items))
        elif not self.cursor[0].startswith(called):
            raise Disordered

    def _advance(self, page: Stored) -> None:
        """Go on behind the last name listed; from a prefix that is listed for ever, behind everything in it."""
        last = page.items[-1] if page.items else ""
        position = (name(last), None if isinstance(last, str) else last.version)
        if page.next > position[0]:
            position = (page.next, None)
        if position[0] < self.cursor[0] or position == self.cursor:
            inside = listing.name_of(self.cursor[0], self.query)
            if not listing.is_prefix(inside, self.query):
                raise ServiceUnavailable("The store's listing does not advance.", retry_after=1)
            position = (inside + listing.LAST, None)
        self.cursor = position


class GatheredPages(StorePages):
    """The names of a store that lists as a file system does (``a/b`` before ``a-b``): all under the prefix are read, then put in order.

    Between its pages goes on from the marker the store names, in its own order.
    """

    def _pull(self) -> tuple[list[tuple[str, list[Item]]], bool]:
        items: list[Item | str] = []
        page = Stored((), truncated=True)
        position: tuple[str, str | None] = ("", None)
        while page.truncated:
            page = self.ask(position, listing.MAX_KEYS)
            items += page.items
            last = max(reversed(page.items), key=_as_in_directories, default="")
            told = (name(last), None if isinstance(last, str) else last.version)
            position = (page.next, told[1] if page.next == told[0] else None) if page.next else told
        names: list[tuple[str, list[Item]]] = []
        for one in sorted(items, key=name):
            self._add(names, one)
        return names, False

    def _add(self, names: list[tuple[str, list[Item]]], one: Item | str) -> None:
        if name(one) > self.cursor[0] or not self.cursor[0]:
            super()._add(names, one)


def _as_in_directories(one: Item | str) -> str:
    return name(one).replace("/", "\0")


class CatalogPages:
    """The catalog's names. Of a common prefix it reads what one page holds, and skips the rest."""

    def __init__(self, query: Query, bucket: ObjectRef, scan: Scan) -> None:
        self.query, self.scan = query, scan
        start = _start(query)
        inside = listing.name_of(start, query)
        if listing.is_prefix(inside, query):
            start = listing.beyond(inside)
        self.cursor = replace(bucket, key=start, version=None)
        self.limit = query.limit + 1
        self.held: list[Entry] = []  # rows of a key that the next page may add to

    def stream(self) -> Stream[list[Entry]]:
        """Each name with its rows; of a common prefix those that were read."""
        return Stream(self._pull)

    def _pull(self) -> tuple[list[tuple[str, list[Entry]]], bool]:
        rows = self.scan(self.cursor if self.cursor.key else None, self.limit)
        more = len(rows) == self.limit
        self.limit = listing.MAX_KEYS + 1
        names: list[tuple[str, list[Entry]]] = [(self.held[0].ref.key, self.held)] if self.held else []
        for row in rows:
            called = listing.name_of(row.ref.key, self.query)
            if names and names[-1][0] == called:
                names[-1][1].append(row)
            else:
                names.append((called, [row]))
        self.held = []
        if more:
            self._advance(names, rows[-1])
        return names, more

    def _advance(self, names: list[tuple[str, list[Entry]]], last: Entry) -> None:
        called = names[-1][0]
        if listing.is_prefix(called, self.query):
            self.cursor = replace(last.ref, key=listing.beyond(called), version=None)
        elif self.query.kind is Kind.VERSIONS:
            self.cursor = replace(last.ref, version=last.ref.version or NULL)
            self.held = names.pop()[1]
        else:
            self.cursor = replace(last.ref, version=None)
