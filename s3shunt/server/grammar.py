"""The head of a request: what may stand in it, and what follows from it. Pure.

Two readers must agree on every head: an expression that says what a head is, without
any way back over what it has read, and llhttp. On top of both stand the rules where
HTTP allows what a signing protocol cannot: one framing field of each kind, no
underscores in names (WSGI would take ``a_b`` for ``a-b``), an absolute target only where its
authority is the Host.
"""

import re
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from httptools import HttpParserError, HttpParserInvalidMethodError, HttpParserUpgrade, HttpRequestParser

_HEAD = re.compile(
    rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}+ "
    rb"(?:/[\x21\x22\x24-\x7e]*+|https?://[A-Za-z0-9._:\[\]-]++(?:[/?][\x21\x22\x24-\x7e]*+)?|\*) "
    rb"HTTP/1\.([01])\r\n"
    rb"(?:[!#$%&'*+.^`|~0-9A-Za-z-]++:[\t\x20-\x7e\x80-\xff]*+\r\n)*+\r\n"
)
_UNDERSCORED = re.compile(rb"\r\n[!#$%&'*+.^`|~0-9A-Za-z-]*+_[^:\r\n]*+:")
_VERSION = re.compile(rb"[^\r\n ]++ [^\r\n ]++ HTTP/(?!1\.[01]\r)[0-9]\.[0-9]\r\n")
_HOST = re.compile(r"(?:[A-Za-z0-9._-]*+|\[[0-9A-Fa-f:.]++\])(?::[0-9]{0,5}+)?")
_BROKEN = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_TOKEN = frozenset(b"!#$%&'*+.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-")
_TRAILER = re.compile(rb"[!#$%&'*+.^`|~0-9A-Za-z-]++:[\t\x20-\x7e\x80-\xff]*+")
_UNTRAILED = frozenset(
    b"authorization cache-control connection content-encoding content-length content-range content-type expect host keep-alive "
    b"max-forwards proxy-authorization range te trailer transfer-encoding upgrade".split()
)  # fmt: skip
_CHUNK = re.compile(
    rb"([0-9A-Fa-f]{1,15}+)"
    rb"(?:;[ \t]*+[!#$%&'*+.^_`|~0-9A-Za-z-]++"
    rb"(?:=(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++|\"(?:[\t \x21\x23-\x5b\x5d-\x7e]|\\[\t\x20-\x7e])*+\"))?)*+"
)

_ONCE = frozenset(("CONTENT_LENGTH", "CONTENT_TYPE", "HTTP_TRANSFER_ENCODING", "HTTP_HOST", "HTTP_EXPECT", "HTTP_AUTHORIZATION"))
_KEYS: dict[bytes, str] = {}
_KNOWN = 2048
"""Header names as spelled by clients that are remembered."""


class Refused(Exception):
    """A request that is answered and not read any further."""

    def __init__(self, status: str, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def bad(message: str) -> Refused:
    return Refused("400 Bad Request", "BadRequest", message)


@dataclass(frozen=True, slots=True)
class Limits:
    line: int = 8192
    fields: int = 100
    head: int = 65536


class Plan(NamedTuple):
    """What follows the head: ``length`` of the body (None: in chunks), whether the connection may stay, whether 100 is awaited."""

    length: int | None
    keep: bool
    expects: bool


class _Pieces:
    """What llhttp found."""

    __slots__ = ("fields", "target")

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.target = b""

    def on_url(self, target: bytes) -> None:
        self.target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))


def read(head: bytes, environ: dict[str, Any], limits: Limits) -> Plan:
    """Put a whole head, its empty line included, into ``environ``. Raises Refused."""
    found = _HEAD.fullmatch(head)
    if found is None:
        raise _reason(head)
    if len(head) > limits.line:
        _measure(head, limits)
    pieces = _split(head)
    if len(pieces.fields) > limits.fields:
        raise _too_large()
    environ["REQUEST_METHOD"] = head[: head.index(b" ")].decode("ascii")
    environ["SERVER_PROTOCOL"] = "HTTP/1.1" if found[1] == b"1" else "HTTP/1.0"
    _fields(pieces.fields, environ)
    _target(pieces.target.decode("ascii"), environ)
    environ["s3shunt.fields"] = pieces.fields
    return _plan(environ, found[1] == b"1")


def doubtful(begun: bytes, start: int, limits: Limits) -> Refused | None:
    """What is already wrong with a head that has not ended; ``begun`` was sound up to ``start``."""
    if begun and begun[0] not in _TOKEN:
        return bad("This is no HTTP request.")
    if len(begun) > limits.head:
        return _too_large()
    line = begun.find(b"\r\n")
    if (line < 0 and len(begun) > limits.line) or line > limits.line:
        return _too_long()
    if _BROKEN.search(begun, max(0, start - 1)):
        return bad("A line of the head does not end in CR LF, or holds control characters.")
    return None


def _split(head: bytes) -> _Pieces:
    pieces = _Pieces()
    try:
        HttpRequestParser(pieces).feed_data(head)
    except HttpParserUpgrade:
        pass  # not offered: answered as if it had not been asked
    except HttpParserInvalidMethodError:
        raise Refused("501 Not Implemented", "NotImplemented", "This method is not known.") from None
    except HttpParserError:
        raise bad("The head cannot be read.") from None
    return pieces


def _fields(fields: list[tuple[bytes, bytes]], environ: dict[str, Any]) -> None:
    for name, value in fields:
        key = _KEYS.get(name) or _key(name)
        text = value.decode("latin-1")
        if key not in environ:
            environ[key] = text if not text or text[-1] not in " \t" else text.rstrip(" \t")
        elif key in _ONCE:
            raise bad(f"{name.decode('latin-1')} is given twice.")
        else:
            environ[key] += "," + text.strip(" \t")


def _key(name: bytes) -> str:
    """The name of a header in a WSGI environ."""
    key = name.decode("ascii").upper().replace("-", "_")
    if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        key = "HTTP_" + key
    if len(_KEYS) < _KNOWN:
        _KEYS[name] = key
    return key


def _target(target: str, environ: dict[str, Any]) -> None:
    environ["RAW_URI"] = environ["REQUEST_URI"] = target
    if target[0] != "/":
        target = _from_absolute(target, environ)
    path, _, environ["QUERY_STRING"] = target.partition("?")
    environ["RAW_PATH_INFO"] = path
    environ["PATH_INFO"] = unquote_to_bytes(path).decode("latin-1") if "%" in path else path


def _from_absolute(target: str, environ: dict[str, Any]) -> str:
    """The path and query of an absolute target, whose authority must be the Host; '' for '*'."""
    if target == "*":
        if environ["REQUEST_METHOD"] != "OPTIONS":
            raise bad("The target is no path.")
        return ""
    rest = target.partition("://")[2]
    authority = re.split("[/?]", rest, maxsplit=1)[0]
    if authority.lower() != environ.get("HTTP_HOST", "").lower():
        raise bad("The target names another host than Host.")
    rest = rest[len(authority) :]
    return rest if rest.startswith("/") else "/" + rest


def _plan(environ: dict[str, Any], modern: bool) -> Plan:  # noqa: FBT001  # HTTP/1.1
    host = environ.get("HTTP_HOST")
    if host is None and modern:
        raise bad("Host is missing.")
    if host and not _HOST.fullmatch(host):
        raise bad("Host cannot be read.")
    expect = environ.get("HTTP_EXPECT")
    if expect is not None and expect.lower() != "100-continue":
        raise Refused("417 Expectation Failed", "InvalidArgument", "This expectation cannot be met.")
    connection = environ.get("HTTP_CONNECTION")
    keep = modern
    if connection is not None:
        options = {word.strip(" \t").lower() for word in connection.split(",")}
        keep = "close" not in options and (modern or "keep-alive" in options)
    return Plan(_length(environ, modern), keep, expect is not None and modern)


def _length(environ: dict[str, Any], modern: bool) -> int | None:  # noqa: FBT001
    coding, length = environ.get("HTTP_TRANSFER_ENCODING"), environ.get("CONTENT_LENGTH")
    if coding is not None:
        if length is not None or not modern or coding.lower() != "chunked":
            raise bad("The length of the body could be read in two ways.")
        return None
    if length is None:
        return 0
    if not (length.isascii() and length.isdigit() and len(length) <= 18):
        raise bad("Content-Length must be digits.")
    return int(length)


def _measure(head: bytes, limits: Limits) -> None:
    if len(head) > limits.head:
        raise _too_large()
    first, *lines = head.split(b"\r\n")
    if len(first) > limits.line:
        raise _too_long()
    if any(len(line) > limits.line for line in lines):
        raise _too_large()


def _too_long() -> Refused:
    return Refused("414 URI Too Long", "BadRequest", "The request line is too long.")


def _too_large() -> Refused:
    return Refused("431 Request Header Fields Too Large", "RequestHeaderSectionTooLarge", "The head is too large.")


def _reason(head: bytes) -> Refused:
    if _VERSION.match(head):
        return Refused("505 HTTP Version Not Supported", "BadRequest", "This version of HTTP is not spoken here.")
    if _UNDERSCORED.search(head):
        return bad("A header's name may not have an underscore.")
    return bad("The head cannot be read in one way only.")


def chunk(line: bytes) -> int:
    """The size that a chunk's first line tells, without its CR LF. Raises ValueError."""
    found = _CHUNK.fullmatch(line)
    if found is None:
        raise ValueError("a chunk's size cannot be read")
    return int(found[1], 16)


def trailer(line: bytes) -> tuple[str, str]:
    """A field behind the last chunk. Raises ValueError for one that may only stand in the head."""
    name, _, value = line.partition(b":")
    if not _TRAILER.fullmatch(line) or name.lower() in _UNTRAILED:
        raise ValueError("a trailer cannot be read")
    return name.decode("ascii"), value.strip(b" \t").decode("latin-1")
