"""One connection to a store: a raw socket that never blocks, and waits that always have a deadline.

Under green threads waits are the hub's (``relay/hub``), under threads a wait is a ``poll``. TLS is spoken
in memory, over either.
"""

import select
import socket
import ssl
from contextlib import suppress
from typing import Any

from s3shunt import clock, green
from s3shunt.relay.hub import Hub, Place

PIECE = 65536


def raw(name: str) -> Any:
    """A module of the standard library as it was before a host (Swift) patched it."""
    if not green.patched():
        return {"socket": socket, "select": select}[name]
    from eventlet.patcher import original

    return original(name)


class Link:
    """Plain TCP. Waits raise TimeoutError at ``deadline``, which is ``clock.wall.monotonic`` and set before each."""

    def __init__(self, sock: Any) -> None:
        sock.setblocking(False)  # noqa: FBT003
        self.sock = sock
        self.deadline = 0.0
        self._wakes_at = 1
        self._asked = raw("select").poll()
        self._asked.register(sock.fileno(), select.POLLIN)
        self._place = Hub.here(sock.fileno()) if green.hub() else Place(raw("select").poll, sock.fileno())

    def until(self, seconds: float) -> None:
        """What follows has so long."""
        self.deadline = clock.wall.monotonic() + seconds

    def send(self, data: Any) -> None:
        """All of it."""
        try:
            sent = self.sock.send(data)
        except BlockingIOError:
            sent = 0
        if sent == len(data):
            return
        rest = memoryview(data)[sent:]
        while rest:
            self._place.writable(self.deadline)
            with suppress(BlockingIOError):
                rest = rest[self.sock.send(rest) :]

    def receive(self, size: int, *, ready: bool = True) -> bytes:
        """What is there, at most ``size`` bytes; b'' at the end. Not ``ready``: it will be waited for, so do not look first."""
        while True:
            if not ready:
                self._place.readable(self.deadline)
            try:
                return self.sock.recv(size)  # type: ignore[no-any-return]
            except BlockingIOError:
                ready = False

    def wait(self, *, writing: bool = False) -> None:
        """Until there are bytes, or the end; ``writing``, until there is room. Raises TimeoutError."""
        (self._place.writable if writing else self._place.readable)(self.deadline)

    def wait_to_send(self) -> None:
        """Until there is room, or the store says something before it has all. Raises TimeoutError."""
        self._place.writable(self.deadline, hearing=True)

    def wake_at(self, count: int) -> None:
        """How many bytes, or the end, end a wait."""
        if count != self._wakes_at:
            self._wakes_at = count
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)

    def stirred(self) -> bool:
        """Whether something came unasked: bytes, or the end."""
        return bool(self._asked.poll(0))

    def refused(self) -> bool:
        """Whether the store is answering, or gone, before it has the whole request."""
        return self.stirred()

    @property
    def usable(self) -> bool:
        """A link lives on the hub of the thread that opened it."""
        return self._place.mine

    def close(self) -> None:
        self._place.forget()
        self.sock.close()


class TlsLink(Link):
    """The same under TLS; the records pass through memory, so that every wait is the plain link's."""

    def __init__(self, sock: Any, context: ssl.SSLContext, host: str) -> None:
        super().__init__(sock)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._ended = False

    def shake_hands(self) -> None:
        """Raises OSError (ssl.SSLError is one) or TimeoutError."""
        self._until_done(self._tls.do_handshake)

    def send(self, data: Any) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._until_done(self._tls.write, rest[: 4 * PIECE]) :]
        self._flush()

    def receive(self, size: int, *, ready: bool = True) -> bytes:  # noqa: ARG002  # what is there may be in memory already
        try:
            return self._until_done(self._tls.read, size)  # type: ignore[no-any-return]
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def _until_done(self, act: Any, *args: Any) -> Any:
        while True:
            try:
                return act(*args)
            except ssl.SSLWantReadError:
                self._flush()
                self._feed(super().receive(PIECE))
            finally:
                self._flush()

    def _flush(self) -> None:
        if self._outgoing.pending:
            super().send(self._outgoing.read())

    def _feed(self, data: bytes) -> None:
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def stirred(self) -> bool:
        """A session ticket is no word of the store's: what came is read as far as it is such."""
        while super().stirred():
            try:
                self._feed(self.sock.recv(PIECE))
                self._tls.read(1)
            except ssl.SSLWantReadError:
                continue
            except OSError:
                return True
            return True
        return bool(self._tls.pending())

    def refused(self) -> bool:
        """What is readable may be a session ticket: an early answer is seen when the store stops listening."""
        return False


def connect(address: tuple[str, int], tls: ssl.SSLContext | None, seconds: float) -> Link:
    """A link to the first address that answers. Raises OSError."""
    failed: OSError = ConnectionError("no such host")
    deadline = clock.wall.monotonic() + seconds
    for family, kind, number, _, where in _looked_up(address, seconds):
        sock = raw("socket").socket(family, kind, number)
        try:
            return _connected(sock, where, address[0], tls, deadline)
        except OSError as error:
            failed = error
    raise failed


def _looked_up(address: tuple[str, int], seconds: float) -> Any:
    """What is an address already is not looked up: a resolver that hangs holds up nothing but names. Raises OSError."""
    try:
        return socket.getaddrinfo(*address, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return green.offload_for(seconds, socket.getaddrinfo, *address, type=socket.SOCK_STREAM)


def _connected(sock: Any, where: Any, host: str, tls: ssl.SSLContext | None, deadline: float) -> Link:
    link = Link(sock) if tls is None else TlsLink(sock, tls, host)
    link.deadline = deadline
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(BlockingIOError):
            sock.connect(where)
        if error := _pending(link):
            raise OSError(error, "cannot connect")
        if isinstance(link, TlsLink):
            link.shake_hands()
    except OSError:
        link.close()
        raise
    return link


def _pending(link: Link) -> int:
    link.wait(writing=True)
    return link.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # type: ignore[no-any-return]


def tls(cafile: str | None) -> ssl.SSLContext:
    """Certificates and names are verified."""
    if not green.patched():
        return ssl.create_default_context(cafile=cafile)
    from eventlet.green.ssl import GreenSSLContext  # the standard library's own factory recurses in a patched host

    context: ssl.SSLContext = GreenSSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if cafile:
        context.load_verify_locations(cafile)
    else:
        context.load_default_certs()
    return context
