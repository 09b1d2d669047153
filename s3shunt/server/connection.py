"""One client's connection: requests in their order, each read strictly, answered once, and nothing behind a wrong one."""

import logging
import ssl
from typing import TYPE_CHECKING, Any

from eventlet import sleep

from s3shunt.protocol.errors import S3Error
from s3shunt.server import grammar, peer
from s3shunt.server.answer import Answer, Unfit, refusal
from s3shunt.server.body import NOTHING, Input, Nothing
from s3shunt.server.grammar import Plan, Refused
from s3shunt.server.wire import PIECE, Gone, TlsWire, Wire

if TYPE_CHECKING:
    from s3shunt.server.front import Front

log = logging.getLogger(__name__)

LINGER = 1.0
"""Seconds that a client has to see an answer given before its body was read ..."""
LEFT = 16 << 20
"""... and how much more it may send meanwhile, in bytes."""


BROKEN = ("400 Bad Request", "IncompleteBody", "The body of the request cannot be read.")
FAILED = ("500 Internal Server Error", "InternalError", "We encountered an internal error. Please try again.")


class Connection:
    __slots__ = ("environ", "front", "idle", "requests", "wire")

    def __init__(self, front: "Front", wire: Wire, environ: dict[str, Any]) -> None:
        self.front = front
        self.wire = wire
        self.environ = environ
        """What every request of this connection has."""
        self.idle = False
        """Whether it waits for the first byte of a request."""
        self.requests = 0

    def run(self) -> None:
        """Until either side has enough. Whatever happens, the socket is closed."""
        try:
            if self._establish():
                while self._exchange():
                    if self.wire.buffer:
                        sleep(0)  # a client that does not wait for answers lets others have theirs
        except (OSError, TimeoutError):
            log.debug("a client left", exc_info=True)
        finally:
            self.wire.close()
            self.front.ended(self)

    def _establish(self) -> bool:
        """What comes before HTTP: who the client is, said by a proxy, and TLS."""
        front, wire = self.front, self.wire
        deadline = front.clock.monotonic() + front.limits.header
        try:
            if front.trusted and peer.trusted(self.environ["REMOTE_ADDR"], front.trusted):
                self.environ.update(peer.read(wire, deadline))
            if front.tls is not None and isinstance(wire, TlsWire):
                wire.shake_hands(front.tls, deadline)
        except (ValueError, ssl.SSLError) as error:
            log.debug("a connection was refused: %s", error)
            return False
        return True

    def _exchange(self) -> bool:
        """One request and its answer; whether another may follow."""
        wire = self.wire
        try:
            head = self._head()
            if head is None:
                return False
            environ = self.environ.copy()
            plan = grammar.read(head, environ, self.front.limits.head)
        except Refused as refused:
            self._refuse(refused)
            return False
        self.requests += 1
        wire.credit = wire.patience
        body: Input | Nothing = NOTHING if plan.length == 0 else Input(wire, plan.length, expects=plan.expects)
        environ["wsgi.input"] = body
        return self._answer(environ, plan, body)

    def _head(self) -> bytes | None:
        """The next head with its empty line; None when the client asks nothing more."""
        wire = self.wire
        if wire.buffer:
            data, wire.buffer = wire.buffer, b""
        else:
            data = self._first()
        if data[:2] == b"\r\n":
            data = data[2:] or self._first()
        end = data.find(b"\r\n\r\n")
        if end < 0 and data:
            data = self._rest_of_head(data, self.front.clock.monotonic() + self.front.limits.header)
            end = data.find(b"\r\n\r\n")
        if end < 0:
            return None
        end += 4
        if end == len(data):
            return data
        wire.buffer = data[end:]
        return data[:end]

    def _first(self) -> bytes:
        """Wait between two requests; b'' when there will be none."""
        front = self.front
        self.idle = True
        try:
            return self.wire.receive(PIECE, front.now + (front.limits.keep_alive if self.requests else front.limits.header))
        except TimeoutError:
            return b""
        finally:
            self.idle = False

    def _rest_of_head(self, data: bytes, deadline: float) -> bytes:
        """All of the head, in time. Raises Refused."""
        checked = 0
        while b"\r\n\r\n" not in data[max(0, checked - 3) :]:
            if refused := grammar.doubtful(data, checked, self.front.limits.head):
                raise refused
            checked = len(data)
            try:
                more = self.wire.receive(PIECE, deadline)
            except TimeoutError:
                raise Refused("408 Request Timeout", "RequestTimeout", "The head of the request took too long.") from None
            if not more:
                return b""
            data += more
        return data

    def _refuse(self, refused: Refused) -> None:
        """Nothing that follows is read as a request."""
        self.front.refused += 1
        self.wire.buffer = b""
        self.wire.send(refusal(refused.status, refused.code, str(refused), self.front.date))
        self.wire.linger(LINGER, LEFT)

    def _answer(self, environ: dict[str, Any], plan: Plan, body: Any) -> bool:
        front = self.front
        answer = Answer(
            self.wire, front.date, modern=environ["SERVER_PROTOCOL"] == "HTTP/1.1", head=environ["REQUEST_METHOD"] == "HEAD",
            keep=plan.keep, last=lambda: front.draining or not body.skip(),
        )  # fmt: skip
        made: Any = None
        try:
            made = front.app(environ, answer.start)
            answer.send(made)
        except Exception as error:  # noqa: BLE001  # what an application may raise has no end; this process does not end with it
            self._sorry(answer, error, spoilt=body.broken)
        finally:
            if hasattr(made, "close"):
                made.close()
        return self._ended(answer, body)

    def _sorry(self, answer: Answer, error: Exception, *, spoilt: bool) -> None:
        """No answer, or only part of one: the client broke off, an application failed, or broke its word."""
        if spoilt or isinstance(error, Gone):
            log.debug("a client broke off: %s", error)
        else:
            log.error("an answer could not be given: %s", error, exc_info=not isinstance(error, Unfit | S3Error))
        if answer.begun:
            self.wire.close() if answer.framed else self.wire.abort()
            return
        answer.keep, answer.begun = False, True
        status, code, message = BROKEN if spoilt else FAILED
        self.wire.send(refusal(status, code, message, self.front.date))

    def _ended(self, answer: Answer, body: Any) -> bool:
        if self.wire.closed:
            return False
        if not answer.keep:
            if not body.ended:
                self.wire.linger(LINGER, LEFT)
            return False
        return body.skip()  # type: ignore[no-any-return]
