"""Our handlers where WSGI expects applications, and the way back."""

from collections.abc import Callable, Iterable
from functools import cached_property
from types import FunctionType, MethodType
from typing import Any, ParamSpec, TypeVar

from s3shunt.wsgi.foreign import Foreign
from s3shunt.wsgi.request import KEY, Request
from s3shunt.wsgi.response import Response

P = ParamSpec("P")
R = TypeVar("R")
Handler = Callable[[Request], Response]

SWIFT = "swift.trans_id"
"""In the environ of every request of a Swift proxy: its catch_errors puts it there, its sub-requests keep it."""


class Application:
    """A handler standing where WSGI expects an application (a Swift proxy sets attributes on it).

    What is a Swift proxy's own goes to ``behind``, the application behind the door, untouched.
    """

    def __init__(self, handler: Handler, behind: Any = None) -> None:
        self.handler = direct(handler)
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
    return app.handler if isinstance(app, Application) else direct(Foreign(app))


def direct(handler: Callable[P, R]) -> Callable[P, R]:
    """The method behind a handler that is an object: to go on into a method, the interpreter need not leave its own loop."""
    return handler if isinstance(handler, FunctionType | MethodType) else handler.__call__


class Late:
    """A handler that is made when first called: in a host where no request may ever come to it."""

    def __init__(self, make: Callable[[], Handler]) -> None:
        self.make = make

    @cached_property
    def handler(self) -> Handler:
        return self.make()

    def __call__(self, request: Request) -> Response:
        return self.handler(request)
