"""Recalls that are due together go in one call, each is asked for once, and no death or refusal in between spoils another's."""

import threading
from dataclasses import replace

import pytest

from s3shunt.jobs.recall import wave as wave_module
from s3shunt.jobs.recall.wave import MOST, turn
from s3shunt.model import Job, RecallState, State, Step
from s3shunt.protocol.errors import ServiceUnavailable

from .conftest import FILM
from .test_kill import Mortal

KEYS = ["a", "b", "c", "d", "e"]


class Batching:
    """The tape library with a call for many; ``not_now`` are those it cannot be asked for, ``away`` is an outage."""

    def __init__(self, tape):
        self.tape, self.calls, self.requests, self.not_now, self.away, self.hold = tape, [], {}, set(), False, None

    def __getattr__(self, name):
        return getattr(self.tape, name)

    def request(self, recall):
        (request,) = self.request_many([recall]).values() or [None]
        if request is None:
            raise ServiceUnavailable(f"not {recall.ref.key} now")
        return request

    def request_many(self, recalls):
        self.calls.append(sorted(recall.ref.key for recall in recalls))
        if self.hold:
            self.hold()
        if self.away:
            raise ServiceUnavailable("away")
        told = {recall.id: self.tape.request(recall) for recall in recalls if recall.ref.key not in self.not_now}
        for recall in recalls:
            if recall.id in told:
                self.requests.setdefault((recall.ref.key, recall.attempts), set()).add(told[recall.id])
        return told


def batching(works, fuse=lambda port, name: port):
    archive = Batching(works.tape)
    works.house.put("archive", "tape", fuse(archive, "tape"))
    return archive


def asked_for(works, keys=KEYS):
    for key in keys:
        works.put(key, FILM + key.encode())
    works.work()
    archive = batching(works)
    for key in keys:
        assert works.restore(key) == 202
    return archive


def back(works, keys=KEYS):
    assert {key: works.get(key) for key in keys} == {key: FILM + key.encode() for key in keys}
    assert not works.catalog.jobs(dead=True)


def test_recalls_that_are_due_together_are_one_call(works):
    archive = asked_for(works)
    works.runner.run_due()
    assert archive.calls == [KEYS]
    assert {recall.state for recall in works.catalog.recalls()} == {RecallState.ASKED}
    back(works.work())
    assert len(archive.calls) == 1


def test_a_call_has_an_end(works):
    keys = [f"{number:03}" for number in range(MOST + 5)]
    archive = asked_for(works, keys)
    works.runner.run_due()
    assert sorted(map(len, archive.calls)) == [5, MOST]
    back(works.work(), keys)


def test_what_waits_for_another_archive_or_is_not_due_stays_at_home(works):
    archive = asked_for(works)
    recalls = {recall.ref.key: recall for recall in works.catalog.recalls()}
    assert works.catalog.commit(Step(recalls=(
        replace(recalls["b"], archive="vault"), replace(recalls["c"], due=works.clock.now() + 3000),
    )))  # fmt: skip
    works.house.put("archive", "vault", works.tape)
    works.runner.run_due()
    assert archive.calls == [["a", "d", "e"]]
    back(works.work())


def test_what_another_worker_holds_stays_his(works):
    archive = asked_for(works)
    (job,) = works.catalog.claim(["recall"], works.clock.now(), works.clock.now() + 60_000, "other", limit=1)
    held = works.catalog.recall(job.dedupe).ref.key
    works.runner.run_due()
    assert archive.calls == [[key for key in KEYS if key != held]]
    back(works.work())


def test_what_was_overwritten_meanwhile_is_not_asked_for(works):
    archive = asked_for(works)
    works.put("c", b"new")
    works.runner.run_due()
    assert archive.calls == [["a", "b", "d", "e"]]
    works.work()
    back(works, [key for key in KEYS if key != "c"])


def test_one_that_cannot_be_asked_for_now_holds_up_nobody(works):
    archive = asked_for(works)
    archive.not_now = {"c"}
    works.work(rounds=8)
    back(works, [key for key in KEYS if key != "c"])
    row = works.row("c")
    assert row.state is State.QUEUED
    (job,) = works.catalog.jobs(kind="recall")
    assert "not c now" in job.reason
    archive.not_now = set()
    back(works.work(rounds=120))


def test_in_an_outage_all_of_them_wait_and_one_call_finds_out_for_all(works):
    archive = asked_for(works)
    archive.away = True
    works.runner.run_due()
    assert len(archive.calls) == 1
    assert all(job.due > works.clock.now() for job in works.catalog.jobs(kind="recall"))
    works.work(rounds=200, step=60_000)
    assert {works.row(key).state for key in KEYS} == {State.QUEUED}
    assert len(archive.calls) <= 201
    archive.away = False
    back(works.work(rounds=120))
    assert {len(requests) for requests in archive.requests.values()} == {1}


def test_of_leaders_at_the_same_moment_few_speak_and_all_are_answered(works):
    """Eight threads lead at once: who waits for the first to gather joins the second."""
    keys = [f"{number:02}" for number in range(24)]
    archive = asked_for(works, keys)
    stop = threading.Event()
    thread = threading.Thread(target=works.runner.run, args=(stop, 0.05))
    thread.start()
    wait = threading.Event()
    for _ in range(200):
        if all(recall.state is RecallState.ASKED for recall in works.catalog.recalls()):
            break
        wait.wait(0.02)
    stop.set()
    thread.join(20)
    assert sorted(key for call in archive.calls for key in call) == keys
    assert len(archive.calls) <= 8
    back(works.work(), keys)


def test_18_a_worker_killed_at_any_step_of_a_call_for_many_has_asked_once_for_each(tmp_path):
    """Before the next step is after the last one."""
    keys = KEYS[:3]

    def story(tmp):
        works = Mortal(tmp)
        archive = batching(works, works.fuse.around)
        for key in keys:
            works.put(key, FILM + key.encode())
        works.work(rounds=4)
        for key in keys:
            works.restore(key)
        works.fuse.mend()
        return works, archive

    works, archive = story(tmp_path / "count")
    works.work(rounds=3)
    assert {works.row(key).state for key in keys} == {State.RESTORED}
    steps = len(works.fuse.calls)
    assert steps > 40
    for number in range(steps):
        works, archive = story(tmp_path / f"{number}")
        works.fuse.blow(number)
        works.work(rounds=20)
        assert works.deaths == 1
        works.fuse.mend()
        back(works, keys)
        asked = {key: len(requests) for (key, _), requests in archive.requests.items()}
        assert asked == dict.fromkeys(keys, 1), f"killed at step {number}: {asked}"
        assert len(archive.requests) == len(keys), f"killed at step {number}: asked for anew"
        assert sorted(works.landed()) == sorted(works.row(key).place.name for key in keys)


@pytest.mark.parametrize("when", ["recall", "find", "commit"])
def test_when_the_catalog_goes_away_in_between_what_was_taken_along_comes_back(works, when):
    """Let go of, it is not kept alive for ever by a worker that has forgotten it."""
    archive = asked_for(works)
    task, recalls = works.runner.tasks["recall"], works.catalog.recalls()
    catalog, method = works.catalog, getattr(works.catalog, when)
    job = next(job for job in catalog.claim(["recall"], works.clock.now(), works.clock.now() + 60_000, "me"))

    def away(*_, **__):
        raise ServiceUnavailable("away")

    with pytest.raises(ServiceUnavailable):
        setattr(catalog, when, away)
        task._wave.ask(archive, next(recall for recall in recalls if recall.id == job.dedupe))
        if when == "commit":
            raise ServiceUnavailable
    setattr(catalog, when, method)
    assert works.runner._held == {}
    works.clock.later(120_000)
    back(works.work())
    assert {len(requests) for requests in archive.requests.values()} == {1}


def test_who_joined_one_that_did_not_come_back_asks_again(works):
    archive = asked_for(works, ["a", "b"])
    wave = works.runner.tasks["recall"]._wave
    recalls = works.catalog.recalls()
    joined = wave_module.Ticket(recalls[1])
    wave._waiting.append(joined)
    archive.hold = lambda: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        wave.ask(archive, recalls[0])
    with pytest.raises(ServiceUnavailable, match="did not come back"):
        wave_module._answered(joined)
    archive.hold = None
    works.clock.later(120_000)
    back(works.work(), ["a", "b"])


def test_all_workers_look_at_the_same_moments():
    assert [turn(now, 5000) for now in (0, 1, 4999, 5000, 12_345)] == [5000, 5000, 5000, 10_000, 15_000]
    assert turn(7, 0) == 8


def test_a_job_that_was_taken_along_and_cannot_be_asked_for_finds_its_own_way(works):
    """One whose recall is gone, one that was asked for since."""
    archive = asked_for(works, ["a", "b"])
    works.catalog.enqueue(Job(kind="recall", dedupe="nobody", payload={"recall": "nobody"}))
    task = works.runner.tasks["recall"]
    with works.runner.gather(task, ["nobody"]) as jobs:
        assert [task._wave._queued(job) for job in jobs] == [None]
        assert works.runner._held == {}
    works.runner.run_due()
    assert archive.calls == [["a", "b"]]
    assert [job for job in works.catalog.jobs(kind="recall") if job.dedupe == "nobody"] == []
