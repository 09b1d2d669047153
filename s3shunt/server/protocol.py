"""One client connection: eventlet's own protocol class, with what a signing protocol needs and safety asks.

It hands on the request target and the headers as they were sent, and refuses
what two readers could frame in two ways: a doubled or malformed length, any
transfer coding but ``chunked``, a length beside it, white space around a header's name,
control characters. The connection is closed then.
"""

import re
import socket
from contextlib import suppress
from typing import Any

import eventlet
from eventlet import wsgi
from eventlet.greenio import GreenSocket

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNFIT = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
_TARGET = re.compile(r"(?:/|https?://)[\x21-\x7e]*")

REFUSED = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


LINGER = 1
"""Seconds that a client has to see an answer given before its body was read ..."""
LEFT = 1 << 20
"""... and how much more it may send meanwhile, in bytes."""


class Listener(GreenSocket):  # type: ignore[misc]  # eventlet ships no types
    """A listening socket that is closed as soon as nobody accepts any more, not when the last request has ended."""

    def accept(self) -> Any:
        try:
            return super().accept()
        except SystemExit:
            self.close()
            raise


class Protocol(wsgi.HttpProtocol):  # type: ignore[misc]
    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        if sound(self.requestline, self.headers):
            return True
        self.wfile.write(REFUSED)
        self.close_connection = True
        return False

    def send_error(self, code: int, *_: Any) -> None:
        """A request line that cannot be read is refused without a page about it."""
        self.wfile.write(REFUSED.replace(b"400 Bad Request", b"%d Refused" % code))
        self.close_connection = True

    def get_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environ()
        environ["REQUEST_URI"] = self.requestline.split(" ")[1]
        environ["SERVER_PROTOCOL"] = self.request_version
        if "content-type" not in self.headers:
            del environ["CONTENT_TYPE"]  # the standard library would say text/plain
        body = environ["eventlet.input"]
        body.discard = lambda: self._leave(body)
        return environ

    def _leave(self, body: wsgi.Input) -> None:
        """The answer is out. A body that was not read is not worth reading: close, with time for the client to see the answer."""
        if body.chunked_input and body.chunk_length == 0:
            return
        self.close_connection = True
        with eventlet.Timeout(LINGER, False), suppress(OSError):  # noqa: FBT003  # eventlet's word for "quietly"
            self.connection.shutdown(socket.SHUT_WR)
            left = LEFT
            while left > 0 and (data := self.rfile.read1(65536)):
                left -= len(data)

    def log_message(self, *_: Any) -> None:
        """``filters/access_log`` keeps the log."""


def sound(requestline: str, headers: Any) -> bool:
    """Whether a request can be read in one way only."""
    words = requestline.split(" ")
    lengths, codings = headers.get_all("content-length", []), headers.get_all("transfer-encoding", [])
    framed = len(lengths) + len(codings) <= 1 and all(re.fullmatch("[0-9]{1,18}", length) for length in lengths)
    return (
        framed
        and len(words) == 3
        and _TARGET.fullmatch(words[1]) is not None
        and all(coding.lower() == "chunked" for coding in codings)
        and len(headers.get_all("host", [])) <= 1
        and not headers.defects
        and not headers.get_payload()
        and all(_NAME.fullmatch(name) and not _UNFIT.search(value) for name, value in headers.items())
    )
