"""Pins and room on the command line."""

import json

import pytest

from s3shunt.model import FOREVER, Entry, Facts, ObjectRef, Pin, State, Step, Swap


def film(key):
    return Entry(ref=ObjectRef("films", key, "null", "main"), state=State.VERIFIED, facts=Facts(size=7, etag='"e"', last_modified=1))


@pytest.fixture
def filled(site):
    for key in ("news/1", "news/2", "sport"):
        assert site.house.truth().commit(Step(swaps=(Swap(None, film(key)),)))
    return site


def pinned(site):
    return [json.loads(line)["ref"][2] for line in site.said("catalog", "find", "--pinned", "--json").splitlines()]


def test_an_object_is_pinned_for_ever_or_until_a_date_and_let_go(filled):
    assert json.loads(filled.said("catalog", "pin", "films/sport", "--json")) == {"pinned": 1, "until": "for ever"}
    assert pinned(filled) == ["sport"]
    filled.said("catalog", "pin", "films/sport", "--until", "2027-02-01")
    assert filled.house.truth().find(film("sport").ref).pinned == 1_801_440_000_000
    assert json.loads(filled.said("catalog", "unpin", "films/sport", "--json")) == {"unpinned": 1}
    assert pinned(filled) == []


def test_a_prefix_is_pinned_for_what_is_there_and_what_will_be(filled):
    assert json.loads(filled.said("catalog", "pin", "films/news/", "--prefix", "--json"))["pinned"] == 2
    assert pinned(filled) == ["news/1", "news/2"]
    assert filled.house.truth().pins() == [Pin("films", "news/", FOREVER, "main")]
    assert json.loads(filled.said("catalog", "pins", "--json"))["prefix"] == "news/"
    assert json.loads(filled.said("catalog", "unpin", "films/news/", "--prefix", "--json")) == {"unpinned": 2}
    assert (pinned(filled), filled.house.truth().pins()) == ([], [])


def test_what_the_catalog_does_not_know_cannot_be_pinned_alone(filled):
    assert "no entry" in str(filled.run("catalog", "pin", "films/nobody").exception)
    assert "BUCKET/KEY" in filled.run("catalog", "pin", "films").output


def test_room_is_told_and_counted_anew(filled):
    told = {"held": 21, "landed": 0, "coming": 0}
    assert json.loads(filled.said("catalog", "room", "--json")) == told
    assert json.loads(filled.said("catalog", "room", "--recount", "--json")) == told
