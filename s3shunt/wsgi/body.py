"""The body of a request, read from ``wsgi.input``."""

from collections.abc import Iterator
from typing import Any

from s3shunt import clock
from s3shunt.protocol.errors import IncompleteBody

SLOW = 0.02
"""Seconds after which a piece of a body has been long in coming."""


class Body:
    """A request body that knows its length and raises when it ends early.

    ``length`` is what will be yielded, None when unknown. ``iter`` it, or
    ``read(limit)`` a small document whole.
    """

    CHUNK = 65536
    LARGEST = 1 << 20

    def __init__(self, source: Any, length: int | None, chunked: bool = False) -> None:  # noqa: FBT001, FBT002
        self.source = source
        self.length = length
        self.chunked = chunked
        self.taken = 0
        self.ended = length == 0

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes; b'' only at the true end. Raises IncompleteBody before that."""
        if size < 0:
            return b"".join(self)
        wanted = min(size, self.LARGEST) if self.length is None else min(size, self.LARGEST, self.length - self.taken)
        if wanted == 0:
            return b""
        try:
            data = self.source.read(wanted)
        except (OSError, ValueError) as error:  # a reset, or a broken chunk header
            raise IncompleteBody from error
        if not data and self.length is not None:
            raise IncompleteBody
        self.taken += len(data)
        self.ended = not data or self.taken == self.length
        return bytes(data)

    @property
    def passes(self) -> bool:
        """Whether what is left can go from socket to socket by ``fill``: nobody between here and the server looks at it.

        A kind of body that looks at its bytes says nothing and gets none past it; one that only counts them may say so itself.
        """
        return type(self) is Body and self.length is not None and hasattr(type(self.source), "fill") and bool(self.source.passes)

    def fill(self, pipe: int, count: int) -> int:
        """At least one and at most ``count`` of the bytes that come next, into an empty pipe; how many. Raises IncompleteBody."""
        try:
            moved: int = self.source.fill(pipe, count)
        except (OSError, ValueError) as error:
            raise IncompleteBody from error
        self.taken += moved
        self.ended = self.taken == self.length
        return moved

    def readline(self, size: int = -1) -> bytes:
        """PEP 3333 has it, and a foreign filter may call it: byte by byte, for nothing is kept here."""
        line = bytearray()
        while len(line) != size and not line.endswith(b"\n") and (data := self.read(1)):
            line += data
        return bytes(line)

    def readlines(self, hint: int = -1) -> list[bytes]:  # noqa: ARG002  # a hint may be ignored
        return list(iter(self.readline, b""))

    def __iter__(self) -> Iterator[bytes]:
        """In pieces, not in lines; they grow while whoever sends keeps up."""
        size, begun = self.CHUNK, clock.wall.monotonic()
        while data := self.read(size):
            size = min(2 * size, self.LARGEST) if clock.wall.monotonic() - begun < SLOW else self.CHUNK
            yield data
            begun = clock.wall.monotonic()
