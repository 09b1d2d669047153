"""A private redis-server in a temporary directory: unix socket and a free port, nothing kept on disk."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from s3shunt import clock


def installed() -> bool:
    return shutil.which("redis-server") is not None


@dataclass
class Running:
    """``url`` is redis+unix://, ``tcp`` redis://; both lead to the same server, also after ``start`` again."""

    home: Path
    port: int
    settings: tuple[str, ...]
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis+unix://{self.home}/redis.sock"

    @property
    def tcp(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self.process is not None, "it is not running"
        return self.process.pid

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", f"{self.home}/redis.sock"]
        command += ["--unixsocketperm", "700", "--save", "", "--appendonly", "no", "--dir", str(self.home)]
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen([*command, *self.settings], stdout=log, stderr=log)
        deadline = clock.wall.monotonic() + 10
        while not self._answers():
            if clock.wall.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError((self.home / "log").read_text(errors="replace"))
            clock.wall.sleep(0.02)

    def stop(self) -> None:
        """As an operator would."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """It keeps its connections and answers nothing, until ``thaw``."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(how)
            self.process.wait(10)
            self.process = None

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(1)
            try:
                link.connect(f"{self.home}/redis.sock")
                link.sendall(b"PING\r\n")
                return link.recv(5) != b""  # also a refusal for want of a password is an answer
            except OSError:
                return False


@contextmanager
def redis(*settings: str) -> Iterator[Running]:
    """A running server. ``settings`` are further arguments of redis-server."""
    with tempfile.TemporaryDirectory(prefix="s3shunt-redis-") as directory:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        running = Running(Path(directory), port, settings)
        try:
            running.start()
            yield running
        finally:
            running.kill()
