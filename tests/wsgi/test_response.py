"""An answer says what it was told, and is closed."""

import pytest

from s3shunt.protocol.errors import ServiceUnavailable
from s3shunt.testing.client import Client, environ
from s3shunt.testing.origin import Origin
from s3shunt.wsgi import Application, Request, Response, dropped, taken


def test_an_answer_says_only_what_it_was_told():
    origin = Origin(Response(status=200, headerlist=[("Location", "/films")], app_iter=[b"x"]), Response(status=200))
    client = Client(Application(origin))
    assert client.put("/films").headers == {"location": "/films"}
    assert "content-type" not in client.get("/films").headers


def test_an_answer_may_be_taken_whole_up_to_a_limit_and_is_closed():
    origin = Origin(Response(status=200, app_iter=[b"ab", b"c"]), Response(status=200, app_iter=[b"ab", b"c"]), Response(status=200))
    assert taken(origin(Request(environ("GET", "/films/a")))) == b"abc"
    with pytest.raises(ServiceUnavailable):
        taken(origin(Request(environ("GET", "/films/a"))), limit=2)
    dropped(origin(Request(environ("GET", "/films/a"))))
    origin.check()
