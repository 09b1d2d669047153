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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from s3shunt import config, green, wsgi
from s3shunt.config import option
from s3shunt.connect import House
from s3shunt.model import ANONYMOUS, Identity, Key
from s3shunt.ports import Keys
from s3shunt.protocol import checksums, chunked, presigned, sigv4
from s3shunt.protocol.errors import (
    AccessDenied,
    ExpiredToken,
    InvalidAccessKeyId,
    InvalidToken,
    InvalidURI,
    S3Error,
    ServiceUnavailable,
    SignatureDoesNotMatch,
)
from s3shunt.protocol.names import Known
from s3shunt.protocol.sigv4 import Credential, Sent
from s3shunt.wsgi import Body, Handler, Request, Response

NOTHING = (sigv4.EMPTY_SHA256, sigv4.UNSIGNED)
"""What may be signed of a body that is not there."""

UNKNOWN_FOR = 1000
"""Milliseconds for which a key is taken to be unknown, or its source to be down."""


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

    def __call__(self, request: Request) -> Response:
        if not request.target.isascii():
            raise InvalidURI
        headers = request.fields.by_name()
        credential = presigned.claimed(request.query, headers)
        if credential is None:
            request.context.identity = ANONYMOUS
            guard(request, headers, chunked.anonymous_payload(headers), None, self.options.min_chunk)
            return self.forward(request)
        key = self._admit(request, headers, credential)
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

    def _admit(self, request: Request, headers: Mapping[str, str], credential: Credential) -> Key:
        """The key behind a credential that holds. An unknown one costs the same and is told no more."""
        now = self.clock.now()
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


class KeyRing:
    """Keys remembered for a short while; a source that is down costs only those who were not seen before."""

    SIZE = 10_000
    LONGEST = 256
    """No access key has more letters; what strangers make up would else take much room."""

    def __init__(self, source: Keys, cache: int) -> None:
        self._source = source
        self._cache = cache
        self._kept: dict[str, tuple[int, Key | None]] = {}

    def find(self, access_key: str, now: int) -> Key | None:
        """Raises ServiceUnavailable when the source does not answer and the key was never found in it."""
        if len(access_key) > self.LONGEST:
            return None
        until, key = self._kept.get(access_key, (-1, None))
        if now < until:
            return key
        try:
            key = green.offload(self._source.find, access_key)
            until = now + (self._cache if key else min(self._cache, UNKNOWN_FOR))
        except ServiceUnavailable:
            if key is None:
                raise
            until = now + UNKNOWN_FOR
        if len(self._kept) >= self.SIZE:  # strangers go first: a flood of them pushes nobody out
            known = {name: row for name, row in self._kept.items() if row[1]}
            self._kept = known if len(known) < self.SIZE else {}
        self._kept[access_key] = (until, key)
        return key


# The body


class Verified(Body):
    """A body whose last bytes come only after everything promised of it holds.

    Of a known length the final piece is held back, of an unknown one each piece
    until the next. What fails once fails again on every read.
    """

    def __init__(self, inner: Body, length: int | None, decoder: chunked.Decoder | None, sums: Sequence[checksums.Sum]) -> None:
        super().__init__(inner, length, chunked=length is None)
        self.checksums: dict[str, str] = {}
        self._inner = inner
        self._decoder = decoder
        self._sums = sums
        self._ready = b""
        self._held = b""
        self._seen = 0
        self._ended = False
        self._failed: S3Error | None = None

    def read(self, size: int = -1) -> bytes:
        """As ``Body.read``; raises what the verification found. ``checksums`` (header -> value) is full at the end."""
        if size < 0:
            return b"".join(self)
        if size and not self._ready and not self._ended:
            self._advance(size)
        data, self._ready = self._ready[:size], self._ready[size:]
        self.taken += len(data)
        return data

    def _advance(self, size: int) -> None:
        if self._failed is not None:
            raise self._failed
        try:
            while not self._ready and not self._ended:
                self._step(max(size, self.CHUNK))
        except S3Error as error:
            self._failed, self._ready, self._held = error, b"", b""
            raise

    def _step(self, size: int) -> None:
        data = self._inner.read(size)
        pieces = [data] if self._decoder is None else self._decoder.feed(data)
        for piece in pieces:
            for each in self._sums:
                each.running.update(piece)
            self._seen += len(piece)
        fresh = b"".join(pieces)
        if not data or self._inner.taken == self._inner.length:
            self._verify()
            self._ready, self._held = self._held + fresh, b""
        elif self.length is not None and self._seen < self.length:
            self._ready = fresh
        elif fresh:
            self._ready, self._held = self._held, fresh

    def _verify(self) -> None:
        trailers: Mapping[str, str] = {}
        if self._decoder is not None:
            self._decoder.close()
            trailers = self._decoder.trailers
        for each in self._sums:
            each.check(trailers)
        self.checksums = {each.header: checksums.written(each.running) for each in self._sums if each.header != checksums.PAYLOAD}
        self._ended = True


def guard(request: Request, headers: Mapping[str, str], payload: str, chain: Callable[[], chunked.Chain] | None, minimum: int) -> None:
    """Put a verified body before the doors behind. An empty one is verified now: it has no byte to hold back."""
    if request.body_length == 0 and payload in NOTHING and not any(map(PROMISES.__getitem__, headers)):
        return
    mode = chunked.mode(payload)
    if mode.signed and chain is None:
        raise AccessDenied("The chunks of a request that is not signed cannot be.")
    names = chunked.trailer_names(headers.get("x-amz-trailer"), wanted=mode.trailer)
    of_object = request.method == "POST" and "uploadId" in request.parameters
    sums = checksums.promised(headers, names, mode.hash, of_object=of_object)
    if not sums and not mode.chunked:
        return
    if not mode.chunked:
        body = Verified(request.input, request.input.length, None, sums)
    else:
        length = chunked.decoded_length(headers)
        decoder = chunked.Decoder(chain() if chain and mode.signed else None, names, length, minimum=minimum)
        body = Verified(request.input, length, decoder, sums)
        reframe(request.environ, length)
    request.input = body
    if body.length == 0:
        body.read(1)


PROMISES = Known(lambda header: header == "x-amz-trailer" or checksums.is_value(header))
"""Whether a header says something of the body that must hold."""


def reframe(environ: dict[str, Any], length: int | None) -> None:
    """From here on the environ frames the body as it is now read, not as it came."""
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ.pop("CONTENT_LENGTH", None)
    if length is None:
        environ["HTTP_TRANSFER_ENCODING"] = "chunked"
    else:
        environ["CONTENT_LENGTH"] = str(length)


factory = wsgi.filter_factory(SigV4, Options, "filter:sigv4")
