"""The signing client: what it sends is what a server would hand on."""

from s3shunt.protocol.errors import IncompleteBody
from s3shunt.testing.client import Client, call, environ
from s3shunt.testing.clock import HandClock


def echo(seen):
    def app(environ, start_response):
        seen.append((environ, environ["wsgi.input"].read()))
        start_response("403 No", [("X-Amz-Meta-A", "b")])
        return [b"<Error><Code>AccessDenied</Code></Error>"]

    return app


def test_a_request_is_signed_and_its_target_kept_as_written():
    seen = []
    client = Client(echo(seen), "AK", "SK", clock=HandClock(), token="t")
    answer = client.put("/films/a%2Fb//c?tagging", b"xyz", x_amz_meta_title="é", content_type="a/b")
    environ, body = seen[0]
    assert (environ["RAW_PATH_INFO"], environ["PATH_INFO"], environ["QUERY_STRING"]) == ("/films/a%2Fb//c", "/films/a/b//c", "tagging")
    assert (environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"], body) == ("a/b", "3", b"xyz")
    assert environ["HTTP_X_AMZ_META_TITLE"].encode("latin-1").decode() == "é"
    assert environ["HTTP_X_AMZ_DATE"] == "20260105T103000Z"
    assert "Credential=AK/20260105/us-east-1/s3/aws4_request" in environ["HTTP_AUTHORIZATION"]
    assert "x-amz-security-token" in environ["HTTP_AUTHORIZATION"]
    assert (answer.status, answer.code, answer.reason, answer.headers) == (403, "AccessDenied", "No", {"x-amz-meta-a": "b"})


def test_without_a_key_nothing_is_signed():
    seen = []
    Client(echo(seen)).get("/films/a")
    assert "HTTP_AUTHORIZATION" not in seen[0][0]


def test_a_length_may_be_a_lie():
    seen = []
    Client(echo(seen), "AK", "SK").put("/films/a", b"x", content_length="2")
    assert seen[0][0]["CONTENT_LENGTH"] == "2"


def test_a_body_that_breaks_is_not_a_whole_one():
    closed = []

    class Body:
        def __iter__(self):
            yield b"half"
            raise IncompleteBody

        def close(self):
            closed.append(1)

    def app(environ, start_response):
        start_response("200 OK", [])
        return Body()

    answer = call(app, environ("GET", "/"))
    assert (answer.body, type(answer.broken), closed) == (b"half", IncompleteBody, [1])
