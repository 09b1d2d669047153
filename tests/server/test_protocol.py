"""Which requests can be read in one way only; on a socket: ``test_listen``."""

from email.parser import Parser
from http.client import HTTPMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3shunt.server.protocol import sound

LINE = "PUT /films/a HTTP/1.1"


def headers(*lines):
    return Parser(_class=HTTPMessage).parsestr("\r\n".join(["Host: x", *lines, "", ""]))


@pytest.mark.parametrize(
    ("line", "lines"),
    [
        (LINE, []),
        (LINE, ["Content-Length: 5"]),
        (LINE, ["Transfer-Encoding: chunked"]),
        (LINE, ["transfer-encoding: Chunked"]),
        (LINE, ["X-Amz-Meta-a: caf\xc3\xa9\t1"]),
        ("GET http://films.example/a?b HTTP/1.1", []),
        ("GET //films/a HTTP/1.1", []),
    ],
)
def test_what_can_be_read_in_one_way_is_served(line, lines):
    assert sound(line, headers(*lines))


@pytest.mark.parametrize(
    ("line", "lines"),
    [
        ("PUT /films/a", []),
        ("PUT  /films/a HTTP/1.1", []),
        ("PUT films/a HTTP/1.1", []),
        ("PUT /films/\xe9 HTTP/1.1", []),
        ("PUT /films/a\tb HTTP/1.1", []),
        ("PUT * HTTP/1.1", []),
        (LINE, ["Content-Length: 5", "Content-Length: 6"]),
        (LINE, ["Content-Length: 5", "content-length: 5"]),
        (LINE, ["Content-Length: 5, 5"]),
        (LINE, ["Content-Length: 1_0"]),
        (LINE, ["Content-Length: -1"]),
        (LINE, ["Content-Length: \u0665"]),
        (LINE, ["Content-Length: 5", "Transfer-Encoding: chunked"]),
        (LINE, ["Transfer-Encoding: chunked, chunked"]),
        (LINE, ["Transfer-Encoding: identity"]),
        (LINE, ["Transfer-Encoding: \x0bchunked"]),
        (LINE, ["Transfer-Encoding : chunked"]),
        (LINE, ["X: a", " Transfer-Encoding: chunked"]),
        (LINE, ["X\x00: a"]),
        (LINE, ["X: a\x7f"]),
        (LINE, ["Host: y"]),
        (LINE, ["what is this"]),
    ],
)
def test_what_could_be_read_in_two_is_not(line, lines):
    assert not sound(line, headers(*lines))


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=12).filter(lambda word: word.strip(" \t").lower() != "chunked"))
def test_no_other_transfer_coding_is_taken(word):
    assert not sound(LINE, headers(f"Transfer-Encoding: {word}")) or "transfer-encoding" not in headers(f"Transfer-Encoding: {word}")
