"""What each side is asked next, given what came."""

import pytest

from s3shunt.model import Entry, ObjectRef
from s3shunt.protocol.errors import ServiceUnavailable
from s3shunt.protocol.listing import Item, Kind, Query, before, beyond
from s3shunt.protocol.listing_pages import CatalogPages, Disordered, GatheredPages, StorePages
from s3shunt.protocol.listing_xml import Stored

BUCKET = ObjectRef("b", account="acct")


def names(stream):
    found = []
    while (head := stream.head()) is not None:
        found.append((head, stream.take(head)))
    return found


def store(query, *pages):
    asked, left = [], list(pages)

    def ask(position, limit):
        asked.append((position, limit))
        return left.pop(0)

    return [(name, [one.version for one in items]) for name, items in names(StorePages(query, ask).stream())], asked


def catalog(query, *pages):
    asked, left = [], list(pages)

    def scan(after, limit):
        asked.append((after and (after.key, after.version), limit))
        return left.pop(0)

    return [(name, len(rows)) for name, rows in names(CatalogPages(query, BUCKET, scan).stream())], asked


def rows(*keys):
    return [Entry(ref=ObjectRef("b", *key.partition("@")[::2], "acct")) for key in keys]


def versions(*names_):
    return tuple(Item(key=name.partition("@")[0], version=name.partition("@")[2]) for name in names_)


def test_the_store_is_asked_for_what_the_client_asked_then_for_whole_pages():
    query = Query(kind=Kind.V1, after="0", limit=2)
    found, asked = store(query, Stored((Item(key="a"), Item(key="b")), truncated=True), Stored((Item(key="c"),), truncated=False))

    assert [name for name, _ in found] == ["a", "b", "c"]
    assert asked == [(("0", None), 2), (("b", None), 1000)]


def test_what_is_listed_again_is_heard_once():
    query = Query(kind=Kind.V1, after="a/", delimiter="/", limit=2)
    found, _ = store(query, Stored(("a/", "b/"), truncated=True), Stored(("b/", "c/"), truncated=False))

    assert [name for name, _ in found] == ["b/", "c/"]


def test_a_prefix_that_is_listed_for_ever_is_left_behind():
    query = Query(kind=Kind.V1, delimiter="/", limit=1)
    found, asked = store(query, Stored(("a/",), truncated=True), Stored(("a/",), truncated=True), Stored(("b/",), truncated=False))

    assert [name for name, _ in found] == ["a/", "b/"]
    assert asked[2] == (("a/\U0010ffff", None), 1000)


def test_a_store_that_does_not_advance_is_out_of_order():
    with pytest.raises(ServiceUnavailable):
        store(Query(kind=Kind.V1), *[Stored((Item(key="a"),), truncated=True)] * 2)


def test_an_empty_page_that_names_its_marker_is_followed():
    _, asked = store(Query(kind=Kind.V1), Stored((), truncated=True, next="m"), Stored((Item(key="n"),), truncated=False))

    assert asked[1] == (("m", None), 1000)


def test_a_store_in_another_order_is_noticed():
    with pytest.raises(Disordered):
        store(Query(kind=Kind.V1), Stored((Item(key="a"), Item(key="b")), truncated=True, ordered=False))
    with pytest.raises(Disordered):
        store(Query(kind=Kind.V1), Stored((Item(key="a/b"),), truncated=True), Stored((Item(key="a-b"),), truncated=False))


def test_all_pages_of_such_a_store_are_read_from_its_own_markers():
    asked, left = [], [
        Stored((Item(key="a-b", version="2"), Item(key="a/b", version="1")), truncated=True),
        Stored(("b/", *versions("c@3", "c@2")), truncated=True, next="c"),
        Stored(versions("c@1"), truncated=False),
    ]  # fmt: skip

    def ask(position, limit):
        asked.append((position, limit))
        return left.pop(0)

    found = names(GatheredPages(Query(kind=Kind.VERSIONS, after="a-b"), ask).stream())
    assert [(name, [one.version for one in items]) for name, items in found] == [("a/b", ["1"]), ("b/", []), ("c", ["3", "2", "1"])]
    assert asked == [(("", None), 1000), (("a-b", "2"), 1000), (("c", "2"), 1000)]


def test_versions_of_a_key_are_told_together_over_page_ends():
    query = Query(kind=Kind.VERSIONS, limit=2)
    pages = versions("a@3", "a@2"), versions("a@1", "b@1"), ("c/",)
    found, asked = store(query, *(Stored(page, truncated=page != ("c/",)) for page in pages))

    assert found == [("a", ["3", "2", "1"]), ("b", ["1"]), ("c/", [])]
    assert [position for position, _ in asked] == [("", None), ("a", "2"), ("b", "1")]


def test_a_prefix_is_told_at_once_though_versions_are_listed():
    query = Query(kind=Kind.VERSIONS, delimiter="/", limit=1)
    found, _ = store(query, Stored(("a/",), truncated=True), Stored(versions("b@1"), truncated=False))

    assert found == [("a/", []), ("b", ["1"])]


def test_the_key_of_a_version_marker_is_read_anew_on_both_sides():
    query = Query(kind=Kind.VERSIONS, after="k", after_version="v")

    assert store(query, Stored((), truncated=False))[1] == [((before("k"), None), 1000)]
    assert catalog(query, [])[1] == [((before("k"), None), 1001)]


def test_the_catalog_is_asked_for_one_row_more_than_the_client_asked():
    query = Query(kind=Kind.V1, limit=1)
    found, asked = catalog(query, rows("a", "b"), rows("c"))

    assert found == [("a", 1), ("b", 1), ("c", 1)]
    assert asked == [(None, 2), (("b", None), 1001)]


def test_the_rest_of_a_common_prefix_is_skipped():
    query = Query(kind=Kind.V1, delimiter="/", limit=2)
    found, asked = catalog(query, rows("a", "b/1", "b/2"), rows("c"))

    assert found == [("a", 1), ("b/", 2), ("c", 1)]
    assert asked[1][0] == (beyond("b/"), None)


def test_a_position_within_a_common_prefix_begins_behind_it():
    assert catalog(Query(kind=Kind.V1, delimiter="/", after="b/1"), [])[1] == [((beyond("b/"), None), 1001)]


def test_rows_of_a_key_are_told_together_over_page_ends():
    query = Query(kind=Kind.VERSIONS, limit=1)
    found, asked = catalog(query, rows("a@3", "a@2"), rows("a@1", "b@null"))

    assert found == [("a", 3), ("b", 1)]
    assert asked[1] == (("a", "2"), 1001)
