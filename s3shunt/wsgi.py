"""Request, Response and factories: the only file that knows PEP 3333.

A door is a class with ``__init__(forward, options, house)`` and
``__call__(request) -> Response``. Our own doors call each other directly with
one ``Request``; foreign WSGI in between works too, because the request travels
in the environ under one key.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any
from urllib.parse import unquote_to_bytes

from webob import BaseRequest, Response
from webob.headers import EnvironHeaders

from s3shunt import config, connect
from s3shunt.context import Context
from s3shunt.model import ObjectRef
from s3shunt.protocol import addressing, operations
from s3shunt.protocol.errors import IncompleteBody, InvalidURI, MalformedXML

__all__ = ["Body", "Handler", "Request", "Response", "app_factory", "document", "filter_factory", "watch_close"]

KEY = "s3shunt.request"

Handler = Callable[["Request"], Response]


class Request(BaseRequest):
    """One request, made once, passed from door to door.

    ``target`` is the request target as sent (path and query, percent-encoded):
    signatures are checked against it and the upstream path is made from ``ref``,
    never from ``PATH_INFO``.
    """

    def __init__(self, environ: dict[str, Any]) -> None:
        super().__init__(environ)
        self.__dict__["context"] = Context()
        environ[KEY] = self

    context: Context

    @cached_property
    def target(self) -> str:
        """Raises InvalidURI when the server does not say and PATH_INFO may have lost something."""
        environ = self.environ
        for name in ("RAW_URI", "REQUEST_URI"):
            if name in environ:
                return addressing.origin_form(environ[name])
        path = environ.get("RAW_PATH_INFO")
        if path is None:
            path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
            if "%" in path or "//" in path or not path.isascii() or addressing.escape(path) != path:
                raise InvalidURI("This server does not hand on the request target as it was sent.")
        query = environ.get("QUERY_STRING")
        return f"{path}?{query}" if query else path

    @cached_property
    def raw_path(self) -> str:
        return self.target.partition("?")[0]

    @cached_property
    def query(self) -> list[tuple[str, str]]:
        """Decoded query parameters in order; one without '=' has an empty value."""
        return addressing.query(self.target.partition("?")[2])

    @cached_property
    def parameters(self) -> dict[str, str]:
        """The same by name; of a repeated name the first."""
        return dict(reversed(self.query))

    @cached_property
    def fields(self) -> EnvironHeaders:
        """Headers by case-insensitive name."""
        return self.headers  # type: ignore[no-any-return]

    @cached_property
    def ref(self) -> ObjectRef:
        """What the request is about. ``virtual_host`` and ``grants`` may set it; path style otherwise."""
        return addressing.path_style(self.raw_path, self.parameters.get("versionId"))

    @cached_property
    def operation(self) -> operations.Operation:
        """Raises NotImplemented or MethodNotAllowed."""
        return operations.of(self.method, self.ref, self.parameters, self.fields)

    def at(self, ref: ObjectRef) -> None:
        """From here on the request is about ``ref``."""
        self.__dict__["ref"] = ref

    @property
    def input(self) -> "Body":
        """The request body; a door may put a wrapped one."""
        found = self.__dict__.get("input_body")
        if found is None:
            found = Body(self.environ["wsgi.input"], self.body_length, self.chunked)
            self.__dict__["input_body"] = found
        return found  # type: ignore[no-any-return]

    @input.setter
    def input(self, body: "Body") -> None:
        self.__dict__["input_body"] = body
        self.environ["wsgi.input"] = body

    @property
    def chunked(self) -> bool:
        """Whether the length is only known at the end."""
        return "chunked" in self.environ.get("HTTP_TRANSFER_ENCODING", "").lower()

    @property
    def body_length(self) -> int | None:
        """Declared bytes on the wire; None when chunked; 0 when there is no body."""
        if self.chunked:
            return None
        length = self.environ.get("CONTENT_LENGTH") or "0"
        if not (length.isascii() and length.isdigit()):
            raise InvalidURI("Content-Length must be a number.")
        return int(length)


class Body:
    """A request body that knows its length and raises when it ends early.

    ``length`` is what will be yielded, None when unknown. ``iter`` it, or
    ``read(limit)`` a small document whole.
    """

    CHUNK = 65536

    def __init__(self, source: Any, length: int | None, chunked: bool = False) -> None:  # noqa: FBT001, FBT002
        self.source = source
        self.length = length
        self.chunked = chunked
        self.taken = 0

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes; b'' only at the true end. Raises IncompleteBody before that."""
        if size < 0:
            return b"".join(self)
        wanted = min(size, self.CHUNK) if self.length is None else min(size, self.CHUNK, self.length - self.taken)
        if wanted == 0:
            return b""
        try:
            data = self.source.read(wanted)
        except (OSError, ValueError) as error:  # a reset, or a broken chunk header
            raise IncompleteBody from error
        if not data and self.length is not None:
            raise IncompleteBody
        self.taken += len(data)
        return bytes(data)

    def __iter__(self) -> Iterator[bytes]:
        while data := self.read(self.CHUNK):
            yield data


def document(request: Request, limit: int = 2 << 20) -> bytes:
    """The whole verified body of a request that carries a document, read once and kept for the doors behind.

    Raises MalformedXML beyond ``limit``, and what the body itself raises.
    """
    if request.context.document is None:
        body, pieces, total = request.input, [], 0
        if body.length is not None and body.length > limit:
            raise MalformedXML
        for data in body:
            total += len(data)
            if total > limit:
                raise MalformedXML
            pieces.append(data)
        request.context.document = b"".join(pieces)
    return request.context.document


class Application:
    """A handler standing where WSGI expects an application (a Swift proxy sets attributes on it)."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = environ.get(KEY)
        if not isinstance(request, Request) or request.environ is not environ:
            kept = request.context if isinstance(request, Request) else None
            request = Request(environ)
            if kept is not None:
                request.__dict__["context"] = kept
        return self.handler(request)(environ, start_response)  # type: ignore[no-any-return]


def handler_of(app: Any) -> Handler:
    """Call an application as a handler; our own are called directly."""
    return app.handler if isinstance(app, Application) else Foreign(app)


class Foreign:
    """A WSGI application of another house, called as a handler."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, request: Request) -> Response:
        status, headers, body = request.call_application(self.app)
        return Response(status=status, headerlist=list(headers), app_iter=body)


def house_of(global_conf: dict[str, str]) -> connect.House:
    return connect.house(global_conf["__file__"])


def _named(given: dict[str, str], house: connect.House) -> dict[str, str]:
    return {name: house.ini.fill(value) for name, value in given.items()}


def filter_factory(make: Callable[[Handler, Any, connect.House], Handler], options: type, section: str) -> Any:
    """The PasteDeploy face of a door: its options are read once, when the house is built."""

    def factory(global_conf: dict[str, str], **given: str) -> Any:
        house = house_of(global_conf)
        settings = config.read(options, section, _named(given, house))
        return lambda app: Application(make(handler_of(app), settings, house))

    factory.make, factory.options = make, options  # type: ignore[attr-defined]
    return factory


def app_factory(make: Callable[[Any, connect.House], Handler], options: type, section: str) -> Any:
    """The same for where the corridor ends."""

    def factory(global_conf: dict[str, str], **given: str) -> Any:
        house = house_of(global_conf)
        return Application(make(config.read(options, section, _named(given, house)), house))

    factory.make, factory.options = make, options  # type: ignore[attr-defined]
    return factory


class Watched:
    """A response body that tells once when it was closed; the iteration stays the inner one's."""

    def __init__(self, body: Iterable[bytes], closed: Callable[[int], None]) -> None:
        self.body = body
        self.closed: Callable[[int], None] | None = closed
        self.sent = 0

    def __iter__(self) -> Iterator[bytes]:
        for data in self.body:
            self.sent += len(data)
            yield data

    def close(self) -> None:
        closed, self.closed = self.closed, None
        try:
            if hasattr(self.body, "close"):
                self.body.close()
        finally:
            if closed is not None:
                closed(self.sent)


def watch_close(response: Response, closed: Callable[[int], None]) -> None:
    """Call ``closed(bytes sent)`` when the response's body is closed."""
    response.app_iter = Watched(response.app_iter, closed)


def decoded(path: str) -> str:
    """A percent-encoded path as text; InvalidURI when it is not UTF-8."""
    try:
        return unquote_to_bytes(path).decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidURI from None
