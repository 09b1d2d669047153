"""The wall clock."""

from s3shunt.clock import wall


def test_the_wall_clock_tells_milliseconds_and_does_not_run_backwards():
    assert wall.now() > 1_700_000_000_000
    first = wall.monotonic()
    wall.sleep(0)
    assert wall.monotonic() >= first
