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
client's connection. Idempotent requests are tried three times before that, within ``budget``; where the store has several
endpoints, at another one at once. ``response-*`` parameters are for signed requests only.

``offload`` lets the bytes of online objects go past us, once everything was decided here: ``accel`` hands the signed
request to an nginx in ``accel_peers`` that says it can send it (``containers/nginx/accel.conf``); ``redirect``
answers a presigned link with 307 to the same at the store, whose address for clients is ``public``. What cannot be
decided beforehand goes through us as ever.

It ends a pipeline, behind ``grants``.

    [app:proxy]
    use = egg:s3shunt#proxy
    store = main
"""

from collections.abc import Iterable
from contextlib import ExitStack
from hashlib import sha256

from s3shunt import relay, wsgi
from s3shunt.apps.proxy.answered import answered, of_the_version
from s3shunt.apps.proxy.asked import Fields, decided, fields_of, path, query_of
from s3shunt.apps.proxy.elsewhere import Elsewhere
from s3shunt.apps.proxy.opened import Opened
from s3shunt.apps.proxy.options import Options
from s3shunt.apps.proxy.spool import Spool
from s3shunt.connect import House
from s3shunt.model import Identity
from s3shunt.protocol import sigv4, xml
from s3shunt.protocol.errors import MalformedXML
from s3shunt.protocol.operations import Body
from s3shunt.relay import Answer, Head, Limits
from s3shunt.relay.endpoints import reached
from s3shunt.wsgi import Request, Response, document

__all__ = ["Options", "Proxy", "factory"]

Given = tuple[int, str, Iterable[bytes]]
"""Length, payload hash for the signature, and the bytes."""
NOTHING: Given = (0, sigv4.EMPTY_SHA256, ())


class Proxy:
    def __init__(self, options: Options, house: House) -> None:
        self.options = options
        self.house = house
        self.spool = Spool(options, house.state / "spool")
        self.upstream = house.upstream(options.store)
        limits = Limits(
            connect=options.connect, response=options.response, budget=options.budget, gap=options.gap, connections=options.connections
        )
        cafile = str(options.cafile) if options.cafile else None
        self.relay = reached(self.upstream.endpoints, limits, cafile=cafile, timer=house.clock)
        self.elsewhere = Elsewhere(options, house, self.relay.host) if options.offload != "none" else None

    def __call__(self, request: Request) -> Response:
        decision = decided(request)
        fields, query = fields_of(request), query_of(request, decision)
        if self.elsewhere is not None and (sent := self.elsewhere(request, decision, fields, query, self._credential)) is not None:
            return sent
        if request.operation.body is Body.NONE:
            answer = self._sent(request, decision.identity, fields, query, NOTHING)
        else:
            with ExitStack() as kept:
                answer = self._sent(request, decision.identity, fields, query, self._body(request, kept))
        if request.ref.version is not None:
            of_the_version(request, answer)
        request.context.upstream_status, request.context.upstream_attempts = answer.status, answer.attempts
        if answer.endpoint:
            request.context.notes["endpoint"] = answer.endpoint
            self.house.numbers.tally.counts["endpoint", answer.endpoint] += 1
        return answered(answer)

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
        return body.length, sigv4.UNSIGNED, Opened(body)


factory = wsgi.app_factory(Proxy, Options, "app:proxy")
