from dataclasses import replace
from itertools import product

import pytest

from s3shunt.model import FOREVER, Entry, Facts, Interest, ObjectRef, Place, State
from s3shunt.policy import view

NOON = 1_767_614_400_000
ROW = Entry(
    ref=ObjectRef("films", "a.mxf", "null", "main"), state=State.ARCHIVED, storage_class="GLACIER", archive="tape", archive_id="m1",
    facts=Facts(size=5, etag='"e"', last_modified=NOON), external_id="pid", media_kind="video", media={"codec": "prores", "probed": "1"},
)  # fmt: skip


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        (ObjectRef("films", "raw/a.mxf"), "s3shunt:view:films/raw/a.mxf"),
        (ObjectRef("films", "raw/a.mxf", "v1", "AUTH_vrt"), "s3shunt:view:AUTH_vrt:films/raw/a.mxf"),
        (ObjectRef("b:c", "k:l", account="a"), "s3shunt:view:a:b%3Ac/k%3Al"),
        (ObjectRef("films", "é *\n\0%{x}"), "s3shunt:view:films/%C3%A9%20%2A%0A%00%25%7Bx%7D"),
        (ObjectRef("films", "\udcff"), "s3shunt:view:films/%FF"),
        (ObjectRef("b", "k", account="a/ b:c"), "s3shunt:view:a%2F%20b%3Ac:b/k"),
        (ObjectRef("films", "//a/../b"), "s3shunt:view:films///a/../b"),
    ],
)
def test_a_name_is_the_keys_and_can_be_typed(ref, expected):
    assert view.label(ref) == expected


ODD = ("", "a", ":", "/", "a:", ":a", "a/", "/a", "%3A", "%2F")


def test_no_two_keys_share_a_name():
    refs = [ObjectRef(bucket, key, account=account) for account, bucket, key in product(ODD, repeat=3)]
    assert len({view.label(ref) for ref in refs}) == len(refs)


def test_what_is_asked_first_stands_first():
    said = view.fields(ROW, NOON + 1)
    assert list(said.items()) == [
        ("state", "archived"), ("class", "GLACIER"), ("size", "5"), ("etag", "e"), ("modified", "2026-01-05T12:00:00Z"), ("store", "main"),
        ("archive", "tape"), ("archive_id", "m1"), ("external_id", "pid"), ("kind", "video"), ("codec", "prores"),
        ("updated", "2026-01-05T12:00:00Z"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "restore"),
    [
        ({}, None),
        ({"state": State.QUEUED}, "in progress"),
        ({"state": State.LANDING}, "in progress"),
        ({"state": State.RESTORED, "place": Place("landing", "x"), "restored_until": NOON + 1000}, "readable"),
        ({"state": State.RESTORED, "place": Place("landing", "x"), "restored_until": NOON}, None),
    ],
)
def test_a_restore_is_told_as_a_head_tells_it(changes, restore):
    said = view.fields(replace(ROW, **changes), NOON)
    assert said.get("restore") == restore
    assert ("expires" in said) == ("restored_until" in changes)


def test_who_waits_for_it_and_why_it_stands_is_told():
    row = replace(ROW, interests=(Interest("desk", 1), Interest("cut", 2)), reason="quota", writers=1, due=NOON, pinned=FOREVER, copies=2)
    said = view.fields(row, NOON)
    names = ("wanted_by", "reason", "writers", "due", "pinned", "copies")
    assert [said[name] for name in names] == ["2", "quota", "1", "2026-01-05T12:00:00Z", "9999-12-31T23:59:59Z", "2"]


def test_a_placeholder_and_an_absent_key_are_told_too():
    assert view.fields(Entry(ref=ObjectRef("b", "k")), NOON)["state"] == "online"
    assert view.fields(None, NOON) == {"state": "absent", "updated": "2026-01-05T12:00:00Z"}


def test_a_date_that_no_calendar_has_is_a_number():
    assert view.fields(None, 10**18)["updated"] == str(10**18)


def test_of_an_outbox_the_last_change_of_a_key_counts():
    other = ObjectRef("films", "b", "null", "main")
    older = replace(ROW, ref=replace(ROW.ref, version="v0"), current=False)
    assert view.latest([(3, ROW), (2, other), (7, older), (5, other)]) == [(5, other, other), (7, older.ref, older)]
