"""Whole stories under the standard library's validator: around the pipeline, and between every two doors."""

import gc
import sys
from hashlib import md5

import pytest

from s3shunt.testing.client import call, environ
from s3shunt.testing.house import WALK, House, validated

FILM = b"frames" * 50_000
JUDGED = ("validate", *(name for door in WALK for name in (door, "validate")))


@pytest.fixture
def unclosed(monkeypatch):
    """What the validator finds when an answer is collected that nobody closed; it can only say so from a finalizer."""
    found = []
    monkeypatch.setattr(sys, "unraisablehook", lambda event: found.append(event.exc_value))
    yield found
    gc.collect()
    assert not found


@pytest.fixture(params=[WALK, JUDGED], ids=["around the whole", "between every two doors"])
def house(request, tmp_path, unclosed):
    made = House(tmp_path, walk=request.param)
    for client in (made.editor, made.desk, made.stranger):
        client.app = validated(client.app)
    return made


def test_a_film_goes_to_tape_and_comes_back(house):
    house.archive("/films/reel/1.mxf", FILM, content_type="application/mxf", x_amz_meta_pid="p1")
    assert house.get("/films/reel/1.mxf").code == "InvalidObjectState"
    assert house.head("/films/reel/1.mxf").headers["x-amz-storage-class"] == "GLACIER"
    assert [item.text for item in house.get("/films?list-type=2").xml.iter("{*}StorageClass")] == ["GLACIER"]
    assert house.restore("/films/reel/1.mxf", days=2).status == 202
    assert house.restore("/films/reel/1.mxf", days=2).code == "RestoreAlreadyInProgress"
    house.work()
    read = house.get("/films/reel/1.mxf")
    assert (read.status, read.body, read.headers["content-type"]) == (200, FILM, "application/mxf")
    part = house.get("/films/reel/1.mxf", range="bytes=10-19")
    assert (part.status, part.body) == (206, FILM[10:20])
    assert house.get("/films/reel/1.mxf", if_none_match=read.headers["etag"]).status == 304
    assert house.get("/films/reel/1.mxf", if_match='"x"').status == 412
    house.later(days=4).work()
    assert house.get("/films/reel/1.mxf").code == "InvalidObjectState"


def test_writes_over_what_is_on_tape(house):
    house.archive("/films/a", FILM)
    assert house.put("/films/b", x_amz_copy_source="films/a").status == 403
    house.restore("/films/a")
    house.work()
    assert house.put("/films/b", x_amz_copy_source="films/a").status == 200
    assert house.put("/films/a", b"second cut").status == 200
    assert house.get("/films/a").body == b"second cut"
    assert house.get("/films/b").body == FILM
    assert house.delete("/films/a").status == 204
    document = b"<Delete><Object><Key>a</Key></Object><Object><Key>b</Key></Object></Delete>"
    assert house.editor.post("/films?delete", document).status == 200
    assert house.get("/films/b").code == "NoSuchKey"
    assert house.head("/films/b").status == 404
    assert house.delete("/films").status == 204


def test_an_upload_in_parts(house):
    upload = house.editor.post("/films/large?uploads").xml.findtext("{*}UploadId")
    etags = [house.put(f"/films/large?partNumber={n}&uploadId={upload}", body).headers["etag"] for n, body in ((1, FILM), (2, b"end"))]
    assert etags[1] == f'"{md5(b"end").hexdigest()}"'
    parts = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n, etag in enumerate(etags, 1))
    document = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>"
    assert house.editor.post(f"/films/large?uploadId={upload}", document.encode()).status == 200
    assert house.get("/films/large").body == FILM + b"end"


def test_a_body_that_must_be_decoded_and_one_that_is_empty(house):
    framed = b"5\r\nbytes\r\n0\r\nx-amz-checksum-crc32:DyNhIA==\r\n\r\n"
    fields = {"x_amz_content_sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "x_amz_trailer": "x-amz-checksum-crc32"}
    answer = house.put("/films/a", framed, **fields, x_amz_decoded_content_length="5")
    assert answer.code == "BadDigest"
    assert house.put("/films/empty").status == 200
    assert house.get("/films/empty").body == b""


def test_refusals_of_every_door(house):
    assert house.get("/-/live").status == 200
    assert house.head("/-/ready").status == 200
    assert house.editor.request("PATCH", "/films/a").code in ("MethodNotAllowed", "NotImplemented")
    assert house.get("/films/a?nonsense").code == "NotImplemented"
    assert house.get("/x").code == "InvalidBucketName"
    assert house.stranger.get("/films/a").code in ("AccessDenied", "NoSuchBucket")
    house.archive("/films/a", FILM)
    assert house.desk.get("/films/a").code == "AccessDenied"
    assert house.get("/films/a?tagging").status == 200
    assert house.delete("/films").code == "BucketNotEmpty"
    house.editor.secret_key = "wrong"
    assert house.put("/films/a", FILM).code == "SignatureDoesNotMatch"
    house.front.down = True
    assert call(house.editor.app, environ("GET", "/films/b")).status in (403, 503)


def test_a_store_that_is_down(house):
    house.put("/films/a", b"x")
    house.front.down = True
    for ask in (house.get, house.head, house.delete):
        assert ask("/films/a").status == 503
    assert house.put("/films/a", b"x").status == 503
