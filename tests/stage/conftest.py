"""What a failed stage leaves to look at: the services' logs in one folder, and with NO_TEARDOWN=1 the services themselves.

``./run_tests stage`` gives the services a temporary folder of the run's own and
names the folder for logs in S3SHUNT_STAGE_LOGS.
"""

import os
import re
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest

LOGS = os.environ.get("S3SHUNT_STAGE_LOGS")
KEEP = os.environ.get("NO_TEARDOWN") == "1"


@pytest.hookimpl(tryfirst=True)
def pytest_exception_interact(node):
    """A test has failed, and its services still run."""
    if LOGS and isinstance(node, pytest.Item):
        _save(Path(LOGS) / re.sub(r"[^\w.-]+", "_", node.name))
    if KEEP and isinstance(node, pytest.Item):
        _wait(node)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item, nextitem):
    """After the last test, before anything is stopped."""
    if KEEP and nextitem is None:
        _wait(item)


def _save(folder):
    """Every log below the run's temporary folder, by its path in one flat name."""
    there = Path(tempfile.gettempdir())
    for log in [*there.rglob("*.log"), *there.rglob("log")]:
        if log.is_file() and Path(LOGS) not in log.parents:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(log, folder / "_".join(log.relative_to(there).parts))


def _wait(item):
    """Say where the services are, and leave them until Ctrl-C; once for each test."""
    if getattr(item, "waited_for", False):
        return
    item.waited_for = True
    print(f"\n{item.nodeid}: kept by NO_TEARDOWN=1 until Ctrl-C", file=sys.stderr)
    for name, value in getattr(item, "funcargs", {}).items():
        for url in ("url", "endpoint", "tcp"):
            if isinstance(getattr(value, url, None), str):
                print(f"    {name}: {getattr(value, url)}", file=sys.stderr)
    print(f"    files: {tempfile.gettempdir()}", file=sys.stderr, flush=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        return
