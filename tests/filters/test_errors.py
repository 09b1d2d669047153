"""Every refusal becomes XML in one place, under a request id."""

import logging

import pytest

from s3shunt.filters.errors import Errors, Options
from s3shunt.protocol.errors import AccessDenied, InvalidObjectState, SlowDown
from s3shunt.testing.client import Client, call, environ
from s3shunt.testing.origin import Origin
from s3shunt.wsgi import Application, Response


def client(*script):
    return Client(Application(Errors(Origin(*script), Options(host_id="proxy-1"))))


def test_a_refusal_is_told_as_s3_tells_it():
    answer = client(InvalidObjectState(StorageClass="GLACIER")).get("/films/a%20%3C%C3%A9")
    assert (answer.status, answer.reason) == (403, "Forbidden")
    assert answer.headers["content-type"] == "application/xml"
    assert answer.headers["content-length"] == str(len(answer.body))
    facts = {node.tag: node.text for node in answer.xml}
    assert facts.pop("RequestId") == answer.headers["x-amz-request-id"] != ""
    assert facts.pop("HostId") == answer.headers["x-amz-id-2"] == "proxy-1"
    assert facts == {
        "Code": "InvalidObjectState",
        "Message": "The operation is not valid for the object's storage class",
        "StorageClass": "GLACIER",
        "Resource": "/films/a <é",
    }


def test_a_head_is_refused_without_a_document():
    answer = client(AccessDenied()).head("/films/a")
    assert (answer.status, answer.body) == (403, b"")
    assert "content-length" not in answer.headers
    assert "content-type" not in answer.headers
    assert answer.headers["x-amz-request-id"]


def test_how_long_to_wait_and_further_headers_are_told():
    answer = client(SlowDown(retry_after=7, headers=(("x-amz-delete-marker", "true"),))).get("/films/a")
    assert (answer.status, answer.headers["retry-after"], answer.headers["x-amz-delete-marker"]) == (503, "7", "true")


def test_the_unexpected_is_logged_with_its_id_and_not_shown(caplog):
    with caplog.at_level(logging.ERROR):
        answer = client(KeyError("secret detail")).get("/films/a")
    assert (answer.status, answer.code) == (500, "InternalError")
    assert b"secret" not in answer.body
    assert answer.headers["x-amz-request-id"] in caplog.text
    assert "secret detail" in caplog.text


def test_a_key_writes_no_line_of_its_own_into_the_log(caplog):
    with caplog.at_level(logging.ERROR):
        client(KeyError("x")).get("/films/a%0aERROR%20forged%1b[2J")
    assert "\nERROR forged" not in caplog.text
    assert "\x1b" not in caplog.text


def test_each_answer_has_an_id_of_its_own():
    here = client(Response(status=200), Response(status=404))
    first, second = here.get("/films/a"), here.get("/films/a")
    assert (first.status, second.status) == (200, 404)
    assert first.headers["x-amz-request-id"] != second.headers["x-amz-request-id"]


def test_ids_of_whoever_answered_give_way_to_ours():
    theirs = [("X-Amz-Request-Id", "theirs"), ("ETag", "e"), ("X-AMZ-ID-2", "theirs")]
    answer = client(Response(status=200, headerlist=theirs)).get("/films/a")
    assert answer.headers["x-amz-id-2"] == "proxy-1"
    assert "theirs" not in str(answer.headers)
    assert answer.headers["etag"] == "e"


def refuse_unread(request):
    raise AccessDenied


@pytest.mark.parametrize(
    ("fields", "body", "close"),
    [({}, b"", False), ({}, b"unread", True), ({"transfer-encoding": "chunked"}, b"", True), ({"content-length": "x"}, b"", True)],
)
def test_an_upload_refused_unread_closes_the_connection(fields, body, close):
    answer = call(Application(Errors(refuse_unread, Options())), environ("PUT", "/films/a", body, fields))
    assert answer.status == 403
    assert (answer.headers.get("connection") == "close") is close


def test_an_upload_read_to_its_end_leaves_the_connection_open():
    assert "connection" not in client(Response(status=200)).put("/films/a", b"read").headers


def test_what_breaks_after_the_answer_began_stays_broken():
    def torn(request):
        def pieces():
            yield b"half"
            raise SlowDown

        return Response(status=200, app_iter=pieces())

    answer = call(Application(Errors(torn, Options())), environ("GET", "/films/a"))
    assert (answer.body, type(answer.broken)) == (b"half", SlowDown)
