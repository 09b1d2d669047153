"""Heads on the wire: a request's written, an answer's read, strictly, and with it how the body ends."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from s3shunt.protocol.errors import InvalidArgument

LONGEST = 65536
MOST = 200
"""Bytes and fields of an answer's head."""

_STATUS = re.compile(r"HTTP/1\.([01]) ([1-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?")
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t ]*([\t\x20-\x7e\x80-\xff]*)")
_LINE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_DIGITS = re.compile("[0-9]{1,18}")
_TARGET = re.compile(r"[\x21-\x7e]+")


class Unclear(Exception):
    """What came is no answer whose end is known for sure."""


@dataclass(frozen=True, slots=True)
class Head:
    """A request without its body. ``fields`` hold everything that is sent, Host and Content-Length included."""

    method: str
    target: str
    fields: Sequence[tuple[str, str]]
    length: int = 0

    def wire(self) -> bytes:
        """Raises InvalidArgument for what would not be one request."""
        lines = [f"{self.method} {self.target} HTTP/1.1", *[f"{name}: {value}" for name, value in self.fields]]
        text = "\r\n".join(lines)
        if text.count("\n") != len(self.fields) or text.count("\r") != len(self.fields) or not _TARGET.fullmatch(self.target):
            raise InvalidArgument("A header or target does not fit on its line.")
        try:
            return f"{text}\r\n\r\n".encode("latin-1")
        except UnicodeEncodeError:
            raise InvalidArgument("A header holds what HTTP cannot carry.") from None


@dataclass(slots=True)
class Told:
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
    found = _STATUS.fullmatch(first)
    if found is None or len(lines) > MOST:
        raise Unclear("no status line, or too many fields")
    fields, special = [], []
    for line in lines:
        field, matters = _field(line)
        fields.append(field)
        if matters:
            special.append((matters, field[1]))
    status = int(found[2])
    closing = found[1] == "0" or any(name == "connection" and "close" in value.lower() for name, value in special)
    return Told(status, (found[3] or "").strip(), fields, _length(special, method, status), not closing)


@lru_cache(maxsize=4096)
def _field(line: str) -> tuple[tuple[str, str], str]:
    """A field, and its name in lower case where the connection goes by it. Raises Unclear."""
    found = _FIELD.fullmatch(line)
    if found is None:
        raise Unclear("a field that is none")
    name = found[1].lower()
    return (found[1], found[2].strip("\t ")), name if name in ("content-length", "transfer-encoding", "connection") else ""


def _length(special: list[tuple[str, str]], method: str, status: int) -> int | None:
    lengths = [value for name, value in special if name == "content-length"]
    codings = [value for name, value in special if name == "transfer-encoding"]
    bodiless = method == "HEAD" or status in (204, 304) or status < 200
    if len(lengths) + len(codings) > 1 or (not lengths and not codings and not bodiless):
        raise Unclear("an answer without a certain end")
    if codings and codings[0].lower() != "chunked" and not bodiless:
        raise Unclear("a transfer coding that nobody asked for")
    if lengths and not _DIGITS.fullmatch(lengths[0]):
        raise Unclear("a length that is none")
    if bodiless:
        return 0
    return None if codings else int(lengths[0])
