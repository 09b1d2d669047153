"""Children are started, started again when they fall, and stopped with all they started."""

import os
import select
import signal
import subprocess
import sys

import pytest

from s3shunt import clock
from s3shunt.cli import children
from s3shunt.cli.children import Child, ChildFailed, Family
from s3shunt.testing.clock import HandClock

SLEEPER = (sys.executable, "-c", "import time; time.sleep(60)")


@pytest.fixture
def family():
    made = Family()
    yield made
    made.stop()


@pytest.fixture
def time(monkeypatch):
    hand = HandClock()
    monkeypatch.setattr(clock, "wall", hand)
    return hand


def ends(watched):
    """Whether the process behind a pidfd ends soon."""
    ended = bool(select.select([watched], [], [], 10)[0])
    os.close(watched)
    return ended


def test_stop_ends_every_child_and_what_it_started(family, tmp_path):
    shell = f"sleep 60 & echo $! > {tmp_path}/pid; echo ready; wait"
    family.start(Child("shell", ["sh", "-c", shell]), ready_line=True)
    grandchild = os.pidfd_open(int((tmp_path / "pid").read_text()))
    family.stop()
    assert family.children[0].process.returncode == -signal.SIGTERM
    assert ends(grandchild)


def test_a_child_that_ignores_sigterm_is_killed(family, monkeypatch):
    monkeypatch.setattr(children, "GRACE", 0.1)
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); signal.pause()"
    child = family.start(Child("deaf", [sys.executable, "-c", deaf]), ready_line=True)
    family.stop()
    assert child.process.returncode == -signal.SIGKILL


def test_the_last_started_is_stopped_first(family, tmp_path):
    end = "signal.signal(15, lambda *_: (open({!r}, 'a').write({!r}), sys.exit()))"
    tell = f"import signal, sys\n{end}\nprint('up', flush=True)\nsignal.pause()"
    for name in "ab":
        family.start(Child(name, [sys.executable, "-c", tell.format(str(tmp_path / "order"), name)]), ready_line=True)
    family.stop()
    assert (tmp_path / "order").read_text() == "ba"


def test_a_fallen_child_is_started_again_after_a_pause_that_grows(family, time):
    child = family.start(Child("brief", [sys.executable, "-c", ""]))
    pauses = []
    for _ in range(3):
        child.process.wait()
        family.revive()  # notices
        pauses.append(child.pause)
        assert child.dead, "it was started without its pause"
        time.later(int(child.pause * 1000))
        family.revive()  # starts
        assert child.due == 0.0
    assert pauses == [0.5, 1.0, 2.0]


def test_a_child_that_lived_long_begins_with_the_short_pause(family, time):
    child = family.start(Child("brief", [sys.executable, "-c", ""]))
    child.pause = 16.0
    child.process.wait()
    time.later(120_000)
    family.revive()
    assert child.pause == 0.5


def test_a_child_that_ends_before_it_is_ready_says_why(family, tmp_path):
    words = [sys.executable, "-c", "import sys; sys.exit('no such disk')"]
    with pytest.raises(ChildFailed, match="swift did not start: no such disk"):
        family.start(Child("swift", words, tmp_path / "log"), ready_line=True)


def test_a_child_ends_when_its_parent_is_killed():
    code = (
        "import time\nfrom s3shunt.cli.children import Child\n"
        f"child = Child('c', {SLEEPER!r})\nchild.start()\nprint(child.process.pid, flush=True)\ntime.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    with parent.stdout:
        watched = os.pidfd_open(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    assert ends(watched)
