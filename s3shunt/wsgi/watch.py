"""Who wants to know when the body of an answer is closed, and how much of it was sent."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from s3shunt.wsgi.response import Response


class Watched:
    """A response body that tells each who asked once when it was closed, the innermost first; the iteration stays the inner one's."""

    def __init__(self, body: Iterable[bytes], closed: Callable[[int], None]) -> None:
        self.body = body
        self.watchers = [closed]
        self.sent = 0

    def __iter__(self) -> Iterator[bytes]:
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
        if self.watchers:
            try:
                self.watchers.pop(0)(self.sent)
            finally:
                self._tell()


class WatchedPassage(Watched):
    """The same of a body that can go from socket to socket (``passes``, ``pass_to``, ``left``)."""

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


def watch_close(response: Response, closed: Callable[[int], None]) -> None:
    """Call ``closed(bytes sent)`` when the response's body is closed."""
    body = response.app_iter
    if isinstance(body, Watched):
        body.watchers.append(closed)
    else:
        response.app_iter = (WatchedPassage if hasattr(body, "pass_to") else Watched)(body, closed)
