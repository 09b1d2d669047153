"""Stores that do as a test says: ``Origin`` in process, behind filters; ``HttpOrigin`` on a socket, behind the relay."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from s3shunt.wsgi import Request, Response


class Told:
    """A response body that knows what became of it."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.pieces = pieces
        self.ended = False
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        yield from self.pieces
        self.ended = True

    def close(self) -> None:
        self.closed += 1


class Origin:
    """A handler that gives scripted answers in order, then 200s, and insists that each was closed, once.

    An answer is a Response, an exception to raise, or a callable of the request.
    """

    def __init__(self, *script: Response | Exception | Callable[[Request], Response]) -> None:
        self.script = list(script)
        self.requests: list[Request] = []
        self.bodies: list[bytes] = []
        self.told: list[Told] = []

    def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        self.bodies.append(b"".join(request.input) if request.context.document is None else request.context.document)
        step = self.script.pop(0) if self.script else Response(status=200, content_type=None)
        if isinstance(step, Exception):
            raise step
        response = step if isinstance(step, Response) else step(request)
        told = Told([b"" if request.method == "HEAD" else bytes(piece) for piece in response.app_iter])
        length = response.headers.get("Content-Length")
        response.app_iter = told
        if length is not None:
            response.headers["Content-Length"] = length
        self.told.append(told)
        return response

    def check(self) -> None:
        """Every answer given was closed exactly once."""
        assert [told.closed for told in self.told] == [1] * len(self.told)
        assert not self.script, f"{len(self.script)} answers of the script were never asked for"


@dataclass
class Received:
    """A request as it came over the wire; ``cut`` when its body ended early."""

    method: str
    target: str
    fields: dict[str, str]
    body: bytes = b""
    cut: bool = False
    connection: int = 0


@dataclass
class Reply:
    """One answer on the wire. The faults: ``cut`` bytes of the body then close; ``early``: before the body is read;
    ``silent``: nothing until the client goes away; ``raw``: exactly these bytes; ``behind``: bytes after the answer.
    """

    status: int = 200
    body: bytes = b""
    fields: Sequence[tuple[str, str]] = ()
    chunked: bool = False
    cut: int | None = None
    early: bool = False
    silent: bool = False
    stall: bool = False
    close: bool = False
    raw: bytes | None = None
    behind: bytes = b""

    def wire(self, method: str) -> bytes:
        if self.raw is not None:
            return self.raw
        named = {name.lower() for name, _ in self.fields}
        lines = [f"HTTP/1.1 {self.status} Told", *(f"{name}: {value}" for name, value in self.fields)]
        if self.chunked:
            lines.append("Transfer-Encoding: chunked")
        elif "content-length" not in named and self.status not in (204, 304):
            lines.append(f"Content-Length: {len(self.body)}")
        if self.close:
            lines.append("Connection: close")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        body = b"" if method == "HEAD" or self.status in (204, 304) else self._framed()
        return head + (body if self.cut is None else body[: self.cut]) + self.behind

    def _framed(self) -> bytes:
        if not self.chunked:
            return self.body
        pieces = [self.body[at : at + 7000] for at in range(0, len(self.body), 7000)]
        return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@dataclass
class HttpOrigin:
    """A real HTTP/1.1 server on 127.0.0.1 in threads, as a context manager; unscripted requests get an empty 200."""

    script: list[Reply] = field(default_factory=list)
    requests: list[Received] = field(default_factory=list)
    tls: ssl.SSLContext | None = None

    def __enter__(self) -> "HttpOrigin":
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections: list[socket.socket] = []
        self._done = threading.Condition()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for sock in (self._listener, *self._connections):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    @property
    def endpoint(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def connections(self) -> int:
        """How many were ever opened."""
        return len(self._connections)

    def say(self, data: bytes) -> None:
        """Send on the last connection what nobody asked for."""
        self._connections[-1].sendall(data)

    def hang_up(self) -> None:
        """Close the last connection, from our side, without a word."""
        self._connections[-1].shutdown(socket.SHUT_WR)

    def wait(self, count: int) -> list[Received]:
        """The requests, once there are ``count`` of them (each read to its end, or to where it was cut)."""
        with self._done:
            assert self._done.wait_for(lambda: len(self.requests) >= count, timeout=10)
            return list(self.requests)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self._connections.append(sock)
                threading.Thread(target=self._serve, args=(sock, len(self._connections)), daemon=True).start()

    def _serve(self, plain: socket.socket, number: int) -> None:
        with suppress(OSError), self._secured(plain) as sock, sock.makefile("rb") as file:
            while (received := _head(file, number)) is not None:
                reply = self.script.pop(0) if self.script else Reply()
                if reply.early:
                    sock.sendall(reply.wire(received.method))
                self._body(file, received)
                if reply.silent:
                    file.read(1)
                elif not reply.early:
                    sock.sendall(reply.wire(received.method))
                if reply.stall:
                    file.read(1)
                if reply.early or reply.silent or reply.stall or reply.close or reply.cut is not None or received.cut:
                    return

    def _secured(self, sock: socket.socket) -> socket.socket:
        return self.tls.wrap_socket(sock, server_side=True) if self.tls else sock

    def _body(self, file: Any, received: Received) -> None:
        wanted = int(received.fields.get("content-length", "0"))
        with suppress(ConnectionResetError):
            received.body = file.read(wanted)
        received.cut = len(received.body) < wanted
        with self._done:
            self.requests.append(received)
            self._done.notify_all()


def _head(file: Any, number: int) -> Received | None:
    line = file.readline().decode("latin-1")
    if not line.strip():
        return None
    method, target, _ = line.split(" ", 2)
    fields: dict[str, str] = {}
    while (line := file.readline().decode("latin-1").rstrip("\r\n")) != "":
        name, _, value = line.partition(":")
        fields[name.lower()] = value.strip()
    return Received(method, target, fields, connection=number)
