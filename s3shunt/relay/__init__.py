"""The streaming HTTP client of the data path: ``Relay(endpoint, limits).send(head, body) -> answer``.

What it promises, and its tests hold it to:

- the target goes out exactly as given; no redirects, no proxies from the environment, TLS verified;
- a request body that raises, or has another length than announced, cuts the
  connection at once: the store sees a cut body and stores nothing;
- an answer given before the body was sent is read and relayed;
- an answer whose end is not known for sure is no answer, and a body that ends
  early raises IncompleteBody, never ends quietly;
- a connection is used again only after its answer was read to the end and
  nothing follows it; every other way out destroys it;
- every wait has a deadline, all attempts and the wait for the head of an answer one together, the pool a cap; a store that
  does not answer is left alone but for one probe a second, and is not asked more than a tenth more often for failing.
"""

import ssl
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from s3shunt import clock
from s3shunt.protocol.errors import IncompleteBody, ServiceUnavailable, SlowDown
from s3shunt.relay import link as links
from s3shunt.relay import upload
from s3shunt.relay.body import BROKEN, AnswerBody, Whole
from s3shunt.relay.care import Breaker, Budget, pause
from s3shunt.relay.head import LONGEST, Head, Told, Unclear, read
from s3shunt.relay.link import PIECE, Link
from s3shunt.relay.sign import sign

__all__ = ["Answer", "AnswerBody", "Head", "Limits", "Relay", "Whole", "sign"]

INTERIM = 8
"""Heads such as 100 Continue that may come before the answer's."""
FRESH = 1_000
"""Milliseconds for which a connection may have been idle that takes what cannot be repeated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long (milliseconds), and how many."""

    connect: int = 2_000
    response: int = 60_000
    """For the whole head of an answer."""
    budget: int = 90_000
    """For connecting and that head, in all attempts together."""
    gap: int = 30_000
    """For each piece of a body."""
    idle: int = 4_000
    """How long a connection is kept that nobody uses."""
    connections: int = 1024
    retries: int = 2
    """Attempts beyond the first."""
    probe: int = 5_000
    """What ``budget`` is for an endpoint that is tried out while there are others."""


@dataclass(slots=True)
class Answer:
    """What came back. ``body`` must be read to its end or closed; ``attempts`` counts what it took.

    ``endpoint`` says who answered, where there are several.
    """

    status: int
    reason: str
    fields: list[tuple[str, str]]
    body: AnswerBody | Whole
    attempts: int = 1
    endpoint: str = ""

    def field(self, name: str) -> str | None:
        return next((value for key, value in self.fields if key.lower() == name), None)


class Relay:
    """One store's connections. Shared by all requests of a process; may be called from any thread."""

    def __init__(self, endpoint: str, limits: Limits = Limits(), *, cafile: str | None = None, timer: clock.Clock = clock.wall) -> None:
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
            raise ValueError(f"endpoint {endpoint}: expected http(s)://host[:port]")
        self.host = parts.netloc.rpartition("@")[2]
        self._address = (parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))
        self._tls: ssl.SSLContext | None = links.tls(cafile) if parts.scheme == "https" else None
        self.limits = limits
        self._response = limits.response / 1000
        self._timer = timer
        self._lock = threading.RLock()  # never held over I/O; an answer may be collected, and so closed, at any moment
        self._idle: list[tuple[Link, float]] = []
        """The last that was used goes first. ``append`` and ``pop`` need no lock."""
        self._open = 0
        self.breaker, self._budget = Breaker(timer, endpoint), Budget()

    def send(self, head: Head, body: Iterable[bytes] = (), *, retry: bool = False) -> Answer:
        """Raises ServiceUnavailable when the store gives no answer, SlowDown when too many wait for it.

        With ``retry`` (an idempotent request without a body) a failed attempt is
        made again, at most ``limits.retries`` times. What ``body`` raises comes
        through as it is.
        """
        if self.breaker.failures and not self.breaker.admits():
            raise ServiceUnavailable(retry_after=1)
        self._budget.earn()
        attempt, wire, end = 1, head.wire(), clock.wall.monotonic() + self.limits.budget / 1000
        while True:
            try:
                answer = self.exchange(self.take(end, fresh=attempt > 1 or not retry), head, wire, body, end)
                answer.attempts = attempt
                return answer
            except ServiceUnavailable:
                if not retry or attempt > self.limits.retries or not self._budget.spend():
                    raise
            pause(attempt, end)
            attempt += 1

    def exchange(self, link: Link, head: Head, wire: bytes, body: Iterable[bytes], end: float) -> Answer:
        """One attempt. Raises ServiceUnavailable when no answer came, by ``end`` (monotonic seconds; a body has its own time)."""
        done = False
        try:
            if head.length or body:
                left = end - clock.wall.monotonic()
                whole = upload.send(link, head, wire, body, self.limits.gap / 1000)
                link.until(min(left, self._response))
            else:
                whole = True
                link.deadline = min(clock.wall.monotonic() + self._response, end)
                link.send(wire)
            told, rest = _answer(link, head.method)
            if self.breaker.failures:
                self.breaker.answered()
            if not whole and told.status < 400:
                raise ServiceUnavailable("The store answered before it had the whole body.", retry_after=1)
            done = True
        except BROKEN as error:
            self.breaker.failed()
            raise ServiceUnavailable(retry_after=1) from error
        finally:
            if not done:
                self._destroy(link)
        ended = self._ended if whole and told.lasting else self._spent
        if told.length == len(rest):
            ended(link, True)  # noqa: FBT003  # as AnswerBody calls
            return Answer(told.status, told.reason, told.fields, Whole(rest))
        answered = AnswerBody(link, rest, told.length, self.limits.gap / 1000, ended)
        if told.length == 0:
            answered.finish()
        return Answer(told.status, told.reason, told.fields, answered)

    def begin(self, answer: Answer) -> None:
        """Wait for the first bytes of its body. Raises ServiceUnavailable when they do not come: nobody has seen anything yet."""
        try:
            answer.body.begin()
        except IncompleteBody as error:
            self.breaker.failed()
            raise ServiceUnavailable(retry_after=1) from error

    def take(self, end: float, *, fresh: bool) -> Link:
        """A quiet pooled connection, or a new one. ``fresh``: not one that may just be closing. Raises SlowDown.

        Raises ServiceUnavailable when there is none by ``end``: nothing was sent.
        """
        idle = (FRESH if fresh else self.limits.idle) / 1000
        while self._idle:
            try:
                link, since = self._idle.pop()
            except IndexError:  # another thread was quicker
                break
            if self._timer.monotonic() - since < idle and link.usable and not link.stirred():
                return link
            self._destroy(link)
        return self._connected(end)

    def _connected(self, end: float) -> Link:
        with self._lock:
            if self._open >= self.limits.connections:
                raise SlowDown(retry_after=1)
            self._open += 1
        done = False
        try:
            link = links.connect(self._address, self._tls, min(self.limits.connect / 1000, end - clock.wall.monotonic()))
            done = True
        except OSError as error:
            self.breaker.failed()
            raise ServiceUnavailable(retry_after=1) from error
        finally:
            if not done:
                with self._lock:
                    self._open -= 1
        return link

    def _ended(self, link: Link, clean: bool) -> None:  # noqa: FBT001  # as AnswerBody calls
        if clean:
            self._idle.append((link, self._timer.monotonic()))
        else:
            self._destroy(link)

    def _spent(self, link: Link, _: bool) -> None:  # noqa: FBT001
        self._destroy(link)

    def _destroy(self, link: Link) -> None:
        with self._lock:
            self._open -= 1
        link.close()

    def close(self) -> None:
        """Drop what is idle."""
        with suppress(IndexError):
            while True:
                self._destroy(self._idle.pop()[0])

    @property
    def open(self) -> int:
        """Connections that exist, idle ones included."""
        return self._open

    @property
    def busy(self) -> int:
        """Connections in use."""
        return self._open - len(self._idle)


def _answer(link: Link, method: str) -> tuple[Told, bytes]:
    """The head of the answer, and what came with it. Raises BROKEN."""
    data = link.receive(PIECE, ready=False)
    for _ in range(INTERIM):
        end = data.find(b"\r\n\r\n")
        if end < 0:
            data, end = _more(link, data)
        if end > LONGEST:
            raise Unclear("the head is too long")
        told, data = read(data[:end], method), data[end + 4 :]
        if told.status >= 200:
            return told, data
        if told.status == 101:
            break
    raise Unclear("no answer, but words in between")


def _more(link: Link, data: bytes) -> tuple[bytes, int]:
    """All of a head, and where it ends."""
    while (end := data.find(b"\r\n\r\n")) < 0:
        more = link.receive(PIECE, ready=False)
        if not more or len(data) > LONGEST:
            raise Unclear("no whole head")
        data += more
    return data, end
