"""A clock set by hand: time passes only when a test says so."""

import threading


class HandClock:
    """Starts on 2026-01-05 10:30 UTC, a Monday."""

    def __init__(self, now: int = 1_767_609_000_000) -> None:
        self._now = now
        self._lock = threading.Lock()

    def now(self) -> int:
        return self._now

    def monotonic(self) -> float:
        return self._now / 1000

    def sleep(self, seconds: float) -> None:
        self.later(int(seconds * 1000))

    def later(self, milliseconds: int) -> None:
        """Move the hands forward."""
        with self._lock:
            self._now += milliseconds
