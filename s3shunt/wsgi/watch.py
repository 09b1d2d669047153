"""Who wants to know when the body of an answer is closed, and how much of it was sent."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

Closed = Callable[[Any, Any, int], None]
"""Told of the request, its answer and the bytes sent."""


class Watched:
    """A response body that tells each who asked once when it was closed, the innermost first; the iteration stays the inner one's."""

    __slots__ = ("body", "sent", "watchers")

    body: Any
    watchers: list[tuple[Closed, Any, Any]]
    sent: int

    def __iter__(self) -> Iterator[bytes]:
        body = self.body
        if (type(body) is tuple or type(body) is list) and len(body) == 1:  # one piece is sent or not, and needs nobody between
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
        return self.body.passes  # type: ignore[no-any-return]

    @property
    def left(self) -> int | None:
        return self.body.left  # type: ignore[no-any-return]

    def pass_to(self, sink: Any) -> None:
        body: Any = self.body
        before = body.left
        try:
            body.pass_to(sink)
        finally:
            self.sent += before - body.left


def watched(body: Iterable[bytes]) -> Watched:
    """One for each answer there is: made without a call of ``__init__``."""
    made = WatchedPassage() if hasattr(body, "pass_to") else Watched()
    made.body, made.watchers, made.sent = body, [], 0
    return made
