from s3shunt.model import Bucket, ObjectRef, State

DAY = 86_400_000


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


def test_the_scan_runs_once_in_its_time_however_many_workers_begin(works):
    from s3shunt.jobs.runner import Runner

    calls = []
    listed = works.store.list
    works.store.list = lambda *given, **more: calls.append(given) or listed(*given, **more)
    for number in range(3):
        Runner(works.house, owner=f"{number}", kinds=("scan",)).run_due()
    assert len(calls) == 1
