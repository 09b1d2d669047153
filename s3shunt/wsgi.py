"""Request, Response and factories: the only file that knows PEP 3333.

A door is a class with ``__init__(forward, options, house)`` and
``__call__(request) -> Response``. Our own doors call each other directly with
one ``Request``; foreign WSGI in between works too, because the request travels
in the environ under one key.
"""

from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from functools import cached_property, partial
from io import BytesIO
from operator import itemgetter
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import webob
from webob.response import EmptyResponse

from s3shunt import clock, config, connect
from s3shunt.context import Context, Decision
from s3shunt.model import ANONYMOUS, ObjectRef
from s3shunt.protocol import addressing, operations
from s3shunt.protocol.errors import BadRequest, IncompleteBody, InvalidURI, MalformedXML, ServiceUnavailable
from s3shunt.protocol.names import Known

__all__ = [
    "Body", "Handler", "Request", "Response", "app_factory", "document", "dropped", "filter_factory", "subrequest", "taken", "watch_close",
]  # fmt: skip

KEY = "s3shunt.request"
SLOW = 0.02
"""Seconds after which a piece of a body has been long in coming."""
SWIFT = "swift.trans_id"
"""In the environ of every request of a Swift proxy: its catch_errors puts it there, its sub-requests keep it."""

_ASKED_ANEW = {
    KEY, "RAW_URI", "REQUEST_URI", "HTTP_TRANSFER_ENCODING", "CONTENT_TYPE", "HTTP_ACCEPT_ENCODING", "HTTP_RANGE", "HTTP_EXPECT",
}  # fmt: skip

Handler = Callable[["Request"], "Response"]

_SAME = ("REQUEST_METHOD", "RAW_URI", "REQUEST_URI", "RAW_PATH_INFO", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "HTTP_HOST")
"""What a request is about: where a foreign filter passes on a copy of the environ with these changed, it is another request."""


class FoundOnce:
    """``cached_property`` without its lock: a request is read by one thread at a time."""

    def __init__(self, find: Callable[[Any], Any]) -> None:
        self.find = find
        self.name = find.__name__
        self.__doc__ = find.__doc__

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        found = instance.__dict__[self.name] = self.find(instance)
        return found


class Fields(MutableMapping[str, str]):
    """The headers of a request as they stand in its environ, by case-insensitive name; told in lower case."""

    __slots__ = ("environ",)

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = environ

    def __getitem__(self, name: str) -> str:
        return self.environ[_VARIABLES[name]]  # type: ignore[no-any-return]

    def get(self, name: str, default: Any = None) -> Any:
        return self.environ.get(_VARIABLES[name], default)

    def __contains__(self, name: object) -> bool:
        return _VARIABLES[name] in self.environ  # type: ignore[index]

    def __setitem__(self, name: str, value: str) -> None:
        self.environ[_VARIABLES[name]] = value

    def __delitem__(self, name: str) -> None:
        del self.environ[_VARIABLES[name]]

    def __iter__(self) -> Iterator[str]:
        return iter([name for variable in self.environ if (name := _NAMES[variable])])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def by_name(self) -> dict[str, str]:
        """All of them, once and for good."""
        return {name: value for variable, value in self.environ.items() if (name := _NAMES[variable])}

    def items(self) -> Any:
        return self.by_name().items()


def header_name(variable: str) -> str:
    """A header's lower-case name from its CGI variable; empty for what is no header."""
    if variable in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        return variable.replace("_", "-").lower()
    return variable[5:].replace("_", "-").lower() if variable.startswith("HTTP_") else ""


def _variable(name: str) -> str:
    variable = name.replace("-", "_").upper()
    return variable if variable in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{variable}"


_NAME = itemgetter(0)
_NAMES, _VARIABLES, _LOWER = Known(header_name), Known(_variable), Known(str.lower)


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
        return int(self._status[:3])

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
        names = {_LOWER[name] for name, _ in fields}
        if not names.isdisjoint(map(_LOWER.__getitem__, map(_NAME, self._headerlist))):
            self._headerlist[:] = [field for field in self._headerlist if _LOWER[field[0]] not in names]
        self._headerlist += [field for field in fields if field[1] is not None]

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


class Request(webob.BaseRequest):
    """One request, made once, passed from door to door.

    ``target`` is the request target as sent (path and query, percent-encoded):
    signatures are checked against it and the upstream path is made from ``ref``,
    never from ``PATH_INFO``.
    """

    context: Context

    def __init__(self, environ: dict[str, Any]) -> None:  # BaseRequest's own asks about things that are never given here
        self.environ = environ
        self.context = Context()

    @FoundOnce
    def method(self) -> str:
        """As it was signed: no filter in between makes another request of this one."""
        return self.environ["REQUEST_METHOD"]  # type: ignore[no-any-return]

    @FoundOnce
    def target(self) -> str:
        """Raises InvalidURI when the server does not say and PATH_INFO may have lost something."""
        environ = self.environ
        for name in ("RAW_URI", "REQUEST_URI"):
            if name in environ:
                return self._origin_form(environ[name])
        path = environ.get("RAW_PATH_INFO")
        if path is None:
            path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
            if "%" in path or "//" in path or not path.isascii() or addressing.escape(path) != path:
                raise InvalidURI("This server does not hand on the request target as it was sent.")
        query = environ.get("QUERY_STRING")
        return self._origin_form(f"{path}?{query}" if query else path)

    def _origin_form(self, target: str) -> str:
        """An absolute form must name the Host: that is what was signed, and what a front server went by."""
        if target[:1] == "/":
            if "?" not in target:
                self.__dict__.update(raw_path=target, query=[], parameters={})
            return target
        if addressing.authority(target) != self.environ.get("HTTP_HOST", "").lower():
            raise InvalidURI
        return addressing.origin_form(target)

    @FoundOnce
    def raw_path(self) -> str:
        return self.target.partition("?")[0]

    @FoundOnce
    def query(self) -> list[tuple[str, str]]:
        """Decoded query parameters in order; one without '=' has an empty value."""
        return addressing.query(self.target.partition("?")[2])

    @FoundOnce
    def parameters(self) -> dict[str, str]:
        """The same by name; of a repeated name the first."""
        return dict(reversed(self.query))

    @FoundOnce
    def fields(self) -> Fields:
        """Headers by case-insensitive name."""
        return Fields(self.environ)

    @FoundOnce
    def ref(self) -> ObjectRef:
        """What the request is about. ``virtual_host`` and ``grants`` may set it; path style otherwise."""
        return addressing.path_style(self.raw_path, self.parameters.get("versionId"))

    @FoundOnce
    def operation(self) -> operations.Operation:
        """Raises NotImplemented or MethodNotAllowed."""
        return operations.of(self.method, self.ref, self.parameters, self.fields)

    def at(self, ref: ObjectRef) -> None:
        """From here on the request is about ``ref``."""
        self.__dict__["ref"] = ref

    def sub(self, *, query: Sequence[tuple[str, str]]) -> "Request":
        """The same question with other query parameters, for a door that asks the store in its own words.

        No body; same method, ref and context.
        """
        environ = {name: value for name, value in self.environ.items() if name not in _ASKED_ANEW and not name.startswith("webob.")}
        asked = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query)
        environ |= {"RAW_URI": f"{self.raw_path}?{asked}", "QUERY_STRING": asked, "CONTENT_LENGTH": "0", "wsgi.input": BytesIO()}
        request = Request(environ)
        request.__dict__["context"] = self.context
        request.at(self.ref)
        return request

    @property
    def input(self) -> "Body":
        """The request body; a door may put a wrapped one, and a foreign filter may have."""
        source = self.environ["wsgi.input"]
        found: Body | None = self.__dict__.get("input_body")
        if found is None:
            found = self.__dict__["wire_body"] = Body(source, self.body_length, self.chunked)
        elif source is not self.__dict__["input_source"]:
            found = Body(source, found.length, found.chunked)
        self.__dict__.update(input_body=found, input_source=source)
        return found

    @input.setter
    def input(self, body: "Body") -> None:
        self.environ["wsgi.input"] = body
        self.__dict__.update(input_body=body, input_source=body)

    @property
    def taken(self) -> int:
        """Bytes of the body that were read from the wire."""
        wire: Body | None = self.__dict__.get("wire_body")
        return 0 if wire is None else wire.taken

    @property
    def read_to_end(self) -> bool:
        """Whether nothing of the body is left on the wire."""
        wire: Body | None = self.__dict__.get("wire_body")
        if wire is None:
            return not self.chunked and (self.environ.get("CONTENT_LENGTH") or "0") == "0"
        return wire.ended

    def carried(self, environ: dict[str, Any]) -> "Request":
        """This request in a copy of its environ, with all that was found out; a new one if the copy asks for something else."""
        request = Request(environ)
        if all(environ.get(name) == self.environ.get(name) for name in _SAME):
            kept = ("context", "target", "ref", "operation", "input_body", "input_source", "wire_body")
            request.__dict__.update({name: self.__dict__[name] for name in kept if name in self.__dict__})
        return request

    @property
    def chunked(self) -> bool:
        """Whether the length is only known at the end."""
        coding = self.environ.get("HTTP_TRANSFER_ENCODING")
        return coding is not None and "chunked" in coding.lower()

    @property
    def body_length(self) -> int | None:
        """Declared bytes on the wire; None when chunked; 0 when there is no body."""
        if self.chunked:
            return None
        length = self.environ.get("CONTENT_LENGTH")
        if not length:
            return 0
        if not (length.isascii() and length.isdigit()):
            raise BadRequest("Content-Length must be a number.")
        return int(length)


class Body:
    """A request body that knows its length and raises when it ends early.

    ``length`` is what will be yielded, None when unknown. ``iter`` it, or
    ``read(limit)`` a small document whole.
    """

    CHUNK = 65536
    LARGEST = 1 << 20

    def __init__(self, source: Any, length: int | None, chunked: bool = False) -> None:  # noqa: FBT001, FBT002
        self.source = source
        self.length = length
        self.chunked = chunked
        self.taken = 0
        self.ended = length == 0

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes; b'' only at the true end. Raises IncompleteBody before that."""
        if size < 0:
            return b"".join(self)
        wanted = min(size, self.LARGEST) if self.length is None else min(size, self.LARGEST, self.length - self.taken)
        if wanted == 0:
            return b""
        try:
            data = self.source.read(wanted)
        except (OSError, ValueError) as error:  # a reset, or a broken chunk header
            raise IncompleteBody from error
        if not data and self.length is not None:
            raise IncompleteBody
        self.taken += len(data)
        self.ended = not data or self.taken == self.length
        return bytes(data)

    def readline(self, size: int = -1) -> bytes:
        """PEP 3333 has it, and a foreign filter may call it: byte by byte, for nothing is kept here."""
        line = bytearray()
        while len(line) != size and not line.endswith(b"\n") and (data := self.read(1)):
            line += data
        return bytes(line)

    def readlines(self, hint: int = -1) -> list[bytes]:  # noqa: ARG002  # a hint may be ignored
        return list(iter(self.readline, b""))

    def __iter__(self) -> Iterator[bytes]:
        """In pieces, not in lines; they grow while whoever sends keeps up."""
        size, begun = self.CHUNK, clock.wall.monotonic()
        while data := self.read(size):
            size = min(2 * size, self.LARGEST) if clock.wall.monotonic() - begun < SLOW else self.CHUNK
            yield data
            begun = clock.wall.monotonic()


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


def subrequest(
    request: Request, operation: str, ref: ObjectRef, *, fields: Iterable[tuple[str, str]] = (), query: str = "", body: bytes = b""
) -> Request:
    """Another operation of the same caller, to be handed to the doors behind. Its rights were decided with the first one's.

    ``fields`` are all the headers it has; the version goes into the query by itself.
    """
    kept = ("CONTENT_LENGTH", "CONTENT_TYPE", "RAW_URI", "RAW_PATH_INFO", "REQUEST_URI", KEY)
    environ = {n: v for n, v in request.environ.items() if n not in kept and not n.startswith(("HTTP_", "webob."))}
    row = operations.BY_NAME[operation]
    path = f"/{addressing.escape(ref.bucket)}/{addressing.escape(ref.key)}" if ref.key else f"/{addressing.escape(ref.bucket)}"
    query = "&".join(part for part in (query, f"versionId={quote(ref.version, safe='')}" if ref.version else "") if part)
    environ |= {"REQUEST_METHOD": row.method, "RAW_URI": f"{path}?{query}" if query else path, "QUERY_STRING": query}
    environ |= {"PATH_INFO": path, "wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    sub = Request(environ)
    sub.fields.update(fields)
    sub.at(ref)
    sub.__dict__["operation"] = row
    _same_caller(request.context, sub.context, row, ref)
    if body:
        sub.context.document = body
    return sub


def _same_caller(context: Context, sub: Context, operation: operations.Operation, ref: ObjectRef) -> None:
    sub.request_id, sub.identity, sub.plain, sub.looked_up = context.request_id, context.identity, context.plain, context.looked_up
    identity = context.decision.identity if context.decision else context.identity or ANONYMOUS
    sub.decision = Decision(identity, operation, ref, frozenset({ref}))


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


class Application:
    """A handler standing where WSGI expects an application (a Swift proxy sets attributes on it).

    What is a Swift proxy's own goes to ``behind``, the application behind the door, untouched.
    """

    def __init__(self, handler: Handler, behind: Any = None) -> None:
        self.handler = handler
        self.behind = behind

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if SWIFT in environ and self.behind is not None:
            return self.behind(environ, start_response)  # type: ignore[no-any-return]
        request = environ.get(KEY)
        if not isinstance(request, Request):
            request = Request(environ)
        elif request.environ is not environ:
            request = request.carried(environ)
        return self.handler(request)(environ, start_response)


def handler_of(app: Any) -> Handler:
    """Call an application as a handler; our own are called directly."""
    return app.handler if isinstance(app, Application) else Foreign(app)


class Late:
    """A handler that is made when first called: in a host where no request may ever come to it."""

    def __init__(self, make: Callable[[], Handler]) -> None:
        self.make = make

    @cached_property
    def handler(self) -> Handler:
        return self.make()

    def __call__(self, request: Request) -> Response:
        return self.handler(request)


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


def house_of(global_conf: dict[str, str]) -> connect.House:
    return connect.house(global_conf["__file__"])


def _named(given: dict[str, str], house: connect.House) -> dict[str, str]:
    return {name: house.ini.fill(value) for name, value in given.items() if name != "__name__"}  # Swift's loader adds that


def filter_factory(make: Callable[[Handler, Any, connect.House], Handler], options: type, section: str) -> Any:
    """The PasteDeploy face of a door: its options are read once, when the house is built.

    In a Swift proxy, which has no request for it yet, the door itself is not made: its catalog and store may be missing there.
    """

    def factory(global_conf: dict[str, str], **given: str) -> Any:
        house = house_of(global_conf)
        settings = config.read(options, section, _named(given, house))
        guest = house.announce(section.partition(":")[2])

        def door(app: Any) -> Application:
            made = partial(make, handler_of(app), settings, house)
            return Application(Late(made) if guest else made(), app)

        return door

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


def decoded(path: str) -> str:
    """A percent-encoded path as text; InvalidURI when it is not UTF-8."""
    try:
        return unquote_to_bytes(path).decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidURI from None
