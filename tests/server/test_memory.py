import gc
import resource

import pytest

from s3shunt.server import memory

PIECE = 1 << 20


def faults(times):
    """Pages that were asked of the kernel while so many pieces came and went."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        one, other = bytearray(PIECE), bytearray(PIECE)
        del one, other
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_pieces_that_come_and_go_do_not_come_from_the_kernel_each_time():
    if not memory.keep_buffers():
        pytest.skip("this C library has no mallopt")
    faults(4)
    assert faults(50) < 50 * PIECE // 4096


def test_what_was_loaded_is_not_looked_through_again():
    was = gc.get_threshold()
    try:
        memory.calm_collector()
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] == memory.GARBAGE
    finally:
        gc.unfreeze()
        gc.set_threshold(*was)
