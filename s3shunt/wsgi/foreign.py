"""WSGI applications of other houses, called as our own are."""

from collections.abc import Iterable, Iterator
from typing import Any

from s3shunt.wsgi.request import KEY, Request
from s3shunt.wsgi.response import Response


class Foreign:
    """A WSGI application of another house, called as a handler."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, request: Request) -> Response:
        started: list[tuple[str, list[tuple[str, str]]]] = []
        written: list[bytes] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:  # noqa: ARG001  # nothing was sent yet
            started[:] = [(status, headers)]
            return written.append

        request.environ[KEY] = request
        body = self.app(request.environ, start_response)
        if written or not started:
            body = Begun(body, written)
            body.begin(started)
        status, headers = started[0]
        return Response(status=status, headerlist=list(headers), app_iter=body)


class Begun:
    """A body of which something had to be taken before the head was known."""

    def __init__(self, body: Iterable[bytes], taken: list[bytes]) -> None:
        self.body = body
        self.taken = taken
        self.rest = iter(body)

    def begin(self, started: list[Any]) -> None:
        """An application may call ``start_response`` as late as with its first piece."""
        while not started and (piece := next(self.rest, None)) is not None:
            self.taken.append(piece)
        if not started:
            raise RuntimeError("an application ended without calling start_response")

    def __iter__(self) -> Iterator[bytes]:
        yield from self.taken
        yield from self.rest

    def close(self) -> None:
        if hasattr(self.body, "close"):
            self.body.close()
