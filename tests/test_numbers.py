"""Numbers of several processes are told by any of them, and never go down."""

import json
import os
import socket

import pytest

from s3shunt.numbers import Numbers
from s3shunt.policy.tally import CLASSES, Tally

ONE = ("GetObject", 200, 3, 5, 0.03)
GONE = 2**22 + 1  # no process has such a number


class Machine:
    def __init__(self, state):
        self.numbers = Numbers(state)
        self.folder = state / "metrics"
        self.file = self.folder / f"{socket.gethostname()}-{os.getpid()}.json"

    def count(self):
        return sum(sum(row[CLASSES:]) for row in self.numbers.gathered()[0].requests.values())

    def sibling(self, process, *requests):
        tally = Tally()
        for request in requests:
            tally.request(*request)
        self.folder.mkdir(exist_ok=True)
        path = self.folder / f"{socket.gethostname()}-{process}.json"
        path.write_text(json.dumps({**tally.written(), "gauges": {"running": 1}}))
        return path


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_whatever_one_tells_of_itself_the_others_can_read_then(machine):
    machine.numbers.tally.request(*ONE)
    assert machine.count() == 1
    assert json.loads(machine.file.read_text())["requests"][0][:2] == ["GetObject", 200]


def test_they_are_written_only_when_they_changed(machine):
    machine.numbers.leave()
    before = machine.file.stat().st_ino
    machine.numbers.leave()
    assert machine.file.stat().st_ino == before
    machine.numbers.tally.request(*ONE)
    machine.numbers.leave()
    assert machine.file.stat().st_ino != before
    assert len(list(machine.folder.iterdir())) == 1


def test_living_processes_are_added_up(machine):
    machine.sibling(os.getppid(), ONE, ONE)
    machine.numbers.tally.request(*ONE)
    assert machine.count() == 3
    assert machine.count() == 3
    assert len(machine.numbers.gathered()[1]) == 2


def test_what_an_ended_process_counted_goes_to_one_of_the_others(machine, tmp_path):
    path = machine.sibling(GONE, ONE, ONE)
    assert machine.count() == 2
    assert not path.exists()
    other = Numbers(tmp_path)
    assert other.gathered()[0].requests == {}  # it has this process's number, whose file it passes over
    assert machine.count() == 2
    assert len(machine.numbers.gathered()[1]) == 1


def test_a_folder_that_cannot_be_written_costs_the_numbers_and_nothing_else(tmp_path):
    (tmp_path / "metrics").write_text("not a folder")
    machine = Machine(tmp_path)
    machine.numbers.tally.request(*ONE)
    machine.numbers.leave()
    assert machine.count() == 1


@pytest.mark.parametrize("content", ['{"requests": 7}', "not even that", '{"requests": [], "counts": []}'])
def test_what_another_release_left_is_passed_over(machine, content):
    machine.sibling(os.getppid()).write_text(content)
    machine.sibling(GONE).write_text(content)
    assert machine.count() == 0
