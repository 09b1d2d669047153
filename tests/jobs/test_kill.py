"""A worker killed at every step of every job: what is repeated is never lost, doubled or left behind."""

import pytest

from s3shunt.jobs.runner import Runner
from s3shunt.model import State
from s3shunt.testing.faults import Fuse, Killed

from .conftest import FILM, Works

HOUR = 3_600_000


class Counting:
    """The tape library, counting what it is asked for."""

    def __init__(self, tape):
        self.tape, self.asked, self.written = tape, [], []

    def __getattr__(self, name):
        return getattr(self.tape, name)

    def request(self, recall):
        self.asked.append((recall.id, recall.attempts))
        return self.tape.request(recall)

    def write(self, tag, chunks, **given):
        self.written.append(tag)
        return self.tape.write(tag, chunks, **given)


class Mortal(Works):
    """Its workers may be killed; the next one begins when the leases of the dead have run out."""

    def __init__(self, tmp, **given):
        self.fuse, self.deaths = Fuse(), 0
        tmp.mkdir()
        super().__init__(tmp, wrap=self.fuse.around, **given)

    def work(self, rounds=12, step=10_000, runner=None):
        for _ in range(rounds):
            try:
                self.runner.run_due()
            except Killed:
                self.deaths += 1
                self.fuse.mend()
                self.runner = Runner(self.house, owner="next")
                self.clock.later(HOUR)
            self.clock.later(step)
        return self


def to_tape(works):
    works.put("a", FILM)
    return works.work


def recalled(works):
    works.archived("a", FILM)
    works.restore("a", days=2)
    return works.work


def expired(works):
    recalled(works)()
    works.clock.later(4 * works.house.day)
    return works.work


def overwritten_while_recalled(works):
    recalled(works)
    works.runner.run_due()
    works.put("a", b"new")
    return lambda: works.work(rounds=20)


def overwritten_on_tape(works):
    works.archived("a", FILM)
    works.put("a", b"new")
    return lambda: works.work(rounds=20)


STORIES = [to_tape, recalled, expired, overwritten_while_recalled, overwritten_on_tape]
EXPECTED = {
    to_tape: (State.ARCHIVED, FILM), recalled: (State.RESTORED, FILM), expired: (State.ARCHIVED, FILM),
    overwritten_while_recalled: (State.ARCHIVED, b"new"), overwritten_on_tape: (State.ARCHIVED, b"new"),
}  # fmt: skip


def calls(tmp, story):
    works = Mortal(tmp)
    act = story(works)
    works.fuse.mend()
    act()
    return len(works.fuse.calls)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_18_killed_at_any_step_the_work_is_done_all_the_same(tmp_path, story):
    """Before the next step is after the last one; a kill after the very last has nothing left to spoil."""
    steps = calls(tmp_path / "count", story)
    assert steps > 10
    for number in range(steps):
        works = Mortal(tmp_path / f"{number}")
        act = story(works)
        works.fuse.blow(number)
        act()
        assert works.deaths == 1
        works.fuse.mend()
        told(works, story, f"killed at step {number}")


def told(works, story, when):
    """What must be true however often somebody was killed."""
    state, body = EXPECTED[story]
    row = works.row("a")
    assert row.state is state, when
    assert row.writers == 0 and row.copies == 1, when
    assert works.store.list("films") == [], when
    assert works.copies() == [row.archive_id], when
    assert works.landed() == ([row.place.name] if row.place else []), when
    if row.state is State.ARCHIVED:
        works.restore("a")
        works.work()
    assert works.get("a") == body, when
    assert len(works.landed()) == 1, when
    assert {kind for kind, _ in works.live()} <= {"expire"}, (when, works.live())
    assert not works.catalog.jobs(dead=True), when


def test_18_killed_at_any_step_the_archive_is_asked_once(tmp_path):
    for number in range(calls(tmp_path / "count", recalled)):
        works = Mortal(tmp_path / f"{number}")
        act = recalled(works)
        counting = Counting(works.tape)
        works.house.put("archive", "tape", works.fuse.around(counting, "tape"))
        works.fuse.blow(number)
        act()
        assert works.get("a") == FILM
        assert len(set(counting.asked)) == 1, f"killed at step {number}: {counting.asked}"
        assert len(counting.asked) <= 2
