"""A read whose bytes are not in the store: refused, restored, told to come back, or served; never other bytes, never fewer."""

import io
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3shunt.model import Grant, Interest, Key, ObjectRef, State
from s3shunt.protocol.errors import ServiceUnavailable
from s3shunt.testing.client import Client

BODY = b"0123456789" * 60_000


@pytest.fixture
def restored(site, day):
    site.entry(
        state=State.RESTORED, body=BODY, restored_until=site.clock.now() + day,
        interests=(Interest("AKEDITOR", 1, until=site.clock.now() + day),),
    )  # fmt: skip
    return site


def nobody(site):
    return Client(site.app, "", "", clock=site.clock)


@pytest.mark.parametrize("headers", [{}, {"range": "bytes=0-1"}, {"if_match": "*"}, {"if_none_match": '"other"'}])
def test_an_object_on_tape_is_refused_whatever_is_asked_of_it(site, headers):
    site.entry()
    assert site.get("/films/a", **headers).code == "InvalidObjectState"
    assert site.get("/films/a?partNumber=1").code == "InvalidObjectState"
    assert "GetObject" not in site.front.seen


def test_a_condition_that_makes_the_body_moot_is_answered_first(site):
    etag = site.entry().facts.etag
    assert site.get("/films/a", if_none_match=etag).status == 304
    assert site.get("/films/a", if_match='"other"').code == "PreconditionFailed"
    assert site.get("/films/a", range="bytes=99-").code == "InvalidRange"


def test_what_a_delete_hides_is_not_there(site):
    site.stored()
    site.entry(state=State.DELETED)
    assert site.get("/films/a").code == "NoSuchKey"
    assert site.head("/films/a").status == 404


def test_select_and_torrent_cannot_bypass_the_state(site):
    site.entry()
    assert site.editor.post("/films/a?select&select-type=2", b"<SelectObjectContentRequest/>").code == "InvalidObjectState"
    assert site.get("/films/a?torrent").code == "NotImplemented"


# Served


def test_a_restored_object_is_served_whole(restored):
    answer = restored.get("/films/a")
    assert (answer.status, answer.body) == (200, BODY)
    assert answer.headers["content-type"] == "video/mxf"
    assert answer.headers["x-amz-meta-title"] == "A"
    assert answer.headers["content-length"] == str(len(BODY))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.integers(0, len(BODY) + 10), last=st.one_of(st.none(), st.integers(0, len(BODY) + 10)))
def test_every_range_of_a_restored_object_is_exact(restored, first, last):
    answer = restored.get("/films/a", range=f"bytes={first}-{'' if last is None else last}")
    if first >= len(BODY) and (last is None or last >= first):
        assert answer.code == "InvalidRange"
    elif last is not None and last < first:
        assert (answer.status, answer.body) == (200, BODY)
    else:
        expected = BODY[first : None if last is None else last + 1]
        assert (answer.status, answer.body, answer.headers["content-length"]) == (206, expected, str(len(expected)))


def test_parts_are_those_of_the_original(site, day):
    facts = replace(site.facts(b"aaabb"), etag='"0123-2"', parts=(3, 2))
    site.entry(state=State.RESTORED, body=b"aaabb", facts=facts, restored_until=site.clock.now() + day)
    answer = site.get("/films/a?partNumber=2")
    assert (answer.status, answer.body, answer.headers["content-range"]) == (206, b"bb", "bytes 3-4/5")
    assert answer.headers["x-amz-mp-parts-count"] == "2"
    assert site.get("/films/a?partNumber=3").code == "InvalidPartNumber"
    assert site.get("/films/a?partNumber=1", range="bytes=0-1").code == "InvalidRequest"
    assert site.head("/films/a?partNumber=1").headers["content-length"] == "3"


def test_the_answer_may_be_overridden_by_who_signed(make_site, day):
    site = make_site(options={"grants": {"anonymous_read": "films", "anonymous_account": "main"}})
    site.entry(state=State.RESTORED, restored_until=site.clock.now() + day)
    target = "/films/a?response-content-type=text%2Fplain"
    assert site.get(target).headers["content-type"] == "text/plain"
    assert nobody(site).get(target).code == "InvalidRequest"
    assert nobody(site).get("/films/a").body == b"film"


def test_a_missing_landed_copy_is_recalled_anew(restored):
    restored.landing.delete(ObjectRef(key=restored.row().place.name))
    assert restored.get("/films/a").code == "InvalidObjectState"
    assert restored.row().state is State.QUEUED
    assert len(restored.catalog.recalls()) == 1


def test_a_landed_copy_of_another_size_is_never_served(restored):
    restored.landing.write(ObjectRef(key=restored.row().place.name), [b"short"], size=5)
    assert restored.get("/films/a").code == "InvalidObjectState"
    assert restored.row().state is State.QUEUED


def test_a_landing_store_that_is_down_is_503_and_changes_nothing(restored):
    def down(*_args, **_kwargs):
        raise ServiceUnavailable

    restored.landing.head = down
    before = restored.row()
    assert restored.get("/films/a").status == 503
    assert restored.row() == before


def test_a_landed_copy_that_breaks_off_breaks_the_answer(restored):
    reads = restored.landing.read
    restored.landing.read = lambda *args, **more: iter(list(reads(*args, **more))[:3])
    answer = restored.get("/films/a")
    assert answer.broken is not None
    assert len(answer.body) < len(BODY)


def test_the_source_is_closed_however_the_answer_ends(restored):
    closed = []

    def source(*_args, **_kwargs):
        try:
            yield BODY
        finally:
            closed.append(True)

    restored.landing.read = source
    assert restored.get("/films/a").body == BODY
    assert closed == [True]


def test_a_file_is_handed_to_the_server_as_one(restored):
    restored.landing.open = lambda _: (io.BytesIO(BODY), len(BODY))
    environ = restored.editor.environ("GET", "/films/a", b"", {})
    wrapped = []
    environ["wsgi.file_wrapper"] = lambda file, size: (wrapped.append(size), iter([file.read()]))[1]
    body = b"".join(restored.app(environ, lambda *_: None))
    assert body == BODY
    assert wrapped


# What a GET of an object on tape does


def test_a_get_may_start_the_restore(make_site):
    site = make_site(options={"shunt": {"archived_get": "restore", "restore_days": "2"}})
    site.entry()
    assert site.get("/films/a").code == "InvalidObjectState"
    assert site.row().interests == (Interest("AKEDITOR", 2),)
    assert site.get("/films/a").code == "InvalidObjectState"
    assert len(site.catalog.recalls()) == 1


def test_a_get_may_be_told_to_come_back(make_site, day):
    site = make_site(options={"shunt": {"archived_get": "busy", "retry_after": "90s"}})
    row = site.entry()
    answer = site.get("/films/a")
    assert (answer.status, answer.headers["retry-after"]) == (202, "90")
    assert answer.xml.findtext("Status") == "busy"
    assert answer.xml.findtext("Url").endswith("/films/a")
    site.drop(site.row())
    site.entry(state=State.RESTORED, facts=row.facts, restored_until=site.clock.now() + day)
    assert site.get("/films/a").body == b"film"


@pytest.mark.parametrize("how", ["restore", "busy"])
def test_who_may_not_restore_starts_nothing_by_a_get(make_site, how):
    site = make_site(options={"shunt": {"archived_get": how}, "grants": {"anonymous_read": "films", "anonymous_account": "main"}})
    site.entry()
    assert nobody(site).get("/films/a").code == "InvalidObjectState"
    assert site.row().state is State.ARCHIVED


def test_who_may_read_but_not_restore_starts_nothing_by_a_get(make_site):
    site = make_site(options={"shunt": {"archived_get": "restore"}})
    site.entry()
    site.house.keys().save(Key(access_key="AKREADER", secret_key="s", account="main", grants=(Grant(allow=("read",)),)))
    assert Client(site.app, "AKREADER", "s", clock=site.clock).get("/films/a").code == "InvalidObjectState"
    assert site.row().state is State.ARCHIVED


def test_a_thousand_gets_start_one_recall(make_site):
    site = make_site(options={"shunt": {"archived_get": "restore"}})
    site.entry()
    assert {site.get("/films/a").code for _ in range(200)} == {"InvalidObjectState"}
    assert len(site.catalog.recalls()) == 1


# Copies


def test_a_copy_from_tape_is_refused(site):
    site.entry()
    answer = site.put("/films/b", x_amz_copy_source="/films/a")
    assert answer.code == "InvalidObjectState"
    assert answer.xml.findtext("Message") == "Operation is not valid for the source object's storage class"


def test_a_part_copied_from_tape_is_refused(site):
    site.entry()
    upload = site.editor.post("/films/b?uploads").xml.findtext("{*}UploadId")
    assert site.put(f"/films/b?partNumber=1&uploadId={upload}", x_amz_copy_source="/films/a").code == "InvalidObjectState"


def test_a_copy_of_a_restored_object_is_a_new_object_in_the_store(restored):
    answer = restored.put("/films/b", x_amz_copy_source="/films/a")
    assert answer.status == 200
    assert answer.xml.findtext("{*}ETag") == restored.head("/films/b").headers["etag"]
    copied = restored.get("/films/b")
    assert copied.body == BODY
    assert (copied.headers["content-type"], copied.headers["x-amz-meta-title"]) == ("video/mxf", "A")
    assert "x-amz-restore" not in copied.headers
    assert restored.row("b") is None


def test_a_copy_may_replace_the_metadata(restored):
    restored.put(
        "/films/b", x_amz_copy_source="films/a", x_amz_metadata_directive="REPLACE", content_type="text/plain", x_amz_meta_other="B"
    )
    headers = restored.head("/films/b").headers
    assert (headers["content-type"], headers["x-amz-meta-other"]) == ("text/plain", "B")
    assert "x-amz-meta-title" not in headers


def test_a_copy_holds_the_conditions_on_its_source(restored):
    assert restored.put("/films/b", x_amz_copy_source="films/a", x_amz_copy_source_if_match='"other"').code == "PreconditionFailed"
    assert restored.get("/films/b").code == "NoSuchKey"


def test_a_copy_onto_itself_with_standard_brings_it_back_for_good(restored):
    assert restored.put("/films/a", x_amz_copy_source="films/a").code == "InvalidRequest"
    assert restored.put("/films/a", x_amz_copy_source="films/a", x_amz_storage_class="STANDARD").status == 200
    assert restored.row() is None
    headers = restored.head("/films/a").headers
    assert "x-amz-storage-class" not in headers
    assert restored.get("/films/a").body == BODY
    assert sorted(job.dedupe for job in restored.catalog.jobs(kind="discard")) == ["copy tape id-a-null", "place landing r-a/1/t"]


def test_parts_are_copied_from_a_restored_object_by_range(restored):
    upload = restored.editor.post("/films/b?uploads").xml.findtext("{*}UploadId")
    target = f"/films/b?partNumber=1&uploadId={upload}"
    answer = restored.put(target, x_amz_copy_source="films/a", x_amz_copy_source_range="bytes=10-99")
    assert answer.xml.tag.endswith("CopyPartResult")
    assert restored.front.uploads[upload] == {1: BODY[10:100]}
    assert restored.put(target, x_amz_copy_source="films/a", x_amz_copy_source_range="bytes=10-9999999").code == "InvalidArgument"


def test_a_copy_of_a_landed_copy_that_breaks_off_writes_nothing(restored):
    reads = restored.landing.read
    restored.landing.read = lambda *args, **more: iter(list(reads(*args, **more))[:3])
    assert restored.put("/films/b", x_amz_copy_source="films/a").status >= 400
    assert restored.get("/films/b").code == "NoSuchKey"
    assert restored.row("b") is None
