"""Request, Response and factories: the only room that knows PEP 3333.

A door is a class with ``__init__(forward, options, house)`` and
``__call__(request) -> Response``. Our own doors call each other directly with
one ``Request``; foreign WSGI in between works too, because the request travels
in the environ under one key.
"""

from s3shunt.wsgi.application import Application, Handler, direct, handler_of
from s3shunt.wsgi.body import Body
from s3shunt.wsgi.factories import app_factory, filter_factory, house_of
from s3shunt.wsgi.foreign import Begun
from s3shunt.wsgi.request import KEY, Request, document
from s3shunt.wsgi.response import Response, dropped, taken
from s3shunt.wsgi.sub import subrequest

__all__ = [
    "KEY", "Application", "Begun", "Body", "Handler", "Request", "Response", "app_factory", "direct", "document", "dropped",
    "filter_factory", "handler_of", "house_of", "subrequest", "taken",
]  # fmt: skip
