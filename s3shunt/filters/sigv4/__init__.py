"""Who is asking, and is the body what was signed.

Checks Signature Version 4 in the Authorization header or in the query (a
presigned URL) and leaves the identity for ``grants``. A request without any
credential passes as the anonymous identity. The body is verified as it streams:
payload hash, chunk signatures, trailing checksums, Content-MD5 and
x-amz-checksum-*; its last bytes are handed on only after all of them hold, so
what stands behind must not commit before a clean end. ``aws-chunked`` is
decoded here.

May answer: AccessDenied, AuthorizationHeaderMalformed,
AuthorizationQueryParametersError, InvalidAccessKeyId, SignatureDoesNotMatch,
RequestTimeTooSkewed, ExpiredToken, InvalidToken, InvalidRequest,
InvalidArgument, InvalidURI; ServiceUnavailable when the keys cannot be read;
and while the body is read XAmzContentSHA256Mismatch, BadDigest, InvalidDigest,
IncompleteBody, InvalidChunkSizeError.

Stands behind ``virtual_host`` and before ``grants``.

    [filter:sigv4]
    use = egg:s3shunt#sigv4
    keys = main
    region = us-east-1
"""

from collections.abc import Mapping
from dataclasses import dataclass

from s3shunt import config, wsgi
from s3shunt.config import option
from s3shunt.connect import House
from s3shunt.filters.sigv4.body import Verified, guard
from s3shunt.filters.sigv4.fast import FastPath
from s3shunt.filters.sigv4.keys import KeyRing
from s3shunt.model import ANONYMOUS, Identity, Key
from s3shunt.protocol import chunked, presigned, sigv4
from s3shunt.protocol.errors import ExpiredToken, InvalidAccessKeyId, InvalidToken, InvalidURI, SignatureDoesNotMatch
from s3shunt.protocol.sigv4 import Credential, Sent
from s3shunt.wsgi import Handler, Request, Response

__all__ = ["KeyRing", "Options", "SigV4", "Verified", "factory"]


def at_most_a_minute(value: str) -> int:
    parsed = config.duration(value)
    if parsed > 60_000:
        raise ValueError("expected at most 60s: a key that was disabled must not live on")
    return parsed


@dataclass(frozen=True)
class Options:
    keys: str = option(config.word, "main", help="Name of the [keys:NAME] section with the access keys of clients.")
    region: str = option(config.word, "us-east-1", help="The region clients sign for.")
    regions: tuple[str, ...] | None = option(config.words, "", help="Further regions that are accepted, or 'any'; empty: region alone.")
    skew: int = option(config.duration, "15m", help="How far a client's clock may be off.")
    cache: int = option(at_most_a_minute, "10s", help="How long a key is believed without asking again; at most 60s.")
    min_chunk: int = option(config.size, "8K", help="Least size of an aws-chunked chunk that is not the last; S3's is 8K, 0 takes any.")


class SigV4:
    def __init__(self, forward: Handler, options: Options, house: House) -> None:
        self.forward = forward
        self.options = options
        self.clock = house.clock
        self.ring = KeyRing(house.keys(options.keys), options.cache)
        self.identities: dict[str, tuple[Key, Identity]] = {}
        further = options.regions or ()
        self.regions = () if "any" in further else (options.region, *further)
        self.fast = FastPath(self.ring, self.regions, options.skew)

    def __call__(self, request: Request) -> Response:
        if not request.target.isascii():
            raise InvalidURI
        now = self.clock.now()
        key, bodiless = self.fast.key(request, now)
        if key is not None and bodiless:
            request.context.identity = self._identity(key)
            return self.forward(request)
        headers = request.fields.by_name()
        credential = presigned.claimed(request.query, headers)
        if credential is None:
            request.context.identity = ANONYMOUS
            guard(request, headers, chunked.anonymous_payload(headers), None, self.options.min_chunk)
            return self.forward(request)
        key = key or self._admit(request, headers, credential, now)
        request.context.identity = self._identity(key)
        if credential.expires is not None:
            lower(request, headers)
        guard(request, headers, credential.payload, lambda: chain_of(key, credential), self.options.min_chunk)
        return self.forward(request)

    def _identity(self, key: Key) -> Identity:
        """Made once for as long as the ring keeps the key."""
        kept = self.identities.get(key.access_key)
        if kept is not None and kept[0] is key:
            return kept[1]
        if len(self.identities) >= KeyRing.SIZE:
            self.identities.clear()
        self.identities[key.access_key] = key, identity_of(key)
        return self.identities[key.access_key][1]

    def _admit(self, request: Request, headers: Mapping[str, str], credential: Credential, now: int) -> Key:
        """The key behind a credential that holds. An unknown one costs the same and is told no more."""
        sigv4.check_region(credential.scope, self.regions)
        sigv4.check_signed(credential, headers)
        key = self.ring.find(credential.access_key, now)
        refused = verdict(credential, key, presigned.sent(credential, request.method, request.target, request.query, headers))
        if key is None or key.disabled:
            raise InvalidAccessKeyId(AWSAccessKeyId=credential.access_key)
        if refused is not None:
            raise refused
        sigv4.check_time(credential, now, self.options.skew)
        check_session(credential, key, now)
        return key


def verdict(credential: Credential, key: Key | None, request: Sent) -> SignatureDoesNotMatch | None:  # type: ignore[valid-type]
    """What is wrong with the signature; the same work is done for a key that nobody knows."""
    try:
        sigv4.verify(credential, key.secret_key if key else sigv4.DUMMY_SECRET, request)
    except SignatureDoesNotMatch as error:
        return error
    return None


def lower(request: Request, headers: dict[str, str]) -> None:
    """What a link has in its query in place of a header is a header from here on."""
    added = presigned.hoisted(request.query, headers)
    if added:
        request.fields.update(added)
        headers.update(added)
        request.__dict__.pop("operation", None)


def check_session(credential: Credential, key: Key, now: int) -> None:
    """Raises InvalidToken unless the session token is the key's, ExpiredToken when the pair's time is over."""
    if not sigv4.same(credential.token or "", key.session_token or ""):
        raise InvalidToken
    if key.expires is not None and now >= key.expires:
        raise ExpiredToken


def identity_of(key: Key) -> Identity:
    return Identity(
        access_key=key.access_key,
        account=key.account,
        grants=key.grants,
        store_access_key=key.store_access_key,
        store_secret_key=key.store_secret_key,
    )


def chain_of(key: Key, credential: Credential) -> chunked.Chain:
    """Chunk signatures begin behind the request's own."""
    signing_key = sigv4.signing_key(key.secret_key, credential.scope)
    return chunked.Chain(signing_key, credential.timestamp, credential.scope, credential.signature)


factory = wsgi.filter_factory(SigV4, Options, "filter:sigv4")
