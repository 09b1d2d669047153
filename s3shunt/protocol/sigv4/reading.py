"""Reading what a client claims of itself, in its Authorization header."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import NamedTuple

from s3shunt.protocol.errors import AccessDenied, AuthorizationHeaderMalformed, InvalidArgument, InvalidRequest, S3Error
from s3shunt.protocol.names import remembered
from s3shunt.protocol.sigv4.signing import ALGORITHM, Scope


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


def from_header(value: str, headers: Mapping[str, str]) -> Credential:
    """The credential of an Authorization header.

    Raises InvalidRequest for another algorithm, SigV2 among them, and for a
    missing x-amz-content-sha256; AuthorizationHeaderMalformed; AccessDenied
    without a date.
    """
    begin, signature = value[:-64], value[-64:]
    usual = begin.endswith("Signature=") and signature.isalnum()  # then all but the signature is the same from request to request
    access_key, scope, signed, given = claims(begin if usual else value)
    timestamp, signed_at = _date(headers)
    if timestamp[:8] != scope.date:
        raise AuthorizationHeaderMalformed("The date of the credential is not the date of the request.")
    payload = headers.get("x-amz-content-sha256")
    if payload is None:
        raise InvalidRequest("Missing required header for this request: x-amz-content-sha256")
    sign, token = signature if usual else given, headers.get("x-amz-security-token")
    return Credential(access_key, scope, signed, sign, timestamp, signed_at, payload, None, token)


@remembered
def claims(value: str) -> tuple[str, Scope, tuple[str, ...], str]:
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
