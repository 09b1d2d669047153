"""The straight line: a film goes to tape and comes back, through the whole pipeline."""

import gc
import re

import pytest

from s3shunt.model import ObjectRef
from s3shunt.wsgi import Request

FILM = b"frames" * 50_000
LEGAL = re.compile(r'ongoing-request="true"|ongoing-request="false", expiry-date="\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT"')


def test_a_film_on_tape_can_be_asked_for_and_read(house):
    house.archive("/films/reel/1.mxf", FILM, content_type="application/mxf", x_amz_meta_pid="p1")

    refused = house.get("/films/reel/1.mxf")
    assert (refused.status, refused.code) == (403, "InvalidObjectState")
    assert refused.xml.findtext("StorageClass") == "GLACIER"

    assert house.restore("/films/reel/1.mxf", days=2).status == 202
    assert house.restore("/films/reel/1.mxf", days=2).code == "RestoreAlreadyInProgress"
    assert house.head("/films/reel/1.mxf").headers["x-amz-restore"] == 'ongoing-request="true"'
    assert house.get("/films/reel/1.mxf").code == "InvalidObjectState"

    house.work()
    read = house.get("/films/reel/1.mxf")
    assert (read.status, read.body) == (200, FILM)
    assert read.headers["content-type"] == "application/mxf"
    assert read.headers["x-amz-meta-pid"] == "p1"
    assert read.headers["x-amz-storage-class"] == "GLACIER"
    assert LEGAL.fullmatch(read.headers["x-amz-restore"])
    assert house.restore("/films/reel/1.mxf", days=2).status == 200

    house.later(days=4).work()
    assert house.get("/films/reel/1.mxf").code == "InvalidObjectState"
    assert "x-amz-restore" not in house.head("/films/reel/1.mxf").headers
    assert not house.landing.list("", limit=10)


def test_the_class_binds_from_the_answer_on_though_the_bytes_are_still_there(house):
    assert house.put("/films/a", FILM, x_amz_storage_class="GLACIER").status == 200
    assert house.get("/films/a").code == "InvalidObjectState"
    assert house.head("/films/a").headers["x-amz-storage-class"] == "GLACIER"
    assert house.restore("/films/a").status == 202
    assert house.get("/films/a").body == FILM
    house.work()
    assert house.get("/films/a").body == FILM
    house.later(days=3).work()
    assert house.get("/films/a").code == "InvalidObjectState"
    assert not house.store.list("films", account="main")


def test_02_head_of_an_archived_object_is_the_originals_with_its_class_and_without_x_amz_restore(house):
    facts = {"content_type": "video/mxf", "cache_control": "no-cache", "content_disposition": "inline", "x_amz_meta_Title": "é"}
    house.put("/films/plain", FILM, **facts)
    house.archive("/films/tape", FILM, **facts)
    shown = {"x-amz-request-id", "x-amz-id-2", "date", "last-modified"}
    online = {k: v for k, v in house.head("/films/plain").headers.items() if k not in shown}
    archived = {k: v for k, v in house.head("/films/tape").headers.items() if k not in shown}
    assert archived.pop("x-amz-storage-class") == "GLACIER"
    assert archived == online
    assert "x-amz-restore" not in archived


def test_a_listing_shows_what_is_on_tape(house):
    house.archive("/films/b", FILM)
    house.put("/films/a", b"online")
    house.put("/films/c", b"online")
    for target in ("/films", "/films?list-type=2", "/films?versions"):
        items = house.get(target).xml.iter("{*}Contents", "{*}Version")
        rows = [(i.findtext("{*}Key"), i.findtext("{*}Size"), i.findtext("{*}StorageClass")) for i in items]
        assert rows == [("a", "6", "STANDARD"), ("b", str(len(FILM)), "GLACIER"), ("c", "6", "STANDARD")], target


def test_an_object_moved_by_age_stays_readable_until_its_bytes_leave(house):
    house.editor.put("/aged")
    house.put("/aged/a", FILM)
    house.later(days=29).work()
    assert house.get("/aged/a").body == FILM
    house.later(days=1.1).work()
    assert house.get("/aged/a").body == FILM
    assert "x-amz-storage-class" not in house.head("/aged/a").headers
    house.later(days=1.1).work()
    assert house.get("/aged/a").code == "InvalidObjectState"
    assert house.head("/aged/a").headers["x-amz-storage-class"] == "GLACIER"


@pytest.mark.parametrize("change", ["overwrite", "delete"])
def test_a_recall_whose_object_changed_is_discarded(house, change):
    house.archive("/films/a", FILM)
    assert house.restore("/films/a").status == 202
    house.runner.run_due()
    if change == "overwrite":
        assert house.put("/films/a", b"new").status == 200
    else:
        assert house.delete("/films/a").status == 204
    house.work()
    answer = house.get("/films/a")
    assert answer.body == b"new" if change == "overwrite" else answer.code == "NoSuchKey"
    assert not house.landing.list("", limit=10)
    assert not house.catalog.recalls(active=True)


def test_who_may_restore_need_not_be_able_to_read(house):
    house.archive("/films/a", FILM)
    assert house.get("/films/a").code == "InvalidObjectState"
    assert house.desk.get("/films/a").code == "AccessDenied"
    assert house.restore("/films/a", client=house.desk).status == 202
    assert house.restore("/films/a", client=house.stranger).status in (403, 404)


def test_a_range_of_a_restored_film_is_exact(house):
    house.archive("/films/a", FILM)
    house.restore("/films/a")
    house.work()
    asked = {"bytes=0-9": FILM[:10], "bytes=-7": FILM[-7:], "bytes=100-": FILM[100:], "bytes=65530-65545": FILM[65530:65546]}
    for header, part in asked.items():
        answer = house.get("/films/a", range=header)
        assert (answer.status, answer.body) == (206, part)
    assert house.get("/films/a", range=f"bytes={len(FILM)}-").code == "InvalidRange"
    etag = house.head("/films/a").headers["etag"]
    assert house.get("/films/a", if_none_match=etag).status == 304
    assert house.get("/films/a", if_match='"x"').code == "PreconditionFailed"


def test_08_a_condition_is_judged_before_the_refusal_which_comes_only_where_a_body_would_follow(house):
    house.archive("/films/a", FILM)
    etag = house.head("/films/a").headers["etag"]
    assert house.get("/films/a", if_none_match=etag).status == 304
    assert house.get("/films/a", if_match='"x"').status == 412
    assert house.get("/films/a", if_match=etag).code == "InvalidObjectState"
    assert house.get("/films/a", if_none_match='"x"').code == "InvalidObjectState"
    assert house.head("/films/a", if_none_match=etag).status == 304
    assert house.head("/films/a", if_match='"x"').status == 412
    assert house.head("/films/a", if_match=etag).status == 200
    date = house.head("/films/a").headers["last-modified"]
    assert house.get("/films/a", if_modified_since=date).status == house.head("/films/a", if_modified_since=date).status == 304
    assert house.get("/films/a", if_unmodified_since="Thu, 01 Jan 1970 00:00:00 GMT").status == 412


def test_a_landed_copy_with_other_bytes_than_were_verified_is_never_served(house):
    house.archive("/films/a", FILM)
    house.restore("/films/a")
    house.work()
    place = house.catalog.select()[0].place
    house.landing.write(ObjectRef(key=place.name), [b"x" * len(FILM)], size=len(FILM))
    assert house.get("/films/a").code == "InvalidObjectState"
    house.work()
    assert house.get("/films/a").body == FILM


def test_a_request_ends_with_its_answer_and_waits_for_no_garbage_collector(house):
    house.archive("/films/tape", FILM)
    gc.collect()
    gc.disable()
    before = requests()
    try:
        house.put("/films/a", FILM)
        assert (house.get("/films/a").status, house.head("/films/tape").status, house.get("/films/none").status) == (200, 200, 404)
        assert requests() == before
    finally:
        gc.enable()


def requests():
    return sum(isinstance(each, Request) for each in gc.get_objects())
