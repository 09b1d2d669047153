"""What a request is about, and what of its body is its own."""

import io

import pytest

from s3shunt.model import ObjectRef
from s3shunt.protocol.errors import BadRequest, InvalidURI, MalformedXML
from s3shunt.testing.client import environ
from s3shunt.wsgi import Body, Request, document


def request(method="GET", target="/films/a", body=b"", **fields):
    return Request(environ(method, target, body, {name.replace("_", "-"): value for name, value in fields.items()}))


@pytest.mark.parametrize("name", ["RAW_URI", "REQUEST_URI"])
@pytest.mark.parametrize("sent", ["/films/a%2Fb//c?x=%20", "http://S3.test/films/a%2Fb//c?x=%20"])
def test_the_target_is_taken_as_it_was_sent(name, sent):
    made = environ("GET", "/other")
    del made["RAW_PATH_INFO"]
    assert Request(made | {name: sent}).target == "/films/a%2Fb//c?x=%20"


def test_a_raw_path_may_be_in_absolute_form():
    made = environ("GET", "/x?y=%20") | {"RAW_PATH_INFO": "http://s3.test/films/a%2Fb//c"}
    assert Request(made).target == "/films/a%2Fb//c?y=%20"
    assert Request(made).ref == ObjectRef("films", "a/b//c")


@pytest.mark.parametrize("name", ["RAW_URI", "REQUEST_URI", "RAW_PATH_INFO"])
@pytest.mark.parametrize("sent", ["http://other/a", "http://s3.test:81/a", "http://s3.test@other/a", "ftp://s3.test/a", "*", ""])
def test_a_target_that_names_another_host_or_none_is_refused(name, sent):
    with pytest.raises(InvalidURI):
        Request(environ("GET", "/x") | {name: sent}).target


@pytest.mark.parametrize(
    ("path", "fine"), [("/films/a", True), ("/films/a%b", False), ("/films//a", False), ("/films/\xe9", False), ("/a b", False)]
)
def test_without_the_raw_target_a_doubtful_path_is_refused_and_never_guessed(path, fine):
    made = environ("GET", "/x")
    del made["RAW_PATH_INFO"]
    made["PATH_INFO"] = path
    if fine:
        assert Request(made).target == path
    else:
        with pytest.raises(InvalidURI):
            Request(made).target


def test_of_a_repeated_parameter_the_first_counts():
    made = request(target="/films?prefix=a%2Bb&prefix=c&versions&x=1+2")
    assert made.parameters == {"prefix": "a+b", "versions": "", "x": "1 2"}
    assert [name for name, _ in made.query] == ["prefix", "prefix", "versions", "x"]


def test_a_request_knows_what_it_is_about():
    made = request("PUT", "/films/a?versionId=7", x_amz_copy_source="x/y")
    assert (made.ref, made.operation.name) == (ObjectRef("films", "a", "7"), "CopyObject")
    made.at(ObjectRef("films", "b"))
    assert made.ref.key == "b"


def test_a_document_is_read_once_and_kept():
    made = request("POST", "/films?delete", b"<Delete/>")
    assert document(made) == document(made) == made.context.document == b"<Delete/>"


@pytest.mark.parametrize("fields", [{}, {"transfer_encoding": "chunked"}])
def test_a_document_has_a_limit(fields):
    with pytest.raises(MalformedXML):
        document(request("POST", "/films?delete", b"x" * 101, **fields), limit=100)


@pytest.mark.parametrize(
    ("body", "fields", "read", "ended"),
    [
        (b"", {}, 0, True),
        (b"abc", {}, 0, False),
        (b"abc", {}, 2, False),
        (b"abc", {}, 3, True),
        (b"abc", {"transfer_encoding": "chunked"}, 3, False),
        (b"abc", {"transfer_encoding": "chunked"}, -1, True),
        (b"", {"content_length": "many"}, 0, False),
    ],
)
def test_it_is_known_whether_a_body_was_read_to_its_end(body, fields, read, ended):
    made = request("PUT", body=body, **fields)
    if read:
        made.input.read(read)
    assert made.read_to_end is ended


def test_a_wrapped_body_takes_the_place_of_the_wires():
    made = request("PUT", body=b"3\r\nabc")
    wire = made.input
    made.input = Body(io.BytesIO(b"abc"), 3)
    assert (made.input.length, b"".join(made.input), made.environ["wsgi.input"] is made.input) == (3, b"abc", True)
    assert not made.read_to_end
    b"".join(wire)
    assert made.read_to_end
    assert made.taken == 6


@pytest.mark.parametrize("length", ["-1", "abc", "\u0661", "1_0"])
def test_a_length_that_is_no_number_is_refused(length):
    with pytest.raises(BadRequest):
        request("PUT", content_length=length).body_length
