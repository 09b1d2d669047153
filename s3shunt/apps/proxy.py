"""Where the corridor ends: forwards to the store that speaks S3, re-signed and streamed.

A request without a decision of ``grants``, or with one about something else, is refused. The
path goes out from the decided bucket, key and version alone; of query and headers only what S3
knows goes on (``protocol/headers``), each query parameter once. It is signed as the caller's
account: with the store key of his key record, or with the account's in
``[store:NAME] credentials``. An archive class is never sent: ``record`` keeps it and takes it off,
and one that comes this far is InvalidStorageClass, for nobody would archive the object. A copy
source is written anew from the decided one.

Bodies stream both ways; nothing is read before the checks are done, so a refused upload never
gets its ``100 Continue``. Uploads go on with their length and ``UNSIGNED-PAYLOAD``, once they are
verified to the last byte: a body that is cut or wrong cuts the upload. One of unknown length
(``Transfer-Encoding: chunked`` without ``x-amz-decoded-content-length``) is first kept, up to
``spool`` bytes in memory and up to ``spool_limit`` in a file under ``state``; beyond
that it is refused with MissingContentLength. All such uploads together may take ``spool_total``;
while that is full they are told SlowDown at once.

The store's answers go back as they are, its 5xx too, under our request id. A store that cannot
be reached, breaks off before the first byte of its answer, redirects, or does not accept our
signature is 503 ServiceUnavailable with ``Retry-After``; one that breaks off in the middle breaks the
client's connection. Idempotent requests are tried three times before that. ``response-*``
parameters are for signed requests only.

``offload`` lets the bytes of online objects go past us, once everything was decided here: ``accel`` hands the signed
request to an nginx in ``accel_peers`` that says it can send it (``containers/nginx/accel.conf``); ``redirect``
answers a presigned link with 307 to the same at the store, whose address for clients is ``public``. What cannot be
decided beforehand goes through us as ever.

It ends a pipeline, behind ``grants``.

    [app:proxy]
    use = egg:s3shunt#proxy
    store = main
"""

import logging
import re
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import IO, Any

from s3shunt import config, green, relay, wsgi
from s3shunt.config import ConfigError, choice, duration, flag, number, option, size, url, word
from s3shunt.connect import House
from s3shunt.context import Decision
from s3shunt.model import NULL, Identity, ObjectRef
from s3shunt.policy import offload as policy
from s3shunt.protocol import addressing, delete, headers, operations, presigned, sigv4, xml
from s3shunt.protocol.errors import (
    AccessDenied,
    IncompleteBody,
    InvalidRequest,
    InvalidStorageClass,
    MalformedXML,
    MissingContentLength,
    NoSuchVersion,
    ServiceUnavailable,
    SlowDown,
)
from s3shunt.protocol.operations import Body
from s3shunt.relay import Answer, AnswerBody, Head, Limits, Relay
from s3shunt.wsgi import Request, Response, document

log = logging.getLogger(__name__)

FORWARDED = (operations.SUBRESOURCES | operations.PARAMETERS) - {"versionId", "x-id"}
CLASSED = ("PutObject", "CopyObject", "CreateMultipartUpload")
"""Operations in which a storage class means something."""

VERSIONS = ("GetObject", "HeadObject")
"""Operations whose answer names the version it is of."""

OUR_FAULT = re.compile(rb"<Code>(SignatureDoesNotMatch|InvalidAccessKeyId|AuthorizationHeaderMalformed|RequestTimeTooSkewed)</Code>")
"""What a store says when our own credential or clock is wrong; no client can mend that."""


@dataclass(frozen=True)
class Options:
    store: str = option(word, "main", help="The [store:NAME] that requests go to; it must speak S3 over HTTP.")
    connect: int = option(duration, "2s", help="How long to wait for a connection to the store.")
    response: int = option(duration, "60s", help="How long to wait for the head of the store's answer.")
    gap: int = option(duration, "30s", help="How long a transfer may stand still.")
    connections: int = option(number, "1024", help="Connections to the store; beyond that clients get SlowDown.")
    cafile: Path | None = option(config.path, "", help="Certificates to check the store's TLS certificate with; empty: the system's.")
    spool: int = option(size, "1M", help="Up to how many bytes an upload of unknown length is kept in memory.")
    spool_limit: int = option(size, "1G", help="Up to how many bytes an upload of unknown length is taken at all.")
    spool_total: int = option(size, "16G", help="Up to how many bytes all of those may take at a time, in each process.")
    offload: str = option(choice("none", "accel", "redirect"), "none", help="Who moves the bytes of online objects in our stead.")
    accel_peers: policy.Peers = option(policy.peers, "", help="The nginx that may be handed signed requests: addresses, networks, unix.")
    public: str = option(url, "", help="The store's address for clients, for redirect.")
    redirect_expires: int = option(duration, "60s", help="How long a link to the store is good.")
    redirect_anonymous: bool = option(flag, "no", help="Whether readers whom nobody knows get links too.")
    redirect_uploads: bool = option(flag, "no", help="Whether presigned uploads to plain buckets are sent to the store.")


Fields = list[tuple[str, str]]
Given = tuple[int, str, Iterable[bytes]]
"""Length, payload hash for the signature, and the bytes."""
NOTHING: Given = (0, sigv4.EMPTY_SHA256, ())


class Proxy:
    def __init__(self, options: Options, house: House) -> None:
        self.options = options
        self.house = house
        self.spool = Spool(options, house.state / "spool")
        self.upstream = house.upstream(options.store)
        limits = Limits(connect=options.connect, response=options.response, gap=options.gap, connections=options.connections)
        cafile = str(options.cafile) if options.cafile else None
        self.relay = Relay(self.upstream.endpoint, limits, cafile=cafile, timer=house.clock)
        self.elsewhere = Elsewhere(options, house, self.relay.host) if options.offload != "none" else None

    def __call__(self, request: Request) -> Response:
        decision = decided(request)
        fields = [*headers.to_store(request.fields.items()), *_copy_source(request), *_archive_class(request)]
        query = _query(request, decision)
        if self.elsewhere is not None and (sent := self.elsewhere(request, decision, fields, query, self._credential)) is not None:
            return sent
        if request.operation.body is Body.NONE:
            answer = self._sent(request, decision.identity, fields, query, NOTHING)
        else:
            with ExitStack() as kept:
                answer = self._sent(request, decision.identity, fields, query, self._body(request, kept))
        _of_the_version(request, answer)
        request.context.upstream_status, request.context.upstream_attempts = answer.status, answer.attempts
        return _answered(answer)

    def _sent(self, request: Request, who: Identity, fields: Fields, query: Fields, given: Given) -> Answer:
        length, payload, body = given
        if request.method in ("PUT", "POST"):
            fields.append(("content-length", str(length)))
        head = relay.sign(
            Head(request.method, path(request.ref), fields, length), query, host=self.relay.host, region=self.upstream.region,
            credential=self._credential(who), now=self.house.clock.now(), payload=payload,
        )  # fmt: skip
        return self.relay.send(head, body, retry=request.operation.retry)

    def _credential(self, identity: Identity) -> tuple[str, str]:
        if identity.store_access_key and identity.store_secret_key:
            return identity.store_access_key, identity.store_secret_key
        return self.upstream.credential(identity.account)

    def _body(self, request: Request, kept: ExitStack) -> Given:
        if request.operation.body is not Body.BYTES:
            data = document(request)
            if not xml.harmless(data):
                raise MalformedXML  # the store may resolve what it declares
            return len(data), sha256(data).hexdigest(), [data] if data else []
        body = request.input
        if body.length is None:
            length, pieces = self.spool.keep(body, kept)
            return length, sigv4.UNSIGNED, pieces
        if body.length == 0:
            return 0, sigv4.EMPTY_SHA256, list(body)  # reading nothing verifies it, before the head goes out
        return body.length, sigv4.UNSIGNED, _opened(body)


class Elsewhere:
    """Answers that let the bytes go past us; None where they must not. What is said in them: ``policy/offload``."""

    def __init__(self, options: Options, house: House, host: str) -> None:
        self.options, self.house, self.host = options, house, host
        self.region = house.upstream(options.store).region
        self.public = (options.public or "").rstrip("/")
        if options.offload == "accel" and not options.accel_peers:
            raise ConfigError("[app:proxy] offload = accel: expected accel_peers, the addresses of the nginx that may be handed requests")
        if options.offload == "redirect" and not self.public:
            raise ConfigError("[app:proxy] offload = redirect: expected public, the store's address for clients")

    def __call__(
        self, request: Request, decision: Decision, fields: Fields, query: Fields, credential: Callable[[Identity], tuple[str, str]]
    ) -> Response | None:
        way = {"accel": self._accel, "redirect": self._redirect}[self.options.offload]
        further = {*presigned.further(request.query)} - {"x-id"}
        asked = policy.Asked(operation=request.operation.name, version=request.ref.version, parameters=further, fields=fields)
        return way(request, decision, asked, query, credential)

    def _accel(self, request: Request, decision: Decision, asked: policy.Asked, query: Fields, credential: Any) -> Response | None:
        if request.fields.get(policy.ASKS) != "accel" or not policy.trusts(self.options.accel_peers, request.environ["REMOTE_ADDR"]):
            return None
        now = self.house.clock.now()
        if not policy.signed(asked, _known(request), now):
            return None
        head = relay.sign(
            Head("GET", path(request.ref), asked.fields), query, host=self.host, region=self.region,
            credential=credential(decision.identity), now=now,
        )  # fmt: skip
        request.context.notes["offload"] = "accel"
        told = policy.handed(head.target, head.fields, archives=request.context.store_archives)
        return Response(status="200 OK", headerlist=told, app_iter=())

    def _redirect(self, request: Request, decision: Decision, asked: policy.Asked, query: Fields, credential: Any) -> Response | None:
        by_link = presigned.present(request.query)
        nobody = self.options.redirect_anonymous and decision.identity.anonymous and "host" in request.fields
        now, known = self.house.clock.now(), _known(request)
        read = (by_link or nobody) and policy.lasting(asked, known, now)
        open_body = by_link and presigned.payload(request.query, request.fields) == sigv4.UNSIGNED
        upload = self.options.redirect_uploads and open_body and policy.direct(asked, known, request.fields.by_name())
        if not (read or upload):
            return None
        location = policy.link(
            request.method, path(request.ref), query, asked.fields if upload else (), base=self.public, region=self.region,
            credential=credential(decision.identity), now=now, expires=self.options.redirect_expires,
        )  # fmt: skip
        request.context.notes["offload"] = "redirect"
        return Response(status="307 Temporary Redirect", headerlist=policy.moved(location), app_iter=())


def _known(request: Request) -> policy.Known:
    context = request.context
    searched = context.discover is not None or context.looked_up  # else no door "lookup" stands in front
    return policy.Known(plain=context.plain, searched=searched, looked_up=context.looked_up, entry=context.entry)


class Spool:
    """Uploads of unknown length, each kept until it is whole and verified, all of them within one limit."""

    def __init__(self, options: Options, folder: Path) -> None:
        self.options = options
        self.folder = folder
        self.total = 0
        self._lock = threading.Lock()  # never held over I/O

    def keep(self, body: wsgi.Body, kept: ExitStack) -> tuple[int, Iterator[bytes]]:
        """Its length and its bytes, which are there until ``kept`` is closed. Raises MissingContentLength, SlowDown."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = kept.enter_context(tempfile.SpooledTemporaryFile(max_size=self.options.spool, dir=str(self.folder)))  # noqa: SIM115
        length = 0
        for data in body:
            length += len(data)
            if length > self.options.spool_limit:
                raise MissingContentLength
            self._take(len(data))
            kept.callback(self._take, -len(data))
            green.offload(_write, file, data)
        file.seek(0)
        return length, _unspooled(file)

    def _take(self, size: int) -> None:
        with self._lock:
            if self.total + size > self.options.spool_total:
                raise SlowDown(retry_after=5)
            self.total += size


def _write(file: IO[bytes], data: bytes) -> None:
    try:
        file.write(data)
    except OSError as error:  # the disk is full
        raise SlowDown(retry_after=5) from error


def _opened(body: Iterable[bytes]) -> Iterable[bytes]:
    """The same bytes, of which the first came before the store is asked: some keep an empty object of an upload that never began."""
    pieces = iter(body)
    return chain([next(pieces, b"")], pieces)


def _unspooled(file: IO[bytes]) -> Iterator[bytes]:
    while data := green.offload(file.read, wsgi.Body.CHUNK):
        yield data


def _archive_class(request: Request) -> Fields:
    """For a store that has some itself. Else who asks for one is told that nobody kept it: the object would stay where it is."""
    if request.operation.name not in CLASSED:
        return []
    asked = request.fields.get("x-amz-storage-class", "")
    if asked.strip().upper() not in headers.ARCHIVE_CLASSES:
        return []
    if not request.context.store_archives:
        raise InvalidStorageClass(StorageClassRequested=asked)
    return [("x-amz-storage-class", asked)]


def decided(request: Request) -> Decision:
    """The decision that allows exactly this request. Raises AccessDenied without one."""
    decision, ref = request.context.decision, request.ref
    if decision is None or decision.operation is not request.operation or not _same(decision.ref, ref):
        log.error("request %s: %s %s without a decision for it", request.context.request_id, request.method, ref)
        raise AccessDenied
    operation = request.operation
    named = _named(request) if operation.copies or operation.name == "DeleteObjects" else ()
    if decision.denied or (named and not {*map(_whole, named)} <= {*map(_whole, decision.targets)}):
        log.error("request %s: %s %s names what was not allowed", request.context.request_id, request.operation, ref)
        raise AccessDenied
    return decision


def _same(one: ObjectRef, other: ObjectRef) -> bool:
    return one is other or _whole(one) == _whole(other)


def _whole(ref: ObjectRef) -> ObjectRef:
    """Doors may pin a version; rights are those of the key."""
    return ref if ref.version is None else replace(ref, version=None)


def _named(request: Request) -> list[ObjectRef]:
    """Everything the request touches beyond its target."""
    source = _source(request)
    named = delete.targets(document(request), request.ref) if request.operation.name == "DeleteObjects" else ()
    return [*named, *([source] if source else [])]


def _source(request: Request) -> ObjectRef | None:
    if not request.operation.copies:
        return None
    return replace(addressing.copy_source(request.fields["x-amz-copy-source"]), account=request.ref.account)


def path(ref: ObjectRef) -> str:
    """Path style, encoded as it is signed; the only place where an upstream path is made."""
    return addressing.escape(f"/{ref.bucket}/{ref.key}" if ref.key else f"/{ref.bucket}")


def _copy_source(request: Request) -> list[tuple[str, str]]:
    source = _source(request)
    if source is None:
        return []
    version = f"?versionId={addressing.escape(source.version)}" if source.version else ""
    return [("x-amz-copy-source", path(source) + version)]


def _query(request: Request, decision: Decision) -> list[tuple[str, str]]:
    """What the store is asked, each parameter once: of a repeated one the first, which was decided on."""
    query = [(name, value) for name, value in request.parameters.items() if name in FORWARDED] if request.query else []
    if decision.identity.anonymous and any(name.startswith("response-") for name, _ in query):
        raise InvalidRequest("Request specific response headers cannot be used for anonymous GET requests.")
    return [*query, ("versionId", request.ref.version)] if request.ref.version else query


def _of_the_version(request: Request, answer: Answer) -> None:
    """Some stores answer an unknown version id with the current object, of which nobody has decided whether it may be read."""
    asked = request.ref.version
    if asked is None or asked == NULL or request.operation.name not in VERSIONS or answer.status not in (200, 206):
        return
    if next((value for name, value in answer.fields if name.lower() == "x-amz-version-id"), None) != asked:
        answer.body.close()
        raise NoSuchVersion(Key=request.ref.key, VersionId=str(asked))


def _answered(answer: Answer) -> Response:
    status, body = answer.status, answer.body
    if 300 <= status < 400 and status != 304:
        body.close()
        log.error("the store redirects (%d): its address or region is wrong", status)
        raise ServiceUnavailable(retry_after=60)
    pieces: Iterable[bytes] = body
    if status in (400, 403):
        pieces = [wsgi.taken(Response(app_iter=body))]
        if fault := OUR_FAULT.search(pieces[0]):
            log.error("the store does not accept our signature: %s", fault[1].decode())
            raise ServiceUnavailable(retry_after=60)
    elif body.left != 0:
        pieces = _begun(body) if body.left is None else [_small(body)] if body.left <= wsgi.Body.CHUNK else _large(body)
    return Response(status=f"{status} {answer.reason}".strip(), headerlist=headers.from_store(answer.fields), app_iter=pieces)


def _small(body: AnswerBody) -> bytes:
    """All of it at once: what breaks, breaks before the client has seen anything."""
    try:
        return body.whole()
    except IncompleteBody as error:
        raise ServiceUnavailable(retry_after=1) from error


def _large(body: AnswerBody) -> AnswerBody:
    """It may go from socket to socket; its first bytes are here, as below."""
    try:
        body.begin()
    except IncompleteBody as error:
        raise ServiceUnavailable(retry_after=1) from error
    return body


def _begun(body: AnswerBody) -> wsgi.Begun:
    """The bytes, the first of them read already: while the client has seen nothing, a store that breaks off can still be told."""
    begun = wsgi.Begun(body, [])
    try:
        begun.taken.append(next(begun.rest, b""))
    except IncompleteBody as error:
        raise ServiceUnavailable(retry_after=1) from error
    return begun


factory = wsgi.app_factory(Proxy, Options, "app:proxy")
