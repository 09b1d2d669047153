"""The bytes of an answer: they end only where the answer ends, and break where the store breaks."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from s3shunt import clock, green
from s3shunt.protocol.errors import IncompleteBody
from s3shunt.relay import pipe
from s3shunt.relay.head import Unclear
from s3shunt.relay.link import PIECE, Link

LARGEST = 1 << 20
"""What is held of a body at most."""
DEAL = 128 << 10
"""Bytes worth waking for where the kernel moves them."""
TURN = 8 << 20
"""Bytes after which others have their turn."""
SLOW = 0.05
"""Seconds after which who reads is not keeping up."""
LINE = 8192
TRAILERS = 100

BROKEN = (OSError, Unclear)
"""How a store, or the way to it, fails."""

_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[\t ]*(?:;[\t\x20-\x7e\x80-\xff]*)?")


class Whole:
    """Bytes of an answer that came with its head, to the last: as ``AnswerBody``, but there is no link any more."""

    __slots__ = ("_data",)
    passes = False

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def left(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[bytes]:
        data = self.whole()
        return iter((data,) if data else ())

    def whole(self) -> bytes:
        data, self._data = self._data, b""
        return data

    def begin(self) -> None:
        """They are here."""

    def close(self) -> None:
        self._data = b""


class AnswerBody:
    """Iterate it, once, or close it. ``left`` is what is still to come, None while nobody knows.

    ``ended(link, clean)`` is called once: whether the link stands behind this answer and in front of nothing.
    """

    def __init__(self, link: Link, buffer: bytes, length: int | None, gap: float, ended: Callable[[Link, bool], None]) -> None:
        self.left = length
        self._link: Link | None = link
        self._buffer = buffer
        self._gap = gap
        self._ended = ended
        self._size = PIECE
        self._moved = 0

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from _gathered(self._chunked()) if self.left is None else self._measured()
        except BROKEN as error:
            raise IncompleteBody("The store broke off its answer.") from error
        finally:
            self.close()

    def whole(self) -> bytes:
        """All that is left, in one piece."""
        if self._link is not None and self.left is not None and self.left == len(self._buffer):
            data, self._buffer, self.left = self._buffer, b"", 0
            self.finish()
            return data
        pieces = list(self)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def begin(self) -> None:
        """Wait for the first of its bytes, or all where they are few, which are kept. Raises IncompleteBody."""
        if self._link is None or not self.left:
            return
        try:
            while len(self._buffer) < (self.left if self.left <= PIECE else 1):
                kept, self._buffer = self._buffer, b""
                self._buffer = kept + self._take(self._link, PIECE)
        except BROKEN as error:
            self.close()
            raise IncompleteBody("The store broke off its answer.") from error

    @property
    def passes(self) -> bool:
        """Whether ``pass_to`` can be used: the length is known, and nobody has to decrypt it."""
        return self._link is not None and type(self._link) is Link and self.left is not None and self.left > PIECE and pipe.ready()

    def pass_to(self, sink: Any) -> None:
        """All that is left to a socket, by the kernel: ``sink`` has ``send`` and ``send_pipe``. Raises IncompleteBody."""
        link = self._link
        assert link is not None and self.left is not None  # noqa: PT018  # ``passes`` said so
        try:
            if self._buffer:
                sink.send(self._piece(link, self.left))
            if not pipe.ready():  # others took it while the client took that
                for data in self:
                    sink.send(data)
                return
            for count in pipe.move(link.sock.fileno(), self.left, lambda: self._wait(link), sink):
                self.left -= count
                self._turn(count)
            link.wake_at(1)
            if self.left:
                raise IncompleteBody("The store broke off its answer.")
            self.finish()
        finally:
            self.close()

    def _wait(self, link: Link) -> None:
        """For a good deal to be there: each waking costs. A store that has not so much within the gap may still be sending."""
        link.until(self._gap)
        link.wake_at(min(self.left or 1, DEAL))
        try:
            link.wait()
        except TimeoutError as error:
            link.wake_at(1)  # else fewer bytes than are worth waking for would count for none
            if not link.stirred():
                raise IncompleteBody("The store broke off its answer.") from error

    def _measured(self) -> Iterator[bytes]:
        while self._link is not None and self.left:
            begun = clock.wall.monotonic()
            yield self._piece(self._link, self.left)
            keeps_up = clock.wall.monotonic() - begun < SLOW
            self._size = min(2 * self._size, LARGEST) if keeps_up else PIECE

    def _piece(self, link: Link, left: int) -> bytes:
        """The next of them; behind the last the link is done with."""
        data = self._take(link, self._size)
        if len(data) > left:
            data, self._buffer = data[:left], data[left:]
        self.left = left - len(data)
        if not self.left:
            self.finish()
        return data

    def _take(self, link: Link, size: int) -> bytes:
        """What has come, or comes next, at most ``size`` bytes. Raises BROKEN."""
        if self._buffer:
            data, self._buffer = self._buffer[:size], self._buffer[size:]
            return data
        link.until(self._gap)
        data = link.receive(size)
        if not data:
            raise Unclear("the answer ended early")
        self._turn(len(data))
        return data

    def _turn(self, count: int) -> None:
        """Where both sides are always ready nobody ever waits: others have their turn, too."""
        self._moved += count
        if self._moved >= TURN:
            self._moved = 0
            green.sleep(0)

    def _chunked(self) -> Iterator[bytes]:
        link = self._link
        if link is None:
            return
        while size := self._chunk(link):
            while size:
                data = self._take(link, min(size, LARGEST))
                size -= len(data)
                yield data
            if self._line(link):
                raise Unclear("a chunk is longer than it said")
        for _ in range(TRAILERS):
            if not self._line(link):
                self.left = 0
                self.finish()
                return
        raise Unclear("too many trailers")

    def _chunk(self, link: Link) -> int:
        found = _SIZE.fullmatch(self._line(link))
        if found is None:
            raise Unclear("a chunk size that is none")
        return int(found[1], 16)

    def _line(self, link: Link) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            if len(self._buffer) > LINE:
                raise Unclear("a line is too long")
            kept, self._buffer = self._buffer, b""
            self._buffer = kept + self._take(link, PIECE)
        line, self._buffer = self._buffer[:end], self._buffer[end + 2 :]
        return line

    def finish(self) -> None:
        """The answer was read to its end. What came behind it belongs to nobody, and spoils the link."""
        link, self._link = self._link, None
        if link is not None:
            self._ended(link, not self._buffer)

    def close(self) -> None:
        """Give up what was not read: the link with it."""
        link, self._link = self._link, None
        if link is not None:
            self._ended(link, False)  # noqa: FBT003  # said in the class's promise

    def __del__(self) -> None:
        if self._link is not None:
            self.close()


def _gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Of small pieces larger ones."""
    kept: list[bytes] = []
    size = 0
    for piece in pieces:
        kept.append(piece)
        size += len(piece)
        if size >= PIECE:
            yield b"".join(kept)
            kept, size = [], 0
    if kept:
        yield b"".join(kept)
