"""Signature Version 4 of a request: making one, reading one, checking one (AWS, Authenticating Requests).

Text in, text out: no clock, no socket. Header values are text as PEP 3333 has
it, one character per byte on the wire. What is signed is the request as it was
sent; ``presigned`` reads the same credential from a query.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from urllib.parse import quote, unquote_to_bytes

ALGORITHM = "AWS4-HMAC-SHA256"
EMPTY_SHA256 = sha256(b"").hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"
DUMMY_SECRET = "no such key, the same work"
"""What an unknown key is verified with, so that it costs what a known one costs."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Day, region and service for which a signing key is good."""

    date: str
    region: str
    service: str = "s3"

    def __str__(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What a client claims of itself. ``payload`` is what it signed of the body: a hash or the name of a mode.

    ``expires`` is in milliseconds since the epoch, for a presigned URL only.
    """

    access_key: str
    scope: Scope
    signed: tuple[str, ...]
    signature: str
    timestamp: str
    signed_at: int
    payload: str
    expires: int | None = None
    token: str | None = None


def authorization(
    method: str,
    path: str,
    query: Sequence[tuple[str, str]],
    headers: Mapping[str, str],
    payload_hash: str,
    *,
    access_key: str,
    secret_key: str,
    timestamp: str,
    region: str = "us-east-1",
    service: str = "s3",
) -> str:
    """The value of the Authorization header; all ``headers`` (lower-case names, host and x-amz-date among them) are signed.

    ``path`` is percent-encoded as it will be sent, ``query`` holds decoded pairs.
    """
    scope = Scope(timestamp[:8], region, service)
    names = tuple(sorted(headers))
    canonical = canonical_request(method, path, canonical_query(query), headers, names, payload_hash)
    signature = sign(secret_key, scope, string_to_sign(canonical, timestamp, scope))
    return f"{ALGORITHM} Credential={access_key}/{scope}, SignedHeaders={';'.join(names)}, Signature={signature}"


def canonical_request(method: str, path: str, query: str, headers: Mapping[str, str], names: Sequence[str], payload: str) -> str:
    """The text whose hash is signed. ``names`` are sorted, ``path`` and ``query`` canonical; an absent header is empty."""
    lines = [f"{name}:{fold(headers.get(name, ''))}" for name in names]
    return "\n".join([method, path, query, *lines, "", ";".join(names), payload])


def string_to_sign(canonical: str, timestamp: str, scope: Scope) -> str:
    return f"{ALGORITHM}\n{timestamp}\n{scope}\n{sha256(wire(canonical)).hexdigest()}"


@lru_cache(maxsize=1024)
def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """Good for a day: derived once, then remembered."""
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def sign(secret: str, scope: Scope, text: str) -> str:
    return hmac.digest(signing_key(secret, scope.date, scope.region, scope.service), text.encode(), "sha256").hex()


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
    if "%" not in raw:
        return quote(raw, safe="/~")
    return "/".join([quote(unquote_to_bytes(segment), safe="~") for segment in raw.split("/")])


def canonical_query(pairs: Sequence[tuple[str, str]]) -> str:
    """Decoded pairs, encoded and sorted by name, then by value (``a`` comes before ``a-b``)."""
    encoded = sorted([(quote(name, safe="~"), quote(value, safe="~")) for name, value in pairs])
    return "&".join([f"{name}={value}" for name, value in encoded])
