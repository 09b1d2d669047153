"""The table of ids and media, asked from the command line."""

import pytest

from s3shunt import connect
from s3shunt.model import Entry, Facts, ObjectRef, State, Step, Swap

MOV = {"codec": "prores", "container": "mov", "duration": "5400000", "timecode": "10:00:00:00", "probed": "1"}


def film(key, account="main", **more):
    facts = Facts(size=7, etag='"e"', last_modified=1)
    return Entry(**{"ref": ObjectRef("films", key, "null", account), "facts": facts, "state": State.ARCHIVED} | more)


@pytest.fixture
def filled(site):
    rows = [
        film("a.mov", archive_id="m1", external_id="qs4m1", media_kind="video", media=MOV),
        film("b.mp3", archive_id="m2", external_id="qs4m2", media_kind="audio", media={"codec": "mp3", "duration": "61001"}),
        film("c.mxf", account="other", external_id="qs4m1", media_kind="video", state=State.ONLINE),
        film("d.mxf", media_kind="unknown", media={"error": "no film"}),
    ]
    for row in rows:
        assert site.house.truth().commit(Step(swaps=(Swap(None, row),)))
    return site


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--external-id qs4m1", ["a.mov", "c.mxf"]),
        ("--external-id qs4m1 --account main", ["a.mov"]),
        ("--archive-id m2", ["b.mp3"]),
        ("--kind video --codec prores --container mov", ["a.mov"]),
        ("--kind unknown", ["d.mxf"]),
        ("--min-duration 61s --max-duration 1.4h", ["b.mp3"]),
        ("--min-duration 90m", ["a.mov"]),
        ("--max-duration 1m", []),
        ("--unprobed", ["c.mxf"]),
        ("--state online", ["c.mxf"]),
        ("--bucket news", []),
        ("--limit 2", ["a.mov", "b.mp3"]),
    ],
)
def test_what_is_asked_for_is_found(filled, words, expected):
    assert [row["ref"][2] for row in filled.json("catalog", "find", *words.split())] == expected


def test_what_is_found_is_told_whole(filled):
    (row,) = filled.json("catalog", "find", "--archive-id", "m1")
    assert (row["external_id"], row["media_kind"], row["media"]) == ("qs4m1", "video", MOV)


def test_people_read_a_table(filled):
    said = filled.said("catalog", "find", "--kind", "video", "--codec", "prores")
    for text in ("a.mov", "qs4m1", "prores", "1:30:00.000", "10:00:00:00"):
        assert text in said


def test_a_duration_that_is_none_is_refused(filled):
    assert "expected a duration" in filled.run("catalog", "find", "--min-duration", "long").output


def test_an_id_that_is_anothers_cannot_be_set(filled):
    refused = filled.run("catalog", "set", "films/b.mp3", "--external-id", "qs4m1")
    assert "films/a.mov has this external id" in str(refused.exception)
    filled.said("catalog", "set", "films/b.mp3", "--external-id", "qs4m9")
    assert filled.json("catalog", "find", "--external-id", "qs4m9")[0]["ref"][2] == "b.mp3"


def test_what_a_folder_held_can_be_looked_for(site, tmp_path):
    """An id that the policy finds in the key, and a kind guessed by the name; of two files with one id the first comes in."""
    site.ini.write_text(site.ini.read_text() + "external_id = pattern (?:.*/)?([a-z0-9]+)[.].*\n")
    for name in ("in/qs4m1.mxf", "in/qs4m2.wav", "out/qs4m1.mxf"):
        path = tmp_path / "tapes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"film")
    connect._houses.clear()
    words = ("--form", "folder", "--bucket", "films", "--archive", "tape", "--account", "main")
    site.said("catalog", "import", str(tmp_path / "tapes"), *words)
    found = site.json("catalog", "find")
    assert [(row["ref"][2], row["external_id"], row["media_kind"]) for row in found] == [
        ("in/qs4m1.mxf", "qs4m1", "video"), ("in/qs4m2.wav", "qs4m2", "audio"),
    ]  # fmt: skip
