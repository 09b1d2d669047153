"""Gives each request its id, and makes every refusal the XML that S3 clients read.

Any S3 error from the doors further in, or from where the corridor ends, becomes
an answer here and nowhere else: status, ``application/xml`` document with Code,
Message, Resource, RequestId and HostId, and ``Retry-After`` where one is known. A HEAD
gets the status and the headers alone, as S3 does it. Whatever else goes wrong is
an InternalError to the client; the log has its traceback under the request id.

Every answer carries ``x-amz-request-id`` and ``x-amz-id-2``. When the request's
body was not read to its end (a refused upload), the answer says ``Connection:
close``: what the client still sends is not worth reading.

An error met after the answer has begun cannot be told any more: the body
raises, and the server breaks the connection so that nobody takes the part for
the whole.

It stands behind ``access_log`` and in front of every door that may refuse.

    [filter:errors]
    use = egg:s3shunt#errors
    host_id = proxy-1
"""

import logging
import random
from dataclasses import dataclass
from typing import Any

from s3shunt import wsgi
from s3shunt.config import option, word
from s3shunt.protocol.errors import InternalError, S3Error, to_xml
from s3shunt.protocol.names import Known
from s3shunt.wsgi import Handler, Request, Response

log = logging.getLogger(__name__)

_IDS = Known(lambda name: name.lower() in ("x-amz-request-id", "x-amz-id-2"))


@dataclass(frozen=True)
class Options:
    host_id: str = option(word, "s3shunt", help="What this proxy calls itself in x-amz-id-2 and HostId.")


class Errors:
    def __init__(self, forward: Handler, options: Options, house: Any = None) -> None:  # noqa: ARG002  # every door is made alike
        self.forward = forward
        self.host_id = options.host_id
        self.getrandbits = random.getrandbits
        self.id_2 = "x-amz-id-2", options.host_id

    def __call__(self, request: Request) -> Response:
        context = request.context
        context.request_id = f"{self.getrandbits(64):016X}"
        try:
            response = self.forward(request)
        except S3Error as error:
            response = self._refusal(request, error)
        except Exception:
            log.exception("request %s: %s %r", context.request_id, request.method, request.environ.get("PATH_INFO", ""))
            response = self._refusal(request, InternalError())
        _identify(response, ("x-amz-request-id", context.request_id), self.id_2)
        if not request.read_to_end:
            response.say(("Connection", "close"))
        return response

    def _refusal(self, request: Request, error: S3Error) -> Response:
        request.context.error_code = error.code
        headers = list(error.headers)
        if error.retry_after is not None:
            headers.append(("Retry-After", str(error.retry_after)))
        if request.method == "HEAD":
            return Response(status=error.status, headerlist=headers, app_iter=[])
        resource = request.environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace")
        document = to_xml(error, resource=resource, request_id=request.context.request_id, host_id=self.host_id)
        headers += [("Content-Type", "application/xml"), ("Content-Length", str(len(document)))]
        return Response(status=error.status, headerlist=headers, app_iter=[document])


def _identify(response: Response, *ids: tuple[str, str]) -> None:
    """As ``say``, for each answer there is: hardly ever one has ids already."""
    headers = response.headerlist
    for name, _ in headers:
        if _IDS[name]:
            response.say(*ids)
            return
    headers += ids


factory = wsgi.filter_factory(Errors, Options, "filter:errors")
