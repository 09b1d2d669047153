"""The only file that asks the time.

Code that needs the time takes a ``Clock``; tests pass ``s3shunt.testing.clock.HandClock``.
"""

import time
from typing import Protocol


class Clock(Protocol):
    def now(self) -> int:
        """Milliseconds since the epoch, UTC: for signatures, dates and leases."""

    def monotonic(self) -> float:
        """Seconds that never run backwards: for deadlines and durations."""

    def sleep(self, seconds: float) -> None:
        """Wait. A test's clock only moves its hands."""


class WallClock:
    def now(self) -> int:
        return time.time_ns() // 1_000_000

    monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)


wall = WallClock()
