"""The memory of a process that serves: what was loaded stays, what comes and goes by the piece is kept for the next one."""

import ctypes
import gc

GARBAGE = 20_000
"""Objects more than were freed, before the collector looks for circles among them."""
KEPT = 16 << 20
"""Bytes that may lie free before the C library gives them back to the kernel; and the smallest piece it asks the kernel for by itself."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # mallopt(3)


def calm_collector() -> None:
    """What was loaded stays for good and is not looked through again. A request leaves no garbage that needs looking for."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE, 20, 50)


def keep_buffers() -> bool:
    """Have the C library keep what is freed. False where it knows of no such thing.

    Pieces of bodies and listings are of 64 KiB to 1 MiB: each would be given back to the kernel and asked for anew, at the
    price of a page fault for every 4 KiB.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    return set_option is not None and bool(set_option(_TRIM_THRESHOLD, KEPT) and set_option(_MMAP_THRESHOLD, KEPT))
