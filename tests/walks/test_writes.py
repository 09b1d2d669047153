"""Deleting, overwriting, copying and uploading in parts, over keys that are on tape."""

import pytest

from s3shunt.testing.house import House

FILM = b"frames" * 20_000


def test_an_overwrite_of_an_archived_film_is_the_new_film(house):
    house.archive("/films/a", FILM)
    assert house.put("/films/a", b"second cut").status == 200
    assert house.get("/films/a").body == b"second cut"
    assert "x-amz-storage-class" not in house.head("/films/a").headers
    house.work()
    assert house.get("/films/a").body == b"second cut"
    assert not house.catalog.select()


def test_a_deleted_film_is_gone_everywhere(house):
    house.archive("/films/a", FILM)
    assert house.delete("/films/a").status == 204
    assert house.get("/films/a").code == "NoSuchKey"
    assert house.head("/films/a").status == 404
    assert not list(house.get("/films").xml.iter("{*}Contents"))
    assert house.restore("/films/a").code == "NoSuchKey"
    house.work()
    assert house.house.archive("tape").find(tag="") is None or not list(house.house.archive("tape").listing())


def test_many_are_deleted_in_one_request(house):
    house.archive("/films/a", FILM)
    house.put("/films/b", b"online")
    document = b"<Delete><Object><Key>a</Key></Object><Object><Key>b</Key></Object><Object><Key>c</Key></Object></Delete>"
    answer = house.editor.post("/films?delete", document)
    assert sorted(d.findtext("{*}Key") for d in answer.xml.iter("{*}Deleted")) == ["a", "b", "c"]
    assert house.get("/films/a").code == house.get("/films/b").code == "NoSuchKey"


def test_a_bucket_with_films_on_tape_is_not_empty(house):
    house.archive("/films/a", FILM)
    assert house.delete("/films").code == "BucketNotEmpty"
    house.delete("/films/a")
    assert house.delete("/films").status == 204


def test_a_copy_of_an_archived_film_is_refused_until_it_is_restored(house):
    house.archive("/films/a", FILM, content_type="video/mxf")
    assert house.put("/films/b", x_amz_copy_source="films/a").code in ("InvalidObjectState", "ObjectNotInActiveTierError")
    assert house.get("/films/b").code == "NoSuchKey"
    house.restore("/films/a")
    house.work()
    assert house.put("/films/b", x_amz_copy_source="films/a").status == 200
    copied = house.get("/films/b")
    assert copied.body == FILM
    assert copied.headers["content-type"] == "video/mxf"
    assert "x-amz-restore" not in copied.headers


def test_a_restored_film_copied_onto_itself_is_back_for_good(house):
    house.archive("/films/a", FILM)
    house.restore("/films/a")
    house.work()
    assert house.put("/films/a", x_amz_copy_source="films/a", x_amz_storage_class="STANDARD").status == 200
    house.later(days=5).work()
    assert house.get("/films/a").body == FILM


def test_a_film_uploaded_in_parts_goes_to_tape_and_keeps_its_etag(house):
    started = house.editor.post("/films/a?uploads", x_amz_storage_class="GLACIER", content_type="video/mxf")
    upload = started.xml.findtext("{*}UploadId")
    etags = [house.put(f"/films/a?partNumber={n}&uploadId={upload}", FILM).headers["etag"] for n in (1, 2)]
    parts = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{e}</ETag></Part>" for n, e in enumerate(etags, 1))
    done = house.editor.post(f"/films/a?uploadId={upload}", f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode())
    assert done.status == 200
    etag = done.xml.findtext("{*}ETag")
    assert etag.strip('"').endswith("-2")
    assert house.get("/films/a").code == "InvalidObjectState"
    house.work()
    assert not house.store.list("films", account="main")
    assert house.head("/films/a").headers["etag"] == etag
    house.restore("/films/a")
    house.work()
    assert house.get("/films/a").body == FILM + FILM


def test_versions_keep_their_own_lives(tmp_path):
    house = House(tmp_path, versioned="films")
    first = house.put("/films/a", b"first", x_amz_storage_class="GLACIER").headers["x-amz-version-id"]
    house.work()
    assert house.get("/films/a").code == "InvalidObjectState"
    second = house.put("/films/a", b"second").headers["x-amz-version-id"]
    assert house.get("/films/a").body == b"second"
    assert house.get(f"/films/a?versionId={first}").code == "InvalidObjectState"
    assert house.restore(f"/films/a?versionId={first}").status == 202
    house.work()
    assert house.get(f"/films/a?versionId={first}").body == b"first"
    assert house.get("/films/a").body == b"second"
    marker = house.delete("/films/a")
    assert marker.headers["x-amz-delete-marker"] == "true"
    assert house.get("/films/a").code == "NoSuchKey"
    assert house.get(f"/films/a?versionId={second}").body == b"second"
    assert house.delete(f"/films/a?versionId={first}").status == 204
    house.work()
    assert house.get(f"/films/a?versionId={first}").code in ("NoSuchVersion", "NoSuchKey")


def test_an_evicted_current_version_never_lets_an_older_one_shine_through(tmp_path):
    house = House(tmp_path, versioned="films")
    house.put("/films/a", b"first")
    house.put("/films/a", b"second", x_amz_storage_class="GLACIER")
    house.work()
    assert house.get("/films/a").code == "InvalidObjectState"
    assert house.head("/films/a").headers["content-length"] == "6"


@pytest.mark.parametrize("body", [b"", b"x", FILM])
def test_a_torn_upload_changes_nothing(house, body):
    house.archive("/films/a", b"first")
    torn = house.editor.put("/films/a", body, content_length=str(len(body) + 1))
    assert torn.status >= 400
    assert house.get("/films/a").code == "InvalidObjectState"
    house.later(hours=2).work()
    house.restore("/films/a")
    house.work()
    assert house.get("/films/a").body == b"first"


def test_a_class_that_no_archive_takes_is_refused(house):
    house.editor.put("/papers")
    assert house.put("/papers/a", b"x", x_amz_storage_class="GLACIER").code == "InvalidStorageClass"
    assert house.get("/papers/a").code == "NoSuchKey"


def test_tags_of_an_archived_film_are_served_and_changed(house):
    house.archive("/films/a", FILM)
    document = b"<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>"
    assert house.put("/films/a?tagging", document).status == 200
    tags = house.get("/films/a?tagging").xml
    assert [(t.findtext("{*}Key"), t.findtext("{*}Value")) for t in tags.iter("{*}Tag")] == [("k", "v")]
    assert house.delete("/films/a?tagging").status == 204
    assert not list(house.get("/films/a?tagging").xml.iter("{*}Tag"))
    assert house.get("/films/a").code == "InvalidObjectState"
