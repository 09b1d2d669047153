"""A film that comes back, how long it stays, and how it goes again; ``docs/checks.md`` has the list."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from s3shunt.model import ObjectRef, State
from s3shunt.stores.posix import PosixStore
from s3shunt.testing.faults import Fuse
from s3shunt.testing.house import House

FILM = bytes(range(256)) * 2_000
PASSING = {"x-amz-request-id", "x-amz-id-2", "date", "x-amz-restore"}


class Asked:
    """The archive, and what it was asked for."""

    def __init__(self, house):
        self.archive, self.requests = house.house.archive("tape"), []
        house.house.put("archive", "tape", self)

    def __getattr__(self, name):
        return getattr(self.archive, name)

    def request(self, recall):
        self.requests.append(recall.archive_id)
        return self.archive.request(recall)

    def request_many(self, recalls):
        self.requests += [recall.archive_id for recall in recalls]
        return self.archive.request_many(recalls)


def back(house, days=1, key="a", body=FILM):
    house.archive(f"/films/{key}", body)
    assert house.restore(f"/films/{key}", days=days).status == 202
    house.work()
    assert house.get(f"/films/{key}").body == body
    return house


def events(house):
    return Counter(event.name for _, event in house.catalog.pending(1000))


def spoilt(house, **told):
    (house.house.archive("tape").root / "faults.json").write_text(json.dumps(told))


def told(house, target):
    return {name: value for name, value in house.get(target).headers.items() if name not in PASSING}


# What comes back


@pytest.mark.parametrize("how", ["corrupt", "truncate"])
def test_36_37_a_copy_that_comes_back_wrong_or_short_is_never_readable_and_given_up_loudly(house, how):
    house.archive("/films/a", FILM)
    spoilt(house, **{how: ["films/a"]})
    assert house.restore("/films/a").status == 202
    for _ in range(40):
        house.later(seconds=600).work(rounds=1)
        assert house.get("/films/a").code == "InvalidObjectState"
        assert "false" not in house.head("/films/a").headers.get("x-amz-restore", "")
        assert not house.landing.list("", limit=10)
    assert events(house)["s3shunt:ObjectRestore:Failed"] == 1
    assert events(house)["s3:ObjectRestore:Completed"] == 0
    assert "x-amz-restore" not in house.head("/films/a").headers
    spoilt(house)
    assert house.restore("/films/a").status == 202
    assert house.work().get("/films/a").body == FILM


def test_37_an_object_of_no_bytes_comes_back_as_one_of_no_bytes(house):
    back(house, body=b"")
    assert house.get("/films/a").headers["content-length"] == "0"


PARTS = "<CompleteMultipartUpload>{}</CompleteMultipartUpload>"
SAID = {
    "content_type": "application/mxf", "cache_control": "no-store", "content_disposition": "inline", "content_language": "nl",
    "content_encoding": "x-film", "x_amz_meta_Title": "é", "x_amz_meta_pid": "p1",
}  # fmt: skip


def in_one_piece(house, **more):
    return house.put("/films/a", FILM, **SAID, **more)


def in_parts(house, **more):
    started = house.editor.post("/films/a?uploads", **SAID, **more)
    upload = started.xml.findtext("{*}UploadId")
    etags = [house.put(f"/films/a?partNumber={n}&uploadId={upload}", FILM).headers["etag"] for n in (1, 2)]
    listed = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n, etag in enumerate(etags, 1))
    return house.editor.post(f"/films/a?uploadId={upload}", PARTS.format(listed).encode())


@pytest.mark.parametrize("upload", [in_one_piece, in_parts])
def test_39_etag_type_metadata_tags_and_lock_of_a_restored_film_are_the_originals(tmp_path, upload):
    plain, house = House(tmp_path / "plain"), House(tmp_path / "tape")
    assert upload(plain).status == upload(house, x_amz_storage_class="GLACIER").status == 200
    assert house.work().get("/films/a").code == "InvalidObjectState"
    tags = b"<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>"
    assert house.put("/films/a?tagging", tags).status == 200
    lock = b"<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2027-01-01T00:00:00Z</RetainUntilDate></Retention>"
    assert house.put("/films/a?retention", lock).status == 200
    until = house.get("/films/a?retention").xml.findtext("{*}RetainUntilDate")
    for target in ("/films/a", "/films/a?partNumber=1"):
        archived = house.head(target).headers
        assert archived["etag"] == plain.head(target).headers["etag"]
    house.restore("/films/a", days=3)
    house.work()
    now, was = told(house, "/films/a"), told(plain, "/films/a")
    added = {name: now.pop(name) for name in set(now) - set(was)}
    assert added.pop("x-amz-storage-class") == "GLACIER"
    assert all(name.startswith("x-amz-object-lock-") or name == "x-amz-tagging-count" for name in added), added
    assert {**now, "last-modified": 0} == {**was, "last-modified": 0}
    assert house.get("/films/a").body == plain.get("/films/a").body
    assert house.get("/films/a?tagging").xml.findtext(".//{*}Value") == "v"
    assert house.get("/films/a?retention").xml.findtext("{*}RetainUntilDate") == until


RANGES = {
    "bytes=0-0": (0, 1), "bytes=0-9": (0, 10), "bytes=-1": (-1, None), "bytes=-7": (-7, None), "bytes=65530-65545": (65530, 65546),
    f"bytes={len(FILM) - 1}-": (-1, None), f"bytes=100-{len(FILM) * 2}": (100, None), f"bytes=-{len(FILM) * 2}": (0, None),
}  # fmt: skip


def test_46_a_range_of_a_restored_film_is_exact_from_the_first_byte_to_the_last_and_416_beyond(house):
    back(house)
    house.put("/films/online", FILM)
    for header, (start, end) in RANGES.items():
        answer = house.get("/films/a", range=header)
        assert (answer.status, answer.body) == (206, FILM[start:end]), header
        first = len(FILM) + start if start < 0 else start
        assert answer.headers["content-range"] == f"bytes {first}-{first + len(answer.body) - 1}/{len(FILM)}"
    for header in (f"bytes={len(FILM)}-", f"bytes={len(FILM)}-{len(FILM) + 9}", "bytes=-0"):
        answer = house.get("/films/a", range=header)
        assert (answer.status, answer.code) == (416, "InvalidRange"), header
    for header in ("bytes=0-1,4-5", "bytes=5-2", "frames=0-1", "bytes=a-b"):  # S3 knows one range, and reads nothing into what is none
        answer, online = house.get("/films/a", range=header), house.get("/films/online", range=header)
        assert (answer.status, answer.body == FILM) == (online.status, online.body == FILM) == (200, True), header


@pytest.mark.parametrize(
    ("inner", "status"),
    [
        ("<Type>SELECT</Type><SelectParameters/>", 501),
        ("<OutputLocation><S3><BucketName>films</BucketName><Prefix>part</Prefix></S3></OutputLocation>", 400),
    ],
)
def test_47_a_part_is_never_restored_under_the_name_of_the_whole(house, inner, status):
    """There is no partial restore: what asks for one is refused, and a Range on the request means nothing."""
    house.archive("/films/a", FILM)
    assert house.editor.post("/films/a?restore", f"<RestoreRequest>{inner}</RestoreRequest>".encode()).status == status
    assert not house.catalog.recalls()
    wish = b"<RestoreRequest><Days>1</Days></RestoreRequest>"
    assert house.editor.post("/films/a?restore", wish, range="bytes=0-9").status == 202
    house.work()
    assert house.get("/films/a").body == FILM
    listed = house.get("/films?list-type=2").xml
    assert [item.findtext("{*}Key") for item in listed.iter("{*}Contents")] == ["a"]


# How long it stays


def moment(*parts):
    return int(datetime(*parts, tzinfo=UTC).timestamp() * 1000)


LIVES = [
    ((2028, 2, 28, 10, 30), 1, (2028, 3, 1)), ((2028, 2, 28), 1, (2028, 2, 29)), ((2028, 2, 29), 1, (2028, 3, 1)),
    ((2027, 2, 28, 10, 30), 1, (2027, 3, 2)), ((2027, 3, 28, 0, 30), 1, (2027, 3, 30)), ((2027, 10, 31, 0, 30), 1, (2027, 11, 2)),
    ((2027, 12, 31, 23, 59, 59), 1, (2028, 1, 2)), ((2027, 10, 15, 10, 30), 3, (2027, 10, 19)), ((2027, 6, 1), 30, (2027, 7, 1)),
]  # fmt: skip


@pytest.fixture(params=["UTC", "Europe/Brussels", "America/St_Johns", "Pacific/Kiritimati"])
def zone(request, monkeypatch):
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(("now", "days", "end"), LIVES)
@pytest.mark.usefixtures("zone")
def test_40_days_end_at_the_next_midnight_utc_also_in_a_leap_year_and_wherever_the_host_stands(house, now, days, end):
    back(house, days=3000)
    house.clock.later(moment(*now) - house.clock.now())
    assert house.restore("/films/a", days=days).status == 200  # who asked may shorten what he asked
    date = format_datetime(datetime(*end, tzinfo=UTC), usegmt=True)
    assert house.head("/films/a").headers["x-amz-restore"] == f'ongoing-request="false", expiry-date="{date}"'
    house.clock.later(moment(*end) - house.clock.now() - 1)
    assert house.get("/films/a").body == FILM
    house.clock.later(1)
    assert house.get("/films/a").code == "InvalidObjectState"
    assert "x-amz-restore" not in house.head("/films/a").headers


def test_40_days_begin_when_the_film_is_back_and_not_when_it_was_asked_for(house):
    house.archive("/films/a", FILM)
    spoilt(house, offline=True)
    assert house.restore("/films/a", days=1).status == 202
    house.later(days=5).work()
    spoilt(house)
    ready = house.work(rounds=120).clock.now()
    assert house.get("/films/a").body == FILM
    assert house.catalog.select()[0].restored_until > ready


def test_40_days_are_extended_and_shortened_and_have_a_largest_number(tmp_path):
    house = back(House(tmp_path, options={"restore": {"max_days": "30"}}), days=2)
    asked = Asked(house)
    for days in (9, 1, 30):
        assert house.restore("/films/a", days=days).status == 200
        assert house.catalog.select()[0].restored_until - house.clock.now() > (days * 86_400_000)
        assert house.catalog.select()[0].restored_until - house.clock.now() <= (days + 1) * 86_400_000
    for days in (31, 0, -1):
        assert house.restore("/films/a", days=days).code == "InvalidArgument"
    assert asked.requests == []


# How it goes again


def test_41_past_its_date_a_film_is_as_if_never_restored_and_its_archive_copy_untouched(house):
    back(house)
    before = list(house.house.archive("tape").listing())
    head = house.head("/films/a").headers
    house.later(days=3).work()
    house.later(days=3).work()
    assert house.get("/films/a").code == "InvalidObjectState"
    now = house.head("/films/a").headers
    assert {name: value for name, value in now.items() if name not in PASSING} == {
        name: value for name, value in head.items() if name not in PASSING
    }
    assert "x-amz-restore" not in now
    item = next(house.get("/films", x_amz_optional_object_attributes="RestoreStatus").xml.iter("{*}Contents"))
    assert (item.findtext("{*}StorageClass"), item.find("{*}RestoreStatus")) == ("GLACIER", None)
    assert events(house)["s3:ObjectRestore:Delete"] == 1
    assert list(house.house.archive("tape").listing()) == before
    assert not house.landing.list("", limit=10)
    assert house.restore("/films/a").status == 202
    assert house.work().get("/films/a").body == FILM


class Meddling(Fuse):
    """At one call of the ports time passes and the workers work, in place of a death."""

    def __init__(self):
        super().__init__()
        self.meddle, self.busy = lambda: None, False

    def call(self, title, method, *args, **more):
        if not self.busy:
            here = self._at == len(self.calls)
            self.calls.append(title)
            if here:
                self.busy = True
                self.meddle()
                self.busy = False
        answer = method(*args, **more)
        return self._stream(title, answer) if isinstance(answer, Iterator) and not self.busy else answer


def meddled(tmp_path, at=None):
    fuse = Meddling()
    house = back(House(tmp_path, wrap=fuse.around))
    fuse.meddle = lambda: house.later(days=3).work(rounds=4)
    fuse.mend() if at is None else fuse.blow(at)
    return house.get("/films/a"), fuse


def test_42_a_read_that_races_with_the_end_of_its_copy_is_whole_or_refused_at_every_step(tmp_path):
    answer, fuse = meddled(tmp_path / "whole")
    assert (answer.status, answer.body) == (200, FILM)
    assert len(fuse.calls) > 2
    seen = set()
    for at in range(len(fuse.calls)):
        answer, fuse = meddled(tmp_path / f"{at}", at)
        assert answer.broken is None, (at, fuse.calls[at])
        assert (answer.status, answer.body == FILM) == (200, True) or answer.code == "InvalidObjectState", (at, fuse.calls[at], answer)
        seen.add(answer.status)
    assert 200 in seen


@pytest.mark.parametrize("landing", ["memory", "posix"])
def test_42_a_download_that_has_begun_is_finished_though_its_copy_expires(tmp_path, landing):
    house = House(tmp_path)
    if landing == "posix":
        store = PosixStore(PosixStore.Options(url=f"posix://{tmp_path}/landing"), house.house)
        house.house.put("store", "landing", store)
    back(house)
    begun = []
    body = house.app(house.editor.environ("GET", "/films/a", b"", {}), lambda status, headers, exc_info=None: begun.append(status))
    pieces = iter(body)
    first = next(pieces)
    house.later(days=3).work()
    assert house.catalog.scan("main", "films")[0].state is State.ARCHIVED
    assert first + b"".join(pieces) == FILM
    body.close()
    assert begun[0].startswith("200")
    assert house.get("/films/a").code == "InvalidObjectState"


def test_43_a_copy_past_its_date_that_nobody_deleted_yet_is_refused_and_then_restored_without_a_tape(house):
    back(house)
    asked = Asked(house)
    house.later(days=3)
    assert house.get("/films/a").code == "InvalidObjectState"
    assert "x-amz-restore" not in house.head("/films/a").headers
    assert house.restore("/films/a").status == 202
    assert house.get("/films/a").body == FILM
    house.work()
    assert house.get("/films/a").body == FILM
    assert asked.requests == []
    house.later(days=3).work()
    assert house.get("/films/a").code == "InvalidObjectState"


# What changed meanwhile


@pytest.mark.parametrize("change", ["overwrite", "delete", "delete and put", "copy over"])
def test_26_what_was_overwritten_or_deleted_during_its_recall_never_comes_back(house, change):
    house.put("/films/other", b"other")
    house.archive("/films/a", FILM)
    asked = Asked(house)
    assert house.restore("/films/a").status == 202
    house.runner.run_due()
    new = {"overwrite": b"new", "delete": None, "delete and put": b"new", "copy over": b"other"}[change]
    if change.startswith("delete"):
        assert house.delete("/films/a").status == 204
    if change == "copy over":
        assert house.put("/films/a", x_amz_copy_source="/films/other").status == 200
    elif new:
        assert house.put("/films/a", new).status == 200
    for _ in range(30):
        house.later(seconds=60).work(rounds=1)
        answer = house.get("/films/a")
        assert answer.body == new if new else answer.code == "NoSuchKey"
    assert not house.landing.list("", limit=10)
    assert not house.catalog.recalls(active=True)
    assert not [job for job in house.catalog.jobs() if job.kind == "recall" and job.payload]
    assert len(asked.requests) <= 1
    assert house.store.head(ObjectRef("films", "other", account="main")).size == 5
