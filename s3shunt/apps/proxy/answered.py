"""What becomes of the store's answer: it goes back as it is, unless it says that something is wrong between us and the store."""

import logging
import re
from collections.abc import Iterable

from s3shunt import wsgi
from s3shunt.model import NULL
from s3shunt.protocol import headers
from s3shunt.protocol.errors import IncompleteBody, NoSuchVersion, ServiceUnavailable
from s3shunt.relay import Answer, AnswerBody, Whole
from s3shunt.wsgi import Request, Response

log = logging.getLogger(__name__)

VERSIONS = ("GetObject", "HeadObject")
"""Operations whose answer names the version it is of."""

OUR_FAULT = re.compile(rb"<Code>(SignatureDoesNotMatch|InvalidAccessKeyId|AuthorizationHeaderMalformed|RequestTimeTooSkewed)</Code>")
"""What a store says when our own credential or clock is wrong; no client can mend that."""


def of_the_version(request: Request, answer: Answer) -> None:
    """Some stores answer an unknown version id with the current object, of which nobody has decided whether it may be read."""
    asked = request.ref.version
    if asked is None or asked == NULL or request.operation.name not in VERSIONS or answer.status not in (200, 206):
        return
    if next((value for name, value in answer.fields if name.lower() == "x-amz-version-id"), None) != asked:
        answer.body.close()
        raise NoSuchVersion(Key=request.ref.key, VersionId=str(asked))


def answered(answer: Answer) -> Response:
    status, body = answer.status, answer.body
    if 300 <= status < 400 and status != 304:
        body.close()
        log.error("the store redirects (%d): its address or region is wrong", status)
        raise ServiceUnavailable(retry_after=60)
    pieces: Iterable[bytes] = ()
    if status in (400, 403):
        pieces = [wsgi.taken(Response(app_iter=body))]
        if fault := OUR_FAULT.search(pieces[0]):
            log.error("the store does not accept our signature: %s", fault[1].decode())
            raise ServiceUnavailable(retry_after=60)
    elif isinstance(body, Whole):
        pieces = (body.whole(),)
    elif body.left != 0:
        pieces = _begun(body) if body.left is None else (_small(body),) if body.left <= wsgi.Body.CHUNK else _large(body)
    return Response(status=f"{status} {answer.reason}".strip(), headerlist=headers.shown(answer.fields), app_iter=pieces)


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
