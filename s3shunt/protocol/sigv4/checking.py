"""Checking what was claimed: what had to be signed, where, when, and by whom."""

import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import product
from typing import NamedTuple

from s3shunt.protocol.errors import AccessDenied, AuthorizationHeaderMalformed, RequestTimeTooSkewed, SignatureDoesNotMatch
from s3shunt.protocol.sigv4.reading import Credential
from s3shunt.protocol.sigv4.signing import Scope, canonical_path, canonical_query, canonical_request, signing_key, string_to_sign

_SECRET = re.compile(r"(^x-amz-(?:security-token|[a-z-]*customer-key):).+|((?:&|^)X-Amz-Security-Token=)[^&\n]+", re.MULTILINE)
"""What is left out where a canonical request is shown: error documents end in logs and mails."""

DUMMY_SECRET = "no such key, the same work"
"""What an unknown key is verified with, so that it costs what a known one costs."""


class Sent(NamedTuple):
    """A request as it was sent: percent-encoded ``path`` and ``query``, decoded ``pairs``, headers by lower-case name.

    Of a presigned URL without the signature itself.
    """

    method: str
    path: str
    query: str
    pairs: Sequence[tuple[str, str]]
    headers: Mapping[str, str]


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
