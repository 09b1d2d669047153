"""Refuses what can be framed in two ways where the server is not ours: a Swift proxy, gunicorn, stock eventlet.

400, as XML or for a Swift request as text; where the server is eventlet's (Swift's) the connection
is closed, and nothing behind the request is read as another one. Sound requests pass untouched. What
it looks at: every header as it was sent (eventlet tells them in ``headers_raw``), else what the
environ still shows: a doubled or malformed length, a length beside ``Transfer-Encoding``, any coding but
``chunked``, a second Host, Authorization, Content-Type or Expect, names that are no token, control
characters, underscores in names, a target that is no path.

It stands outermost, in a Swift proxy before ``catch_errors``. On our own front (``front = strict``) it is not needed.

    [filter:guard]
    use = egg:s3shunt#guard
    underscores = refuse
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from s3shunt import config, wsgi
from s3shunt.config import choice, option
from s3shunt.protocol import framing


@dataclass(frozen=True)
class Options:
    underscores: str = option(choice("refuse", "pass"), "refuse", help="What becomes of a header with '_' in its name.")


class Guard:
    """A plain WSGI filter: it sees what comes before any of our doors, and hands on the same environ."""

    def __init__(self, app: Any, options: Options) -> None:
        self.app = app
        self.underscores = options.underscores == "pass"

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        found = framing.fault(environ, environ.get("headers_raw"), underscores=self.underscores)
        if found is None:
            return self.app(environ, start_response)  # type: ignore[no-any-return]
        close(environ)
        kind, body = document(environ, found)
        start_response("400 Bad Request", [("Content-Type", kind), ("Content-Length", str(len(body)))])
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]


def document(environ: dict[str, Any], message: str) -> tuple[str, bytes]:
    if "HTTP_X_AUTH_TOKEN" in environ or environ.get("PATH_INFO", "").startswith("/v1/"):
        return "text/plain", f"{message}\n".encode()
    error = f"<Error><Code>BadRequest</Code><Message>{escape(message)}</Message></Error>"
    return "application/xml", f'<?xml version="1.0" encoding="UTF-8"?>\n{error}'.encode()


def close(environ: dict[str, Any]) -> None:
    """Make eventlet's server close behind the answer: it does when it cannot discard a body, so it is told of one that cannot be."""
    source = environ.get("eventlet.input")
    if source is not None:
        source.chunked_input = True
        source.discard = _refuse


def _refuse() -> None:
    raise OSError("refused: what follows is not read")


def factory(global_conf: dict[str, str], **given: str) -> Any:
    house = wsgi.house_of(global_conf)
    settings = config.read(Options, "filter:guard", {name: value for name, value in given.items() if name != "__name__"})
    house.announce("guard")
    return lambda app: Guard(app, settings)


factory.make, factory.options = Guard, Options  # type: ignore[attr-defined]
