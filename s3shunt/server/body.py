"""``wsgi.input``: the body of one request, framed strictly, never read beyond its end.

``read(n)`` waits for n bytes or the end, as files do. A body that ends early, stands still or
is framed wrongly raises (an OSError or ValueError), never ends quietly.
``100 Continue`` is said when the body is first read, not before.
"""

from collections.abc import Iterator

from s3shunt.server import grammar
from s3shunt.server.wire import PIECE, Wire

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CHUNK_LINE = 512
TRAILER_LINE = 8192
TRAILERS = 32


class Nothing:
    """The body of a request that has none."""

    __slots__ = ()
    ended = True
    expects = broken = False

    def read(self, size: int = -1) -> bytes:  # noqa: ARG002  # as files have it
        return b""

    readline = read

    def readlines(self, hint: int = -1) -> list[bytes]:  # noqa: ARG002
        return []

    def __iter__(self) -> Iterator[bytes]:
        return iter(())

    def skip(self) -> bool:
        return True


NOTHING = Nothing()


class Input:
    """A body whose length was declared (``length``), or that comes in chunks (None)."""

    def __init__(self, wire: Wire, length: int | None, *, expects: bool) -> None:
        self.wire = wire
        self.chunked = length is None
        self.left = length or 0
        """What is still to come, of the body or of the chunk."""
        self.ended = length == 0
        self.expects = expects
        """Whether the client waits to be told to go on."""
        self.broken = False
        self.trailers: list[tuple[str, str]] = []
        self._kept = b""
        self._begun = False

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            return b"".join(iter(self.piece, b""))
        pieces = []
        while size > 0 and (data := self.piece(size)):
            pieces.append(data)
            size -= len(data)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def piece(self, size: int = PIECE) -> bytes:
        """What comes next, at most ``size`` bytes; b'' only at the end."""
        if self._kept:
            data, self._kept = self._kept[:size], self._kept[size:]
            return data
        if self.ended:
            return b""
        if self.broken:
            raise ValueError("the body cannot be read")
        self.broken = True  # unless the next lines come to their end
        data = self._next(size)
        self.broken = False
        return data

    @property
    def passes(self) -> bool:
        """Whether ``fill`` can be used: the length is known, nobody has to decrypt it, and nothing of it is here already."""
        wire = self.wire
        return type(wire) is Wire and not (self.chunked or self.ended or self.broken or self.expects or self._kept or wire.buffer)

    def fill(self, pipe: int, count: int) -> int:
        """At least one and at most ``count`` of the bytes that come next, by the kernel into an empty pipe; how many."""
        if self.broken or self.ended:
            raise ValueError("the body cannot be read")
        self.broken = True  # unless the next lines come to their end
        moved = self.wire.fill_pipe(pipe, min(count, self.left))
        self.broken = False
        self.left -= moved
        self.ended = not self.left
        return moved

    def _next(self, size: int) -> bytes:
        if self.expects:
            self.expects = False
            self.wire.send(CONTINUE)
        if self.chunked and not self.left and not self._chunk():
            return b""
        data = self.wire.read(min(size, self.left))
        self.left -= len(data)
        self.ended = not self.left and not self.chunked
        return data

    def _chunk(self) -> bool:
        """Read up to the data of the next chunk; False at the end of the body."""
        if self._begun and self.wire.line(2):
            raise ValueError("a chunk is longer than it said")
        self._begun = True
        self.left = grammar.chunk(self.wire.line(CHUNK_LINE))
        if self.left:
            return True
        while line := self.wire.line(TRAILER_LINE):
            if len(self.trailers) == TRAILERS:
                raise ValueError("too many trailers")
            self.trailers.append(grammar.trailer(line))
        self.ended = True
        return False

    def readline(self, size: int = -1) -> bytes:
        line = b""
        while (end := line.find(b"\n") + 1) == 0 and (size < 0 or len(line) < size) and (data := self.piece()):
            line += data
        end = end or len(line)
        end = end if size < 0 else min(end, size)
        self._kept = line[end:] + self._kept
        return line[:end]

    def readlines(self, hint: int = -1) -> list[bytes]:  # noqa: ARG002
        return list(self)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def skip(self) -> bool:
        """Pass over what was not read if all of it is here already; whether the next request can follow."""
        if not self.ended and not self.chunked and not self.broken and self.left <= len(self.wire.buffer):
            self.wire.buffer = self.wire.buffer[self.left :]
            self.ended = True
        return self.ended
