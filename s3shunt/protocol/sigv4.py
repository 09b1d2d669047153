"""Signature Version 4 of a request: making one, reading one, checking one (AWS, Authenticating Requests).

Text in, text out: no clock, no socket. Header values are text as PEP 3333 has
it, one character per byte on the wire. What is signed is the request as it was
sent; ``presigned`` reads the same credential from a query.
"""

import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from hashlib import sha256
from itertools import product
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

from s3shunt.protocol.errors import (
    AccessDenied,
    AuthorizationHeaderMalformed,
    InvalidArgument,
    InvalidRequest,
    RequestTimeTooSkewed,
    S3Error,
    SignatureDoesNotMatch,
)
from s3shunt.protocol.names import remembered

ALGORITHM = "AWS4-HMAC-SHA256"
EMPTY_SHA256 = sha256(b"").hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"
_SECRET = re.compile(r"(^x-amz-(?:security-token|[a-z-]*customer-key):).+|((?:&|^)X-Amz-Security-Token=)[^&\n]+", re.MULTILINE)
"""What is left out where a canonical request is shown: error documents end in logs and mails."""

_CANONICAL = re.compile("[/A-Za-z0-9._~-]*")
_UNRESERVED = re.compile("[A-Za-z0-9._~-]*")
_FOLDED = re.compile(r"[\x21-\x7e\n]*+")
"""Lines in which nothing can be folded."""
DUMMY_SECRET = "no such key, the same work"
"""What an unknown key is verified with, so that it costs what a known one costs."""


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


class Credential(NamedTuple):
    """What a client claims of itself. ``payload`` is what it signed of the body: a hash, or the name of a mode.

    ``expires`` is set for a presigned URL only. Times are milliseconds since the
    epoch; ``timestamp`` is the one of them that is signed, as text.
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


class Sent(NamedTuple):
    """A request as it was sent: percent-encoded ``path`` and ``query``, decoded ``pairs``, headers by lower-case name.

    Of a presigned URL without the signature itself.
    """

    method: str
    path: str
    query: str
    pairs: Sequence[tuple[str, str]]
    headers: Mapping[str, str]


# Making


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
    fields = "\n".join([f"{name}:{headers.get(name, '')}" for name in names])
    if not _FOLDED.fullmatch(fields) or fields.count("\n") >= len(names):
        fields = "\n".join([f"{name}:{fold(headers.get(name, ''))}" for name in names])
    method, path, query = line
    return f"{method}\n{path}\n{query}\n{fields}\n\n{';'.join(names)}\n{payload}"


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


# Reading


def from_header(value: str, headers: Mapping[str, str]) -> Credential:
    """The credential of an Authorization header.

    Raises InvalidRequest for another algorithm, SigV2 among them, and for a
    missing x-amz-content-sha256; AuthorizationHeaderMalformed; AccessDenied
    without a date.
    """
    begin, signature = value[:-64], value[-64:]
    usual = begin.endswith("Signature=") and signature.isalnum()  # then all but the signature is the same from request to request
    access_key, scope, signed, given = _claims(begin if usual else value)
    timestamp, signed_at = _date(headers)
    if timestamp[:8] != scope.date:
        raise AuthorizationHeaderMalformed("The date of the credential is not the date of the request.")
    payload = headers.get("x-amz-content-sha256")
    if payload is None:
        raise InvalidRequest("Missing required header for this request: x-amz-content-sha256")
    sign, token = signature if usual else given, headers.get("x-amz-security-token")
    return Credential(access_key, scope, signed, sign, timestamp, signed_at, payload, None, token)


@remembered
def _claims(value: str) -> tuple[str, Scope, tuple[str, ...], str]:
    """Access key, scope, signed names and signature of an Authorization header."""
    algorithm, _, rest = value.partition(" ")
    check_algorithm(algorithm)
    parts = [part.strip().partition("=") for part in rest.split(",")]
    given = {name: text for name, _, text in parts}
    if len(parts) != len(given) or given.keys() != {"Credential", "SignedHeaders", "Signature"}:
        raise AuthorizationHeaderMalformed("The authorization header needs Credential, SignedHeaders and Signature, each once.")
    access_key, scope = scope_of(given["Credential"], AuthorizationHeaderMalformed)
    return access_key, scope, names_of(given["SignedHeaders"], AuthorizationHeaderMalformed), given["Signature"]


def check_algorithm(name: str) -> None:
    """Raises for anything but SigV4; there is no second way in."""
    if name == ALGORITHM:
        return
    if name == "AWS" or name.startswith("AWS4-"):
        raise InvalidRequest(f"The authorization mechanism you have provided is not supported. Please use {ALGORITHM}.")
    raise InvalidArgument("Unsupported Authorization Type", ArgumentName="Authorization")


def scope_of(text: str, malformed: type[S3Error]) -> tuple[str, Scope]:
    """Access key and scope of ``key/date/region/service/aws4_request``."""
    found = _scope(text)
    if found is None:
        raise malformed("The Credential must be of the form KEY/YYYYMMDD/REGION/s3/aws4_request.")
    return found


@remembered
def _scope(text: str) -> tuple[str, Scope] | None:
    parts = text.rsplit("/", 4)
    if len(parts) != 5 or not all(parts) or parts[4] != "aws4_request" or parts[3] != "s3":
        return None
    return parts[0], Scope(parts[1], parts[2], parts[3])


def names_of(text: str, malformed: type[S3Error]) -> tuple[str, ...]:
    """The signed header names, sorted."""
    found = _names(text)
    if not found:
        raise malformed("SignedHeaders must be lower-case names, each once, separated by ';'.")
    return found


@remembered
def _names(text: str) -> tuple[str, ...]:
    names = text.split(";")
    if not all(names) or text != text.lower() or len(set(names)) != len(names):
        return ()
    return tuple(sorted(names))


@lru_cache(maxsize=4096)
def moment(text: str) -> int:
    """Milliseconds of ``YYYYMMDDTHHMMSSZ``. Raises ValueError."""
    digits = text[:8] + text[9:15]
    if len(text) != 16 or text[8] != "T" or text[15] != "Z" or not (digits.isascii() and digits.isdigit()):
        raise ValueError(text)
    numbers = (int(digits[:4]), *(int(digits[i : i + 2]) for i in range(4, 14, 2)))
    return int(datetime(*numbers, tzinfo=UTC).timestamp()) * 1000  # type: ignore[misc,arg-type]


def _date(headers: Mapping[str, str]) -> tuple[str, int]:
    """What was signed as the time, from x-amz-date, else from Date in either form."""
    text = headers.get("x-amz-date") or headers.get("date") or ""
    try:
        if text[8:9] != "T":
            text = parsedate_to_datetime(text).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        return text, moment(text)
    except (ValueError, OverflowError):
        raise AccessDenied("AWS authentication requires a valid Date or x-amz-date header") from None


# Checking


def check_signed(credential: Credential, headers: Mapping[str, str]) -> None:
    """Raises AccessDenied unless ``host`` and every ``x-amz-*`` header present is signed. There are no exceptions."""
    signed = credential.signed
    unsigned = [name for name in headers if name[:6] == "x-amz-" and name not in signed]
    if unsigned or "host" not in signed:
        names = sorted(unsigned) if unsigned else ["host"]
        raise AccessDenied("There were headers present in the request which were not signed", HeadersNotSigned=", ".join(names))


def check_region(scope: Scope, accepted: Sequence[str]) -> None:
    """Raises AuthorizationHeaderMalformed when the credential is for another place. Nothing accepted: all are."""
    if accepted and scope.region not in accepted:
        raise AuthorizationHeaderMalformed(
            f"The authorization header is malformed; the region '{scope.region}' is wrong; expecting '{accepted[0]}'", Region=accepted[0]
        )


def check_time(credential: Credential, now: int, skew: int) -> None:
    """Raises RequestTimeTooSkewed; for a presigned URL AccessDenied before its time and after it."""
    if credential.expires is None:
        if abs(now - credential.signed_at) > skew:
            raise RequestTimeTooSkewed(
                RequestTime=credential.timestamp, ServerTime=timestamp(now), MaxAllowedSkewMilliseconds=str(skew)
            )
    elif credential.signed_at - now > skew:
        raise AccessDenied("Request is not yet valid", ServerTime=timestamp(now))
    elif now > credential.expires:
        raise AccessDenied("Request has expired", Expires=timestamp(credential.expires), ServerTime=timestamp(now))


def timestamp(now: int) -> str:
    """Milliseconds as ``YYYYMMDDTHHMMSSZ``."""
    return _second(now // 1000)


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dT%H%M%SZ")


def verify(credential: Credential, secret: str, sent: Sent) -> None:
    """Raises SignatureDoesNotMatch.

    Path and query may each be signed in S3's canonical form or exactly as sent;
    all forms name the same object and parameters, so none can stand for another.
    """
    usual = canonical_path(sent.path), canonical_query(sent.pairs)
    canonical, signed = _signs(credential, secret, sent, usual)
    if not canonical or any(not _signs(credential, secret, sent, form)[0] for form in _further(sent, usual)):
        return
    shown = _SECRET.sub(r"\1\2...", canonical)
    raise SignatureDoesNotMatch(AWSAccessKeyId=credential.access_key, StringToSign=signed, CanonicalRequest=shown)


def _signs(credential: Credential, secret: str, sent: Sent, form: tuple[str, str]) -> tuple[str, str]:
    """The canonical request and the text that should have been signed; both empty where it was."""
    canonical = canonical_request((sent.method, *form), sent.headers, credential.signed, credential.payload)
    text = string_to_sign(canonical, credential.timestamp, credential.scope)
    return ("", "") if same(signing_key(secret, credential.scope).sign(text), credential.signature) else (canonical, text)


def _further(sent: Sent, usual: tuple[str, str]) -> Iterable[tuple[str, str]]:
    """Usually none: a client that sends canonical text has no other form."""
    path, query = usual
    for form in product(dict.fromkeys((path, sent.path)), dict.fromkeys((query, _as_sent(sent.query)))):
        if form != usual:
            yield form


def _as_sent(query: str) -> str:
    pairs = sorted([part.partition("=")[::2] for part in query.split("&")]) if query else []
    return "&".join([f"{name}={value}" for name, value in pairs])


def same(one: str, other: str) -> bool:
    """Whether two secrets are equal, in a time that does not say where they differ."""
    if one.isascii() and other.isascii():
        return hmac.compare_digest(one, other)
    return hmac.compare_digest(one.encode("utf-8", "surrogateescape"), other.encode("utf-8", "surrogateescape"))
