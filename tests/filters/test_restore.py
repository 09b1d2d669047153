"""Table 'restore' of docs/restore.md, row by row, over the wire; and that ``x-amz-restore`` has two forms."""

import re
import threading
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3shunt.model import Interest, State, Step
from s3shunt.ports import Copy
from s3shunt.testing.client import Client
from s3shunt.wsgi import Response

LEGAL = re.compile(
    r'ongoing-request="true"|ongoing-request="false", '
    r'expiry-date="(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT"'
)
ONGOING = 'ongoing-request="true"'


def test_row_1_an_archived_object_is_restored_with_202_and_an_empty_body(site):
    site.entry()
    answer = site.restore("/films/a", days=3)
    assert (answer.status, answer.body) == (202, b"")
    assert site.row().state is State.QUEUED
    assert [job.kind for job in site.catalog.jobs()] == ["recall"]


def test_row_2_a_live_copy_is_extended_and_shortened_with_200_and_no_new_recall(site, day):
    site.entry(state=State.RESTORED, restored_until=site.clock.now() + day)
    assert site.restore("/films/a", days=5).status == 200
    far = site.head("/films/a").headers["x-amz-restore"]
    assert 'expiry-date="Sun, 11 Jan 2026 00:00:00 GMT"' in far
    assert site.restore("/films/a", days=1).status == 200
    assert 'expiry-date="Wed, 07 Jan 2026 00:00:00 GMT"' in site.head("/films/a").headers["x-amz-restore"]
    assert not site.catalog.recalls()


def test_row_3_a_second_restore_of_the_same_or_a_slower_tier_is_409(site):
    site.entry()
    site.restore("/films/a")
    before = site.row()
    assert site.restore("/films/a").code == "RestoreAlreadyInProgress"
    assert site.restore("/films/a", tier="Bulk").status == 409
    assert site.row() == before


def test_row_4_a_faster_tier_is_taken_over(site):
    site.entry()
    site.restore("/films/a", tier="Bulk")
    assert site.restore("/films/a", tier="Expedited").status == 202
    assert [recall.tier for recall in site.catalog.recalls()] == ["Expedited"]


def test_row_6_expedited_is_not_for_the_deep_archive(site):
    site.entry(storage_class="DEEP_ARCHIVE")
    assert site.restore("/films/a", tier="Expedited").code == "InvalidArgument"
    assert site.restore("/films/a", tier="Bulk").status == 202


def test_row_7_an_object_that_is_not_archived_cannot_be_restored(site):
    site.put("/films/a", b"online")
    answer = site.restore("/films/a")
    assert answer.code == "InvalidObjectState"
    assert answer.xml.findtext("Message") == "Restore is not allowed for the object's current storage class"


def test_row_7_nor_one_in_a_bucket_without_any_policy(site):
    site.put("/plain")
    site.put("/plain/a", b"online")
    assert site.restore("/plain/a").code == "InvalidObjectState"
    assert site.restore("/plain/none").code == "NoSuchKey"


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (b"", "MalformedXML"),
        (b"<RestoreRequest/>", "MalformedXML"),
        (b"<RestoreRequest><Days>0</Days></RestoreRequest>", "InvalidArgument"),
        (b"<RestoreRequest><Days>-1</Days></RestoreRequest>", "InvalidArgument"),
        (b"<RestoreRequest><Days>2147483647</Days></RestoreRequest>", "InvalidArgument"),
        (b"<RestoreRequest><Days>1</Days><OutputLocation/></RestoreRequest>", "MalformedXML"),
        (b"<RestoreRequest><Type>SELECT</Type></RestoreRequest>", "NotImplemented"),
        (b"<RestoreRequest><Days>1</Days><Tier>Now</Tier></RestoreRequest>", "MalformedXML"),
    ],
)
def test_row_8_to_10_a_document_that_is_wrong_is_refused_and_changes_nothing(site, document, code):
    before = site.entry()
    assert site.editor.post("/films/a?restore", document).code == code
    assert site.row() == before


def test_row_8_a_document_over_the_limit_is_refused(site):
    site.entry()
    assert site.editor.post("/films/a?restore", b"<RestoreRequest>" + b" " * 70_000).code == "MalformedXML"


def test_row_11_an_unknown_key_or_version_is_404(make_site):
    site = make_site(versioned="films")
    assert site.restore("/films/none").code == "NoSuchKey"
    assert site.restore("/films/none?versionId=1").code == "NoSuchVersion"


def test_row_12_a_delete_marker_is_404_and_by_its_id_405(make_site):
    site = make_site(versioned="films")
    site.put("/films/a", b"film")
    marker = site.delete("/films/a").headers["x-amz-version-id"]
    assert site.restore("/films/a").code == "NoSuchKey"
    assert site.restore(f"/films/a?versionId={marker}").code == "MethodNotAllowed"


def test_row_13_head_of_an_archived_object_has_every_header_of_the_original_and_the_class(site):
    site.put("/films/a", b"film", content_type="video/mxf", cache_control="no-store", x_amz_meta_title="A")
    original = site.head("/films/a").headers
    site.entry(facts=site.store.head(site.ref(version=None)))
    site.store.delete(site.ref(version=None))
    archived = site.head("/films/a")
    ours = {name: value for name, value in archived.headers.items() if name not in ("x-amz-storage-class", "x-amz-request-id")}
    assert archived.headers["x-amz-storage-class"] == "GLACIER"
    assert ours.pop("content-length") == "4"
    assert ours == {name: value for name, value in original.items() if name not in ("x-amz-request-id", "content-length")}


@pytest.mark.parametrize("state", [State.QUEUED, State.RECALLING, State.LANDING])
def test_row_14_head_in_progress_says_so(site, state):
    site.entry(state=state)
    assert site.head("/films/a").headers["x-amz-restore"] == ONGOING


def test_row_15_head_of_a_restored_object_tells_its_end_and_keeps_the_class(site, day):
    site.entry(state=State.RESTORED, restored_until=site.clock.now() // day * day + 2 * day)
    headers = site.head("/films/a").headers
    assert headers["x-amz-restore"] == 'ongoing-request="false", expiry-date="Wed, 07 Jan 2026 00:00:00 GMT"'
    assert headers["x-amz-storage-class"] == "GLACIER"


def test_row_16_head_after_the_end_is_as_if_never_restored(site, day):
    site.entry(state=State.RESTORED, restored_until=site.clock.now() + day)
    site.later(days=1)
    assert "x-amz-restore" not in site.head("/films/a").headers
    assert site.get("/films/a").code == "InvalidObjectState"


@pytest.mark.parametrize("state", [State.ARCHIVED, State.QUEUED, State.RECALLING, State.LANDING, State.EXPIRING])
def test_row_17_get_is_403_with_the_class(site, state):
    site.entry(state=state)
    answer = site.get("/films/a")
    assert (answer.status, answer.code, answer.xml.findtext("StorageClass")) == (403, "InvalidObjectState", "GLACIER")


def test_row_18_get_of_a_restored_object_is_the_original(site, day):
    row = site.entry(state=State.RESTORED, body=b"0123456789", restored_until=site.clock.now() + day)
    whole, part = site.get("/films/a"), site.get("/films/a", range="bytes=2-4")
    assert (whole.status, whole.body, whole.headers["etag"]) == (200, b"0123456789", row.facts.etag)
    assert (part.status, part.body, part.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
    assert LEGAL.fullmatch(part.headers["x-amz-restore"])
    assert part.headers["x-amz-storage-class"] == "GLACIER"


def test_row_23_an_overwrite_makes_a_restore_moot(site):
    site.entry()
    site.restore("/films/a")
    assert site.put("/films/a", b"new").status == 200
    assert not site.catalog.recalls()
    assert site.get("/films/a").body == b"new"


def test_row_24_a_delete_discards_a_restore(site):
    site.entry()
    site.restore("/films/a")
    assert site.delete("/films/a").status == 204
    assert not site.catalog.recalls()
    assert site.head("/films/a").status == 404


def test_row_25_a_restore_by_version_restores_that_version_only(make_site):
    site = make_site(versioned="films")
    site.entry(version="v1", current=False)
    site.entry(version="v2")
    assert site.restore("/films/a?versionId=v1").status == 202
    assert (site.row(version="v1").state, site.row(version="v2").state) == (State.QUEUED, State.ARCHIVED)


def test_27_a_restore_before_the_bytes_have_left_keeps_them_readable(site):
    site.put("/films/a", b"film", x_amz_storage_class="GLACIER")
    assert site.get("/films/a").code == "InvalidObjectState"
    assert site.restore("/films/a").status == 202
    assert site.restore("/films/a").status == 200
    assert site.get("/films/a").body == b"film"
    assert LEGAL.fullmatch(site.head("/films/a").headers["x-amz-restore"])


def test_a_thousand_at_once_are_one_recall_and_one_202(site):
    site.entry()
    statuses = []
    clients = [Client(site.app, "AKEDITOR", "editor-secret", clock=site.clock) for _ in range(20)]

    def ask(client):
        statuses.extend(site.restore("/films/a", client=client).status for _ in range(50))

    threads = [threading.Thread(target=ask, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (statuses.count(202), statuses.count(409)) == (1, 999)
    assert len(site.catalog.recalls()) == 1


def test_a_desk_that_may_not_read_may_restore(site):
    site.entry()
    assert site.desk.get("/films/a").code == "AccessDenied"
    assert site.restore("/films/a", client=site.desk).status == 202


def test_a_stranger_learns_nothing_and_starts_nothing(site):
    site.entry()
    nobody = Client(site.app, "", "", clock=site.clock)
    for client in (site.stranger, nobody):
        assert site.restore("/films/a", client=client).status in (403, 404)
        assert site.restore("/films/none", client=client).status in (403, 404)
    assert site.row().state is State.ARCHIVED


def test_what_the_store_says_of_restores_is_not_handed_on(site):
    site.put("/films/a", b"film")
    tell = site.front.do_HeadObject

    def lying(request):
        response = tell(request)
        response.headers.update({"x-amz-restore": 'ongoing-request="false"', "x-amz-storage-class": "GLACIER"})
        return response

    site.front.do_HeadObject = lying
    headers = site.head("/films/a").headers
    assert "x-amz-restore" not in headers
    assert "x-amz-storage-class" not in headers


def test_a_hint_about_another_version_says_nothing(site):
    site.put("/films/a", b"film", x_amz_storage_class="GLACIER")
    site.restore("/films/a")
    site.stored(body=b"written behind our back")
    assert "x-amz-storage-class" not in site.head("/films/a").headers


def test_a_restore_waits_for_an_eviction_and_is_slowed_down_in_the_end(make_site):
    site = make_site(options={"restore": {"patience": "0s"}})
    site.entry(state=State.EVICTING, token="t", lease=0)
    answer = site.restore("/films/a")
    assert answer.code == "SlowDown"
    assert answer.headers["retry-after"] == "1"


def test_a_restore_that_meets_an_eviction_is_accepted_when_that_has_ended(site):
    row = site.entry(state=State.EVICTING, token="t", lease=0)
    reads = site.catalog.find_truth

    def ended_meanwhile(ref):
        found = reads(ref)
        if found is not None and found.state is State.EVICTING:
            site.change(row, state=State.ARCHIVED, token=None)
        return found

    site.catalog.find_truth = ended_meanwhile
    assert site.restore("/films/a").status == 202


def test_conditions_of_a_head_are_judged_by_the_entry(site):
    etag = site.entry().facts.etag
    assert site.head("/films/a", if_none_match=etag).status == 304
    assert site.head("/films/a", if_match='"other"').status == 412


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    state=st.sampled_from([s for s in State if s is not State.EVICTING]),
    storage_class=st.sampled_from(["STANDARD", "GLACIER", "DEEP_ARCHIVE"]),
    ends=st.one_of(st.none(), st.integers(-10_000, 10_000_000_000)),
    waits=st.booleans(),
    method=st.sampled_from(["get", "head"]),
    headers=st.sampled_from([{}, {"range": "bytes=1-2"}, {"if_none_match": "*"}, {"if_match": '"x"'}]),
)
def test_x_amz_restore_has_two_legal_forms_on_every_answer(site, state, storage_class, ends, waits, method, headers):
    now = site.clock.now()
    interests = (Interest("x", 1, until=None if waits or ends is None else now + ends),)
    until = None if ends is None else now + ends
    facts = site.stored()
    row = site.entry(state=state, storage_class=storage_class, interests=interests, restored_until=until, facts=facts)
    answer = getattr(site, method)("/films/a", **headers)
    assert answer.status < 500 or state is State.LOST
    restore = answer.headers.get("x-amz-restore")
    assert restore is None or LEGAL.fullmatch(restore)
    site.drop(site.row(version="null"))
    assert restore is None or row.storage_class != "STANDARD" or state not in (State.ONLINE, State.ARCHIVING, State.VERIFIED)


@pytest.mark.parametrize(("told", "answered"), [(403, 403), (500, 503)])
def test_what_the_store_says_of_an_unknown_key_is_not_taken_for_absence(site, told, answered):
    site.front.do_HeadObject = lambda _: Response(status=told, app_iter=[])
    assert site.restore("/films/a").status == answered


def test_a_lost_object_is_loud(site):
    site.entry(state=State.LOST)
    assert site.head("/films/a").status == 200
    assert site.get("/films/a").status == 503
    assert site.restore("/films/a").status == 503


def test_a_row_that_moves_is_decided_anew(site):
    row = site.entry()
    commits, moved = site.catalog.commit, []

    def moving(step):
        if not moved:
            moved.append(commits(Step(swaps=(replace(step.swaps[0], new=replace(row, reason="moved")),))))
        return commits(step)

    site.catalog.commit = moving
    assert site.restore("/films/a").status == 202
    assert len(site.catalog.recalls()) == 1


# A store with archive classes of its own

THEIRS = 'ongoing-request="false", expiry-date="Mon, 01 Feb 2027 00:00:00 GMT"'
WISH = b"<RestoreRequest><Days>2</Days><OutputLocation/></RestoreRequest>"


@pytest.fixture
def glacier(make_site):
    """A site before such a store, which answers every RestoreObject, HEAD and GET itself; ``sent`` are the documents it got."""
    site = make_site(options={"restore": {"restore": "store"}})
    site.sent, inner = [], site.front._read

    def restored(request):
        site.sent.append(request.context.document)
        return Response(status=202, headerlist=[("Content-Length", "0"), ("x-amz-restore-output-path", "theirs")], app_iter=())

    def read(request):
        answer = inner(request)
        answer.headerlist += [("x-amz-storage-class", "DEEP_ARCHIVE"), ("x-amz-restore", THEIRS)]
        return answer

    site.front.do_RestoreObject, site.front.do_HeadObject, site.front.do_GetObject = restored, read, read
    return site


def heard(answer):
    return answer.headers.get("x-amz-storage-class"), answer.headers.get("x-amz-restore")


@pytest.mark.parametrize("entry", [None, {"state": State.ONLINE, "storage_class": "STANDARD", "archive_id": None}])
def test_what_is_not_ours_is_restored_by_the_store_and_told_as_it_says(glacier, entry):
    facts = glacier.stored()
    if entry:
        glacier.entry(facts=facts, **entry)
    answer = glacier.editor.request("POST", "/films/a?restore", WISH)
    assert (answer.status, answer.headers["x-amz-restore-output-path"]) == (202, "theirs")
    assert glacier.sent == [WISH]
    for method in ("HEAD", "GET"):
        assert heard(glacier.editor.request(method, "/films/a")) == ("DEEP_ARCHIVE", THEIRS)
    assert not glacier.catalog.jobs(kind="recall")


@pytest.mark.parametrize("state", [State.ARCHIVED, State.VERIFIED, State.ONLINE])
def test_what_has_an_entry_of_ours_is_ours(glacier, state):
    glacier.entry(state=state, facts=glacier.stored())
    assert glacier.restore("/films/a", days=1).status == 202
    assert glacier.sent == []
    assert heard(glacier.head("/films/a"))[0] == "GLACIER"
    assert heard(glacier.head("/films/a"))[1] != THEIRS


def test_a_deleted_object_of_ours_is_not_the_store_s(glacier):
    glacier.entry(state=State.DELETED, facts=glacier.stored())
    assert glacier.restore("/films/a").code == "NoSuchKey"
    assert glacier.sent == []


def test_what_neither_has_is_looked_for_in_our_archives(glacier):
    glacier.front.do_RestoreObject = glacier.front._read
    assert glacier.restore("/films/none").code == "NoSuchKey"
    glacier.house.put("archive", "tape", Found())
    glacier.later(seconds=120)
    assert glacier.restore("/films/none").status == 202
    assert glacier.row("none").state is State.QUEUED


class Found:
    def find(self, *, tag="", archive_id="", ref=None):
        return Copy(archive_id="x", size=4, checksum="md5:" + "0" * 32, copies=1)


def test_its_class_at_put_goes_on_where_no_policy_of_ours_takes_it(make_site):
    site = make_site(options={"restore": {"restore": "store"}})
    seen, inner = [], site.front.do_PutObject
    site.front.do_PutObject = lambda request: (seen.append(request.fields.get("x-amz-storage-class")), inner(request))[1]
    site.editor.put("/other")
    assert site.editor.put("/other/a", b"x", x_amz_storage_class="GLACIER").status == 200
    assert site.editor.put("/films/a", b"x", x_amz_storage_class="GLACIER").status == 200
    assert seen == ["GLACIER", None]
    assert site.row("a").storage_class == "GLACIER"


def test_by_default_what_the_store_says_of_restores_is_not_told(site):
    site.stored()
    inner = site.front._read
    site.front.do_HeadObject = lambda request: _and(inner(request), ("x-amz-restore", THEIRS))
    assert "x-amz-restore" not in site.head("/films/a").headers
    assert site.restore("/films/a").code == "InvalidObjectState"


def _and(answer, *fields):
    answer.headerlist += fields
    return answer
