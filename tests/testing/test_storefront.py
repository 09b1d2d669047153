"""The stand-in store answers as a store would: what the walks build on."""

import pytest

from s3shunt.testing.house import House

DOORS = ("errors", "sigv4", "grants")


@pytest.fixture
def plain(tmp_path):
    """The store and nothing of ours between but who is asking."""
    return House(tmp_path, walk=DOORS)


@pytest.fixture
def versioned(tmp_path):
    return House(tmp_path, walk=DOORS, versioned="films")


def keys(answer, tag="Contents"):
    return [item.findtext("{*}Key") for item in answer.xml.iter(f"{{*}}{tag}")]


def test_objects_are_kept_with_what_was_said_of_them(plain):
    plain.put("/films/a", b"0123456789", content_type="a/b", x_amz_meta_x="y")
    answer = plain.get("/films/a", range="bytes=2-3")
    assert (answer.status, answer.body, answer.headers["content-range"]) == (206, b"23", "bytes 2-3/10")
    assert (answer.headers["content-type"], answer.headers["x-amz-meta-x"]) == ("a/b", "y")
    assert plain.get("/films/a", if_none_match=answer.headers["etag"]).status == 304
    assert plain.get("/films/a", if_match='"x"').code == "PreconditionFailed"
    assert plain.delete("/films/a").status == 204
    assert plain.get("/films/a").code == "NoSuchKey"


def test_buckets_come_and_go(plain):
    assert plain.put("/papers").status == 200
    assert [b.text for b in plain.get("/").xml.iter("{*}Name")] == ["films", "papers"]
    assert plain.head("/papers").status == 200
    plain.put("/papers/a", b"x")
    assert plain.delete("/papers").code == "BucketNotEmpty"
    plain.delete("/papers/a")
    assert plain.delete("/papers").status == 204
    assert plain.get("/papers").code == "NoSuchBucket"


def test_listings_are_in_the_order_of_bytes_with_prefixes_rolled_up(plain):
    for key in ("b/1", "b/2", "a", "b-"):
        plain.put(f"/films/{key}", b"x")
    assert keys(plain.get("/films")) == ["a", "b-", "b/1", "b/2"]
    rolled = plain.get("/films?delimiter=/&max-keys=2")
    assert (keys(rolled), rolled.xml.findtext("{*}IsTruncated")) == (["a", "b-"], "true")
    rest = plain.get("/films?list-type=2&delimiter=/&start-after=b-")
    assert [p.text for p in rest.xml.iterfind("{*}CommonPrefixes/{*}Prefix")] == ["b/"]


def test_versions_and_markers_are_told_apart(versioned):
    first = versioned.put("/films/a", b"1").headers["x-amz-version-id"]
    versioned.put("/films/a", b"2")
    marker = versioned.delete("/films/a").headers["x-amz-version-id"]
    assert versioned.get("/films/a").code == "NoSuchKey"
    assert versioned.get(f"/films/a?versionId={first}").body == b"1"
    assert versioned.get(f"/films/a?versionId={marker}").code == "MethodNotAllowed"
    assert versioned.get("/films/a?versionId=none").code == "NoSuchVersion"
    listed = versioned.get("/films?versions")
    assert (len(keys(listed, "Version")), len(keys(listed, "DeleteMarker"))) == (2, 1)
    assert versioned.get("/films?versioning").xml.findtext("{*}Status") == "Enabled"


def test_an_upload_in_parts_has_the_etag_of_its_parts(plain):
    upload = plain.editor.post("/films/a?uploads").xml.findtext("{*}UploadId")
    assert plain.put(f"/films/a?partNumber=1&uploadId={upload}", b"one").status == 200
    assert plain.put(f"/films/a?partNumber=2&uploadId={upload}", b"two").status == 200
    done = plain.editor.post(f"/films/a?uploadId={upload}", b"<CompleteMultipartUpload/>")
    assert done.xml.findtext("{*}ETag").endswith('-2"')
    assert plain.get("/films/a").body == b"onetwo"
    assert plain.editor.delete(f"/films/a?uploadId={upload}").code == "NoSuchUpload"


def test_a_store_that_is_down_says_so(plain):
    plain.front.down = True
    assert plain.get("/films/a").status == 503


def test_what_nobody_decided_is_refused(tmp_path):
    assert House(tmp_path, walk=("errors", "sigv4")).get("/films/a").code == "AccessDenied"
