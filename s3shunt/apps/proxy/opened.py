"""An upload that has begun."""

from collections.abc import Iterator

from s3shunt import wsgi


class Opened:
    """The same bytes, of which the first came before the store is asked: some keep an empty object of an upload that never began.

    What is left behind them may go from socket to socket (``passes``, ``fill``), as the body itself says.
    """

    def __init__(self, body: wsgi.Body) -> None:
        self._pieces = iter(body)
        self._first = next(self._pieces, b"")
        self._body = body
        self.fill = body.fill

    def __iter__(self) -> Iterator[bytes]:
        yield self._first
        yield from self._pieces

    @property
    def passes(self) -> bool:
        return self._body.passes
