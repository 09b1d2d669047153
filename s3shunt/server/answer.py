"""One answer: what the application says, checked, framed and sent.

The guard: a header that would break the head in two, or that cannot be written, makes the answer a 500
that says nothing; a body that is shorter or longer than its Content-Length, or that ends in
an error, ends the connection before the announced end (by a reset where none was announced), so that nobody takes a
part for the whole. Small answers leave in
one piece.

Which headers an answer has repeats from one to the next: what follows from their names is found out once (``_Shape``).
Values are looked at each time.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from s3shunt import green
from s3shunt.server.wire import PIECE, Wire
from s3shunt.wsgi.watch import Watched

_SOUND = bytes(byte for byte in range(256) if byte == 9 or (byte >= 32 and byte != 127))
"""What may stand in a header: without these, nothing is left of sound ones but the ends of their lines."""
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]++")
_STATUS = re.compile(r"[2-9][0-9]{2}(?: [\t\x20-\x7e]*+)?")
_STATUSES: dict[str, bytes] = {}
_OWN = frozenset((
    "content-length", "connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-connection", "trailer", "te",
))  # fmt: skip
"""What the server says itself."""
_KNOWN = 2048


class _Shape(NamedTuple):
    """What the names of an answer's headers say, whatever their values."""

    lines: str
    """A template for their values."""
    ends: bytes
    length: int
    """The place of Content-Length, -1 without one."""
    dated: bool
    unfit: bool
    """Whether some are the server's to say, or are said twice."""


_SHAPES: dict[tuple[str, ...], _Shape] = {(): _Shape("", b"", -1, dated=False, unfit=False)}


class Unfit(Exception):
    """The application's answer cannot be sent as it is."""


class FileWrapper:
    """``wsgi.file_wrapper``: a file as a body, read beside the hub; the server lets the kernel move it where it can."""

    def __init__(self, file: Any, size: int = PIECE) -> None:
        self.file, self.size = file, size
        if hasattr(file, "close"):
            self.close = file.close

    def __iter__(self) -> Any:
        return iter(lambda: green.offload(self.file.read, self.size), b"")


class Answer:
    __slots__ = ("bare", "begun", "chunked", "date", "head", "headers", "keep", "last", "left", "modern", "status", "wire")

    def __init__(self, wire: Wire, date: bytes, *, modern: bool, head: bool, keep: bool, last: Callable[[], bool]) -> None:
        self.wire, self.date, self.modern, self.head, self.keep = wire, date, modern, head, keep
        self.last = last
        """Tells, when the head is written, whether no other request can follow."""
        self.status: str | None = None
        self.headers: list[tuple[str, str]] = []
        self.begun = False
        self.chunked = False
        self.bare = False
        """Whether no body may follow, whatever the headers say."""
        self.left: int | None = None
        """Bytes that were announced and not yet sent; None when the end is not announced."""

    @property
    def framed(self) -> bool:
        """Whether the client can tell where the body should have ended."""
        return self.chunked or self.left is not None

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        """WSGI's ``start_response``."""
        if exc_info is not None and self.begun:
            raise exc_info[1].with_traceback(exc_info[2])
        if exc_info is None and self.status is not None:
            raise Unfit("start_response was called twice")
        self.status, self.headers = status, headers
        return self.write

    def write(self, data: bytes) -> None:
        """The next piece of the body; the head goes with the first. Raises Unfit beyond the announced length."""
        head = b"" if self.begun else self._begin(None)
        framed = self._frame(data)
        if head and len(framed) > PIECE:
            self.wire.send(head)
            head = b""
        if head or framed:
            self.wire.send(head + framed if head else framed)

    def _frame(self, data: bytes) -> bytes:
        """A piece as it goes on the wire."""
        if self.bare or not data:
            return b""
        if self.chunked:
            return b"%x\r\n%b\r\n" % (len(data), data)
        if self.left is not None:
            self.left -= len(data)
            if self.left < 0:
                raise Unfit("the body is longer than its Content-Length")
        return data

    def send(self, body: Iterable[bytes]) -> None:
        """The whole answer. Raises Unfit where it cannot be what it says."""
        kind = type(body)
        whole = type(body.body) if kind is Watched else kind  # who watches a body counts what is taken of it
        if (whole is list or whole is tuple) and not self.begun:
            self._whole(b"".join(body))
            return
        if kind is FileWrapper and not self.begun and self._file(body):
            return
        if not self.begun and type(self.wire) is Wire and getattr(body, "passes", False):
            self._passed(body)
            return
        for piece in body:
            if piece:
                self.write(piece)
        self._end()

    def _passed(self, body: Any) -> None:
        """From the store's socket to the client's; only a body that nobody wrapped says that it can, and how much is ``left``."""
        head = self._begin(None)
        if not self.bare and self.left != body.left:
            raise Unfit("the body is not as long as its Content-Length")
        self.wire.send(head)
        if not self.bare:
            body.pass_to(self.wire)
            self.left = 0

    def _whole(self, data: bytes) -> None:
        head = self._begin(len(data))
        if self.bare:
            self.wire.send(head)
            return
        if self.left != len(data):
            raise Unfit("the body is not as long as its Content-Length")
        if len(data) <= PIECE:
            self.wire.send(head + data)
        else:
            self.wire.send(head)
            self.wire.send(data)

    def _end(self) -> None:
        if not self.begun:
            self.wire.send(self._begin(0))
        if self.bare:
            return
        if self.left:
            raise Unfit("the body is shorter than its Content-Length")
        if self.chunked:
            self.wire.send(b"0\r\n\r\n")

    def _file(self, body: Any) -> bool:
        """Send a real file from where it stands; False when it is none, or of unknown length."""
        try:
            number, offset = body.file.fileno(), body.file.tell()
        except (AttributeError, OSError):
            return False
        head = self._begin(None)
        if self.left is None or self.bare:
            self.wire.send(head)
            return self.bare
        self.wire.send(head)
        self.left -= self.wire.send_file(number, offset, self.left)
        self._end()
        return True

    def _begin(self, known: int | None) -> bytes:
        """The head, as bytes. ``known``: the length of the whole body when the application did not say."""
        status = self.status
        if status is None:
            raise Unfit("the application ended without calling start_response")
        line = _STATUSES.get(status) or _status(status)
        code = status[:3]
        shape, values = _shaped(self.headers)
        if shape.unfit or code == "204":
            shape, values = _shaped(self._fit(code))
        length = None if shape.length < 0 else values[shape.length]
        fields = _encoded(shape, values)
        tail = self._framing(code, length, known)
        self.begun = True
        return line + fields + tail if shape.dated else line + fields + self.date + tail

    def _fit(self, code: str) -> list[tuple[str, str]]:
        """The headers without those that are the server's to say."""
        lengths = {value for name, value in self.headers if name.lower() == "content-length"}
        if len(lengths) > 1:
            raise Unfit("two values of Content-Length")
        if any(name.lower() == "connection" and "close" in value.lower() for name, value in self.headers):
            self.keep = False
        kept = [(name, value) for name, value in self.headers if name.lower() not in _OWN]
        return kept if code == "204" else [*kept, *(("Content-Length", length) for length in lengths)]

    def _framing(self, code: str, length: str | None, known: int | None) -> bytes:
        """The headers of this connection, and the empty line."""
        lines = b""
        self.bare = self.head or code in ("204", "304")
        if length is not None:
            if not (length.isascii() and length.isdigit()):
                raise Unfit("Content-Length is no number")
            self.left = int(length)
        elif known is not None and not self.bare:
            self.left, lines = known, b"Content-Length: %d\r\n" % known
        elif self.modern and not self.bare:
            self.chunked, lines = True, b"Transfer-Encoding: chunked\r\n"
        elif not self.bare:
            self.keep = False
        if self.keep and self.last():
            self.keep = False
        if not self.keep:
            return lines + b"Connection: close\r\n\r\n"
        return lines + (b"\r\n" if self.modern else b"Connection: keep-alive\r\n\r\n")


def _shaped(headers: list[tuple[str, str]]) -> tuple[_Shape, tuple[str, ...]]:
    """What the names say, and the values."""
    names, values = zip(*headers) if headers else ((), ())  # noqa: B905  # pairs
    return _SHAPES.get(names) or _shape(names), values


def _shape(names: tuple[str, ...]) -> _Shape:
    if not all(map(_NAME.fullmatch, names)):
        raise Unfit("a header's name is no token")
    lower = [name.lower() for name in names]
    length = lower.index("content-length") if "content-length" in lower else -1
    lines = "".join(f"{name.replace('%', '%%')}: %s\r\n" for name in names)
    unfit = sum(name in _OWN for name in lower) > (length >= 0)
    shape = _Shape(lines, b"\r\n" * len(names), length, dated="date" in lower, unfit=unfit)
    if len(_SHAPES) == _KNOWN:
        _SHAPES.clear()
    _SHAPES[names] = shape
    return shape


def _encoded(shape: _Shape, values: tuple[str, ...]) -> bytes:
    try:
        fields = (shape.lines % values).encode("latin-1")
    except UnicodeEncodeError:
        raise Unfit("a header is not latin-1") from None
    if fields.translate(None, _SOUND) != shape.ends:
        raise Unfit("a header cannot be written")
    return fields


def _status(status: str) -> bytes:
    if not _STATUS.fullmatch(status):
        raise Unfit("a status that is none")
    line = f"HTTP/1.1 {status if len(status) > 3 else status + ' '}\r\n".encode("ascii")
    if len(_STATUSES) < _KNOWN:
        _STATUSES[status] = line
    return line


def refusal(status: str, code: str, message: str, date: bytes, more: bytes = b"") -> bytes:
    """A whole answer of the server's own, behind which the connection is closed."""
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>'.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\nConnection: close\r\n".encode()
    return head + date + more + b"\r\n" + body
