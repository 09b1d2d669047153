"""May this upload go to the store without us? Asked by an nginx (``auth_request``), which then sends the body itself.

It ends a pipeline of its own, on a listener of its own, which only nginx reaches
(``containers/nginx/direct-upload.conf``). The doors in front check signature and grants as ever; no body is read.

| answer | means |
|---|---|
| 204, with ``X-S3shunt-*`` | nginx sends the upload to the store, under the target and with the Authorization in these |
| 401, and whatever else | it goes through the other pipeline like any upload, which answers as S3 does |

So nothing is ever refused here, and nothing allowed that the other pipeline would not allow. 204 is for a PutObject
to a *plain* bucket alone, of which no policy speaks and the catalog holds nothing: such an upload leaves no record, and
of a bucket with archived objects that could lose it. It must have a Content-Length, and no header that we would not send to
the store as it came. Nobody here checks its bytes: so it says ``UNSIGNED-PAYLOAD``, or what it says of them is a kind that the
store ``verifies``: the signed ``sha256`` of the body, ``checksums`` in headers, or ``trailers`` (``aws-chunked`` with an unsigned
trailer, as SDKs send over TLS), which then go on as they are.

    [listen:permission]
    address = 127.0.0.1:8081
    app = permission

    [pipeline:permission]
    pipeline = access_log errors virtual_host sigv4 grants lookup permit

    [app:permit]
    use = egg:s3shunt#permit
    peers = 127.0.0.1
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from s3shunt import config, relay, wsgi
from s3shunt.config import option
from s3shunt.connect import House
from s3shunt.context import Decision
from s3shunt.model import Identity
from s3shunt.policy import offload
from s3shunt.policy.offload import Asked, Known
from s3shunt.protocol import addressing, headers, presigned, sigv4
from s3shunt.protocol.errors import AccessDenied
from s3shunt.relay import Head
from s3shunt.wsgi import Request, Response

HASH = re.compile("[0-9a-f]{64}")
TRAILERS = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
FRAMING = ("content-encoding", "x-amz-decoded-content-length", "x-amz-sdk-checksum-algorithm", "x-amz-trailer")
"""Headers that tell the store how a body with trailers is framed; where we send the body, it is framed anew."""


def kinds(value: str) -> frozenset[str]:
    known = frozenset(config.words(value))
    if not known <= {"sha256", "checksums", "trailers"}:
        raise ValueError("expected sha256, checksums, trailers, or nothing")
    return known


@dataclass(frozen=True)
class Options:
    store: str = option(config.word, "main", help="The [store:NAME] that uploads go to; it must speak S3 over HTTP.")
    peers: offload.Peers = option(offload.peers, help="The nginx that may ask: addresses, networks, unix.")
    verifies: frozenset[str] = option(kinds, "", help="What the store itself checks a body against: sha256, checksums, trailers.")


class Permit:
    def __init__(self, options: Options, house: House) -> None:
        self.options = options
        self.house = house
        self.verifies = options.verifies or frozenset()
        self.upstream = house.upstream(options.store)
        self.host = self.upstream.endpoint.partition("://")[2]

    def __call__(self, request: Request) -> Response:
        if not offload.trusts(self.options.peers or (), request.environ["REMOTE_ADDR"]):
            raise AccessDenied
        decision, payload = _decided(request), self._payload(request)
        given, known = request.fields.by_name(), Known(plain=request.context.plain, searched=True)
        fields = _fields(given, framed=payload == TRAILERS)
        further = {*presigned.further(request.query)} - {"x-id"}
        asked = Asked(operation=request.operation.name, version=request.ref.version, parameters=further, fields=fields)
        checks = payload == TRAILERS or "checksums" in self.verifies
        if payload is None or not offload.direct(asked, known, given, checks=checks):
            return Response(status="401 Unauthorized", headerlist=[("Content-Length", "0")], app_iter=())
        head = relay.sign(
            Head("PUT", addressing.escape(f"/{request.ref.bucket}/{request.ref.key}"), fields), [], host=self.host, payload=payload,
            region=self.upstream.region, credential=self._credential(decision.identity), now=self.house.clock.now(),
        )  # fmt: skip
        request.context.notes["offload"] = "permit"
        return Response(status="204 No Content", headerlist=offload.permitted(head.target, head.fields), app_iter=())

    def _payload(self, request: Request) -> str | None:
        """What was signed of the body, where nobody here has to look at it."""
        signed = presigned.payload(request.query, request.fields)
        hashed = "sha256" in self.verifies and HASH.fullmatch(signed) is not None
        trailing = "trailers" in self.verifies and signed == TRAILERS
        return signed if hashed or trailing or signed == sigv4.UNSIGNED else None

    def _credential(self, identity: Identity) -> tuple[str, str]:
        if identity.store_access_key and identity.store_secret_key:
            return identity.store_access_key, identity.store_secret_key
        return self.upstream.credential(identity.account)


def _fields(given: Mapping[str, str], *, framed: bool) -> list[tuple[str, str]]:
    """The headers that the store is sent; those that ``framed`` the body as they came."""
    fields = headers.to_store(given.items())
    if not framed:
        return fields
    return [*[(name, value) for name, value in fields if name not in FRAMING], *[(name, given[name]) for name in FRAMING if name in given]]


def _decided(request: Request) -> Decision:
    """The decision that allows exactly this request. Raises AccessDenied without one."""
    decision = request.context.decision
    if decision is None or decision.operation != request.operation or decision.denied:
        raise AccessDenied
    if replace(decision.ref, version=None) != replace(request.ref, version=None):
        raise AccessDenied
    return decision


factory = wsgi.app_factory(Permit, Options, "app:permit")
