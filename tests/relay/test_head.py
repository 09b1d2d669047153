"""Heads on the wire: one request is one request, and an answer ends in one place or is none."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3shunt.protocol.errors import InvalidArgument
from s3shunt.relay import head as heads
from s3shunt.relay.head import Head, Unclear, read


def test_a_head_goes_out_as_it_is():
    head = Head("GET", "/a%20b?x=1", [("host", "h"), ("x-a", "b  c\xe9")])
    assert head.wire() == b"GET /a%20b?x=1 HTTP/1.1\r\nhost: h\r\nx-a: b  c\xe9\r\n\r\n"


@pytest.mark.parametrize("target", ["/a b", "/a\r\nx: y", "", "/\xe9"])
def test_a_target_that_is_not_one_word_goes_nowhere(target):
    with pytest.raises(InvalidArgument):
        Head("GET", target, []).wire()


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\rb", "\u20ac"])
def test_a_field_is_one_line(value):
    with pytest.raises(InvalidArgument):
        Head("GET", "/", [("x", value)]).wire()


def test_an_answer_is_read_as_it_was_spelled():
    told = read(b'HTTP/1.1 206 Partial Content\r\nETag: "1"\r\nContent-Length:  12 \r\nx-amz-meta-A: \xe9', "GET")
    assert (told.status, told.reason, told.length, told.lasting) == (206, "Partial Content", 12, True)
    assert told.fields == [("ETag", '"1"'), ("Content-Length", "12"), ("x-amz-meta-A", "\xe9")]


def test_a_reason_in_letters_that_few_can_read_is_left_out():
    """The status says it all; handed on, it would make our answer one that cannot be sent."""
    assert read(b"HTTP/1.1 404 Nicht verf\xfcgbar\r\nContent-Length: 0", "GET")[:2] == (404, "")


@pytest.mark.parametrize(
    ("head", "length"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked", None),
        (b"HTTP/1.1 204 No Content", 0),
        (b"HTTP/1.1 304\r\nContent-Length: 7", 0),
        (b"HTTP/1.1 200 \r\nContent-Length: 0", 0),
    ],
)
def test_where_an_answer_ends(head, length):
    assert read(head, "GET").length == length


@pytest.mark.parametrize("head", [b"HTTP/1.0 200\r\nContent-Length: 0", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: foo, Close"])
def test_a_connection_that_ends_is_known_to(head):
    assert not read(head, "GET").lasting


@pytest.mark.parametrize(
    "head",
    [
        b"", b"HTTP/2 200 OK", b"HTTP/1.1 2000 OK\r\nContent-Length: 0", b"HTTP/1.1 200 OK",
        b"http/1.1 200 OK\r\nContent-Length: 0",
        b"HTTP/1.1 200 OK\r\nContent-Length: +1", b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1", b"HTTP/1.1 200 OK\r\nContent-Length: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1", b"HTTP/1.1 200 OK\r\nContent-Length : 1",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b"HTTP/1.1 200 OK\r\nContent-Length: 1\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n folded", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n: x",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nx: a\x00b", b"HTTP/1.1 200 OK\r\nContent-Length: \xb2",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1" + b"\r\na: b" * 200,
    ],
)  # fmt: skip
def test_what_could_be_read_in_two_ways_is_no_answer(head):
    with pytest.raises(Unclear):
        read(head, "GET")


@settings(max_examples=300)
@given(st.binary(max_size=80))
def test_whatever_comes_is_an_answer_or_is_not(noise):
    for head in (noise, b"HTTP/1.1 200 OK\r\n" + noise):
        try:
            told = read(head, "GET")
        except Unclear:
            continue
        assert told.length is None or told.length >= 0


def test_a_head_that_came_before_is_read_as_it_was_then():
    for head in (
        b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\nAccept-Ranges: bytes\r\nETag: 1",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nAccept-Ranges: bytes\r\nETag: 2",
    ):
        first = read(head, "GET")
        assert read(head, "GET") == first
    doubled = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nContent-Length: 7"
    for _ in range(2):
        with pytest.raises(Unclear):
            read(doubled, "GET")


def test_what_is_remembered_of_heads_has_an_end():
    for number in range(3 * heads.KEPT):
        read(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nx-own: %d\r\nx-long: %b%d" % (number, number, b"x" * 60_000, number), "GET")
    assert len(heads._SEEN) <= heads.KEPT
    assert len(heads._FRAMING) <= heads.KEPT
    assert max(map(len, heads._SEEN)) <= heads.SHORT
