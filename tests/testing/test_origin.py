"""Stores that do as a test says."""

import http.client

import pytest

from s3shunt.protocol.errors import NoSuchKey
from s3shunt.testing.client import Client, environ
from s3shunt.testing.origin import HttpOrigin, Origin, Reply
from s3shunt.wsgi import Application, Request, Response


def test_an_origin_answers_by_its_script_then_with_200():
    origin = Origin(Response(status=204), NoSuchKey(), lambda request: Response(status=200, body=request.method.encode()))
    client = Client(Application(origin))
    assert client.put("/b/k", b"body").status == 204
    with pytest.raises(NoSuchKey):
        client.get("/b/k")
    assert client.get("/b/k").body == b"GET"
    assert client.get("/b/k").status == 200
    assert origin.bodies == [b"body", b"", b"", b""]
    origin.check()


def test_an_answer_that_nobody_closed_is_found():
    origin = Origin()
    origin(Request(environ("GET", "/b/k")))
    with pytest.raises(AssertionError):
        origin.check()


def test_a_script_not_played_to_its_end_is_found():
    with pytest.raises(AssertionError):
        Origin(Response(status=200)).check()


@pytest.mark.parametrize("chunked", [False, True])
def test_an_origin_on_a_socket_speaks_http(chunked):
    with HttpOrigin([Reply(201, b"x" * 20_000, [("A", "b")], chunked=chunked), Reply(204)]) as origin:
        connection = http.client.HTTPConnection(origin.endpoint.removeprefix("http://"))
        connection.request("PUT", "/a?b", body=b"hello", headers={"X": "y"})
        response = connection.getresponse()
        assert (response.status, response.read(), response.headers["A"]) == (201, b"x" * 20_000, "b")
        connection.request("GET", "/c")
        assert connection.getresponse().status == 204
        connection.close()
        received = origin.wait(2)
    assert (received[0].method, received[0].target, received[0].body, received[0].fields["x"]) == ("PUT", "/a?b", b"hello", "y")
    assert [each.connection for each in received] == [1, 1]
