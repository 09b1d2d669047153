from s3shunt.model import Bucket, Job, ObjectRef, State
from s3shunt.stores.memory import MemoryStore

HOUR = 3_600_000
DAY = 24 * HOUR


def test_old_objects_that_no_entry_tells_of_go_to_the_archive(works):
    works.store.write(ObjectRef("aged", "old"), [b"xxx"], size=3)
    works.store.write(ObjectRef("aged", "tiny"), [b"x"], size=1)
    works.work()
    assert works.row("old", "aged") is None
    works.clock.later(31 * DAY)
    works.store.write(ObjectRef("aged", "young"), [b"xxx"], size=3)
    works.work()
    assert works.row("old", "aged").state is State.VERIFIED
    assert works.row("tiny", "aged") is None
    assert works.row("young", "aged") is None
    works.clock.later(2 * DAY)
    works.work()
    assert works.row("old", "aged").state is State.ARCHIVED


def test_a_bucket_in_which_something_was_found_is_plain_no_more(works):
    works.catalog.save_bucket(Bucket(name="aged"))
    works.store.write(ObjectRef("aged", "old"), [b"xxx"], size=3)
    works.clock.later(31 * DAY)
    works.work()
    assert not works.catalog.bucket("", "aged").plain


HELD = "[policy:held]\nbuckets = held\narchive = tape\nafter = 30d\nevict = {}\n"


def another(make, before, evict):
    """The same catalog, store and tapes under a policy that was changed; as late as the one before."""
    kept = {"main": before.store, "landing": before.landing}
    now = make(
        catalog=before.catalog, archive=before.tape, more=HELD.format(evict),
        wrap=lambda port, name: kept.get(name, port) if isinstance(port, MemoryStore) else port,
    )  # fmt: skip
    now.clock.later(before.clock.now() - now.clock.now())
    return now


def test_what_an_earlier_policy_kept_in_the_store_leaves_by_the_one_of_today(make):
    before = make(more=HELD.format("never"))
    before.store.write(ObjectRef("held", "old"), [b"xxx"], size=3)
    before.clock.later(33 * DAY)
    before.work()
    assert before.row("old", "held").state is State.VERIFIED
    now = another(make, before, "after 1d")
    now.clock.later(DAY)
    now.work()
    assert now.row("old", "held").state is State.VERIFIED  # nobody knows since when it could have gone
    now.clock.later(DAY)
    now.work()
    assert now.row("old", "held").state is State.ARCHIVED


def test_an_eviction_that_is_due_is_not_put_off_by_a_scan(make):
    before = make(more=HELD.format("after 3d"))
    before.store.write(ObjectRef("held", "old"), [b"xxx"], size=3)
    before.clock.later(33 * DAY)
    before.work()
    now = another(make, before, "after 9d")
    now.clock.later(2 * DAY)
    now.work()
    assert now.row("old", "held").state is State.VERIFIED
    now.clock.later(DAY)
    now.work()
    assert now.row("old", "held").state is State.ARCHIVED


def test_the_scan_runs_once_in_its_time_however_many_workers_begin(works):
    from s3shunt.jobs.runner import Runner

    calls = []
    listed = works.store.list
    works.store.list = lambda *given, **more: calls.append(given) or listed(*given, **more)
    for number in range(3):
        Runner(works.house, owner=f"{number}", kinds=("scan",)).run_due()
    assert len(calls) == 1


def test_a_scan_that_was_asked_for_is_done_at_once_and_once(works):
    works.store.write(ObjectRef("aged", "old"), [b"xxx"], size=3)
    works.clock.later(30 * DAY - HOUR)
    works.work()
    works.clock.later(2 * HOUR)
    works.work()
    assert works.row("old", "aged") is None, "the next look is tomorrow's"
    works.catalog.enqueue(Job(kind="scan", dedupe="scan now", due=works.clock.now()))
    works.work()
    assert works.row("old", "aged").state is State.VERIFIED
    assert [job.dedupe for job in works.catalog.jobs(kind="scan")] == ["scan"]
