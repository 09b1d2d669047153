"""A whole installation as ``s3shunt up`` starts it: what it said, whom to ask, and the processes below it."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from s3shunt.testing import stage

COMMAND = [sys.executable, "-m", "s3shunt"]
Family = dict[int, str]
"""Command lines of processes, by pidfd."""


@contextmanager
def installation(ini: Path, log: Path, *words: str) -> Iterator[tuple["subprocess.Popen[str]", dict[str, str]]]:
    """``s3shunt up WORDS INI``: the process, and what READY says. Its standard error is added to ``log``."""
    environ = {name: value for name, value in os.environ.items() if name != "S3SHUNT_STATE"}
    with log.open("ab") as stderr:
        child = subprocess.Popen([*COMMAND, "up", *words, str(ini)], stdout=subprocess.PIPE, stderr=stderr, env=environ, text=True)
    try:
        line = child.stdout.readline() if child.stdout else ""
        assert line.startswith("READY "), log.read_text()[-2000:]
        yield child, json.loads(line.removeprefix("READY "))
    finally:
        child.send_signal(signal.SIGINT)
        rest, _ = child.communicate(timeout=60)
        assert rest == "", "READY is the only line on stdout"


def client(said: Mapping[str, str]) -> Any:
    """boto3 with the first of the generated keys."""
    key = json.loads(Path(said["keys_file"]).read_text())[0]
    return stage.client(said["endpoint"], key["access_key"], key["secret_key"], retries={"max_attempts": 0})


def family(pid: int) -> Family:
    """Everything below a process."""
    found: Family = {}
    below = [pid]
    while below:
        for child in Path(f"/proc/{below.pop()}/task").glob("*/children"):
            for each in map(int, child.read_text().split()):
                found[os.pidfd_open(each)] = Path(f"/proc/{each}/cmdline").read_text().replace("\0", " ")
                below.append(each)
    return found


def left(started: Family, seconds: float = 5) -> list[str]:
    """Those that are still there after so long."""
    return [line for watched, line in started.items() if not select.select([watched], [], [], seconds)[0]]
