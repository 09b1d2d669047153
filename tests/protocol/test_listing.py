"""What a client may ask of a listing, and what the store is asked for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3shunt.protocol.errors import InvalidArgument
from s3shunt.protocol.listing import Kind, Query, asked, before, beyond, is_prefix, iso, milliseconds, name_of, upstream

KEYS = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\x00\U0010ffff"), min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, Query(kind=Kind.V1)),
        ({"list-type": "1", "marker": "m", "max-keys": ""}, Query(kind=Kind.V1, after="m")),
        ({"prefix": "p", "delimiter": "/", "encoding-type": "url"}, Query(kind=Kind.V1, prefix="p", delimiter="/", encoded=True)),
        ({"list-type": "2"}, Query(kind=Kind.V2, with_owner=False)),
        ({"list-type": "2", "start-after": "s", "fetch-owner": "true"}, Query(kind=Kind.V2, after="s", start_after="s")),
        ({"list-type": "2", "continuation-token": "t"}, Query(kind=Kind.V2, token="t", with_owner=False)),
        ({"versions": "", "key-marker": "k", "version-id-marker": "v"}, Query(kind=Kind.VERSIONS, after="k", after_version="v")),
        ({"max-keys": "0"}, Query(kind=Kind.V1, limit=0)),
        ({"max-keys": "1001"}, Query(kind=Kind.V1, limit=1000)),
    ],
)
def test_a_listing_is_asked_in_three_forms(parameters, expected):
    assert asked(parameters, {}) == expected


@pytest.mark.parametrize(
    "parameters",
    [
        {"max-keys": "-1"}, {"max-keys": "many"}, {"max-keys": "1.5"}, {"max-keys": "2147483648"}, {"max-keys": "٣"},
        {"encoding-type": "base64"}, {"list-type": "3"}, {"versions": "", "version-id-marker": "v"},
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(parameters):
    with pytest.raises(InvalidArgument):
        asked(parameters, {})


@pytest.mark.parametrize(("header", "wanted"), [(None, False), ("RestoreStatus", True), ("Other, RestoreStatus", True), ("Restore", False)])
def test_restore_status_is_wanted_by_name(header, wanted):
    assert asked({}, {"x-amz-optional-object-attributes": header}).with_restore is wanted


@pytest.mark.parametrize(
    ("query", "position", "expected"),
    [
        (Query(kind=Kind.V1), ("", None), []),
        (Query(kind=Kind.V1, prefix="p", delimiter="/"), ("k", None), [("prefix", "p"), ("delimiter", "/"), ("marker", "k")]),
        (Query(kind=Kind.V2, token="t"), ("k", None), [("list-type", "2"), ("start-after", "k"), ("fetch-owner", "true")]),
        (Query(kind=Kind.VERSIONS), ("k", "v"), [("versions", ""), ("key-marker", "k"), ("version-id-marker", "v")]),
        (Query(kind=Kind.VERSIONS), ("", "v"), [("versions", "")]),
    ],
)
def test_the_store_is_asked_from_a_position_and_never_by_its_token(query, position, expected):
    assert upstream(query, position, 7) == [*expected, ("encoding-type", "url"), ("max-keys", "7")]


@pytest.mark.parametrize(
    ("key", "prefix", "delimiter", "name"),
    [
        ("a/b/c", "", "", "a/b/c"),
        ("a/b/c", "", "/", "a/"),
        ("a/b/c", "a/", "/", "a/b/"),
        ("a/b/c", "a/b/", "/", "a/b/c"),
        ("a/", "a/", "/", "a/"),
        ("a//b", "a/", "/", "a//"),
        ("a//b", "", "//", "a//"),
        ("aXXXb", "", "XX", "aXX"),
        ("b/c", "a", "/", "b/c"),
    ],
)
def test_a_key_is_listed_under_its_name(key, prefix, delimiter, name):
    query = Query(kind=Kind.V1, prefix=prefix, delimiter=delimiter)

    assert name_of(key, query) == name
    assert is_prefix(name_of(key, query), query) is (delimiter != "" and key != "b/c" and delimiter in key[len(prefix) :])


@given(KEYS, KEYS)
def test_strings_are_in_the_order_of_their_utf8_bytes(one, other):
    assert (one < other) == (one.encode() < other.encode())


@given(KEYS, KEYS)
def test_before_and_beyond_leave_nothing_out(key, other):
    assert before(key) < key
    assert not before(key) < other < key or "\U0010ffff" in other
    assert beyond(key) > key + other
    before(key).encode()


@given(st.integers(0, 4_000_000_000_000))
def test_dates_are_read_as_written(at):
    assert milliseconds(iso(at)) == at


def test_dates_are_s3s():
    assert iso(1356048000000) == "2012-12-21T00:00:00.000Z"
    assert milliseconds("2012-12-21T00:00:00") == 1356048000000
    assert milliseconds("yesterday") == 0
