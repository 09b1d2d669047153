"""The catalog on the command line: looked at, mended, written out and read in without loss."""

import csv
import io
import json

import pytest

from s3shunt.cli import entries
from s3shunt.model import Entry, Facts, Interest, ObjectRef, Place, State, Step, Swap

FILM = Entry(
    ref=ObjectRef("films", 'reel ü/1,"a"\n.mxf', "null", "main"),
    state=State.RESTORED,
    facts=Facts(
        size=7, etag='"e"', last_modified=1_767_609_000_123, headers={"content-type": "application/mxf"}, metadata={"pid": "x,1"},
        checksums={"x-amz-checksum-crc32": "AAAAAA=="}, parts=(3, 4), tags={"k": "v"},
    ),
    storage_class="GLACIER", archive="tape", archive_id="A1", copies=2, external_id="pid-1", place=Place("landing", "r/1"),
    interests=(Interest("AK", 3, "Bulk", 1_767_700_000_000), Interest("AL", 1)), restored_until=1_767_700_000_000, generation=4,
)  # fmt: skip
NOTE = Entry(ref=ObjectRef("films", "note", "null", "main"), facts=Facts(size=0, etag='"n"', last_modified=1))


def tally(**given):
    return {"added": 0, "known": 0, "conflicting": 0, "failed": 0, "bytes": 0, "skipped": {}} | given


@pytest.fixture
def filled(site):
    for entry in (FILM, NOTE):
        assert site.house.truth().commit(Step(swaps=(Swap(None, entry),)))
    return site


def rows(site):
    return [(row.ref, row.state, row.facts, row.interests, row.place, row.archive_id) for row in entries.every(site.house.truth())]


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_what_was_exported_is_imported_equal(filled, form, tmp_path):
    before = rows(filled)
    file = tmp_path / "out"
    filled.said("catalog", "export", str(file), "--form", form)
    (filled.state / "catalog.db").unlink()
    for rest in filled.state.glob("catalog.db-*"):
        rest.unlink()
    from s3shunt import connect

    connect._houses.clear()
    filled.said("catalog", "upgrade")
    assert rows(filled) == []
    assert filled.json("catalog", "import", str(file), "--form", form) == [tally(added=2, bytes=7)]
    assert rows(filled) == before


def test_an_import_leaves_alone_what_is_known(filled, tmp_path):
    file = tmp_path / "out"
    filled.said("catalog", "export", str(file))
    assert filled.json("catalog", "import", str(file)) == [tally(known=2)]


def test_a_list_of_another_system_becomes_archived_objects(site, tmp_path):
    file = tmp_path / "list.csv"
    file.write_text('account,bucket,key,size,etag,archive,archive_id\nmain,films,a/b,12,"""e""",tape,T1\n')
    assert site.json("catalog", "import", str(file), "--form", "csv") == [tally(added=1, bytes=12)]
    [row] = entries.every(site.house.truth())
    assert (row.state, row.facts.size, row.facts.etag, row.archive_id) == (State.ARCHIVED, 12, '"e"', "T1")


def test_one_object_is_shown_in_full(filled):
    [shown] = filled.json("catalog", "show", "films/note")
    assert (shown["state"], shown["facts"]["etag"]) == ("online", '"n"')


def test_lists_and_finds_for_people_and_programs(filled):
    assert [row["ref"][2] for row in filled.json("catalog", "list", "films")] == ["note", FILM.ref.key]
    assert [row["ref"][2] for row in filled.json("catalog", "find", "--state", "restored")] == [FILM.ref.key]
    assert "note" in filled.said("catalog", "list", "films")


def test_an_object_nobody_knows_is_an_error(site):
    assert "no entry for films/x" in str(site.run("catalog", "show", "films/x").exception)


def test_an_entry_is_mended_along_the_graph_only(filled):
    filled.said("catalog", "set", "films/note", "--external-id", "pid-9")
    assert filled.house.truth().find(NOTE.ref).external_id == "pid-9"
    refused = filled.run("catalog", "set", "films/note", "--state", "landing")
    assert refused.exit_code != 0
    assert filled.house.truth().find(NOTE.ref).state is State.ONLINE


def test_a_csv_has_columns_that_people_read():
    file = io.StringIO()
    entries.dump([FILM], file, "csv")
    file.seek(0)
    [row] = csv.DictReader(file)
    assert (row["state"], row["size"], row["archive_id"]) == ("restored", "7", "A1")
    assert json.loads(row["entry"])["ref"][1] == "films"


def test_a_scan_is_asked_for_once_however_often(site):
    for _ in range(2):
        site.said("catalog", "scan")
    assert [job.dedupe for job in site.house.truth().jobs(kind="scan")] == ["scan now"]


def test_a_bucket_that_was_there_before_us_is_given_to_an_account(site):
    site.said("catalog", "give", "rushes", "desk")
    site.said("catalog", "give", "rushes", "news")
    assert [(one["bucket"], one["owner"]) for one in site.json("catalog", "buckets") if one["bucket"] == "rushes"] == [("rushes", "news")]
