"""What the catalog knows is known to the doors behind; a store's 404 is believed only when nobody knows better."""

import threading
from dataclasses import replace

import pytest

from s3shunt.model import Job, State, Step, Swap
from s3shunt.policy.adopt import adopted
from s3shunt.ports import Copy
from s3shunt.protocol.errors import ServiceUnavailable
from s3shunt.testing.client import Client
from s3shunt.wsgi import Response


class Shelf:
    """An archive that is asked by name."""

    def __init__(self, site, **known):
        self.asked = []
        checksum = "md5:" + "0" * 32
        self.known = {key: Copy(archive_id=f"mh-{key}", size=len(body), checksum=checksum, copies=2) for key, body in known.items()}
        self.down = False
        site.house.put("archive", "tape", self)

    def find(self, *, tag="", archive_id="", ref=None):
        self.asked.append(ref.key)
        if self.down:
            raise ServiceUnavailable
        return self.known.get(ref.key)


def seen(site, target="/films/a", client=None):
    """The context that the doors behind saw."""
    kept = []
    inner = site.front.do_HeadObject
    site.front.do_HeadObject = lambda request: (kept.append(request.context), inner(request))[1]
    (client or site.editor).head(target)
    site.front.do_HeadObject = inner
    return kept[0] if kept else None


def test_the_entry_of_the_key_is_left_for_the_doors_behind(site):
    row = site.entry(state=State.VERIFIED, facts=site.stored())
    context = seen(site)
    assert (context.looked_up, context.plain, context.entry) == (True, False, row)


def test_a_bucket_without_policy_and_entries_is_plain(site):
    site.put("/plain")
    site.put("/plain/a", b"x")
    context = seen(site, "/plain/a")
    assert context.plain
    assert context.entry is None


def test_a_bucket_with_entries_is_not_plain_though_no_policy_names_it(site):
    site.put("/plain")
    site.entry(bucket="plain")
    site.later(seconds=1.1)
    assert site.get("/plain/a").code == "InvalidObjectState"


def test_plain_is_believed_for_a_second(site):
    site.put("/plain")
    site.put("/plain/a", b"x")
    assert seen(site, "/plain/a").plain
    site.entry(bucket="plain", state=State.ONLINE, facts=site.stored(bucket="plain"))
    assert seen(site, "/plain/a").plain
    site.later(seconds=1.1)
    assert not seen(site, "/plain/a").plain


def stale(site, entry):
    """A cache that still says ``entry``."""
    site.catalog.find, site.catalog.find_truth = (lambda _: entry), site.catalog.find


def test_a_404_on_an_old_record_goes_in_once_more_with_the_new_one(site):
    site.entry(state=State.ARCHIVED)
    stale(site, None)
    assert site.get("/films/a").code == "InvalidObjectState"
    assert site.head("/films/a").headers["x-amz-storage-class"] == "GLACIER"


def test_a_404_that_the_truth_confirms_is_a_404(site):
    Shelf(site)
    assert site.get("/films/none").code == "NoSuchKey"
    assert site.front.seen.count("GetObject") == 1


def test_bytes_that_left_while_nobody_looked_are_put_right(site):
    site.entry(state=State.VERIFIED, storage_class="STANDARD")
    assert site.get("/films/a").code == "InvalidObjectState"
    assert site.row().state is State.ARCHIVED


def test_a_write_that_is_under_way_goes_on_when_its_row_is_put_right(site):
    site.entry(state=State.VERIFIED, writers=1, storage_class="STANDARD")
    assert site.get("/films/a").code == "InvalidObjectState"
    assert (site.row().state, site.row().writers) == (State.ARCHIVED, 1)


def test_a_missing_sub_resource_is_not_a_missing_object(site):
    """A 404 about tags says nothing of the bytes."""
    row = site.entry(state=State.VERIFIED, facts=site.stored())
    site.front.do_GetObjectTagging = lambda _: Response(status=404, app_iter=[])
    assert site.get("/films/a?tagging").status == 404
    assert site.row() == row


def test_a_read_waits_for_an_eviction_that_took_its_bytes(site):
    row = site.entry(state=State.EVICTING, token="t", lease=0, storage_class="STANDARD")
    reads = site.catalog.find_truth

    def ends(ref):
        found = reads(ref)
        if found is not None and found.state is State.EVICTING:
            site.change(row, state=State.ARCHIVED, token=None)
        return found

    site.catalog.find_truth = ends
    assert site.get("/films/a").code == "InvalidObjectState"


def test_an_eviction_that_does_not_end_is_slow_down_and_never_404(make_site):
    site = make_site(options={"lookup": {"patience": "0s"}})
    site.entry(state=State.EVICTING, token="t", lease=0, storage_class="STANDARD")
    assert site.get("/films/a").code == "SlowDown"


def test_an_object_only_the_archive_knows_is_adopted_as_archived(site):
    shelf = Shelf(site, a=b"film")
    answer = site.head("/films/a")
    assert (answer.status, answer.headers["content-length"], answer.headers["x-amz-storage-class"]) == (200, "4", "GLACIER")
    assert site.get("/films/a").code == "InvalidObjectState"
    assert site.restore("/films/a").status == 202
    assert (site.row().archive_id, site.row().copies) == ("mh-a", 2)
    assert shelf.asked == ["a"]


def test_a_restore_of_an_object_only_the_archive_knows_is_accepted(site):
    Shelf(site, a=b"film")
    assert site.restore("/films/a").status == 202


def test_16_an_archives_no_is_remembered_for_a_while(site):
    shelf = Shelf(site)
    for _ in range(3):
        site.get("/films/none")
    site.later(seconds=61)
    site.get("/films/none")
    assert shelf.asked == ["none", "none"]


def test_16_many_at_once_ask_the_archive_once(site):
    shelf = Shelf(site)
    clients = [Client(site.app, "AKEDITOR", "editor-secret", clock=site.clock) for _ in range(16)]
    threads = [threading.Thread(target=client.get, args=("/films/none",)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shelf.asked == ["none"]


@pytest.mark.parametrize("discover", ["never", "background"])
def test_an_archive_is_asked_as_the_operator_says(make_site, discover):
    site = make_site(options={"lookup": {"discover": discover}})
    shelf, done = Shelf(site, a=b"film"), threading.Event()
    commits = site.catalog.commit
    site.catalog.commit = lambda step: (commits(step), done.set())[0]
    assert site.get("/films/a").code == "NoSuchKey"
    if discover == "never":
        assert not shelf.asked
    else:
        assert done.wait(5)
        assert site.get("/films/a").code == "InvalidObjectState"


def test_the_anonymous_start_no_search(make_site):
    site = make_site(options={"grants": {"anonymous_read": "films", "anonymous_account": "main"}})
    shelf = Shelf(site, a=b"film")
    assert Client(site.app, "", "", clock=site.clock).get("/films/a").status == 404
    assert not shelf.asked


def test_a_deleted_object_is_not_found_again_by_the_copy_that_waits_to_be_discarded(site):
    Shelf(site, a=b"film")
    site.catalog.enqueue(Job(kind="discard", dedupe="copy tape mh-a"))
    assert site.get("/films/a").code == "NoSuchKey"
    assert site.row() is None


def test_the_copy_of_a_hidden_version_is_not_found_as_a_new_object(make_site):
    """MinIO keeps no delete marker of a key whose only version has left it."""
    site = make_site(versioned="films")
    Shelf(site, a=b"film")
    hidden = site.entry(version="v1", current=False, archive_id="mh-a")
    assert site.get("/films/a").code == "NoSuchKey"
    assert [row.ref.version for row in site.catalog.history(hidden.ref)] == ["v1"]


def test_a_delete_marker_is_an_answer(make_site):
    site = make_site(versioned="films")
    shelf = Shelf(site, a=b"film")
    site.put("/films/a", b"film")
    site.delete("/films/a")
    assert site.get("/films/a").code == "NoSuchKey"
    assert not shelf.asked


def test_an_object_in_the_store_is_never_adopted_from_the_archive(site):
    """A store that says 404 once, and has it after all."""
    Shelf(site, a=b"film")
    site.stored()
    site.front.do_GetObject = lambda request: site.front.do_HeadObject(site_request(request, "none"))
    site.get("/films/a")
    assert site.row() is None


def site_request(request, key):
    request.at(replace(request.ref, key=key))
    return request


def test_an_archive_that_is_down_leaves_reads_to_what_is_known(site):
    Shelf(site).down = True
    assert site.get("/films/none").code == "NoSuchKey"
    site.entry()
    assert site.get("/films/a").code == "InvalidObjectState"


def test_an_archives_silence_is_no_no(site):
    shelf = Shelf(site, a=b"film")
    shelf.down = True
    assert site.get("/films/a").code == "NoSuchKey"
    refused = site.restore("/films/a")
    assert (refused.status, refused.code, refused.headers["retry-after"]) == (503, "ServiceUnavailable", "5")
    assert shelf.asked == ["a"]
    shelf.down = False
    site.later(seconds=11)
    assert site.restore("/films/a").status == 202
    assert site.get("/films/a").code == "InvalidObjectState"


def test_what_another_process_adopts_while_the_archive_is_asked_is_found(site):
    class Shared(Shelf):
        def find(self, **asked):
            copy = super().find(**asked)
            policy = site.house.policies[0]
            site.catalog.commit(adopted(asked["ref"], copy, policy, "main", site.clock.now()))
            return copy

    Shared(site, a=b"film")
    assert site.restore("/films/a").status == 202
    assert site.get("/films/a").code == "InvalidObjectState"


def test_what_was_written_while_the_archive_was_asked_is_no_archived_object(site):
    """Whoever wrote it looked for a row before there was one."""

    class Slow(Shelf):
        def find(self, **asked):
            site.stored(body=b"newer")
            return super().find(**asked)

    Slow(site, a=b"film")
    site.get("/films/a")
    assert site.row() is None
    assert site.get("/films/a").body == b"newer"


class Dark:
    """A catalog that does not answer."""

    def __init__(self, site):
        def fail(*_args, **_kwargs):
            raise ServiceUnavailable

        for name in ("find", "find_truth", "commit", "scan", "bucket"):
            setattr(site.catalog, name, fail)


def test_without_the_catalog_the_store_answers_what_it_has_and_its_404_proves_nothing(site):
    site.put("/films/a", b"film")
    Dark(site)
    assert site.get("/films/a").body == b"film"
    answer = site.get("/films/none")
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert site.put("/films/a", b"new").status == 503
    assert site.restore("/films/a").status == 503


def test_without_the_catalog_a_bucket_with_versions_is_503(make_site):
    site = make_site(versioned="films")
    version = site.put("/films/a", b"film").headers["x-amz-version-id"]
    Dark(site)
    assert site.get("/films/a").status == 503
    assert site.get(f"/films/a?versionId={version}").status == 503


def test_without_the_catalog_plain_buckets_are_unchanged_for_a_minute(site):
    site.put("/plain")
    site.put("/plain/a", b"film")
    site.get("/plain/a")
    Dark(site)
    site.later(seconds=50)
    assert site.get("/plain/a").body == b"film"
    assert site.get("/plain/none").code == "NoSuchKey"
    assert site.put("/plain/a", b"new").status == 200
    site.later(seconds=11)
    assert site.put("/plain/a", b"new").status == 503


def test_a_commit_that_lost_against_another_adopter_takes_his(site):
    Shelf(site, a=b"film")
    commits = site.catalog.commit

    def late(step):
        other = replace(step.swaps[0].new, archive_id="his")
        commits(Step(swaps=(Swap(None, other),)))
        return commits(step)

    site.catalog.commit = late
    assert site.get("/films/a").code == "InvalidObjectState"
    assert site.row().archive_id == "his"
