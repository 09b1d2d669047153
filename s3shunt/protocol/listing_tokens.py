"""Continuation tokens: a position in a listing that only we can have written, for this listing alone."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256

from s3shunt.model import ObjectRef
from s3shunt.protocol.errors import InvalidArgument
from s3shunt.protocol.listing import Query

_MAC = 16


def issue(secret: bytes, bucket: ObjectRef, query: Query, position: str) -> str:
    """A token for the listing's next page."""
    told = position.encode()
    return urlsafe_b64encode(_mac(secret, bucket, query, told) + told).decode().rstrip("=")


def position(secret: bytes, bucket: ObjectRef, query: Query, token: str) -> str:
    """Where the token says to go on. Raises InvalidArgument for one that is not ours, or another listing's."""
    try:
        raw = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        mac, told = raw[:_MAC], raw[_MAC:]
        if hmac.compare_digest(mac, _mac(secret, bucket, query, told)):
            return told.decode()
    except ValueError:  # not ASCII, not base64
        pass
    raise InvalidArgument("The continuation token provided is incorrect", ArgumentName="continuation-token")


def _mac(secret: bytes, bucket: ObjectRef, query: Query, told: bytes) -> bytes:
    fields = [b"listing 1", *(part.encode() for part in (bucket.account, bucket.bucket, query.prefix, query.delimiter)), told]
    signed = b"".join(len(field).to_bytes(4, "big") + field for field in fields)
    return hmac.new(secret, signed, sha256).digest()[:_MAC]
