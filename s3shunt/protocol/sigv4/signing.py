"""Making a signature: the canonical text of a request, and the key that signs it."""

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from urllib.parse import quote, unquote_to_bytes

from s3shunt.protocol.names import remembered

ALGORITHM = "AWS4-HMAC-SHA256"
EMPTY_SHA256 = sha256(b"").hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"
_CANONICAL = re.compile("[/A-Za-z0-9._~-]*")
_UNRESERVED = re.compile("[A-Za-z0-9._~-]*")


@dataclass(frozen=True, slots=True)
class Scope:
    """Day, region and service for which a signing key is good."""

    date: str
    region: str
    service: str = "s3"
    text: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", f"{self.date}/{self.region}/{self.service}/aws4_request")

    def __str__(self) -> str:
        return self.text


def authorization(
    method: str, path: str, query: Sequence[tuple[str, str]], headers: Mapping[str, str], payload_hash: str, *,
    access_key: str, secret_key: str, timestamp: str, region: str = "us-east-1", service: str = "s3",
) -> str:  # fmt: skip
    """The value of the Authorization header; all ``headers`` (lower-case names, host and x-amz-date among them) are signed.

    ``path`` is percent-encoded as it will be sent, ``query`` holds decoded pairs.
    """
    scope = _within(timestamp[:8], region, service)
    names = tuple(sorted(headers))
    canonical = canonical_request((method, path, canonical_query(query)), headers, names, payload_hash)
    signature = signing_key(secret_key, scope).sign(string_to_sign(canonical, timestamp, scope))
    return f"{ALGORITHM} Credential={access_key}/{scope.text}, SignedHeaders={';'.join(names)}, Signature={signature}"


@lru_cache(maxsize=64)
def _within(date: str, region: str, service: str) -> Scope:
    return Scope(date, region, service)


def canonical_request(line: tuple[str, str, str], headers: Mapping[str, str], names: Sequence[str], payload: str) -> str:
    """The text whose hash is signed: ``line`` is method, path and query; a header that is absent is empty."""
    values = [headers.get(name, "") for name in names]
    if not single(values):
        values = [fold(value) for value in values]
    return template(";".join(names)) % (*line, *values, payload)


@remembered
def template(signed: str) -> str:
    """The canonical request over these headers with ``%s`` for method, path and query, the value of each header, and the payload."""
    signed = signed.replace("%", "%%")
    fields = "".join([f"{name}:%s\n" for name in signed.split(";")])
    return f"%s\n%s\n%s\n{fields}\n{signed}\n%s"


def single(values: Sequence[str]) -> bool:
    """Whether all header values are plain words, in which there is nothing to fold; some that are may be told otherwise."""
    joined = "".join(values)
    return joined.isascii() and joined.split() == [joined]


def string_to_sign(canonical: str, timestamp: str, scope: Scope) -> str:
    return f"{ALGORITHM}\n{timestamp}\n{scope.text}\n{sha256(wire(canonical)).hexdigest()}"


class SigningKey:
    """HMAC-SHA256 with the key already taken in: half the work for each text (RFC 2104)."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        block = key.ljust(64, b"\0")
        self._inner = sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = sha256(bytes(byte ^ 0x5C for byte in block))

    def sign(self, text: str) -> str:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text.encode())
        outer.update(inner.digest())
        return outer.hexdigest()


def signing_key(secret: str, scope: Scope) -> SigningKey:
    """Good for a day: derived once, then remembered."""
    return _derived(secret, scope.text)


@lru_cache(maxsize=1024)
def _derived(secret: str, scope: str) -> SigningKey:
    key = f"AWS4{secret}".encode()
    for part in scope.rsplit("/", 3):
        key = hmac.digest(key, part.encode(), "sha256")
    return SigningKey(key)


def wire(text: str) -> bytes:
    """Text as it travels: one byte a character, or UTF-8 where a tool signs real text."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8")


def fold(value: str) -> str:
    """A header value trimmed, with each run of white space made one space; the bytes of UTF-8 are no white space."""
    if value.isascii():
        return " ".join(value.split())
    return b" ".join(wire(value).split()).decode("latin-1")


def canonical_path(raw: str) -> str:
    """Each segment decoded and encoded once: ``//``, ``.``, ``..`` and ``%2F`` stay what they are."""
    if _CANONICAL.fullmatch(raw):
        return raw
    if "%" not in raw:
        return quote(raw, safe="/~")
    return "/".join([quote(unquote_to_bytes(segment), safe="~") for segment in raw.split("/")])


@remembered
def _quoted(text: str) -> str:
    return text if _UNRESERVED.fullmatch(text) else quote(text, safe="~")


def canonical_query(pairs: Sequence[tuple[str, str]]) -> str:
    """Decoded pairs, encoded and sorted by name, then by value (``a`` comes before ``a-b``)."""
    if not pairs:
        return ""
    encoded = sorted([(_quoted(name), _quoted(value)) for name, value in pairs])
    return "&".join([f"{name}={value}" for name, value in encoded])
