"""Real services as context managers: private, on the loopback, stopped by pid."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener


class NotUp(RuntimeError):
    """A service did not come up; the message ends with what it said."""


@dataclass(frozen=True)
class Service:
    """How one is started in a home of its own, and asked whether it is up."""

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    up: Callable[[], bool]


@contextmanager
def running(
    service: Service, home: Path, *, patience: float, log: Path | None = None, keep: bool = False
) -> Iterator["subprocess.Popen[bytes]"]:
    """Up when entered; killed and gone with its home when left, unless to ``keep``."""
    line, log = list(service.command), log or home / "log"
    if not keep and (setpriv := shutil.which("setpriv")):  # the kernel ends it with us, however we end
        line = [setpriv, "--pdeathsig", "KILL", *line]
    with log.open("wb") as said:
        child = subprocess.Popen(
            line, stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd=home, env=dict(service.environ), start_new_session=keep
        )
    try:
        _wait(service, child, log, patience)
        yield child
    finally:
        if not keep:
            child.send_signal(signal.SIGKILL)
            child.wait()
            shutil.rmtree(home, ignore_errors=True)


def _wait(service: Service, child: "subprocess.Popen[bytes]", log: Path, patience: float) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and child.poll() is None:
        if service.up():
            return
        time.sleep(0.1)
    raise NotUp(f"{service.name} did not come up: {log.read_text(errors='replace')[-2000:]}")


def answers(url: str, status: int) -> bool:
    """Whether a plain GET is answered so."""
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=2) as answer:
            return bool(answer.status == status)
    except HTTPError as error:
        with error:
            return error.code == status
    except (URLError, OSError):
        return False


def new_home(name: str) -> Path:
    return Path(tempfile.mkdtemp(prefix=f"{name}-"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def private(path: Path, text: str) -> Path:
    """A file that nobody else may read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    return path


def credentials(path: Path, access_key: str, secret_key: str) -> Path:
    """What ``[store:NAME] credentials`` reads: one pair for all."""
    return private(path, json.dumps({"": {"access_key": access_key, "secret_key": secret_key}}))
