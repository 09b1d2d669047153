"""A real program of a site: started, asked whether it is ready, stopped or killed by its pid."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from s3shunt import clock

POLL = 0.05
GRACE = 15.0
ME = (sys.executable, "-m", "s3shunt")


class NotInTime(AssertionError):
    """Something that should have come true did not, within its deadline."""


def until(what: str, true: Callable[[], object], seconds: float = 60.0) -> None:
    """Return when ``true`` says so. Raises NotInTime, naming ``what``."""
    deadline = clock.wall.monotonic() + seconds
    while not true():
        if clock.wall.monotonic() > deadline:
            raise NotInTime(f"not within {seconds:g} s: {what}")
        clock.wall.sleep(POLL)


@dataclass
class Process:
    """``ready`` is asked until it says yes. It ends with the thread that started it, unless ``kept``. It runs in ``home``."""

    name: str
    command: Sequence[str]
    log: Path
    ready: Callable[[], bool] = lambda: True
    environ: dict[str, str] = field(default_factory=dict, repr=False)
    kept: bool = False
    home: Path | None = None
    running: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Begin, and return when it is ready. Raises NotInTime with the end of its log."""
        prefix = () if self.kept else ("setpriv", "--pdeathsig", "TERM")
        environ = {**{name: value for name, value in os.environ.items() if name != "S3SHUNT_STATE"}, **self.environ}
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                [*prefix, *self.command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=environ, cwd=self.home, start_new_session=True,
            )  # fmt: skip
        try:
            until(f"{self.name} is ready", self._up)
        except NotInTime as error:
            self.kill()
            raise NotInTime(f"{error}\n{self.said()}") from None

    def _up(self) -> bool:
        assert self.running is not None
        if self.running.poll() is not None:
            raise NotInTime(f"{self.name} ended with {self.running.returncode}")
        return self.ready()

    @property
    def pid(self) -> int:
        assert self.running is not None, f"{self.name} is not running"
        return self.running.pid

    def stop(self) -> None:
        """As an operator would; killed when it takes too long."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """At once, with nothing said or written any more; so do its children."""
        if self.running is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.running.pid, signal.SIGKILL)
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self.running is None:
            return
        self.running.send_signal(how)
        try:
            self.running.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.running.kill()
            self.running.wait()
        self.running = None

    def revive(self, seconds: float = 60.0) -> None:
        """Started until it stays, as its supervisor would: PostgreSQL waits for its own remains."""
        deadline = clock.wall.monotonic() + seconds
        while clock.wall.monotonic() < deadline:
            with suppress(NotInTime):
                return self.start()
            clock.wall.sleep(0.3)
        return self.start()

    def said(self, size: int = 3000) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-size:] if self.log.exists() else ""
