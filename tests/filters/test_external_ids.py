"""An external id is one object's: who asks for another's is refused before a byte of his is taken, however many ask at once."""

import threading

import pytest

from s3shunt.catalog.sql import SqlCatalog
from s3shunt.model import ObjectRef
from s3shunt.ports import Copy
from s3shunt.testing.house import INI
from s3shunt.wsgi import Response

FILMS = "buckets = films films-*\narchive = tape\nevict = at once"
PID = INI.replace(FILMS, f"{FILMS}\nexternal_id = x-amz-meta-pid")
PATTERN = INI.replace(FILMS, f"{FILMS}\nexternal_id = pattern (?:.*/)?([a-z0-9]+)[.].*")
KEY = INI.replace(FILMS, f"{FILMS}\nexternal_id = key")


@pytest.fixture(params=["memory", "sqlite"])
def catalog(request, tmp_path):
    if request.param == "memory":
        yield None
        return
    catalog = SqlCatalog(SqlCatalog.Options(url=f"sqlite:///{tmp_path}/catalog.db"))
    catalog.upgrade()
    yield catalog
    catalog.close()


@pytest.fixture
def pids(make_site, catalog):
    return make_site(ini=PID, catalog=catalog)


def ids(site):
    return {row.ref.key: row.external_id for row in site.catalog.select()}


def refused(answer):
    return (answer.status, answer.code, answer.xml.findtext("ExternalId")) == (409, "OperationAborted", "viaa")


def test_a_second_object_of_an_id_is_refused_before_its_bytes_are_taken(pids):
    assert pids.put("/films/a", b"film", x_amz_meta_pid="viaa").status == 200
    pids.front.seen.clear()
    assert refused(pids.put("/films/b", b"other", x_amz_meta_pid="viaa"))
    assert pids.front.seen == []
    assert ids(pids) == {"a": "viaa"}
    assert not pids.open_writes()


def test_an_id_is_an_objects_in_all_buckets_of_an_account_and_only_there(pids):
    pids.put("/films-new")
    assert pids.put("/films/a", b"film", x_amz_meta_pid="viaa").status == 200
    assert refused(pids.put("/films-new/a", b"film", x_amz_meta_pid="viaa"))
    pids.stranger.put("/films-theirs")
    assert pids.stranger.put("/films-theirs/a", b"film", x_amz_meta_pid="viaa").status == 200


def test_the_object_itself_may_be_written_again(pids):
    for body in (b"one", b"two"):
        assert pids.put("/films/a", body, x_amz_meta_pid="viaa").status == 200
    assert pids.get("/films/a").body == b"two"


def test_an_id_is_free_when_its_object_is_deleted_or_has_another(pids):
    pids.put("/films/a", b"film", x_amz_meta_pid="viaa")
    assert pids.delete("/films/a").status == 204
    assert pids.put("/films/b", b"film", x_amz_meta_pid="viaa").status == 200
    assert pids.put("/films/b", b"film", x_amz_meta_pid="other").status == 200
    assert pids.put("/films/c", b"film", x_amz_meta_pid="viaa").status == 200
    assert ids(pids) == {"b": "other", "c": "viaa"}


def test_an_id_is_free_when_its_object_is_deleted_with_others(pids):
    pids.put("/films/a", b"film", x_amz_meta_pid="viaa")
    assert pids.editor.post("/films?delete", b"<Delete><Object><Key>a</Key></Object></Delete>").status == 200
    assert pids.put("/films/b", b"film", x_amz_meta_pid="viaa").status == 200


def test_an_archived_object_keeps_its_id(pids):
    pids.archive("/films/a", b"film", x_amz_meta_pid="viaa")
    assert refused(pids.put("/films/b", b"film", x_amz_meta_pid="viaa"))
    assert pids.delete("/films/a").status == 204
    assert pids.put("/films/b", b"film", x_amz_meta_pid="viaa").status == 200


def test_a_delete_that_the_store_refuses_keeps_the_id(pids):
    pids.put("/films/a", b"film", x_amz_meta_pid="viaa")
    pids.front.down = True
    assert pids.delete("/films/a").status == 503
    pids.front.down = False
    assert refused(pids.put("/films/b", b"film", x_amz_meta_pid="viaa"))


def test_a_write_that_the_store_refuses_frees_the_id(pids):
    pids.put("/films/a", b"film", x_amz_meta_pid="other")
    put, pids.front.do_PutObject = pids.front.do_PutObject, lambda _: Response(status=412, app_iter=())
    assert pids.put("/films/a", b"new", x_amz_meta_pid="viaa").status == 412
    pids.front.do_PutObject = put
    assert ids(pids) == {"a": "other"}
    assert pids.put("/films/b", b"film", x_amz_meta_pid="viaa").status == 200


def test_a_write_whose_proxy_died_holds_its_id_until_the_sweep(pids):
    pids.front.down = True
    assert pids.put("/films/a", b"film", x_amz_meta_pid="viaa").status == 503
    pids.front.down = False
    assert refused(pids.put("/films/b", b"film", x_amz_meta_pid="viaa"))
    pids.later(seconds=90).work(rounds=2)
    assert pids.put("/films/b", b"film", x_amz_meta_pid="viaa").status == 200


def test_of_many_at_once_one_is_taken_and_the_others_leave_nothing(pids):
    answers = {}
    ready = threading.Barrier(6)

    def put(name):
        ready.wait()
        answers[name] = pids.put(f"/films/{name}", name.encode(), x_amz_meta_pid="viaa")

    threads = [threading.Thread(target=put, args=(f"k{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status for answer in answers.values()) == [200] + [409] * 5
    (winner,) = [name for name, answer in answers.items() if answer.status == 200]
    assert ids(pids) == {winner: "viaa"}
    assert [key for key, _ in pids.store.list("films", account="main")] == [winner]
    assert not pids.open_writes()


# Where the id comes from


def test_an_id_is_found_in_the_key(make_site, catalog):
    site = make_site(ini=PATTERN, catalog=catalog)
    assert site.put("/films/raw/viaa.mxf", b"film").status == 200
    assert site.put("/films/raw/OTHER", b"film").status == 200
    assert refused(site.put("/films/cut/viaa.mov", b"film"))
    assert ids(site) == {"raw/viaa.mxf": "viaa"}


def test_an_id_is_the_key(make_site, catalog):
    site = make_site(ini=KEY, catalog=catalog)
    site.put("/films-new")
    assert site.put("/films/viaa", b"film").status == 200
    assert ids(site) == {"viaa": "viaa"}
    assert refused(site.put("/films-new/viaa", b"film"))


def test_an_id_too_long_is_refused(pids):
    assert pids.put("/films/a", b"film", x_amz_meta_pid="x" * 1025).code == "InvalidArgument"


def test_a_kind_is_guessed_at_once_and_again_of_what_is_written_anew(pids):
    pids.put("/films/a", b"film", x_amz_meta_pid="viaa", content_type="video/mxf")
    assert pids.row().media_kind == "video"
    pids.put("/films/a", b"film", x_amz_meta_pid="viaa", content_type="audio/wav")
    assert pids.row().media_kind == "audio"


# Copies and uploads in parts


def copy(site, target, source="/films/a", **headers):
    return site.put(target, b"", x_amz_copy_source=source, **headers)


def test_a_copy_brings_its_id_along_and_so_is_a_second_one(pids):
    pids.put("/films/a", b"film", x_amz_meta_pid="viaa")
    assert refused(copy(pids, "/films/b"))
    assert copy(pids, "/films/b", x_amz_metadata_directive="REPLACE").status == 200
    assert copy(pids, "/films/c", x_amz_metadata_directive="REPLACE", x_amz_meta_pid="new").status == 200
    assert refused(copy(pids, "/films/d", x_amz_metadata_directive="REPLACE", x_amz_meta_pid="viaa"))
    assert ids(pids) == {"a": "viaa", "c": "new"}


def test_a_copy_onto_itself_keeps_its_id(pids):
    pids.put("/films/a", b"film", x_amz_meta_pid="viaa")
    assert copy(pids, "/films/a", x_amz_storage_class="GLACIER").status == 200
    assert ids(pids) == {"a": "viaa"}


def test_a_copy_of_an_archived_object_knows_its_id(pids):
    pids.archive("/films/a", b"film", x_amz_meta_pid="viaa")
    assert refused(copy(pids, "/films/b"))


def create(site, key, **headers):
    answer = site.editor.post(f"/films/{key}?uploads", **headers)
    return answer, answer.xml.findtext("{*}UploadId")


def complete(site, key, upload):
    etag = site.put(f"/films/{key}?partNumber=1&uploadId={upload}", b"part").headers["etag"]
    part = f"<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
    return site.editor.post(f"/films/{key}?uploadId={upload}", f"<CompleteMultipartUpload>{part}</CompleteMultipartUpload>".encode())


def test_an_upload_for_an_id_that_is_taken_is_not_begun(pids):
    pids.put("/films/a", b"film", x_amz_meta_pid="viaa")
    pids.front.seen.clear()
    assert refused(create(pids, "b", x_amz_meta_pid="viaa")[0])
    assert pids.front.seen == []


def test_of_two_uploads_the_first_to_complete_has_the_id(pids):
    uploads = {key: create(pids, key, x_amz_meta_pid="viaa")[1] for key in "ab"}
    assert complete(pids, "b", uploads["b"]).status == 200
    assert refused(complete(pids, "a", uploads["a"]))
    assert ids(pids) == {"b": "viaa"}
    assert [key for key, _ in pids.store.list("films", account="main")] == ["b"]


# Versions


def test_versions_of_a_key_share_an_id_which_is_free_when_the_last_is_gone(make_site, catalog):
    site = make_site(ini=PID, catalog=catalog, versioned="films")
    versions = [site.put("/films/a", body, x_amz_meta_pid="viaa").headers["x-amz-version-id"] for body in (b"1", b"2")]
    assert site.delete("/films/a").headers["x-amz-delete-marker"] == "true"
    for version in versions:
        assert refused(site.put("/films/b", b"film", x_amz_meta_pid="viaa"))
        assert site.delete(f"/films/a?versionId={version}").status == 204
    assert site.put("/films/b", b"film", x_amz_meta_pid="viaa").status == 200


# Found, not written


def test_what_a_crawl_finds_has_its_id_unless_that_is_anothers(make_site):
    site = make_site(ini=INI.replace("after = 30d", "after = 30d\nexternal_id = x-amz-meta-pid"))
    site.put("/aged")
    for key in ("a", "b"):
        site.stored(key, b"film", bucket="aged", metadata={"pid": "viaa"}, headers={"content-type": "video/mxf"})
        site.later(seconds=1)
    site.later(days=31).work()
    assert ids(site) == {"a": "viaa", "b": None}
    assert site.catalog.find(ObjectRef("aged", "a", account="main")).media_kind == "video"


class Shelf:
    """An archive that knows objects by name, and by ids and kinds of its own."""

    def __init__(self, site, **told):
        self.told = told
        site.house.put("archive", "tape", self)

    def find(self, *, ref=None, **_):
        if ref is None or ref.key not in self.told:
            return None
        return Copy(archive_id=f"mh-{ref.key}", size=4, checksum="md5:" + "0" * 32, copies=2, **self.told[ref.key])


def test_what_is_adopted_has_the_archives_id_and_kind(pids):
    Shelf(pids, a={"external_id": "viaa", "kind": "Video"})
    assert pids.head("/films/a").status == 200
    assert (pids.row().external_id, pids.row().media_kind) == ("viaa", "video")
    assert refused(pids.put("/films/b", b"film", x_amz_meta_pid="viaa"))


def test_what_is_adopted_is_readable_though_its_id_is_anothers(pids):
    Shelf(pids, a={"external_id": "viaa"})
    pids.put("/films/b", b"film", x_amz_meta_pid="viaa")
    assert pids.head("/films/a").status == 200
    assert ids(pids) == {"a": None, "b": "viaa"}


def test_the_policys_id_goes_before_the_archives(make_site):
    site = make_site(ini=PATTERN)
    Shelf(site, **{"qs4m.mxf": {"external_id": "else"}})
    assert site.head("/films/qs4m.mxf").status == 200
    assert site.row("qs4m.mxf").external_id == "qs4m"
