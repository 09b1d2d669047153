import json

import pytest

from s3shunt.model import JobState, ObjectRef, State

from .conftest import FILM


def fault(works, **told):
    (works.tape.root / "faults.json").write_text(json.dumps(told))


def test_the_copy_is_verified_against_the_bytes_of_the_store(works):
    works.put("a", FILM)
    fault(works, corrupt=["*"])
    works.runner.run_due()
    row = works.row("a")
    assert (row.state, row.archive_id) == (State.ONLINE, None)
    assert "BadDigest" in row.reason
    fault(works)
    works.work()
    assert works.row("a").state is State.ARCHIVED


def test_a_lost_answer_costs_a_look_and_no_second_copy(works):
    works.put("a", FILM)
    fault(works, write="lost answer")
    works.runner.run_due()
    assert works.row("a").state is State.ONLINE
    fault(works)
    works.work()
    assert works.row("a").state is State.ARCHIVED
    assert len(works.copies()) == 1


def test_an_outage_of_any_length_is_waited_for(works):
    works.put("a", FILM)
    fault(works, offline=True)
    for _ in range(40):
        works.clock.later(3_600_000)
        works.runner.run_due()
    assert not works.catalog.jobs(dead=True)
    assert works.store.list("films")
    fault(works)
    works.clock.later(3_600_000)
    works.work()
    assert works.row("a").state is State.ARCHIVED


def test_a_poison_object_goes_to_the_dead_letters_and_stays_online(works):
    works.put("a", FILM)
    fault(works, corrupt=["films/a"])
    works.put("b", FILM + b"b")
    for _ in range(15):
        works.clock.later(3_600_000)
        works.runner.run_due()
    (dead,) = works.catalog.jobs(dead=True)
    assert (dead.kind, dead.state) == ("archive", JobState.DEAD)
    assert works.row("a").state is State.ONLINE
    assert works.row("b").state is State.ARCHIVED


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"sse": {"x-amz-server-side-encryption-customer-algorithm": "AES256"}}, "key of the client"),
        ({"lock": {"mode": "COMPLIANCE"}}, "locked"),
        ({"acl": "public-read"}, "ACL"),
    ],
)
def test_what_must_stay_online_goes_back_with_its_reason_and_is_not_tried_again(works, given, reason):
    from dataclasses import replace

    works.put("a", FILM)
    name = ("", "films", "a")
    (held,) = works.store._keys[name]
    works.store._keys[name] = [replace(held, facts=replace(held.facts, **given))]
    works.work()
    row = works.row("a")
    assert row.state is State.ONLINE
    assert reason in row.reason
    assert works.live() == []
    assert works.copies() == []


def test_an_object_that_the_store_does_not_have_leaves_no_entry(works):
    works.put("a", FILM)
    works.store.delete(ObjectRef("films", "a"))
    works.work()
    assert works.row("a") is None


def test_an_object_overwritten_before_its_copy_was_verified_is_archived_anew_and_the_orphan_goes(works):
    works.put("a", FILM)
    task = works.job("archive")
    find = works.tape.find

    def overwritten(**given):
        works.tape.find = find
        works.put("a", b"new")
        return find(**given)

    works.tape.find = overwritten
    (job,) = works.catalog.jobs(kind="archive")
    task.run(job)
    works.work(rounds=60)
    assert works.row("a").facts.size == 3
    assert works.row("a").state is State.ARCHIVED
    assert works.copies() == [works.row("a").archive_id]
