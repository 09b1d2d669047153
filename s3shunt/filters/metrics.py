"""Counts requests by operation and status, their bytes and how long they took, for ``[app:metrics]`` to tell.

What is counted, beside requests: what the store answered, refusals by code, and, in this process, requests under way and how late its
hub is (a timer's delay: what every request waits at least). Nothing is kept about single objects, keys or clients, so there
are as many numbers as there are operations, however many clients there are.

Each worker keeps its own numbers and leaves them, once a second where they changed, in ``${state}/metrics``; whichever
worker answers for ``[app:metrics]`` adds them up. A worker that ends leaves its numbers to the others: they never go down.
Losing that folder loses numbers, and nothing else.

It stands outside ``errors``, inside ``access_log``, and refuses nothing.

    [filter:metrics]
    use = egg:s3shunt#metrics
"""

import json
import os
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

from s3shunt import green, wsgi
from s3shunt.config import duration, option
from s3shunt.connect import House
from s3shunt.protocol.errors import S3Error
from s3shunt.wsgi import Handler, Request, Response, watch_close

TICK = 0.25  # seconds between two looks at how late the hub is


@dataclass(frozen=True)
class Options:
    every: int = option(duration, "1s", help="How often a process leaves its numbers for the others to tell.")


class Metrics:
    def __init__(self, forward: Handler, options: Options, house: House) -> None:
        self.forward = forward
        self.clock = house.clock
        self.tally = house.tally
        self.gauges = house.gauges
        self.left = Left(house, options.every)

    def __call__(self, request: Request) -> Response:
        started = self.clock.monotonic()
        self.left.follow()
        self.gauges["running"] += 1
        answered = False
        try:
            response = self.forward(request)
            answered = True
        finally:
            self.gauges["running"] -= not answered

        def closed(sent: int) -> None:
            self.gauges["running"] -= 1
            self._count(request, response.status_int, sent, self.clock.monotonic() - started)

        watch_close(response, closed)
        return response

    def _count(self, request: Request, status: int, sent: int, seconds: float) -> None:
        context, counts = request.context, self.tally.counts
        self.tally.request(_operation(request), status, request.taken, sent, seconds)
        if context.upstream_status:
            counts["upstream", str(context.upstream_status)] += 1
        if context.upstream_attempts > 1:
            counts["retries", ""] += context.upstream_attempts - 1
        if context.error_code:
            counts["error", context.error_code] += 1


def _operation(request: Request) -> str:
    try:
        return request.operation.name
    except S3Error:
        return "unknown"


class Left:
    """Numbers of this process in a file for its siblings: ``HOST-PID.json``."""

    def __init__(self, house: House, every: int) -> None:
        self.house = house
        self.folder = house.state / "metrics"
        self.every = every / 1000
        self._process = 0
        self._lock = threading.Lock()
        self._last = ""

    def follow(self) -> None:
        """From the first request of this process on, until it ends."""
        if self._process == os.getpid():
            return
        with self._lock:
            begun, self._process = self._process, os.getpid()
        if begun != os.getpid():
            green.spawn(self._run)

    def _run(self) -> None:
        clock, waited = self.house.clock, 0.0
        while True:
            before = clock.monotonic()
            green.sleep(TICK)
            late = clock.monotonic() - before - TICK
            self.house.gauges["late"] = max(late, self.house.gauges["late"] * 0.9)
            waited += TICK
            if waited >= self.every:
                waited = 0.0
                green.offload(self.write)

    def write(self) -> None:
        """Leave the numbers, if they changed. A folder that cannot be written costs the numbers, never a request."""
        said = json.dumps({**self.house.tally.written(), "gauges": self.house.gauges})
        if said == self._last:
            return
        fresh = self.folder / f".{uuid4().hex}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            fresh.write_text(said, encoding="ascii")
            fresh.replace(self.folder / f"{socket.gethostname()}-{os.getpid()}.json")
        except OSError:
            with suppress(OSError):
                fresh.unlink()
            return
        self._last = said


factory = wsgi.filter_factory(Metrics, Options, "filter:metrics")
