import threading

import pytest

from s3shunt.config import ConfigError
from s3shunt.jobs.runner import Runner
from s3shunt.model import Job
from s3shunt.protocol.errors import ServiceUnavailable
from s3shunt.work import Dead, Done, JobOptions, Later, Task


class Probe(Task):
    kind = "probe"

    def __init__(self, options, house, answer):
        super().__init__(options, house)
        self.answer, self.ran, self.ended = answer, [], []

    def run(self, job):
        self.ran.append(job)
        answer = self.answer(job)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def buried(self, job, reason):
        self.ended.append(reason)


@pytest.fixture
def probe(works):
    def make(answer):
        runner = Runner(works.house, owner="me", kinds=())
        task = Probe(JobOptions(attempts=3), works.house, answer)
        runner.tasks = {"probe": task}
        return runner, task

    return make


def add(works, *names):
    works.catalog.enqueue(*(Job(kind="probe", dedupe=name, payload={"name": name}) for name in names))


def test_what_is_done_leaves_the_ledger(works, probe):
    runner, _ = probe(lambda job: Done())
    add(works, "a", "b")
    assert runner.run_due() == 2
    assert works.catalog.jobs() == []


def test_what_comes_later_comes_later(works, probe):
    runner, _ = probe(lambda job: Later(works.clock.now() + 10))
    add(works, "a")
    assert [runner.run_due(), runner.run_due()] == [1, 0]
    works.clock.later(10)
    assert runner.run_due() == 1


def test_a_failure_stops_only_itself(works, probe):
    runner, _ = probe(lambda job: KeyError("x") if job.dedupe == "a" else Done())
    add(works, "a", "b")
    runner.run_due()
    (left,) = works.catalog.jobs()
    assert (left.dedupe, left.attempts) == ("a", 1)
    assert "KeyError" in left.reason


def test_waits_grow_and_end_among_the_dead_letters(works, probe):
    runner, task = probe(lambda job: KeyError("x"))
    add(works, "a")
    waits = []
    while works.catalog.jobs():
        runner.run_due()
        waits += [job.due - works.clock.now() for job in works.catalog.jobs()]
        works.clock.later(3_600_000)
    assert len(task.ran) == 3
    assert 2_500 <= waits[0] <= 5_000 <= waits[1] <= 10_000
    assert task.ended == ["KeyError: 'x'"]
    assert [job.dedupe for job in works.catalog.jobs(dead=True)] == ["a"]


def test_an_outage_never_ends_among_the_dead_letters(works, probe):
    runner, task = probe(lambda job: ServiceUnavailable())
    add(works, "a")
    for _ in range(20):
        runner.run_due()
        works.clock.later(3_600_000)
    assert len(task.ran) == 20
    assert works.catalog.jobs(dead=True) == []


def test_a_job_may_say_that_no_repetition_helps(works, probe):
    runner, _ = probe(lambda job: Dead("never"))
    add(works, "a")
    runner.run_due()
    assert [job.reason for job in works.catalog.jobs(dead=True)] == ["never"]


def test_two_runners_share_one_ledger(works, probe):
    runner, task = probe(lambda job: Done())
    other, other_task = probe(lambda job: Done())
    add(works, *map(str, range(50)))
    threads = [threading.Thread(target=one.run_due) for one in (runner, other)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(job.dedupe for job in task.ran + other_task.ran) == sorted(map(str, range(50)))


def test_it_runs_until_it_is_stopped_and_waits_for_what_is_under_way(works, probe):
    stop, all_ran = threading.Event(), threading.Event()
    seen = []

    def answer(job):
        seen.append(job.dedupe)
        if len(seen) == 5:
            all_ran.set()
        return Done()

    runner, _ = probe(answer)
    add(works, *"abcde")
    thread = threading.Thread(target=runner.run, args=(stop, 0.01))
    thread.start()
    assert all_ran.wait(10)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert works.catalog.jobs() == []


def test_room_that_a_job_leaves_is_filled_at_once_however_long_the_idle_wait(works, probe):
    stop, all_ran, seen = threading.Event(), threading.Event(), []

    def answer(job):
        seen.append(job.dedupe)
        if len(seen) == 5:
            all_ran.set()
        return Done()

    runner, _ = probe(answer)
    add(works, *"abcde")
    thread = threading.Thread(target=runner.run, args=(stop, 600))
    thread.start()
    assert all_ran.wait(10)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()


def test_a_section_for_a_job_that_does_not_exist_stops_the_start(make):
    with pytest.raises(ConfigError, match=r"\[job:recal\]"):
        make(more="[job:recal]\nevery = 5s")


def test_a_section_sets_the_options_of_a_kind(make):
    works = make(more="[job:recall]\nevery = 7s")
    assert works.job("recall").options.every == 7_000
    assert works.job("expire").options.every == 5_000
