"""What keeps a store that is in trouble from being asked ever more: a breaker, and a budget for second tries."""

import threading

from s3shunt.clock import Clock

FAILURES = 8
PROBE = 1.0
SHARE = 0.1
SAVED = 10.0


class Breaker:
    """Opens after failures in a row; then one request a second goes through, and the first that is answered closes it."""

    def __init__(self, timer: Clock) -> None:
        self._timer = timer
        self._failures = 0
        self._probe = 0.0

    @property
    def open(self) -> bool:
        return self._failures >= FAILURES

    def admits(self) -> bool:
        """Whether a request may go out now."""
        if not self.open:
            return True
        now = self._timer.monotonic()
        if now < self._probe:
            return False
        self._probe = now + PROBE
        return True

    def answered(self) -> None:
        self._failures = 0

    def failed(self) -> None:
        self._failures += 1
        if self._failures == FAILURES:
            self._probe = self._timer.monotonic() + PROBE


class Budget:
    """Second tries are at most a tenth of the first ones, with a few saved up for a bad moment."""

    def __init__(self) -> None:
        self._saved = SAVED
        self._lock = threading.Lock()

    def earn(self) -> None:
        if self._saved < SAVED:
            self._saved = min(SAVED, self._saved + SHARE)

    def spend(self) -> bool:
        """Whether one more try is allowed."""
        with self._lock:
            if self._saved < 1:
                return False
            self._saved -= 1
            return True
