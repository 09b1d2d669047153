"""An answer, on WebOb; and the two ways to be done with one that is not passed on."""

from collections.abc import Iterable
from typing import Any

import webob
from webob.response import EmptyResponse

from s3shunt.protocol.errors import ServiceUnavailable
from s3shunt.protocol.names import Known
from s3shunt.wsgi.watch import Closed, Watched, watched

_LOWER = Known(str.lower)
_CODES = Known(lambda status: int(status[:3]))


class Response(webob.Response):
    """WebOb's, but it says only what it was told: no Content-Type of its own, and a Location as it was given."""

    default_content_type = None

    def __init__(self, body: Any = None, status: Any = None, headerlist: Any = None, app_iter: Any = None, **more: Any) -> None:
        if body is not None or app_iter is None or headerlist is None or more or type(status) is not str or status[3:4] != " ":
            super().__init__(body, status, headerlist, app_iter, **more)
            return
        self._status, self._headerlist, self._app_iter = status, headerlist, app_iter
        self._headers, self.conditional_response = None, False

    @property
    def status_int(self) -> int:
        return _CODES[self._status]

    def field(self, name: str) -> str | None:
        """The value of a header, by its name in lower case; of several the last, as ``headers`` has it."""
        found = None
        for spelled, value in self._headerlist:
            if _LOWER[spelled] == name:
                found = value
        return found

    def by_name(self) -> dict[str, str]:
        """The headers as they are now, by their names in lower case; of several the last."""
        return {_LOWER[name]: value for name, value in self._headerlist}

    def say(self, *fields: tuple[str, str | None]) -> None:
        """Set headers in place of any of their names; None takes one away."""
        headers, names = self._headerlist, [_LOWER[name] for name, _ in fields]
        for name, _ in headers:
            if _LOWER[name] in names:
                headers[:] = [field for field in headers if _LOWER[field[0]] not in names]
                break
        headers += [field for field in fields if field[1] is not None]

    def watch(self, request: Any, closed: Closed) -> None:
        """Call ``closed(request, response, bytes sent)`` when the body is closed."""
        body = self._app_iter
        if not isinstance(body, Watched):
            body = self._app_iter = watched(body)
        body.watchers.append((closed, request, self))

    @property
    def app_iter(self) -> Any:
        """The body. WebOb would drop Content-Length when it is replaced; here what is said stays said."""
        return self._app_iter

    @app_iter.setter
    def app_iter(self, body: Any) -> None:
        self._app_iter = body

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response(self._status, self._headerlist)
        if environ["REQUEST_METHOD"] == "HEAD":
            return EmptyResponse(self._app_iter)  # type: ignore[no-any-return]
        return self._app_iter  # type: ignore[no-any-return]


def taken(response: Response, limit: int = 2 << 20) -> bytes:
    """The whole body of an answer, which is closed; ServiceUnavailable beyond ``limit``."""
    pieces, total = [], 0
    try:
        for data in response.app_iter:
            total += len(data)
            if total > limit:
                raise ServiceUnavailable
            pieces.append(data)
    finally:
        dropped(response)
    return b"".join(pieces)


def dropped(response: Response) -> None:
    """An answer that nobody will read: its body is closed."""
    if hasattr(response.app_iter, "close"):
        response.app_iter.close()
