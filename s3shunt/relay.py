"""The streaming HTTP client of the data path: ``Relay(endpoint, limits).send(head, body) -> answer``.

What it promises, and ``s3shunt.testing.contracts`` and its own tests hold it to:

- the target goes out exactly as given; no redirects, no proxies from the environment, TLS verified;
- a request body that raises, or has another length than announced, cuts the
  connection at once: the store sees a cut body and stores nothing;
- an answer given before the body was sent is read and relayed;
- an answer whose end is not known for sure is no answer, and a body that ends
  early raises IncompleteBody, never ends quietly;
- a connection is used again only after its answer was read to the end and
  nothing follows it; every other way out destroys it;
- every wait has a deadline, the pool a cap.
"""

import random
import select
import ssl
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

from s3shunt import clock, green
from s3shunt.protocol import sigv4
from s3shunt.protocol.errors import IncompleteBody, ServiceUnavailable, SlowDown

CHUNK = 65536
BROKEN = (OSError, HTTPException)
"""How a store, or the way to it, fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Deadlines in milliseconds: for a connection, for the head of an answer, for each piece of a body."""

    connect: int = 2_000
    response: int = 60_000
    gap: int = 30_000
    idle: int = 4_000
    connections: int = 1024
    retries: int = 2


@dataclass(frozen=True, slots=True)
class Head:
    """A request without its body. ``fields`` hold everything that is sent, Host and Content-Length included."""

    method: str
    target: str
    fields: Sequence[tuple[str, str]]
    length: int = 0


@dataclass(slots=True)
class Answer:
    """What came back. ``body`` must be read to its end or closed; ``attempts`` counts what it took."""

    status: int
    reason: str
    fields: list[tuple[str, str]]
    body: "AnswerBody"
    attempts: int = 1

    def field(self, name: str) -> str | None:
        return next((value for key, value in self.fields if key.lower() == name), None)


def sign(
    head: Head, query: Sequence[tuple[str, str]], *, host: str, credential: tuple[str, str], region: str, now: int,
    payload: str = sigv4.EMPTY_SHA256,
) -> Head:  # fmt: skip
    """``head`` (target: a path, encoded) with its query, Host, date, payload hash and an Authorization over all of it."""
    timestamp = datetime.fromtimestamp(now // 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    fields = [*head.fields, ("host", host), ("x-amz-content-sha256", payload), ("x-amz-date", timestamp)]
    authorization = sigv4.authorization(
        head.method, head.target, query, dict(fields), payload,
        access_key=credential[0], secret_key=credential[1], timestamp=timestamp, region=region,
    )  # fmt: skip
    target = f"{head.target}?{sigv4.canonical_query(query)}" if query else head.target
    return Head(head.method, target, [*fields, ("authorization", authorization)], head.length)


class Relay:
    """One store's connections. Shared by all requests of a process; may be called from any thread."""

    def __init__(self, endpoint: str, limits: Limits = Limits(), *, cafile: str | None = None, timer: clock.Clock = clock.wall) -> None:
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
            raise ValueError(f"endpoint {endpoint}: expected http(s)://host[:port]")
        self.host = parts.netloc.rpartition("@")[2]
        self._address = (parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))
        self._tls = _tls(cafile) if parts.scheme == "https" else None
        self._limits = limits
        self._timer = timer
        self._lock = threading.RLock()  # never held over I/O; an answer may be collected, and so closed, at any moment
        self._idle: list[tuple[HTTPConnection, float]] = []
        self._open = 0

    def send(self, head: Head, body: Iterable[bytes] = (), *, retry: bool = False) -> Answer:
        """Raises ServiceUnavailable when the store gives no answer, SlowDown when too many wait for it.

        With ``retry`` (an idempotent request without a body) a failed attempt is
        made again, at most ``limits.retries`` times. What ``body`` raises comes
        through as it is.
        """
        attempts = 1 + (self._limits.retries if retry else 0)
        for attempt in range(1, attempts):
            try:
                return self._attempt(head, body, attempt, fresh=attempt > 1)
            except ServiceUnavailable:
                green.sleep(random.uniform(0.01, 0.1) * attempt)
        return self._attempt(head, body, attempts, fresh=True)

    def _attempt(self, head: Head, body: Iterable[bytes], attempt: int, *, fresh: bool) -> Answer:
        connection = self._take(fresh=fresh)
        done = False
        try:
            whole = _send(connection, head, body, self._limits)
            sock = connection.sock
            response = _response(connection, self._limits, head.method)
            if not whole and response.status < 400:
                raise ServiceUnavailable("The store answered before it had the whole body.", retry_after=1)
            answered = AnswerBody(self, connection, sock, response, reusable=whole)
            done = True
        except BROKEN as error:
            raise ServiceUnavailable(retry_after=1) from error
        finally:
            if not done:
                self.destroy(connection)
        if answered.left == 0:
            answered.finish()
        return Answer(response.status, response.reason, response.getheaders(), answered, attempt)

    def _take(self, *, fresh: bool) -> HTTPConnection:
        """A quiet pooled connection, or a new one not yet connected. ``fresh``: not one that may just be closing."""
        idle = (1000 if fresh else self._limits.idle) / 1000
        while True:
            with self._lock:
                if not self._idle:
                    if self._open >= self._limits.connections:
                        raise SlowDown(retry_after=1)
                    self._open += 1
                    break
                connection, since = self._idle.pop()
            if self._timer.monotonic() - since < idle and not _readable(connection.sock):
                return connection
            self.destroy(connection)
        host, port = self._address
        return green.http_connection(host, port, timeout=self._limits.connect / 1000, tls=self._tls)

    def give_back(self, connection: HTTPConnection) -> None:
        with self._lock:
            self._idle.append((connection, self._timer.monotonic()))

    def destroy(self, connection: HTTPConnection) -> None:
        with self._lock:
            self._open -= 1
        connection.close()

    def close(self) -> None:
        """Drop what is idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            self.destroy(connection)

    @property
    def open(self) -> int:
        """Connections that exist, idle ones included."""
        return self._open

    @property
    def limits(self) -> Limits:
        return self._limits


class AnswerBody:
    """The bytes of an answer, once. Ends only where the answer ends; raises IncompleteBody before that."""

    def __init__(self, relay: Relay, connection: HTTPConnection, sock: Any, response: HTTPResponse, *, reusable: bool) -> None:
        self._relay = relay
        self._connection: HTTPConnection | None = connection
        self._response = response
        self._socket = sock  # ``connection`` lets go of it when the answer says close
        self._reusable = reusable and not response.will_close
        self._file = _Kept(response.fp)
        response.fp = self._file if response.fp is not None else None  # type: ignore[assignment]
        self.left: int | None = response.length
        self._socket.settimeout(relay.limits.gap / 1000)

    def __iter__(self) -> Iterator[bytes]:
        try:
            while self._connection is not None and (data := self._read()):
                yield data
        finally:
            self.close()

    def _read(self) -> bytes:
        """The next piece, b'' behind the last, by then the connection is given back."""
        if self.left == 0:
            self.finish()
            return b""
        try:
            data = self._response.read(CHUNK if self.left is None else min(CHUNK, self.left))
        except BROKEN as error:
            raise IncompleteBody("The store broke off its answer.") from error
        if not data and self.left is not None:
            raise IncompleteBody("The store broke off its answer.")
        if not data:
            self.finish()
        elif self.left is not None:
            self.left -= len(data)
        return data

    def finish(self) -> None:
        """The answer was read to its end."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self._response.close()
        if self._reusable and not self._followed():
            self._relay.give_back(connection)
        else:
            self._relay.destroy(connection)
        self._file.release()

    def _followed(self) -> bool:
        """Whether bytes came behind the answer; they belong to nobody."""
        self._socket.settimeout(0)
        try:
            return bool(self._file.peek())
        except (ssl.SSLWantReadError, TimeoutError):
            return False
        except BROKEN:
            return True

    def close(self) -> None:
        """Give up what was not read: the connection with it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._response.close()
            self._file.release()
            self._relay.destroy(connection)

    def __del__(self) -> None:
        self.close()


class _Kept:
    """The reader of an answer, kept open behind its end to see whether anything follows."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def peek(self) -> bytes:
        return self.file.peek(1)[:1] if self.file is not None else b""

    def close(self) -> None:
        """``http.client`` closes at the end of the answer; we let go later."""

    def release(self) -> None:
        file, self.file = self.file, None
        if file is not None:
            file.close()


def _send(connection: HTTPConnection, head: Head, body: Iterable[bytes], limits: Limits) -> bool:
    """Send the request; False when the store answered, or stopped listening, before it had all of it."""
    connection.putrequest(head.method, head.target, skip_host=True, skip_accept_encoding=True)
    for name, value in head.fields:
        connection.putheader(name, value)
    if connection.sock is None:
        connection.connect()
    connection.sock.settimeout(limits.gap / 1000)
    connection.endheaders()
    sent = 0
    for data in body:
        sent += len(data)
        if sent > head.length:
            raise IncompleteBody
        if not _pass(connection, data):
            return False
    if sent < head.length:
        raise IncompleteBody
    return True


def _pass(connection: HTTPConnection, data: bytes) -> bool:
    """Over TLS what is readable may be a session ticket: there an early answer is seen when the store stops listening."""
    if not isinstance(connection.sock, ssl.SSLSocket) and _readable(connection.sock):
        return False
    try:
        connection.sock.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def _response(connection: HTTPConnection, limits: Limits, method: str) -> HTTPResponse:
    """The head of the answer. Raises HTTPException when its end could not be told for sure."""
    connection.sock.settimeout(limits.response / 1000)
    response = connection.getresponse()
    lengths = response.headers.get_all("content-length", [])
    codings = response.headers.get_all("transfer-encoding", [])
    framed = len(lengths) + len(codings) == 1 and all(length.isascii() and length.isdigit() for length in lengths)
    bodiless = method == "HEAD" or response.status in (204, 304)
    if response.status < 200 or not (framed or bodiless) or (codings and not bodiless and not response.chunked):
        response.close()
        raise HTTPException("an answer without a certain end")
    return response


def _readable(sock: Any) -> bool:
    """Whether something came unasked: bytes, or the end."""
    module = select
    if green.patched():  # a patched ``select`` has no poll
        from eventlet.patcher import original

        module = original("select")
    poll = module.poll()
    poll.register(sock.fileno(), module.POLLIN)
    return bool(poll.poll(0))


def _tls(cafile: str | None) -> ssl.SSLContext:
    if not green.hub():
        return ssl.create_default_context(cafile=cafile)
    from eventlet.green.ssl import GreenSSLContext

    context: ssl.SSLContext = GreenSSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if cafile:
        context.load_verify_locations(cafile)
    else:
        context.load_default_certs()
    return context
