"""What MediaHaven says, and what it means to us: tables without a server."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3shunt.archives.mediahaven import exports, query, records
from s3shunt.archives.mediahaven.delivery import InStore
from s3shunt.archives.mediahaven.exports import Asked, Graces
from s3shunt.archives.mediahaven.polling import Polling
from s3shunt.model import ObjectRef, Recall
from s3shunt.ports import Progress
from s3shunt.protocol.errors import NoSuchBucket
from s3shunt.testing.clock import HandClock
from s3shunt.testing.mediahaven.shelves import parsed, value_of

GRACES = Graces(failed=100, gone=200, delivery=300, lost=400)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@pytest.mark.parametrize(("state", "there", "age", "progress", "retry"), [
    ("created", None, 10**9, Progress.WAITING, True),
    ("waiting", 5, 10**9, Progress.WAITING, True),
    ("inprogress", 5, 10**9, Progress.WAITING, True),
    ("completed", 5, 0, Progress.READY, True),
    ("completed", None, 299, Progress.WAITING, True),
    ("completed", None, 300, Progress.FAILED, True),
    ("completed", 4, 299, Progress.WAITING, True),
    ("completed", 4, 300, Progress.FAILED, True),
    ("completed", 6, 300, Progress.FAILED, True),
    ("alreadyexists", 5, 0, Progress.READY, True),
    ("alreadyexistsatdst", 5, 0, Progress.READY, True),
    ("alreadyexists", 4, 300, Progress.FAILED, True),
    ("failed", 5, 99, Progress.WAITING, True),
    ("failed", 5, 100, Progress.FAILED, True),
    ("cancelled", 5, 0, Progress.FAILED, False),
    ("", None, 199, Progress.WAITING, True),
    ("", None, 200, Progress.GONE, True),
    ("", 5, 0, Progress.READY, True),
    ("", 4, 200, Progress.GONE, True),
    ("@", 5, 0, Progress.READY, True),
    ("@", None, 399, Progress.WAITING, True),
    ("@", None, 400, Progress.GONE, True),
    ("paused", None, 10**9, Progress.WAITING, True),
])  # fmt: skip
def test_what_a_state_means(state, there, age, progress, retry):
    told = exports.verdict(state, 100, size=5, there=there, age=age, graces=GRACES)
    assert (told.progress, told.retry) == (progress, retry)


@pytest.mark.parametrize(("payload", "expected"), [
    ([{"exportId": "e", "status": "in_progress", "progress": 37}], [("e", "inprogress", 37)]),
    ({"ExportJobId": "e", "Status": "InProgress", "Progress": 37}, [("e", "inprogress", 37)]),
    ({"Results": [{"ExportJobId": "e", "Status": "AlreadyExists"}]}, [("e", "alreadyexists", 0)]),
    ([{"exportId": "e", "status": "already_exists_at_dst", "progress": 250}], [("e", "alreadyexistsatdst", 100)]),
    ([{"exportId": "e"}], [("e", "", 0)]),
    ([{"status": "completed"}, None, 3], []),
    (None, []), ("", []), ({}, []), ({"Results": []}, []),
])  # fmt: skip
def test_jobs_are_read_from_any_form(payload, expected):
    assert [(job.id, job.state, job.percent) for job in exports.jobs(payload)] == expected


def job(id_, state="waiting", record="m1", names="", created="1"):
    return exports.Job(id=id_, state=state, record=record, names=names, created=created)


@pytest.mark.parametrize(("known", "expected"), [
    ([], None),
    ([job("a", names="x/s3shunt-1")], "a"),
    ([job("a", names="x/s3shunt-2")], None),
    ([job("a", names="film.mxf")], "a"),
    ([job("a", names="film.mxf", record="m2")], None),
    ([job("a", names="film.mxf", state="completed")], None),
    ([job("a", names="film.mxf"), job("b", names="s3shunt-1")], "b"),
    ([job("b", created="2"), job("a", created="1")], "b"),
])  # fmt: skip
def test_our_job_is_known_by_its_file_or_else_by_its_record(known, expected):
    found = exports.ours(known, "s3shunt-1", "m1", "s3shunt")
    assert (found.id if found else None) == expected


class SlowLink:
    """Each answer takes ten seconds."""

    def __init__(self):
        self.clock, self.asked = HandClock(), []

    def get(self, target):
        self.clock.later(10_000)
        self.asked.append(target.rpartition("/")[2])
        return [{"exportId": self.asked[-1], "status": "in_progress", "progress": 10}]


def test_a_look_has_an_end_and_the_next_one_begins_with_who_was_left_over():
    link = SlowLink()
    polling = Polling(link, link.clock, by_tag=False, cycle=25_000)
    asked = [Asked("n", "m", "", job) for job in "abcde"]
    assert polling.poll(asked).keys() == set("abc")
    assert polling.poll(asked).keys() == set("abcde")
    assert link.asked == list("abcdea")
    assert polling.poll(asked)["a"] == ("inprogress", 10, link.clock.now() - 1_767_609_010_000)


@given(TEXT, TEXT, TEXT, TEXT)
def test_a_request_is_read_back_as_it_was_written(name, record, tag, job_id):
    asked = Asked(name, record, tag, job_id)
    assert exports.read(str(asked)) == asked


@given(st.lists(st.tuples(st.sampled_from(["r", "1 r", "r 1"]) | TEXT, st.integers(0, 11)), unique=True, min_size=2, max_size=30))
def test_38_no_two_recalls_or_attempts_share_a_file(recalls):
    assert len({exports.file_name("s", recall, attempt) for recall, attempt in recalls}) == len(recalls)


def test_the_tag_is_that_of_the_day_the_recall_was_made():
    recall = Recall(id="r", ref=ObjectRef("b", "k"), generation=1, archive="a", archive_id="m", created=1_767_609_000_000)
    assert exports.tag("site", recall) == "site-20260105"


def test_requests_look_as_mediahaven_wants_them():
    assert exports.v1_request("m1f1", "tmp", location="1188", path="bucket", reason="why") == {
        "exports": [{"fragmentId": "m1f1", "filename": "tmp"}], "useOriginal": True, "exportOptions": {"exportLocationId": 1188},
        "destinationPath": "bucket", "exportReason": "why", "combine": "NONE",
    }  # fmt: skip
    assert exports.v2_request({"tmp": "m1f1"}, location="810", path="bucket", reason="why", tag="t") == {
        "Records": [{"RecordId": "m1f1", "Filename": "tmp"}], "ExportLocationId": "810", "DestinationPath": "bucket",
        "ExportSource": "Original", "Reason": "why", "Tag": "t",
    }  # fmt: skip


@given(st.dictionaries(st.from_regex(r"[A-Za-z_]{1,9}", fullmatch=True), TEXT, min_size=1, max_size=3))
def test_a_search_is_read_as_what_was_looked_for(fields):
    target = query.target("/records", q=query.search(fields, "-(Type:videofragment)"), startIndex=0)
    raw = target.partition("?")[2]
    assert not set(raw) & set('+ "\\\n')
    clauses = [*parsed(value_of(raw, "q", strict=True))]
    assert clauses == [*((True, name, value) for name, value in fields.items()), (False, "Type", "videofragment")]


SHAPE_A = {
    "mediaObjectId": "m1", "fragmentId": "m1f1", "externalId": "pid", "type": "Video", "archiveStatus": "on_tape", "exportable": True,
    "archiveDate": "2021-11-22T14:42:20Z",
    "mdProperties": [
        {"attribute": "s3_bucket", "value": "b"}, {"attribute": "md5_viaa", "value": "ABC"},
        {"attribute": "multi", "value": [{"value": "one", "attribute": "multi"}, ["two", {"value": ["three"]}]]},
    ],
}  # fmt: skip
SHAPE_B = {
    "Internal": {"MediaObjectId": "m1", "FragmentId": "m1f1", "ArchiveStatus": "on_tape", "IsFragment": False},
    "Technical": {"FileSize": "139197969", "Md5": "abc", "MimeType": "video/mxf"}, "Administrative": {}, "Context": {"IsExportable": False},
    "Dynamic": {"s3_bucket": "b", "multi": {"Option": ["one", "two"]}},
}  # fmt: skip


def test_all_shapes_of_a_record_are_read():
    flat, sections = records.record(SHAPE_A), records.record(SHAPE_B)
    assert (flat.id, flat.md5, flat.size, flat.status, flat.external_id, flat.exportable) == ("m1f1", "abc", None, "on_tape", "pid", True)
    assert flat.type == "Video"
    assert flat.archived == 1_637_592_140_000
    assert flat.fields["multi"] == ("one", "two", "three")
    assert (sections.id, sections.md5, sections.size, sections.mime, sections.exportable) == ("m1f1", "abc", 139197969, "video/mxf", False)
    assert sections.fields["multi"] == ("one", "two")


@pytest.mark.parametrize("told", [
    {}, {"Internal": None}, {"mdProperties": None}, {"mdProperties": [None, 3, {}]}, {"Dynamic": []}, {"Technical": {"FileSize": -1}},
    {"archiveDate": "yesterday"}, {"Technical": {"Md5": ["x"]}},
])  # fmt: skip
def test_what_is_not_told_is_empty(told):
    found = records.record({**told, "fragmentId": "m"})
    assert (found.id, found.size, found.md5, found.archived, found.fields) == ("m", None, "", 0, {})
    assert records.facts(found) is None


@pytest.mark.parametrize(("payload", "total"), [
    ({"totalNrOfResults": 1, "mediaDataList": [SHAPE_A]}, 1), ({"TotalNrOfResults": 9, "MediaDataList": [SHAPE_B]}, 9),
    ({"Results": [SHAPE_B, {}, None]}, 1), (None, 0), ([], 0),
])  # fmt: skip
def test_results_are_read_from_any_envelope(payload, total):
    found, told = records.results(payload)
    assert told == total
    assert [one.id for one in found] == ["m1f1"] * min(1, total)


def test_nothing_is_left_to_drop_in_a_bucket_that_was_never_made():
    asked = []

    class Store:
        def delete(self, ref):
            asked.append(ref)
            raise NoSuchBucket(BucketName=ref.bucket)

    InStore(SimpleNamespace(store=lambda name: Store()), "main", "exports/in").drop("a.mxf")
    assert [(ref.bucket, ref.key) for ref in asked] == [("exports", "in/a.mxf")]
