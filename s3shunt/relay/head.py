"""Heads on the wire: a request's written, an answer's read, strictly, and with it how the body ends."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from s3shunt.protocol.errors import InvalidArgument
from s3shunt.protocol.names import Known

LONGEST = 65536
MOST = 200
"""Bytes and fields of an answer's head."""
SHORT = 256
KEPT = 1024
"""Letters of a line that is remembered, and how many such lines."""

_STATUS = re.compile(r"HTTP/1\.([01]) ([1-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LINE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class Unclear(Exception):
    """What came is no answer whose end is known for sure."""


class Head(NamedTuple):
    """A request without its body. ``fields`` hold everything that is sent, Host and Content-Length included."""

    method: str
    target: str
    fields: Sequence[tuple[str, str]]
    length: int = 0
    written: bytes = b""
    """As it goes out, where that is known already."""

    def wire(self) -> bytes:
        """Raises InvalidArgument for what would not be one request."""
        if self.written:
            return self.written
        fields = self.fields
        text = "\r\n".join([f"{self.method} {self.target} HTTP/1.1", *[f"{name}: {value}" for name, value in fields], "", ""])
        ends = len(fields) + 2
        if not (text.count("\n") == ends == text.count("\r") and fits(self.target)):
            raise InvalidArgument("A header or target does not fit on its line.")
        try:
            return text.encode("latin-1")
        except UnicodeEncodeError:
            raise InvalidArgument("A header holds what HTTP cannot carry.") from None


def fits(target: str) -> bool:
    """Whether it is one word, as a request line needs it."""
    return target.isascii() and target.isprintable() and " " not in target and target != ""


class Told(NamedTuple):
    """The head of an answer. ``length`` is None when the body comes in chunks."""

    status: int
    reason: str
    fields: list[tuple[str, str]]
    length: int | None
    lasting: bool
    """Whether the connection may be used again."""


def read(head: bytes, method: str) -> Told:
    """``head`` without its empty line. Raises Unclear."""
    first, *lines = head.decode("latin-1").split("\r\n")
    if len(lines) > MOST:
        raise Unclear("too many fields")
    status, reason, closing = _STATUSES[first]
    fields, framing = [], []
    for line in lines:
        field = _SEEN.get(line)
        if field is None:
            field, matters = _FRAMING.get(line) or _field(line)
            if matters == "connection":
                closing = closing or "close" in field[1].lower()
            elif matters:
                framing.append((matters, field[1]))
        fields.append(field)
    return Told(status, reason, fields, _length(framing, method, status), not closing)


def _status(line: str) -> tuple[int, str, bool]:
    """Status, reason (none where it is not ASCII), and whether the connection ends because it is HTTP/1.0. Raises Unclear."""
    found = _STATUS.fullmatch(line)
    if found is None:
        raise Unclear("no status line")
    reason = found[3] or ""
    return int(found[2]), reason.strip() if reason.isascii() else "", found[1] == "0"


def _field(line: str) -> tuple[tuple[str, str], str]:
    """A field, and its name in lower case where the connection goes by it. Raises Unclear."""
    name, colon, rest = line.partition(":")
    if not colon or not ((rest.isascii() and rest.isprintable()) or _LINE.fullmatch(rest)):
        raise Unclear("a field that is none")
    field, (matters, varies) = (name, rest.strip("\t ")), _NAMES[name]
    if not varies and len(line) <= SHORT:
        _keep(line, field, matters)
    return field, matters


def _keep(line: str, field: tuple[str, str], matters: str) -> None:
    kept: dict[str, Any] = _FRAMING if matters else _SEEN
    if len(kept) >= KEPT:
        kept.clear()
    kept[line] = (field, matters) if matters else field


def _name(name: str) -> tuple[str, bool]:
    """A field's name, in lower case, where the connection goes by it; whether it is another one each time. Raises Unclear."""
    if not _NAME.fullmatch(name):
        raise Unclear("a field's name that is none")
    lower = name.lower()
    return lower if lower in ("content-length", "transfer-encoding", "connection") else "", lower.startswith(_VARYING)


_STATUSES, _NAMES = Known(_status), Known(_name)
_VARYING = ("etag", "last-modified", "content-range", "x-amz-meta-", "x-amz-request-id", "x-amz-id-2", "x-amz-checksum-")
_SEEN: dict[str, tuple[str, str]] = {}
_FRAMING: dict[str, tuple[tuple[str, str], str]] = {}
"""Fields as they came before, by their line; those that say where an answer ends apart."""


def _length(framing: list[tuple[str, str]], method: str, status: int) -> int | None:
    bodiless = method == "HEAD" or status in (204, 304) or status < 200
    if len(framing) != 1 and (framing or not bodiless):
        raise Unclear("an answer without a certain end")
    for name, value in framing:
        if name == "transfer-encoding":
            if value.lower() != "chunked" and not bodiless:
                raise Unclear("a transfer coding that nobody asked for")
            return 0 if bodiless else None
        if not (value.isascii() and value.isdigit() and len(value) <= 18):
            raise Unclear("a length that is none")
        return 0 if bodiless else int(value)
    return 0
