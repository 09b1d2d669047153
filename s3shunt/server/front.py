"""A front: one WSGI application behind listening sockets, on eventlet's hub.

``Front(app, limits).listen(sockets)`` accepts until ``drain()``. Whatever ``accept`` says, it
goes on: out of descriptors it drops its oldest idle client and waits a moment. With ``connections`` clients it does
the same for one more, and where none is idle says 503 SlowDown at once.
"""

import errno
import logging
import socket
import ssl
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

import eventlet
from eventlet import hubs
from eventlet.hubs.hub import READ

from s3shunt import clock
from s3shunt.server import grammar
from s3shunt.server.answer import FileWrapper, refusal
from s3shunt.server.connection import Connection
from s3shunt.server.peer import Networks
from s3shunt.server.sockets import BACKLOG
from s3shunt.server.wire import TlsWire, Wire
from s3shunt.wsgi import direct

log = logging.getLogger(__name__)

TICK = 0.25
TAKEN = 32
"""Clients accepted before others go on."""
PAUSE = 0.1
_SHORT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, bytes, and bytes per second."""

    header: float = 10.0
    keep_alive: float = 75.0
    patience: float = 60.0
    rate: float = 1024.0
    connections: int = 1000
    head: grammar.Limits = grammar.Limits()


class Front:
    def __init__(
        self, app: Any, limits: Limits = Limits(), *, tls: ssl.SSLContext | None = None, trusted: Networks = (),
        timer: clock.Clock = clock.wall, multiprocess: bool = False,
    ) -> None:  # fmt: skip
        self.app, self.limits, self.tls, self.trusted, self.clock = direct(app), limits, tls, trusted, timer
        self.draining = False
        self.refused = 0
        self.connections: dict[Connection, None] = {}
        self._listening: list[_Listener] = []
        self._template = {
            "wsgi.version": (1, 0), "wsgi.url_scheme": "https" if tls else "http", "wsgi.errors": sys.stderr, "wsgi.multithread": True,
            "wsgi.multiprocess": multiprocess, "wsgi.run_once": False, "wsgi.file_wrapper": FileWrapper, "wsgi.input_terminated": True,
            "GATEWAY_INTERFACE": "CGI/1.1", "SCRIPT_NAME": "",
        }  # fmt: skip
        self.tick()

    def listen(self, sockets: Sequence[socket.socket]) -> None:
        """Begin to accept. Returns at once."""
        self._listening = [_Listener(self, sock) for sock in sockets]
        self._later()

    def _later(self) -> None:
        hubs.get_hub().schedule_call_global(TICK, self._later)
        self.tick()

    def tick(self) -> None:
        """Look at the time: whoever kept us waiting too long is told so."""
        self.now = self.clock.monotonic()
        self.date = b"Date: %b\r\n" % formatdate(self.clock.now() / 1000, usegmt=True).encode()
        for connection in list(self.connections):
            wire = connection.wire
            if wire.waiting and wire.deadline <= self.now:
                wire.expire(TimeoutError("waited too long for a client"))

    def accepted(self, sock: socket.socket, address: Any) -> None:
        """A client came."""
        if len(self.connections) >= self.limits.connections and not self._drop_idle():
            _too_many(sock, self.date)
            return
        wire = (TlsWire if self.tls else Wire)(sock, self.clock, self.limits.patience, self.limits.rate)
        connection = Connection(self, wire, self._environ(sock, address))
        self.connections[connection] = None
        eventlet.spawn_n(connection.run)

    def _environ(self, sock: socket.socket, address: Any) -> dict[str, Any]:
        if sock.family == socket.AF_UNIX:
            return {**self._template, "SERVER_NAME": "localhost", "SERVER_PORT": "0", "REMOTE_ADDR": "", "REMOTE_PORT": ""}
        name, port = sock.getsockname()[:2]
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return {
            **self._template, "SERVER_NAME": name, "SERVER_PORT": str(port),
            "REMOTE_ADDR": address[0], "REMOTE_PORT": str(address[1]),
        }  # fmt: skip

    def ended(self, connection: Connection) -> None:
        self.connections.pop(connection, None)

    def _drop_idle(self) -> bool:
        """Let go of the one that has been idle the longest; whether there was one."""
        idle = min((c for c in self.connections if c.idle), key=lambda c: c.wire.deadline, default=None)
        if idle is None:
            return False
        self.connections.pop(idle)
        idle.wire.expire(TimeoutError("somebody else needs the place"))
        return True

    def short_of_descriptors(self) -> None:
        log.error("out of file descriptors: an idle client is let go, others wait")
        self._drop_idle()

    def stop_accepting(self) -> None:
        for listener in self._listening:
            listener.close()

    def drain(self, seconds: float, grace: float = 1.0) -> bool:
        """Accept nothing more and let requests end; whether all did in time.

        A client that is just asking gets its answer, with the word that the connection ends; who
        asks nothing within ``grace`` is let go.
        """
        self.draining = True
        self.stop_accepting()
        until = self.clock.monotonic() + seconds
        calm = self.clock.monotonic() + min(grace, seconds)
        while self.connections and self.clock.monotonic() < until:
            if self.clock.monotonic() >= calm:
                self._release()
            eventlet.sleep(0.02)
        return not self.connections

    def _release(self) -> None:
        for connection in [c for c in self.connections if c.idle and not _asking(c.wire.sock)]:
            connection.wire.expire(TimeoutError("the process ends"))


class _Listener:
    """A listening socket, known to the hub for as long as it accepts."""

    def __init__(self, front: Front, sock: socket.socket) -> None:
        sock.setblocking(False)  # noqa: FBT003  # the library's own word
        self.front, self.sock = front, sock
        self._hub = hubs.get_hub()
        self._known: Any = None
        self._closed = False
        self._begin()

    def _begin(self) -> None:
        if not self._closed and self._known is None:
            self._known = self._hub.add(READ, self.sock.fileno(), self._ready, self._gone, self._gone)

    def _gone(self, *_: Any) -> None:
        self._known = None

    def _end(self) -> None:
        if self._known is not None:
            self._hub.remove(self._known)
            self._known = None

    def close(self) -> None:
        """Those who are in the queue already are let in first, all of them: it may end with us."""
        self._take(BACKLOG)
        self._closed = True
        self._end()
        self.sock.close()

    def _ready(self, _: int) -> None:
        self._take(TAKEN)

    def _take(self, most: int) -> None:
        for _ in range(most):
            if self._closed:
                return
            try:
                sock, address = self.sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                self._failed(error)
                return
            try:
                self.front.accepted(sock, address)
            except OSError:  # gone before it was looked at
                sock.close()

    def _failed(self, error: OSError) -> None:
        """A client that left in the queue is nobody's trouble; with anything else a pause keeps us from spinning."""
        if error.errno in (errno.ECONNABORTED, errno.EINTR):
            return
        if error.errno in _SHORT:
            self.front.short_of_descriptors()
        else:
            log.error("accept: %s", error)
        self._end()
        self._hub.schedule_call_global(PAUSE, self._begin)


def _asking(sock: socket.socket) -> bool:
    """Whether something came that was not read yet."""
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except ValueError:  # TLS cannot look ahead
        return False
    except OSError:
        return False


def _too_many(sock: socket.socket, date: bytes) -> None:
    with sock:
        sock.setblocking(False)  # noqa: FBT003
        try:
            sock.send(refusal("503 Slow Down", "SlowDown", "Please reduce your request rate.", date, b"Retry-After: 1\r\n"))
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            return
