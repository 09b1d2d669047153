import pytest

from s3shunt.jobs import evict
from s3shunt.model import NULL, Entry, Facts, ObjectRef, State
from s3shunt.policy.record import evict_job
from s3shunt.ports import Evict

from .conftest import FILM


def test_a_store_without_an_exact_delete_keeps_its_bytes(works):
    works.store.evict = Evict.NONE
    works.put("a", FILM)
    works.work()
    assert works.row("a").state is State.VERIFIED
    assert works.store.list("films")
    assert [job for dead in (False, True) for job in works.catalog.jobs(kind="evict", dead=dead) if job.payload] == []


@pytest.mark.parametrize(
    ("way", "version", "stamp", "exactly"),
    [
        (Evict.NONE, "v1", "v1", False), (Evict.VERSION, "v1", "v1", True), (Evict.VERSION, NULL, "v1", True),
        (Evict.VERSION, NULL, "", False), (Evict.IF_MATCH, NULL, "", True), (Evict.SWIFT, NULL, "1.0", True),
    ],
)  # fmt: skip
def test_by_version_alone_nothing_leaves_a_bucket_that_keeps_none(way, version, stamp, exactly):
    row = Entry(ref=ObjectRef("films", "a", version), facts=Facts(size=1, etag='"e"', last_modified=1, stamp=stamp))
    assert evict._exactly(row, way) is exactly


def test_somebodys_restore_keeps_the_bytes_until_its_date(works):
    works.put("a", FILM)
    assert works.restore("a", days=2) == 202
    works.work()
    assert works.row("a").state is State.VERIFIED
    assert works.get("a") == FILM
    works.clock.later(4 * works.house.day)
    works.work()
    assert works.row("a").state is State.ARCHIVED


def test_the_job_of_an_older_generation_leaves_the_same_bytes_written_anew_alone(works):
    works.store.evict = Evict.NONE
    works.put("a", FILM)
    works.work()
    stale = evict_job(works.row("a"), "films", works.clock.now())
    works.store.evict = Evict.LOCKED
    works.put("a", FILM, storage_class="STANDARD")
    assert works.row("a").state is State.VERIFIED
    works.catalog.enqueue(stale)
    works.work()
    assert works.get("a") == FILM
    assert works.store.list("films")


def test_an_object_that_changed_behind_our_back_is_not_evicted(works):
    works.put("a", FILM, storage_class="GLACIER")
    works.runner.tasks.pop("evict")
    works.work()
    works.store.write(ObjectRef("films", "a"), [b"new"], size=3)
    from s3shunt.jobs.runner import Runner

    Runner(works.house, owner="other", kinds=("evict",)).run_due()
    assert works.row("a").state is State.ONLINE
    assert b"".join(works.store.read(ObjectRef("films", "a"))) == b"new"


def test_above_the_high_mark_the_oldest_leave_until_the_low_mark(make):
    works = make(capacity=100)
    for key in "abcdefghi":
        works.put(key, b"x" * 10, bucket="full")
        works.clock.later(1000)
    works.work()
    held = [key for key, _ in works.store.list("full")]
    assert held == list("fghi")
    assert [works.row(key, "full").state for key in "ae"] == [State.ARCHIVED] * 2


def test_below_the_high_mark_nothing_leaves(make):
    works = make(capacity=1000)
    works.put("a", b"x" * 10, bucket="full")
    works.work()
    assert works.row("a", "full").state is State.VERIFIED


@pytest.mark.parametrize("newest", [True, False])
def test_an_evicted_version_stays_current_only_if_the_store_says_so(make, newest):
    works = make(versioned="films")
    ref = works.put("a", FILM)
    if not newest:
        works.store.write(ObjectRef("films", "a"), [b"behind"], size=6)
    works.work()
    row = works.catalog.find(ref)
    assert (row.state, row.current) == (State.ARCHIVED, newest)
