import json

import pytest

from s3shunt.model import RecallState, State

from .conftest import FILM


def fault(works, **told):
    (works.tape.root / "faults.json").write_text(json.dumps(told))


@pytest.mark.parametrize("what", ["corrupt", "truncate"])
def test_a_delivery_that_is_wrong_is_never_readable_and_given_up_in_the_end(works, what):
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


def test_an_object_deleted_during_its_recall_leaves_nothing_and_no_loop(works):
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


def test_a_worker_that_wakes_late_publishes_nothing(works):
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
