"""Bytes from one socket to another without a look at them: ``splice(2)`` through a pipe, at most 1 MiB at a time."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

CAPACITY = 1 << 20
KEPT = 16

_idle: list[tuple[int, int]] = []


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    """Its two ends, empty; one that was left with bytes in it, for an error, is not used again."""
    ends = _idle.pop() if _idle else _new()
    clean = False
    try:
        yield ends
        clean = len(_idle) < KEPT
    finally:
        if clean:
            _idle.append(ends)
        else:
            os.close(ends[0])
            os.close(ends[1])


def _new() -> tuple[int, int]:
    ends = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    with suppress(PermissionError):  # one user's pipes share a limit: a small one does, too
        fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, CAPACITY)
    return ends


def move(source: int, count: int, wait: Callable[[], None], sink: Any) -> Iterator[int]:
    """``count`` bytes from a socket to ``sink.send_pipe``; yields how many each time. Ends before that where the source ends.

    ``wait`` returns when there may be more to read.
    """
    with pipe() as (out, into):
        while count:
            try:
                came = os.splice(source, into, min(count, CAPACITY), flags=os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK)
            except BlockingIOError:
                wait()
                continue
            if not came:
                return
            sink.send_pipe(out, came)
            count -= came
            yield came
