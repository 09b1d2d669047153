"""A request, on WebOb: what is asked, found out once; what it carries along; the document in its body."""

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any
from urllib.parse import quote

import webob

from s3shunt.context import Context
from s3shunt.model import ObjectRef
from s3shunt.protocol import addressing, operations
from s3shunt.protocol.errors import BadRequest, InvalidURI, MalformedXML
from s3shunt.wsgi.body import Body
from s3shunt.wsgi.fields import Fields

KEY = "s3shunt.request"

_ASKED_ANEW = {
    KEY, "RAW_URI", "REQUEST_URI", "HTTP_TRANSFER_ENCODING", "CONTENT_TYPE", "HTTP_ACCEPT_ENCODING", "HTTP_RANGE", "HTTP_EXPECT",
}  # fmt: skip

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
        target = environ["RAW_URI"] if "RAW_URI" in environ else environ.get("REQUEST_URI")
        if target is not None:
            return self._origin_form(target)
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
                found = self.__dict__
                found["raw_path"], found["query"], found["parameters"] = target, [], {}
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
    def input(self) -> Body:
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
    def input(self, body: Body) -> None:
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
        if wire is not None:
            return wire.ended
        return self.environ.get("CONTENT_LENGTH", "") in ("", "0") and ("HTTP_TRANSFER_ENCODING" not in self.environ or not self.chunked)

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
