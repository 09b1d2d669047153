"""One client's socket on the hub: reads, writes and waits that always have a deadline.

A socket is made known to the hub once, when it is first waited for, and stays so: a request
costs no ``epoll_ctl`` and no timer. Deadlines are kept by ``Front.tick``, which looks at all wires a few times
a second. How long a client may keep us waiting is a credit: it runs down while we wait, and
each byte that moves earns ``1/rate`` seconds, never above ``patience``.
"""

import os
import socket
import ssl
import struct
from contextlib import suppress
from typing import Any

from eventlet import hubs
from eventlet.hubs.hub import READ, WRITE
from greenlet import getcurrent

from s3shunt import green
from s3shunt.clock import Clock

PIECE = 65536
MOVED = 1 << 20
_RESET = struct.pack("ii", 1, 0)


class Gone(ConnectionError):
    """The client has left, or broke off what it was sending."""


class Wire:
    """Plain TCP or a unix socket. Waits raise TimeoutError when the client's credit is used up."""

    def __init__(self, sock: socket.socket, clock: Clock, patience: float, rate: float) -> None:
        sock.setblocking(False)  # noqa: FBT003  # the library's own word
        self.sock = sock
        self.clock = clock
        self.patience = self.credit = patience
        self.rate = rate
        self.deadline = 0.0
        """When the one who waits is woken with TimeoutError."""
        self.buffer = b""
        """Bytes that were received and not yet taken."""
        self.closed = False
        self._hub = hubs.get_hub()
        self._fd = sock.fileno()
        self._listener: Any = None
        self._waiter: Any = None

    # waiting

    def wait_readable(self, deadline: float) -> None:
        if self._listener is None:
            self._listener = self._hub.add(READ, self._fd, self._wake, self._obsolete, self._forget)
        self.deadline = deadline
        self._waiter = getcurrent()
        self._hub.switch()

    def _wake(self, _: int) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            waiter.switch()
        elif self._listener is not None:  # nobody wants what came: not to be told again until somebody does
            self._hub.remove(self._listener)
            self._listener = None

    def _obsolete(self, error: BaseException) -> None:
        self._listener = None
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.throw(error)

    def _forget(self) -> None:
        self._listener = None

    def wait_writable(self, deadline: float) -> None:
        listener = self._hub.add(WRITE, self._fd, self._wake_writer, self._obsolete, self._forget)
        self.deadline = deadline
        self._waiter = getcurrent()
        if self._listener is not None:  # or what the client sends meanwhile would wake the writer
            self._hub.remove(self._listener)
            self._listener = None
        try:
            self._hub.switch()
        finally:
            self._hub.remove(listener)

    def _wake_writer(self, _: int) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.switch()

    @property
    def waiting(self) -> bool:
        return self._waiter is not None

    def expire(self, error: BaseException) -> None:
        """Let the one who waits be woken with an error, from the hub: whoever calls this goes on."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            self._hub.schedule_call_global(0, waiter.throw, error)

    def _patiently(self, wait: Any) -> None:
        begun = self.clock.monotonic()
        wait(begun + self.credit)
        self.credit -= self.clock.monotonic() - begun
        if self.credit <= 0:
            raise Gone("the client is too slow")

    def _earn(self, count: int) -> None:
        self.credit = min(self.patience, self.credit + count / self.rate)

    # reading

    def receive(self, size: int, deadline: float) -> bytes:
        """What is there, at most ``size`` bytes, waited for until ``deadline``; b'' at the end."""
        while True:
            self.wait_readable(deadline)
            try:
                return self.sock.recv(size)
            except BlockingIOError:
                continue

    def read(self, size: int) -> bytes:
        """At least one byte of a body, at most ``size``. Raises Gone at the end."""
        if self.buffer:
            data, self.buffer = self.buffer[:size], self.buffer[size:]
            return data
        while True:
            try:
                data = self._recv(size)
            except (BlockingIOError, ssl.SSLWantReadError):
                self._patiently(self.wait_readable)
                continue
            except ssl.SSLWantWriteError:
                self._patiently(self.wait_writable)
                continue
            if not data:
                raise Gone("the body ended early")
            self._earn(len(data))
            return data

    def fill_pipe(self, pipe: int, count: int) -> int:
        """At least one and at most ``count`` bytes of a body into an empty pipe, by the kernel; how many. Raises Gone at the end."""
        while True:
            try:
                came = os.splice(self._fd, pipe, count, flags=os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK)
            except BlockingIOError:
                self._patiently(self.wait_readable)
                continue
            if not came:
                raise Gone("the body ended early")
            self._earn(came)
            return came

    def line(self, limit: int) -> bytes:
        """Up to the next CR LF, which is taken and not returned. Raises ValueError when there is none within ``limit`` bytes."""
        while (end := self.buffer.find(b"\n")) < 0:
            if len(self.buffer) > limit:
                raise ValueError("a line is too long")
            rest, self.buffer = self.buffer, b""
            self.buffer = rest + self.read(PIECE)
        if end < 1 or end > limit or self.buffer[end - 1] != 13:
            raise ValueError("a line does not end in CR LF")
        line, self.buffer = self.buffer[: end - 1], self.buffer[end + 1 :]
        return line

    def _recv(self, size: int) -> bytes:
        return self.sock.recv(size)

    # writing

    def send(self, data: Any) -> None:
        """All of it."""
        try:
            sent = self.sock.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            sent = 0
        except ConnectionError as error:
            raise Gone("the client left") from error
        if sent < len(data):
            self._send_rest(memoryview(data)[sent:])

    def _send_rest(self, rest: memoryview) -> None:
        while rest:
            self._patiently(self.wait_writable)
            try:
                sent = self.sock.send(rest)
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                continue
            except ConnectionError as error:
                raise Gone("the client left") from error
            self._earn(sent)
            rest = rest[sent:]

    def send_file(self, file: int, offset: int, count: int) -> int:
        """Up to ``count`` bytes of an open file; how many there were. The kernel moves them, beside the hub: a disk may be slow."""
        done = 0
        while done < count:
            try:
                sent = green.offload(os.sendfile, self._fd, file, offset + done, min(count - done, MOVED))
            except BlockingIOError:
                self._patiently(self.wait_writable)
                continue
            if not sent:
                break
            self._earn(sent)
            done += sent
        return done

    def send_pipe(self, pipe: int, count: int) -> None:
        """``count`` bytes that are in a pipe. The kernel moves them."""
        while count:
            try:
                sent = os.splice(pipe, self._fd, count, flags=os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK)
            except BlockingIOError:
                self._patiently(self.wait_writable)
                continue
            except ConnectionError as error:
                raise Gone("the client left") from error
            self._earn(sent)
            count -= sent

    # ending

    def abort(self) -> None:
        """Close so that the client knows it has not got all: a reset."""
        with suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._close()

    def linger(self, seconds: float, most: int) -> None:
        """Nothing more will be sent; the client has a moment to see what was, whatever it is still sending."""
        until = self.clock.monotonic() + seconds
        with suppress(OSError, ValueError):
            self.sock.shutdown(socket.SHUT_WR)
            while most > 0 and (data := self.receive(PIECE, until)):
                most -= len(data)

    def close(self) -> None:
        self._close()

    def _close(self) -> None:
        if not self.closed:
            self.closed = True
            if self._listener is not None:
                self._hub.remove(self._listener)
                self._listener = None
            self.sock.close()


class TlsWire(Wire):
    """The same under TLS. ``shake_hands`` comes first."""

    sock: ssl.SSLSocket

    def shake_hands(self, context: ssl.SSLContext, deadline: float) -> None:
        """Raises OSError (ssl.SSLError is one) or TimeoutError."""
        plain = self.sock
        self.sock = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=True)
        while True:
            try:
                self.sock.do_handshake()
                return
            except ssl.SSLWantReadError:
                self.wait_readable(deadline)
            except ssl.SSLWantWriteError:
                self.wait_writable(deadline)

    def receive(self, size: int, deadline: float) -> bytes:
        while True:
            try:
                return self.sock.recv(size)
            except ssl.SSLWantReadError:
                self.wait_readable(deadline)
            except ssl.SSLWantWriteError:
                self.wait_writable(deadline)

    def close(self) -> None:
        """With the word that this is the end, so that a cut is told from it."""
        if not self.closed and isinstance(self.sock, ssl.SSLSocket):
            with suppress(OSError, ValueError):  # the client's own word is not waited for
                self.sock.unwrap()
        self._close()

    def send_file(self, file: int, offset: int, count: int) -> int:
        """TLS has to see the bytes."""
        done = 0
        while done < count and (data := green.offload(os.pread, file, min(count - done, PIECE), offset + done)):
            self.send(data)
            done += len(data)
        return done
