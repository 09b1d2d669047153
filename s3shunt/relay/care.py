"""What keeps a store that is in trouble from being asked ever more: a breaker, a budget for second tries, and pauses before them."""

import logging
import random
import threading

from s3shunt import clock, green
from s3shunt.clock import Clock
from s3shunt.protocol.errors import ServiceUnavailable

log = logging.getLogger(__name__)

FAILURES = 8
"""In a row, after which nobody is sent there but a probe."""
PROBE = 1.0
"""Seconds between two probes."""
SHARE = 0.1
"""Second tries that each request earns."""
FIRST = 10.0
SAVED = 100.0
"""Second tries that there are at the start, and that may be saved up at most."""


class Breaker:
    """Opens after failures in a row; then one request a second goes through, and the first that is answered closes it.

    One that is closed but has ``failures`` is doubted: who has another endpoint asks that one, but for the same probe.
    """

    def __init__(self, timer: Clock, endpoint: str = "") -> None:
        self._timer = timer
        self._endpoint = endpoint
        self.failures = 0
        self._probe = 0.0

    @property
    def open(self) -> bool:
        return self.failures >= FAILURES

    def admits(self) -> bool:
        """Whether a request may go out now."""
        return not self.open or self.probes()

    def probes(self, patience: float = PROBE) -> bool:
        """Whether it is time to see how it does: a second after that failed, or after so many seconds without a word."""
        now = self._timer.monotonic()
        if now < self._probe:
            return False
        self._probe = now + patience
        return True

    def answered(self) -> None:
        if self.failures:
            if self.open:
                log.warning("%s answers again", self._endpoint)
            self.failures = 0

    def failed(self) -> None:
        self.failures += 1
        soon = self._timer.monotonic() + PROBE
        self._probe = soon if self.failures in (1, FAILURES) else min(self._probe, soon)
        if self.failures == FAILURES:
            log.warning("%s does not answer: it is asked once a second how it does", self._endpoint)


class Budget:
    """Second tries are at most a tenth of the first ones, with some saved up for a bad moment."""

    def __init__(self) -> None:
        self._saved = FIRST
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


def pause(attempt: int, end: float) -> None:
    """Before another attempt, at random, so that those who failed together do not come together. Raises ServiceUnavailable at ``end``."""
    seconds = random.uniform(0.01, 0.1) * attempt
    if clock.wall.monotonic() + seconds >= end:
        raise ServiceUnavailable(retry_after=1)
    green.sleep(seconds)
