"""Who wants to know when the body of an answer is closed, and how much of it was sent."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from s3shunt.wsgi.request import Request
from s3shunt.wsgi.response import Response

Closed = Callable[[Request, Response, int], None]


class Watched:
    """A response body that tells each who asked once when it was closed, the innermost first; the iteration stays the inner one's."""

    __slots__ = ("body", "sent", "watchers")

    def __init__(self, body: Iterable[bytes]) -> None:
        self.body = body
        self.watchers: list[tuple[Closed, Request, Response]] = []
        self.sent = 0

    def __iter__(self) -> Iterator[bytes]:
        body = self.body
        if type(body) is list and len(body) == 1:  # one piece is sent or not, and needs nobody between
            self.sent += len(body[0])
            return iter(body)
        return self._counted()

    def _counted(self) -> Iterator[bytes]:
        for data in self.body:
            self.sent += len(data)
            yield data

    def close(self) -> None:
        try:
            if hasattr(self.body, "close"):
                self.body.close()
        finally:
            self._tell()

    def _tell(self) -> None:
        watchers = self.watchers
        try:
            while watchers:
                closed, request, response = watchers.pop(0)
                closed(request, response, self.sent)
        finally:
            if watchers:  # one of them failed
                self._tell()


class WatchedPassage(Watched):
    """The same of a body that can go from socket to socket (``passes``, ``pass_to``, ``left``)."""

    __slots__ = ()

    @property
    def passes(self) -> bool:
        return self.body.passes  # type: ignore[attr-defined,no-any-return]

    @property
    def left(self) -> int | None:
        return self.body.left  # type: ignore[attr-defined,no-any-return]

    def pass_to(self, sink: Any) -> None:
        body: Any = self.body
        before = body.left
        try:
            body.pass_to(sink)
        finally:
            self.sent += before - body.left


def watch_close(request: Request, response: Response, closed: Closed) -> None:
    """Call ``closed(request, response, bytes sent)`` when the response's body is closed."""
    body = response.app_iter
    if not isinstance(body, Watched):
        body = response.app_iter = (WatchedPassage if hasattr(body, "pass_to") else Watched)(body)
    body.watchers.append((closed, request, response))
