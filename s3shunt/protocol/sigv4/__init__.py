"""Signature Version 4 of a request: making one, reading one, checking one (AWS, Authenticating Requests).

Text in, text out: no clock, no socket. Header values are text as PEP 3333 has
it, one character per byte on the wire. What is signed is the request as it was
sent; ``presigned`` reads the same credential from a query.
"""

from s3shunt.protocol.sigv4.checking import DUMMY_SECRET, Sent, check_region, check_signed, check_time, same, timestamp, verify
from s3shunt.protocol.sigv4.kinds import DIGITS, Kind, kind, kind_of
from s3shunt.protocol.sigv4.reading import Credential, check_algorithm, from_header, moment, names_of, scope_of
from s3shunt.protocol.sigv4.signing import (
    ALGORITHM,
    EMPTY_SHA256,
    UNSIGNED,
    Scope,
    SigningKey,
    authorization,
    canonical_path,
    canonical_query,
    canonical_request,
    fold,
    signing_key,
    single,
    string_to_sign,
    wire,
)

__all__ = [
    "ALGORITHM",
    "DIGITS",
    "DUMMY_SECRET",
    "EMPTY_SHA256",
    "UNSIGNED",
    "Credential",
    "Kind",
    "Scope",
    "Sent",
    "SigningKey",
    "authorization",
    "canonical_path",
    "canonical_query",
    "canonical_request",
    "check_algorithm",
    "check_region",
    "check_signed",
    "check_time",
    "fold",
    "from_header",
    "kind",
    "kind_of",
    "moment",
    "names_of",
    "same",
    "scope_of",
    "signing_key",
    "single",
    "string_to_sign",
    "timestamp",
    "verify",
    "wire",
]
