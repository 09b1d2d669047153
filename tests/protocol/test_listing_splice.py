"""What is shown of a name, and the walk over two streams that never asks too much."""

import pytest

from s3shunt.model import Entry, Facts, ObjectRef, State
from s3shunt.protocol.listing import Item
from s3shunt.protocol.listing_splice import Stream, behind, doubtful, from_entry, item, joined, shows, versions

S = State
NOW = 1_000_000


def row(state=S.ARCHIVED, version=None, at=5000, **known):
    return Entry(ref=ObjectRef("b", "k", version), state=state, **{"facts": Facts(size=1, etag="e", last_modified=at)} | known)


SAME = Item(key="k", etag='"e"', size="store")
OTHER = Item(key="k", etag='"x"', size="store")


@pytest.mark.parametrize(
    ("entry", "listed", "source"),
    [
        (None, SAME, "store"),
        *[(row(state), listed, "entry") for state in (S.ARCHIVED, S.QUEUED, S.RESTORED, S.LOST) for listed in (None, SAME, OTHER)],
        *[(row(state), SAME, "store") for state in (S.ONLINE, S.ARCHIVING, S.VERIFIED, S.EVICTING)],
        *[(row(state), OTHER, "store") for state in (S.ONLINE, S.ARCHIVING, S.VERIFIED)],
        *[(row(state), None, None) for state in (S.ONLINE, S.ARCHIVING, S.VERIFIED)],
        (row(S.EVICTING), None, "entry"),
        (row(S.EVICTING), OTHER, "entry"),
        (row(S.DELETED), SAME, None),
        (row(S.DELETED, facts=None), SAME, None),
        (row(S.ARCHIVED, facts=None), SAME, "store"),
        (row(S.ARCHIVED, facts=None), None, None),
    ],
)
def test_whose_word_is_taken(entry, listed, source):
    shown = item(entry, listed, NOW)

    assert (shown and ("store" if shown.size == "store" else "entry")) == source
    if entry and listed is None:
        assert shows(entry) is (source is not None)


@pytest.mark.parametrize("state", S)
def test_only_silence_about_what_the_store_should_have_is_doubtful(state):
    assert doubtful(row(state), None) is (state in (S.ONLINE, S.ARCHIVING, S.VERIFIED))
    assert not doubtful(row(state), SAME)
    assert not doubtful(row(state, facts=None), None)


def test_an_entry_says_all_that_a_listing_tells():
    facts = Facts(
        size=3, etag='"e-2"', last_modified=1356048000123, owner="me",
        checksums={"x-amz-checksum-sha256": "c", "x-amz-checksum-type": "COMPOSITE"},
    )  # fmt: skip

    assert from_entry(row(facts=facts, storage_class="GLACIER", version="v"), None, NOW) == Item(
        key="k", size="3", etag='"e-2"', last_modified="2012-12-21T00:00:00.123Z", owner=("me", "me"), storage_class="GLACIER",
        version="v", latest=True, checksum_algorithms=("SHA256",), checksum_type="COMPOSITE",
    )  # fmt: skip


def listed(version, second, latest=False):
    return Item(key="k", version=version, etag='"e"', last_modified=f"1970-01-01T00:00:{second:02}.000Z", latest=latest)


def test_versions_stand_by_age_and_one_is_the_latest():
    rows = [row(version="v4", at=40_000), row(version="v2", at=20_000, current=False), row(version="v0", at=1000, current=False)]
    shown = versions(rows, [listed("v3", 30, latest=True), listed("v1", 10)], NOW)

    assert [(one.version, one.latest) for one in shown] == [("v4", True), ("v3", False), ("v2", False), ("v1", False), ("v0", False)]


def test_versions_of_one_second_stand_as_the_store_has_them():
    shown = versions([row(version="x", at=5000, current=False)], [listed("c", 5, latest=True), listed("a", 5), listed("b", 5)], NOW)

    assert [(one.version, one.latest) for one in shown] == [("c", True), ("a", False), ("b", False), ("x", False)]


def test_a_current_version_that_is_just_leaving_stays_the_latest():
    evicting = row(S.EVICTING, version="v2", at=9000)

    assert [one.latest for one in versions([evicting], [listed("v1", 1, latest=True)], NOW)] == [True, False]
    assert [one.latest for one in versions([evicting], [listed("v2", 9, latest=True), listed("v1", 1)], NOW)] == [True, False]


def test_what_follows_a_version_goes_on_and_a_version_that_is_gone_hides_nothing():
    items = [listed("v2", 2), listed("v1", 1)]

    assert behind(items, "v2") == items[1:]
    assert behind(items, "v1") == []
    assert behind(items, "v0") == items


def pages(told, *given):
    remaining = list(given)

    def pull():
        told.append(remaining[0])
        names = remaining.pop(0)
        return [(name, name.upper()) for name in names], bool(remaining)

    return pull


def test_streams_are_joined_name_by_name():
    walk = joined(Stream(pages([], "ac", "", "de")), Stream(pages([], "abd")))

    assert list(walk) == [("a", "A", "A"), ("b", None, "B"), ("c", "C", None), ("d", "D", "D"), ("e", "E", None)]


def test_a_page_is_asked_for_when_its_first_name_is_needed():
    told = []
    stream = Stream(pages(told, "a", "b"))
    walk = joined(Stream(pages([], "")), stream)

    assert next(walk)[0] == "a"
    assert (told, stream.must_ask) == (["a"], True)
    assert next(walk)[0] == "b"
    assert (told, stream.must_ask) == (["a", "b"], False)
    assert list(walk) == []


def test_the_first_stream_is_asked_before_the_second():
    told = []
    next(joined(Stream(pages(told, "a")), Stream(pages(told, "b"))))

    assert told == ["a", "b"]
