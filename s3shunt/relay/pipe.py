"""Bytes from one socket to another without a look at them: ``splice(2)`` through a pipe, at most 1 MiB at a time."""

import fcntl
import os
import struct
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

CAPACITY = 1 << 20
FLAGS = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK
KEPT = 16

_idle: list[tuple[int, int]] = []


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    """Its two ends, empty; one that was left with bytes in it is not used again."""
    ends = _idle.pop() if _idle else _new()
    try:
        yield ends
    finally:
        if len(_idle) < KEPT and not holds(ends[0]):
            _idle.append(ends)
        else:
            os.close(ends[0])
            os.close(ends[1])


def _new() -> tuple[int, int]:
    ends = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    with suppress(PermissionError):  # one user's pipes share a limit: a small one does, too
        fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, CAPACITY)
    return ends


def ready() -> bool:
    """Whether there is one to be had. Descriptors may be short; then bytes go by hand."""
    with suppress(OSError):
        if not _idle:
            _idle.append(_new())
    return bool(_idle)


def holds(out: int) -> int:
    """How many bytes are in it."""
    return int(struct.unpack("i", fcntl.ioctl(out, termios.FIONREAD, bytes(4)))[0])


def move(source: int, count: int, wait: Callable[[], None], sink: Any) -> Iterator[int]:
    """``count`` bytes from a socket to ``sink.send_pipe``; yields how many each time. Ends before that where the source ends.

    ``wait`` returns when there may be more to read.
    """
    with pipe() as (out, into):
        while count:
            try:
                came = os.splice(source, into, min(count, CAPACITY), flags=FLAGS)
            except BlockingIOError:
                wait()
                continue
            if not came:
                return
            sink.send_pipe(out, came)
            count -= came
            yield came
