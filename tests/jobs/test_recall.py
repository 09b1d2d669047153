import json
from dataclasses import replace

import pytest

from s3shunt.jobs.runner import Runner
from s3shunt.model import RecallState, State

from .conftest import FILM


def fault(works, **told):
    (works.tape.root / "faults.json").write_text(json.dumps(told))


@pytest.mark.parametrize("what", ["corrupt", "truncate"])
def test_36_37_a_delivery_that_is_wrong_is_never_readable_and_given_up_in_the_end(works, what):
    works.archived("a", FILM)
    works.restore("a")
    fault(works, **{what: ["films/a"]})
    for _ in range(30):
        works.runner.run_due()
        works.clock.later(600_000)
        assert works.row("a").state is not State.RESTORED
        assert works.landed() == []
    assert works.row("a").state is State.ARCHIVED
    assert works.copies()
    fault(works)
    assert works.restore("a") == 202
    works.work()
    assert works.get("a") == FILM


def test_an_empty_object_comes_back_empty(works):
    works.archived("a", b"")
    works.restore("a")
    works.work()
    assert works.get("a") == b""


def test_the_archive_is_asked_how_things_stand_once_for_all(works):
    for number in range(20):
        works.put(f"{number}", FILM)
    works.work()
    calls = []
    status = works.tape.status
    works.tape.status = lambda requests: calls.append(len(requests)) or status(requests)
    for number in range(20):
        works.restore(f"{number}")
    works.runner.run_due()
    assert calls == []
    works.clock.later(5_000)
    works.runner.run_due()
    asked = [count for count in calls if count > 1]
    assert asked == [20]


def test_26_an_object_deleted_during_its_recall_leaves_nothing_and_no_loop(works):
    works.archived("a", FILM)
    works.restore("a")
    works.runner.run_due()
    works.delete("a")
    works.work()
    assert works.row("a") is None
    assert (works.live(), works.landed(), works.copies()) == ([], [], [])
    assert [recall.state for recall in works.catalog.recalls(active=False)] == [RecallState.CANCELLED]


def test_a_request_that_vanished_is_asked_anew(works):
    works.archived("a", FILM)
    works.restore("a")
    works.runner.run_due()
    (recall,) = works.catalog.recalls()
    works.tape.cancel(recall.request_id)
    works.work()
    assert works.get("a") == FILM


def test_an_outage_of_the_archive_leaves_the_restore_waiting(works):
    works.archived("a", FILM)
    fault(works, offline=True)
    assert works.restore("a") == 202
    for _ in range(30):
        works.clock.later(900_000)
        works.runner.run_due()
    assert works.row("a").state is State.QUEUED
    fault(works)
    works.work(rounds=120)
    assert works.get("a") == FILM


@pytest.mark.parametrize("when", ["before", "after"])
def test_22_of_two_workers_with_one_recall_the_one_who_was_paused_publishes_nothing(works, when):
    """He sleeps through his lease, before his copy is written or behind it; another lands and publishes meanwhile."""
    works.archived("a", FILM)
    works.restore("a")
    works.runner.run_due()
    works.clock.later(20_000)
    write, published = works.landing.write, []

    def paused(ref, chunks, **given):
        works.landing.write = write
        done = write(ref, chunks, **given) if when == "after" else None
        works.clock.later(3_600_000)
        works.work(rounds=20, runner=Runner(works.house, owner="second"))
        assert works.row("a").state is State.RESTORED
        published.append(works.row("a"))
        return done or write(ref, chunks, **given)

    works.landing.write = paused
    works.work()
    assert works.row("a") == published[0]
    assert works.landed() == [published[0].place.name]
    assert works.get("a") == FILM
    names = [event.name for _, event in works.catalog.pending(100)]
    assert names.count("s3:ObjectRestore:Completed") == 1


@pytest.mark.parametrize("what", ["corrupt", "truncate"])
def test_36_37_the_next_attempt_reads_another_copy(make, what):
    works = make(more="[policy:twice]\nbuckets = twice\narchive = tape\ncopies = 2\n[archive:tape]\nurl = tape:///unused\n")
    works.tape.options = replace(works.tape.options, copies=2)
    works.archived("a", FILM, bucket="twice")
    assert works.row("a", "twice").copies == 2
    works.restore("a", bucket="twice")
    first = min(works.tape.root.glob(f"**/{works.row('a', 'twice').archive_id}*"))
    first.chmod(0o600)
    first.write_bytes(FILM[:-9] if what == "truncate" else b"x" + FILM[1:])
    works.work(rounds=200)
    assert works.get("a", "twice") == FILM
    assert works.catalog.recalls(active=False)[0].attempts == 2


def test_22_26_a_worker_that_wakes_late_publishes_nothing_over_a_newer_object(works):
    works.archived("a", FILM)
    works.restore("a")
    works.runner.run_due()
    works.clock.later(20_000)
    write = works.landing.write

    def overtaken(ref, chunks, **given):
        works.landing.write = write
        done = write(ref, chunks, **given)
        works.put("a", b"new")
        return done

    works.landing.write = overtaken
    works.work()
    assert works.row("a").facts.size == 3
    assert works.landed() == []
