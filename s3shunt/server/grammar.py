"""The head of a request: what may stand in it, and what follows from it. Pure.

Two readers must agree on every head: an expression that says what a head is, without
any way back over what it has read, and llhttp. What passes both ends its lines in one way and has
one colon that ends a name, so it is simply taken apart there. On top of both stand the rules where
HTTP allows what a signing protocol cannot: one framing field of each kind, no
underscores in names (WSGI would take ``a_b`` for ``a-b``), an absolute target only where its
authority is the Host.

A client says most lines of its head again and again: those that hold nothing secret are remembered as they were read.
"""

import re
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from httptools import HttpParserError, HttpParserInvalidMethodError, HttpParserUpgrade, HttpRequestParser

_HEAD = re.compile(
    rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}+ "
    rb"(?:/[\x21\x22\x24-\x7e]*+|https?://[A-Za-z0-9._:\[\]-]++(?:[/?][\x21\x22\x24-\x7e]*+)?|\*) "
    rb"HTTP/1\.[01]\r\n"
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
_KNOWN = 2048
_NAMES: dict[str, str] = {}
"""Variables of a WSGI environ, by header names as clients spell them; at most ``_KNOWN``."""
_LINES: dict[str, tuple[str, str]] = {}
"""Variable and value, by the whole line of a header; at most ``_KNOWN``, none longer than ``_LONG``, only of ``_REPEATED``."""
_LONG = 256
_REPEATED = frozenset((
    "CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_HOST", "HTTP_USER_AGENT", "HTTP_ACCEPT", "HTTP_ACCEPT_ENCODING", "HTTP_CONNECTION",
    "HTTP_X_AMZ_DATE", "HTTP_X_AMZ_CONTENT_SHA256", "HTTP_AMZ_SDK_REQUEST",
))  # fmt: skip


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


_ASKS, _ASKS_LAST = Plan(0, True, False), Plan(0, False, False)  # noqa: FBT003
"""What most heads come to: no body."""


def read(head: bytes, environ: dict[str, Any], limits: Limits) -> Plan:
    """Put a whole head, its empty line included, into ``environ``. Raises Refused."""
    if _HEAD.fullmatch(head) is None:
        raise _reason(head)
    if len(head) > limits.line:
        _measure(head, limits)
    lines = head[:-4].decode("latin-1").split("\r\n")
    if len(lines) > limits.fields + 1:
        raise _too_large()
    _agree(head)
    method, target, version = lines[0].split(" ")
    environ["REQUEST_METHOD"] = method
    environ["SERVER_PROTOCOL"] = version
    del lines[0]
    for line in lines:
        variable, text = _LINES.get(line) or _line(line)
        if variable not in environ:
            environ[variable] = text
        elif variable in _ONCE:
            raise bad(f"{line.partition(':')[0]} is given twice.")
        else:
            environ[variable] += "," + text
    _target(target, environ)
    return _plan(environ, version == "HTTP/1.1")


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


class _Reader:
    """Listens to llhttp: that it does not object is all we want to hear."""


_READER = _Reader()


def _agree(head: bytes) -> None:
    try:
        HttpRequestParser(_READER).feed_data(head)
    except HttpParserUpgrade:
        pass  # not offered: answered as if it had not been asked
    except HttpParserInvalidMethodError:
        raise Refused("501 Not Implemented", "NotImplemented", "This method is not known.") from None
    except HttpParserError:
        raise bad("The head cannot be read.") from None


def _line(line: str) -> tuple[str, str]:
    """A header as it stands in a WSGI environ."""
    name, _, value = line.partition(":")
    variable = _NAMES.get(name) or _variable(name)
    known = variable, value.strip(" \t")
    if variable == "HTTP_HOST" and not _HOST.fullmatch(known[1]):
        raise bad("Host cannot be read.")
    if variable in _REPEATED and len(line) <= _LONG:
        if len(_LINES) == _KNOWN:
            _LINES.clear()
        _LINES[line] = known
    return known


def _variable(name: str) -> str:
    variable = name.upper().replace("-", "_")
    if variable not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        variable = "HTTP_" + variable
    if len(_NAMES) < _KNOWN:
        _NAMES[name] = variable
    return variable


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
    if modern and "HTTP_HOST" not in environ:
        raise bad("Host is missing.")
    expect = environ.get("HTTP_EXPECT")
    if expect is not None and expect.lower() != "100-continue":
        raise Refused("417 Expectation Failed", "InvalidArgument", "This expectation cannot be met.")
    connection = environ.get("HTTP_CONNECTION")
    keep = modern
    if connection is not None:
        options = {word.strip(" \t").lower() for word in connection.split(",")}
        keep = "close" not in options and (modern or "keep-alive" in options)
    length = _length(environ, modern)
    if length == 0 and expect is None:
        return _ASKS if keep else _ASKS_LAST
    return Plan(length, keep, expect is not None and modern)


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
