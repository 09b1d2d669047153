"""Every write is known before it is answered: announced, finished, undone, or left to the sweep; and nothing of it leaks."""

import threading
from dataclasses import replace

import pytest

from s3shunt.model import NULL, Grant, Key, State, Step
from s3shunt.protocol.errors import ServiceUnavailable
from s3shunt.testing.client import Client
from s3shunt.testing.house import INI
from s3shunt.wsgi import Response

GLACIER = {"x_amz_storage_class": "GLACIER"}


def kinds(site):
    return sorted(job.kind for job in site.catalog.jobs())


def settled(site):
    """No write is open, and no row counts one."""
    return not site.open_writes() and all(row.writers == 0 for row in site.catalog.select())


def during(site, operation, act, after=False):
    """Let something happen while the store does an operation."""
    inner = getattr(site.front, f"do_{operation}")
    seen = []

    def doing(request):
        if not seen:
            seen.append(True)
            if not after:
                act()
                return inner(request)
            response = inner(request)
            act()
            return response
        return inner(request)

    setattr(site.front, f"do_{operation}", doing)
    return seen


# Writes


def test_a_class_of_the_archive_binds_at_once_and_the_archive_job_is_due(site):
    assert site.put("/films/a", b"film", **GLACIER).status == 200
    row = site.row()
    assert (row.state, row.storage_class, row.archive, row.facts.size) == (State.ONLINE, "GLACIER", "tape", 4)
    assert kinds(site) == ["archive"]
    assert settled(site)


def test_a_plain_write_leaves_nothing_behind(site):
    assert site.put("/films/a", b"film").status == 200
    assert site.row() is None
    assert kinds(site) == []
    assert settled(site)


def test_an_age_policy_makes_a_hint(site):
    site.put("/aged")
    site.put("/aged/a", b"film")
    row = site.row(bucket="aged")
    assert (row.storage_class, row.due) == ("STANDARD", site.clock.now() + 30 * 86_400_000)
    assert [(job.kind, job.due) for job in site.catalog.jobs()] == [("archive", row.due)]


@pytest.mark.parametrize("asked", ["glacier", "DEEP_archive"])
def test_a_class_that_is_almost_one_is_refused(site, asked):
    assert site.put("/films/a", b"x", x_amz_storage_class=asked).code == "InvalidStorageClass"


def test_a_class_that_no_policy_takes_is_refused_and_others_pass(site):
    site.put("/plain")
    assert site.put("/plain/a", b"x", **GLACIER).code == "InvalidStorageClass"
    assert site.put("/plain/a", b"x", x_amz_storage_class="STANDARD_IA").status == 200


def test_an_overwrite_of_an_archived_object_schedules_its_copies_away(site):
    site.entry(state=State.RESTORED, restored_until=site.clock.now() + 1)
    assert site.put("/films/a", b"new").status == 200
    assert site.row() is None
    assert kinds(site) == ["discard", "discard"]


def test_while_a_write_runs_its_key_counts_a_writer(site):
    row = site.entry(state=State.VERIFIED, facts=site.stored())
    counted = []
    during(site, "PutObject", lambda: counted.append(site.row().writers))
    site.put("/films/a", b"new")
    assert counted == [row.writers + 1]
    assert settled(site)


def test_a_write_that_the_store_refuses_changes_nothing(site):
    before = site.entry()
    site.front.do_PutObject = lambda _: Response(status=403, app_iter=[])
    assert site.put("/films/a", b"new").status == 403
    assert replace(site.row(), revision=0) == replace(before, revision=0)
    assert settled(site)


def test_a_refused_write_of_a_new_key_leaves_no_placeholder(site):
    site.front.do_PutObject = lambda _: Response(status=400, app_iter=[])
    site.put("/films/a", b"new", **GLACIER)
    assert site.row() is None
    assert settled(site)


def test_a_write_of_which_nobody_knows_is_left_to_the_sweep(site):
    site.entry()
    site.front.down = True
    assert site.put("/films/a", b"new").status == 503
    assert len(site.open_writes()) == 1
    assert site.get("/films/a").code == "InvalidObjectState"


def test_while_a_write_runs_readers_get_the_old_state(site):
    site.entry()
    during_write = []
    during(site, "PutObject", lambda: during_write.append(site.head("/films/a").headers["x-amz-storage-class"]))
    site.put("/films/a", b"new")
    assert during_write == ["GLACIER"]


def test_a_write_waits_for_an_eviction_before_its_body_is_read(make_site):
    site = make_site(options={"record": {"patience": "0s"}})
    site.entry(state=State.EVICTING, token="t", lease=0)
    answer = site.put("/films/a", b"new")
    assert (answer.code, answer.headers["retry-after"]) == ("SlowDown", "1")
    assert "PutObject" not in site.front.seen


def test_a_write_goes_on_when_the_eviction_has_ended(site):
    row = site.entry(state=State.EVICTING, token="t", lease=0)
    history = site.catalog.history

    def ends(ref):
        found = history(ref)
        if found and found[0].state is State.EVICTING:
            site.change(row, state=State.ARCHIVED, token=None)
        return found

    site.catalog.history = ends
    assert site.put("/films/a", b"new").status == 200
    assert site.get("/films/a").body == b"new"


def test_a_plain_write_that_an_eviction_took_is_503(site):
    """It began before the row was known, and its bytes went with the evicted version."""
    during(site, "PutObject", lambda: (site.store.delete(site.ref(version=None)), site.entry(state=State.VERIFIED)), after=True)
    assert site.put("/films/a", b"new").status == 503
    assert settled(site)


def test_a_plain_write_on_a_key_that_became_known_is_recorded(site):
    during(site, "PutObject", lambda: site.entry(state=State.ARCHIVED))
    assert site.put("/films/a", b"new").status == 200
    assert site.get("/films/a").body == b"new"
    assert site.row() is None


def test_a_write_that_a_sweep_took_for_dead_is_recorded_all_the_same(site):
    site.entry()

    def swept():
        site.catalog.commit(Step(closed=tuple(intent.id for intent in site.open_writes())))
        site.change(site.row(), writers=0)

    during(site, "PutObject", swept)
    assert site.put("/films/a", b"new").status == 200
    assert site.get("/films/a").body == b"new"
    assert settled(site)


def test_a_swept_write_whose_object_is_gone_is_503(site):
    site.entry()

    def swept():
        site.catalog.commit(Step(closed=tuple(intent.id for intent in site.open_writes())))
        site.change(site.row(), writers=0)
        site.store.delete(site.ref(version=None))

    during(site, "PutObject", swept, after=True)
    assert site.put("/films/a", b"new").status == 503
    assert site.get("/films/a").code == "InvalidObjectState"


def test_the_writer_who_was_overwritten_leaves_the_record_to_the_other(site):
    during(site, "PutObject", lambda: site.put("/films/a", b"later", **GLACIER), after=True)
    assert site.put("/films/a", b"sooner").status == 200
    assert site.row().storage_class == "GLACIER"
    assert settled(site)


def test_a_long_body_keeps_its_intent_alive(make_site):
    site = make_site(options={"record": {"lease": "60s"}})
    lapsed = []

    def slowly(request):
        body = request.input
        while body.read(65536):
            site.later(seconds=30)
            lapsed.extend(site.catalog.lapsed(site.clock.now()))
        return Response(status=500, app_iter=[])

    site.front.do_PutObject = slowly
    site.put("/films/a", b"x" * 400_000, **GLACIER)
    assert lapsed == []


def test_a_long_body_that_passes_unseen_keeps_its_intent_alive(make_site):
    site = make_site(options={"record": {"lease": "60s"}})
    lapsed = []

    class Socket:
        passes = True

        def fill(self, pipe, count):
            return min(count, 65536)

    def slowly(request):
        body = request.input
        body.source.source = Socket()
        assert body.passes
        while not body.ended:
            body.fill(0, 400_000 - body.taken)
            site.later(seconds=30)
            lapsed.extend(site.catalog.lapsed(site.clock.now()))
        return Response(status=500, app_iter=[])

    site.front.do_PutObject = slowly
    site.put("/films/a", b"x" * 400_000, x_amz_content_sha256="UNSIGNED-PAYLOAD", **GLACIER)
    assert lapsed == []


def test_a_cut_body_is_refused_and_forgotten(site):
    environ = site.editor.environ("PUT", "/films/a", b"film", {"x-amz-storage-class": "GLACIER"})
    environ["CONTENT_LENGTH"] = "400"
    statuses = []
    b"".join(site.app(environ, lambda status, *_: statuses.append(status)))
    assert statuses[0].startswith("4")
    assert site.row() is None
    assert settled(site)


def test_an_external_id_is_kept(make_site):
    site = make_site(ini=INI.replace("evict = at once", "evict = at once\nexternal_id = x-amz-meta-pid"))
    site.put("/films/a", b"film", x_amz_meta_pid="viaa-1")
    assert site.row().external_id == "viaa-1"
    assert site.catalog.select(external_id="viaa-1")


def test_without_the_catalog_a_write_is_503_before_its_first_byte(site):
    def fail(*_):
        raise ServiceUnavailable

    site.catalog.find = site.catalog.find_truth = site.catalog.commit = fail
    assert site.put("/films/a", b"film").status == 503
    assert "PutObject" not in site.front.seen


def test_many_writers_of_one_key_all_come_to_an_end(site):
    site.entry()
    statuses = []

    def write(number):
        statuses.append(site.editor.put("/films/a", b"x" * number, **(GLACIER if number % 2 else {})).status)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(1, 17)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) > 8
    assert settled(site)
    held = site.store.head(site.ref(version=None))
    row = site.row()
    assert row is None or row.facts.size == held.size


def test_a_write_that_must_not_replace_finds_the_archived_object(site):
    before = site.entry()
    assert site.put("/films/a", b"new", if_none_match="*").code == "PreconditionFailed"
    assert site.put("/films/a", b"new", if_match='"other"').code == "PreconditionFailed"
    assert replace(site.row(), revision=0) == replace(before, revision=0)
    assert "PutObject" not in site.front.seen


def test_a_write_that_replaces_just_this_archived_object_goes_through(site):
    etag = site.entry().facts.etag
    asked = []
    inner = site.front.do_PutObject
    site.front.do_PutObject = lambda request: (asked.append(request.fields.get("If-Match")), inner(request))[1]
    assert site.put("/films/a", b"new", if_match=etag).status == 200
    assert asked == [None]
    assert site.get("/films/a").body == b"new"


def test_two_who_replace_just_this_object_do_not_both_succeed(site):
    etag = site.entry().facts.etag
    second = []
    during(site, "PutObject", lambda: second.append(site.put("/films/a", b"second", if_match=etag).code))
    assert site.put("/films/a", b"first", if_match=etag).status == 200
    assert second == ["ConditionalRequestConflict"]
    assert settled(site)


# Versions


def test_a_new_version_stands_beside_the_archived_one(make_site):
    site = make_site(versioned="films")
    first = site.put("/films/a", b"one", **GLACIER).headers["x-amz-version-id"]
    second = site.put("/films/a", b"two", **GLACIER).headers["x-amz-version-id"]
    assert (site.row(version=first).current, site.row(version=second).current) == (False, True)
    assert settled(site)
    site.put("/films/a", b"three")
    assert site.row() is None
    assert site.get("/films/a").body == b"three"


def test_a_version_that_a_crawl_found_first_is_told_its_class(make_site):
    site = make_site(versioned="films")

    def crawled():
        (held, *_) = site.store.versions(site.ref(version=None))
        site.entry(version=held.version, state=State.ARCHIVING, facts=held.facts, storage_class="STANDARD", token="t", current=False)

    during(site, "PutObject", crawled, after=True)
    version = site.put("/films/a", b"film", **GLACIER).headers["x-amz-version-id"]
    row = site.row()
    assert (row.ref.version, row.storage_class, row.state) == (version, "GLACIER", State.ARCHIVING)
    assert settled(site)


def test_of_two_who_write_at_once_the_stores_newest_is_current(make_site):
    site = make_site(versioned="films")
    during(site, "PutObject", lambda: site.put("/films/a", b"newest", **GLACIER), after=True)
    first = site.put("/films/a", b"one", **GLACIER).headers["x-amz-version-id"]
    assert site.row().facts.size == len(b"newest")
    assert not site.row(version=first).current
    assert settled(site)


def test_a_delete_marker_hides_the_archived_version_and_its_removal_shows_it(make_site):
    site = make_site(versioned="films")
    site.entry(version="v1")
    marker = site.delete("/films/a").headers["x-amz-version-id"]
    assert site.row() is None
    assert site.get("/films/a").code == "NoSuchKey"
    assert site.get("/films/a?versionId=v1").code == "InvalidObjectState"
    site.delete(f"/films/a?versionId={marker}")
    assert site.row().ref.version == "v1"
    assert site.get("/films/a").code == "InvalidObjectState"


def test_an_archived_version_is_deleted_by_its_id_and_its_heir_becomes_current(make_site):
    site = make_site(versioned="films")
    site.entry(version="v1", current=False)
    site.later(seconds=5)
    site.entry(version="v2")
    answer = site.delete("/films/a?versionId=v2")
    assert (answer.status, answer.headers["x-amz-version-id"]) == (204, "v2")
    assert site.row().ref.version == "v1"
    assert kinds(site) == ["discard"]


def test_a_version_under_lock_stays(make_site):
    site = make_site(versioned="films")
    facts = replace(site.facts(), lock={"x-amz-object-lock-legal-hold": "ON"})
    site.entry(version="v1", facts=facts)
    assert site.delete("/films/a?versionId=v1").code == "AccessDenied"
    assert site.row(version="v1") is not None


def test_the_first_marker_of_a_bucket_tells_that_it_keeps_versions(make_site):
    site = make_site(versioned="films")
    site.entry(version=NULL)
    assert site.delete("/films/a").headers["x-amz-delete-marker"] == "true"
    assert site.catalog.bucket("main", "films").versioned
    row = site.row(version=NULL)
    assert (row.state, row.current, row.writers) == (State.ARCHIVED, False, 0)


def test_a_marker_does_not_hide_a_version_that_was_written_since(make_site):
    site = make_site(versioned="films")
    site.entry(version="v1")
    during(site, "DeleteObject", lambda: site.put("/films/a", b"new", **GLACIER), after=True)
    site.delete("/films/a")
    assert site.row().facts.size == 3
    assert site.get("/films/a").code == "InvalidObjectState"


def test_a_newer_version_in_the_store_is_not_pushed_aside_by_an_archived_one(make_site):
    site = make_site(versioned="films")
    site.entry(version="v1", current=False)
    site.later(seconds=5)
    older = site.put("/films/a", b"older").headers["x-amz-version-id"]
    site.later(seconds=5)
    site.put("/films/a", b"newest")
    assert site.delete(f"/films/a?versionId={older}").status == 204
    assert site.row() is None
    assert site.get("/films/a").body == b"newest"


# Deletes


@pytest.mark.parametrize("state", [s for s in State if s not in (State.EVICTING, State.DELETED)])
def test_a_delete_ends_an_entry_in_whatever_state(site, state):
    site.entry(state=state, facts=site.stored() if state in (State.ONLINE, State.ARCHIVING, State.VERIFIED) else None)
    assert site.delete("/films/a").status == 204
    assert site.row() is None
    assert site.get("/films/a").code == "NoSuchKey"
    assert settled(site)


def test_a_reader_gets_404_from_the_beginning_of_a_delete(site):
    site.entry(state=State.VERIFIED, facts=site.stored())
    codes = []
    during(site, "DeleteObject", lambda: codes.append(site.get("/films/a").code))
    site.delete("/films/a")
    assert codes == ["NoSuchKey"]


def test_a_refused_delete_brings_the_object_back(site):
    before = site.entry()
    site.front.do_DeleteObject = lambda _: Response(status=403, app_iter=[])
    assert site.delete("/films/a").status == 403
    assert replace(site.row(), revision=0) == replace(before, revision=0)
    assert settled(site)


def test_a_delete_of_which_nobody_knows_is_left_to_the_sweep(site):
    site.entry()
    site.front.down = True
    assert site.delete("/films/a").status == 503
    assert len(site.open_writes()) == 1
    assert site.get("/films/a").code == "NoSuchKey"


def test_a_delete_of_what_nobody_knows_is_the_stores(site):
    site.stored()
    assert site.delete("/films/a").status == 204
    assert site.get("/films/a").code == "NoSuchKey"
    assert site.delete("/films/none").status == 204


def test_a_delete_that_met_an_unknown_entry_ends_it_too(site):
    during(site, "DeleteObject", lambda: site.entry(state=State.ARCHIVED), after=True)
    site.delete("/films/a")
    assert site.row() is None


def test_a_delete_leaves_what_was_written_since(site):
    site.entry()
    during(site, "DeleteObject", lambda: site.put("/films/a", b"new", **GLACIER), after=True)
    assert site.delete("/films/a").status == 204
    assert site.row().facts.size == 3
    assert settled(site)


def test_a_delete_of_what_nobody_knew_leaves_what_was_written_since(site):
    during(site, "DeleteObject", lambda: site.put("/films/a", b"new", **GLACIER), after=True)
    assert site.delete("/films/a").status == 204
    assert site.row().storage_class == "GLACIER"
    assert settled(site)


def test_a_delete_with_a_condition_is_judged_by_the_entry(site):
    etag = site.entry().facts.etag
    assert site.delete("/films/a", if_match='"other"').code == "PreconditionFailed"
    assert site.delete("/films/a", if_match=etag).status == 204


def test_a_condition_of_an_archived_object_is_not_put_to_the_store_which_has_none(site):
    """It would say that there is nothing to match."""
    row = site.entry()
    asked = []
    inner = site.front.do_DeleteObject
    site.front.do_DeleteObject = lambda request: (asked.append(dict(request.fields)), inner(request))[1]
    size, modified = str(row.facts.size), "Mon, 05 Jan 2026 10:30:00 GMT"
    assert site.delete("/films/a", x_amz_if_match_size="99").code == "PreconditionFailed"
    assert site.delete("/films/a", x_amz_if_match_last_modified_time="Mon, 05 Jan 2026 10:31:00 GMT").code == "PreconditionFailed"
    headers = {"if_match": "*", "x_amz_if_match_size": size, "x_amz_if_match_last_modified_time": modified}
    assert site.delete("/films/a", **headers).status == 204
    assert not [name for name in asked[0] if "match" in name.lower()]


# DeleteObjects


def many(site, *keys, quiet=False, client=None):
    objects = "".join(f"<Object><Key>{key}</Key></Object>" for key in keys)
    document = f"<Delete>{objects}<Quiet>{str(quiet).lower()}</Quiet></Delete>"
    return (client or site.editor).post("/films?delete", document.encode())


def told(answer):
    rows = [(node.tag.rpartition("}")[2], node.findtext("{*}Key"), node.findtext("{*}Code")) for node in answer.xml]
    return sorted(rows, key=lambda row: row[1])


def test_many_keys_are_deleted_each_as_it_needs(site):
    site.entry("a")
    site.stored("b")
    site.put("/films/c", b"film", **GLACIER)
    assert told(many(site, "a", "b", "c", "none")) == [("Deleted", k, None) for k in ("a", "b", "c", "none")]
    assert site.catalog.select() == []
    assert not site.store.list("films", account="main")
    assert site.front.seen.count("DeleteObjects") == 1


@pytest.mark.parametrize("others", [(), ("known",)])
def test_a_key_that_became_known_while_many_were_deleted_is_ended_too(site, others):
    for key in others:
        site.entry(key)
    during(site, "DeleteObjects", lambda: site.entry("a"))
    many(site, "a", *others)
    assert site.row("a") is None


def test_many_unknown_keys_go_to_the_store_in_one_document(site):
    site.stored("a")
    site.stored("b")
    many(site, "a", "b")
    assert "DeleteObject" not in site.front.seen


def test_quiet_tells_only_failures(site):
    site.entry("a")
    site.entry("b")
    inner = site.front.do_DeleteObject
    site.front.do_DeleteObject = lambda r: Response(status=403, app_iter=[]) if r.ref.key == "b" else inner(r)
    assert told(many(site, "a", "b", quiet=True)) == [("Error", "b", "ServiceUnavailable")]
    assert site.row("b").state is State.ARCHIVED


def test_keys_that_may_not_be_deleted_are_told_one_by_one(site):
    site.entry("a/1")
    site.stored("a/2")
    site.stored("b/1")
    grants = (Grant(buckets=("films",), prefixes=("a/",), allow=("delete",)),)
    site.house.keys().save(Key(access_key="AKNARROW", secret_key="s", account="main", grants=grants))
    client = Client(site.app, "AKNARROW", "s", clock=site.clock)
    answer = told(many(site, "a/1", "a/2", "b/1", client=client))
    assert answer == [("Deleted", "a/1", None), ("Deleted", "a/2", None), ("Error", "b/1", "AccessDenied")]
    assert site.store.head(site.ref("b/1", version=None))


# Multipart uploads


def upload(site, body=b"part", **headers):
    found = site.editor.post("/films/a?uploads", **headers).xml.findtext("{*}UploadId")
    etag = site.put(f"/films/a?partNumber=1&uploadId={found}", body).headers["etag"]
    document = f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    return found, document.encode()


def test_the_class_of_an_upload_binds_when_it_is_complete(site):
    found, document = upload(site, **GLACIER)
    assert site.row() is None
    answer = site.editor.post(f"/films/a?uploadId={found}", document)
    assert answer.status == 200
    row = site.row()
    assert (row.storage_class, row.facts.etag, row.facts.parts) == ("GLACIER", answer.xml.findtext("{*}ETag"), (4,))
    assert kinds(site) == ["archive"]


def test_an_upload_over_an_archived_key_is_a_write(site):
    site.entry()
    found, document = upload(site)
    site.editor.post(f"/films/a?uploadId={found}", document)
    assert site.get("/films/a").body == b"part"


def test_a_failure_that_comes_with_200_is_no_write(site):
    site.entry()
    found, document = upload(site)
    body = b"  \n <?xml version='1.0'?><Error><Code>InvalidPart</Code></Error>"
    site.front.do_CompleteMultipartUpload = lambda _: Response(status=200, app_iter=[body])
    answer = site.editor.post(f"/films/a?uploadId={found}", document)
    assert (answer.status, answer.body) == (200, body)
    assert site.row().state is State.ARCHIVED
    assert settled(site)


def test_an_internal_error_that_comes_with_200_is_left_to_the_sweep(site):
    site.entry()
    found, document = upload(site)
    site.front.do_CompleteMultipartUpload = lambda _: Response(status=200, app_iter=[b"<Error><Code>InternalError</Code></Error>"])
    site.editor.post(f"/films/a?uploadId={found}", document)
    assert len(site.open_writes()) == 1


def test_an_aborted_upload_is_forgotten(site):
    found, _ = upload(site, **GLACIER)
    assert site.catalog.upload(found).storage_class == "GLACIER"
    assert site.delete(f"/films/a?uploadId={found}").status == 204
    assert site.catalog.upload(found) is None


def test_an_upload_is_not_forgotten_because_its_id_was_aborted_under_another_key(site):
    """SeaweedFS says 204 to an Abort of what it does not know."""
    found, _ = upload(site, **GLACIER)
    site.front.do_AbortMultipartUpload = lambda _: Response(status=204, app_iter=())
    assert site.delete(f"/films/other?uploadId={found}").status == 204
    assert site.catalog.upload(found).storage_class == "GLACIER"


def test_a_copy_with_a_class_is_archived(site):
    site.stored("b")
    assert site.put("/films/a", x_amz_copy_source="films/b", **GLACIER).status == 200
    assert site.row().storage_class == "GLACIER"


# Buckets


def test_a_bucket_with_archived_objects_is_not_empty(site):
    site.entry()
    assert site.delete("/films").code == "BucketNotEmpty"
    site.delete("/films/a")
    assert site.delete("/films").status == 204
    assert site.catalog.bucket("main", "films") is None


def test_hints_go_with_their_bucket(site):
    site.entry(state=State.ONLINE)
    assert site.delete("/films").status == 204
    assert site.catalog.select() == []


def test_a_bucket_belongs_to_who_created_it(site):
    assert site.catalog.bucket("main", "films").owner == "main"


def test_versioning_is_remembered(site):
    site.front.do_PutBucketVersioning = lambda _: Response(status=200, app_iter=[])
    site.put("/films?versioning", b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
    site.put("/films")
    assert site.catalog.bucket("main", "films").versioned


# Sub-resources


def test_tags_of_an_archived_object_are_served_and_changed_in_its_entry(site):
    site.entry(facts=replace(site.facts(), tags={"a": "1"}))
    assert site.get("/films/a?tagging").xml.findtext("{*}TagSet/{*}Tag/{*}Value") == "1"
    document = b"<Tagging><TagSet><Tag><Key>b</Key><Value>2</Value></Tag></TagSet></Tagging>"
    assert site.put("/films/a?tagging", document).status == 200
    assert site.row().facts.tags == {"b": "2"}
    assert site.head("/films/a").headers["x-amz-tagging-count"] == "1"
    assert site.delete("/films/a?tagging").status == 204
    assert site.row().facts.tags == {}
    assert not any("Tagging" in name for name in site.front.seen)


def test_tags_changed_in_the_store_are_known_before_the_bytes_leave(site):
    facts = site.stored()
    site.entry(state=State.VERIFIED, facts=facts)
    counted = []

    def tagged(request):
        counted.append(site.row().writers)
        held = site.store.versions(request.ref)[0]
        site.store._push(request.ref, replace(held, facts=replace(held.facts, tags={"new": "tag"})))
        return Response(status=200, app_iter=[])

    site.front.do_PutObjectTagging = tagged
    assert site.put("/films/a?tagging", b"<Tagging><TagSet/></Tagging>").status == 200
    assert counted == [1]
    assert (site.row().facts.tags, site.row().state) == ({"new": "tag"}, State.VERIFIED)
    assert settled(site)


def test_attributes_acl_and_locks_of_an_archived_object(site):
    site.entry()
    attributes = site.get("/films/a?attributes", x_amz_object_attributes="ObjectSize,StorageClass,ETag")
    assert [attributes.xml.findtext(f"{{*}}{n}") for n in ("ObjectSize", "StorageClass")] == ["4", "GLACIER"]
    assert site.get("/films/a?acl").xml.tag.endswith("AccessControlPolicy")
    assert site.get("/films/a?legal-hold").code == "NoSuchObjectLockConfiguration"
    assert site.put("/films/a?legal-hold", b"<LegalHold><Status>ON</Status></LegalHold>").status == 200
    assert site.get("/films/a?legal-hold").xml.findtext("{*}Status") == "ON"
    assert site.head("/films/a").headers["x-amz-object-lock-legal-hold"] == "ON"


def test_retention_grows_but_does_not_shrink(site):
    site.entry()

    def retain(mode, until, **headers):
        document = f"<Retention><Mode>{mode}</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>"
        return site.put("/films/a?retention", document.encode(), **headers)

    assert retain("GOVERNANCE", "2027-01-01T00:00:00Z").status == 200
    assert retain("GOVERNANCE", "2026-06-01T00:00:00Z").code == "AccessDenied"
    assert retain("GOVERNANCE", "2026-06-01T00:00:00Z", x_amz_bypass_governance_retention="true").status == 200
    assert retain("COMPLIANCE", "2028-01-01T00:00:00Z").status == 200
    assert retain("COMPLIANCE", "2027-01-01T00:00:00Z", x_amz_bypass_governance_retention="true").code == "AccessDenied"
    assert site.get("/films/a?retention").xml.findtext("{*}Mode") == "COMPLIANCE"
