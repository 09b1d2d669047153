"""Dying at any line: what a process did until then must be enough for the next one."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

DIED, LIVED = 9, 0


def at_every_line(act: Callable[[], object], inside: Path) -> Iterator[int]:
    """Run ``act`` in a child that ends, as by SIGKILL, at its first line within ``inside``; then at its second ...

    Yields the number of the line after each death, until a child lives.
    """
    line = 0
    while True:
        line += 1
        child = os.fork()
        if not child:
            _act_and_die(act, str(inside), line)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status == LIVED:
            return
        assert status == DIED, f"died at line {line} of another cause: {status}"
        yield line


def _act_and_die(act: Callable[[], object], inside: str, last: int) -> None:
    seen = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal seen
        if not frame.f_code.co_filename.startswith(inside):
            return None
        if event == "line":
            seen += 1
            if seen == last:
                os._exit(DIED)
        return trace

    status = 1
    try:
        sys.settrace(trace)
        act()
        status = LIVED
    finally:
        os._exit(status)
