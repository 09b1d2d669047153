"""The clock set by hand."""

from s3shunt.testing.clock import HandClock


def test_time_passes_only_when_told():
    clock = HandClock(1000)
    assert (clock.now(), clock.monotonic()) == (1000, 1.0)
    clock.sleep(2.5)
    clock.later(500)
    assert clock.now() == 4000
