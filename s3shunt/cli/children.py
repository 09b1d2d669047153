"""Child processes of ``s3shunt up``: started, watched, started again, stopped by their process group."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from s3shunt import clock, config
from s3shunt.cli import say
from s3shunt.config import option

PR_SET_PDEATHSIG = 1
GRACE = 10.0
LONGEST_PAUSE = 30.0
LIBC = ctypes.CDLL(None)


@dataclass(frozen=True)
class Options:
    """``[up]``: what ``s3shunt up`` starts beside proxy and worker."""

    children: tuple[str, ...] = option(config.words, "", help="A store here: 'swift', 'minio' or 'weed'; and 'redis'. Or nothing.")
    patience: int = option(config.duration, "60s", help="How long a start may take before it is given up.")


def log(state: Path, name: str) -> Path:
    """Where a child of this installation speaks."""
    (state / "log").mkdir(exist_ok=True)
    return state / "log" / f"{name}.log"


def end_with_parent() -> None:
    """In the child, before its program: be told when the parent is gone."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass
class Child:
    """One program in a process group of its own. ``log`` takes what it says; without one it speaks on our stderr.

    ``environ`` is all it finds there; without one, what we have. It is killed when it has not ended ``grace`` seconds after
    it was asked to.
    """

    name: str
    command: Sequence[str]
    log: Path | None = None
    environ: Mapping[str, str] | None = field(default=None, repr=False)
    grace: float | None = None
    process: subprocess.Popen[bytes] | None = None
    pause: float = 0.0
    due: float = 0.0
    started: float = 0.0
    said: list[str] = field(default_factory=list)

    def start(self, *, ready_line: bool = False) -> None:
        """Raises ChildFailed when it should say that it is ready and ends instead."""
        err: int | IO[bytes] = self.log.open("ab") if self.log else sys.stderr.fileno()
        out = subprocess.PIPE if ready_line else err
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True, env=self.environ,
            preexec_fn=end_with_parent,  # noqa: PLW1509  # one thread here, and prctl allocates nothing
        )
        if not isinstance(err, int):
            err.close()
        self.started = clock.wall.monotonic()
        if ready_line:
            self._await_line()

    def _await_line(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.process.stdout.close()
        if not line:
            self.process.wait()
            raise ChildFailed(f"{self.name} did not start{self.last_words()}")

    def last_words(self) -> str:
        if self.log is None or not self.log.exists():
            return ""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return f": {lines[-1]} (more in {self.log})" if lines else ""

    @property
    def dead(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def signal(self, number: int) -> None:
        """To the whole group, so that what it started ends too."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            return


class ChildFailed(Exception):
    """A child could not be started; the message is for the operator."""


class Family:
    """All children, in the order they were started; stopped in the reverse order."""

    def __init__(self) -> None:
        self.children: list[Child] = []

    def start(self, child: Child, *, ready_line: bool = False) -> Child:
        self.children.append(child)
        child.start(ready_line=ready_line)
        return child

    def fallen(self) -> list[Child]:
        return [child for child in self.children if child.dead]

    def revive(self) -> None:
        """Start again what ended by itself, each time after a longer pause."""
        now = clock.wall.monotonic()
        for child in self.fallen():
            assert child.process is not None
            if child.due == 0.0:
                lived = now - child.started
                child.pause = 0.5 if lived > 2 * LONGEST_PAUSE else min(max(child.pause * 2, 0.5), LONGEST_PAUSE)
                child.due = now + child.pause
                say.err.print(f"{child.name} ended with {child.process.returncode}; starting it again in {child.pause:g} s")
            elif now >= child.due:
                child.due = 0.0
                child.start()

    def stop(self) -> None:
        """SIGTERM to the last started first; SIGKILL to what is still there after the grace."""
        for child in reversed(self.children):
            child.signal(signal.SIGTERM)
            _wait(child)
            child.signal(signal.SIGKILL)  # what the group's leader left behind


def _wait(child: Child) -> None:
    if child.process is None:
        return
    grace = GRACE if child.grace is None else child.grace
    try:
        child.process.wait(grace)
    except subprocess.TimeoutExpired:
        if child.grace is None:
            say.err.print(f"{child.name} did not end within {grace:g} s and is killed")
        child.signal(signal.SIGKILL)
        child.process.wait()
