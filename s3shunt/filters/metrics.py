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

import os
import threading
from dataclasses import dataclass
from typing import ClassVar

from s3shunt import green, wsgi
from s3shunt.config import duration, option
from s3shunt.connect import House
from s3shunt.protocol.errors import S3Error
from s3shunt.wsgi import Handler, Request, Response

TICK = 0.25  # seconds between two looks at how late the hub is


@dataclass(frozen=True)
class Options:
    every: int = option(duration, "1s", help="How often a process leaves its numbers for the others to tell.")


class Metrics:
    def __init__(self, forward: Handler, options: Options, house: House) -> None:
        self.forward = forward
        self.monotonic = house.clock.monotonic
        self.tally = house.numbers.tally
        self.gauges = house.numbers.gauges
        self.ticking = Ticking(house, options.every)

    def __call__(self, request: Request) -> Response:
        context, gauges = request.context, self.gauges
        if not context.started:
            context.started = self.monotonic()
        if self.ticking.process != Ticking.this:
            self.ticking.begin()
        gauges["running"] += 1
        response = None
        try:
            response = self.forward(request)
        finally:
            gauges["running"] -= response is None
        response.watch(request, self._closed)
        return response

    def _closed(self, request: Request, response: Response, sent: int) -> None:
        context, counts = request.context, self.tally.counts
        self.gauges["running"] -= 1
        try:
            operation = request.operation.name
        except S3Error:
            operation = "unknown"
        self.tally.request(operation, response.status_int, request.taken, sent, self.monotonic() - context.started)
        if context.upstream_status:
            counts["upstream", str(context.upstream_status)] += 1
        if context.upstream_attempts > 1:
            counts["retries", ""] += context.upstream_attempts - 1
        if context.error_code:
            counts["error", context.error_code] += 1


class Ticking:
    """What goes on in the background of each process: how late the hub is, and the numbers left for the others."""

    this: ClassVar[int] = os.getpid()
    """The process that runs here, known without asking for each request."""

    def __init__(self, house: House, every: int) -> None:
        self.house = house
        self.every = every / 1000
        self.process = 0
        """The one in which it goes on."""
        self._lock = threading.Lock()

    @classmethod
    def forked(cls) -> None:
        cls.this = os.getpid()

    def begin(self) -> None:
        """From the first request of this process on, until it ends."""
        with self._lock:
            begun, self.process = self.process, self.this
        if begun != self.this:
            green.spawn(self._run)

    def _run(self) -> None:
        clock, numbers, waited = self.house.clock, self.house.numbers, 0.0
        while True:
            before = clock.monotonic()
            green.sleep(TICK)
            late = clock.monotonic() - before - TICK
            numbers.gauges["late"] = max(late, numbers.gauges["late"] * 0.9)
            waited += TICK
            if waited >= self.every:
                waited = 0.0
                green.offload(numbers.leave)


os.register_at_fork(after_in_child=Ticking.forked)
factory = wsgi.filter_factory(Metrics, Options, "filter:metrics")
