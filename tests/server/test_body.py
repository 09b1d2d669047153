"""Bodies: framed by a length or by chunks, ended only at their end."""

import os
import socket
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3shunt.relay.pipe import pipe
from s3shunt.server.body import NOTHING, Input
from s3shunt.server.wire import Gone, Wire
from s3shunt.testing.clock import HandClock


class Fed(Wire):
    """A wire that brings given pieces, then the end."""

    def __init__(self, *pieces):
        self.pieces = list(pieces)
        self.buffer = b""
        self.sent = []

    def _recv(self, size):
        if not self.pieces:
            return b""
        data, self.pieces[0] = self.pieces[0][:size], self.pieces[0][size:]
        if not self.pieces[0]:
            self.pieces.pop(0)
        return data

    def _earn(self, count):
        pass

    def send(self, data):
        self.sent.append(data)


def sized(length, *pieces, expects=False):
    return Input(Fed(*pieces), length, expects=expects)


def chunked(*pieces):
    return Input(Fed(*pieces), None, expects=False)


def test_a_body_ends_at_its_length_and_what_follows_stays():
    body = sized(5, b"he", b"lloGET /")
    assert body.read() == b"hello"
    assert body.ended
    assert body.read(10) == b""
    assert body.wire.pieces == [b"GET /"]


def test_a_read_waits_for_all_that_was_asked():
    body = sized(10, b"ab", b"cd", b"efghij")
    assert [body.read(3), body.read(3), body.read(100), body.read(1)] == [b"abc", b"def", b"ghij", b""]


def test_lines_are_lines():
    body = sized(14, b"one\ntw", b"o\n\nthree")
    assert body.readline() == b"one\n"
    assert body.readline(2) == b"tw"
    assert list(body) == [b"o\n", b"\n", b"three"]
    assert sized(5, b"a\nb\nc").readlines() == [b"a\n", b"b\n", b"c"]


def test_a_body_that_ends_early_never_ends_quietly():
    body = sized(5, b"hell")
    with pytest.raises(Gone):
        body.read()
    assert body.broken
    with pytest.raises(ValueError):
        body.read()


def test_nothing_is_nothing():
    assert (NOTHING.read(), NOTHING.read(5), NOTHING.readline(), list(NOTHING), NOTHING.readlines()) == (b"", b"", b"", [], [])
    assert NOTHING.skip()


def test_a_client_that_waits_is_told_to_go_on_when_the_body_is_first_read():
    body = sized(2, b"ab", expects=True)
    assert body.wire.sent == []
    body.read(1)
    body.read(1)
    assert body.wire.sent == [b"HTTP/1.1 100 Continue\r\n\r\n"]


def test_chunks_are_joined_and_trailers_kept():
    body = chunked(b"5;a=b\r\nhello\r\n6\r\n wor", b"ld\r\n0\r\nx-amz-checksum-crc32: abcd\r\n\r\nGET /")
    assert body.read() == b"hello world"
    assert body.trailers == [("x-amz-checksum-crc32", "abcd")]
    assert body.wire.buffer == b"GET /"


WHOLE = b'5\r\nhello\r\nc;a="b"\r\n hello world\r\n0\r\na: b\r\n\r\n'


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, len(WHOLE) - 1), unique=True).map(sorted), st.integers(1, 20))
def test_chunks_may_be_cut_anywhere(cuts, size):
    edges = [0, *cuts, len(WHOLE)]
    body = chunked(*[WHOLE[start:end] for start, end in pairwise(edges)], b"next")
    assert b"".join(iter(lambda: body.read(size), b"")) == b"hello hello world"
    assert b"".join([body.wire.buffer, *body.wire.pieces]) == b"next"


@pytest.mark.parametrize("end", range(len(WHOLE)))
def test_chunks_that_end_early_never_end_quietly(end):
    with pytest.raises((Gone, ValueError)):
        chunked(WHOLE[:end]).read()


@pytest.mark.parametrize(
    "data",
    [
        b"5\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhello\r\n0\n\r\n",
        b"5\r\nhello\r\n0\r\n\n",
        b"5\r\nhello!\r\n0\r\n\r\n",
        b"5\r\nhello!!\r\n0\r\n\r\n",
        b"5\r\nhell\r\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhello\r\n\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"5\rhello\r\n0\r\n\r\n",
        b"5\r\r\nhello\r\n0\r\n\r\n",
        b"\r\nhello\r\n0\r\n\r\n",
        b"5;\x00\r\nhello\r\n0\r\n\r\n",
        b"5;" + b"a" * 1000 + b"\r\nhello\r\n0\r\n\r\n",
        b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        b"0\r\nContent-Length: 5\r\n\r\n",
        b"0\r\nHost: x\r\n\r\n",
        b"0\r\na b\r\n\r\n",
        b"0\r\n a: b\r\n\r\n",
        b"0\r\na_b: c\r\n\r\n",
        b"0\r\na: " + b"b" * 9000 + b"\r\n\r\n",
        b"0\r\n" + b"a: b\r\n" * 33 + b"\r\n",
    ],
)
def test_chunks_that_could_be_read_in_two_ways_are_refused(data):
    body = chunked(data)
    with pytest.raises((Gone, ValueError)):
        body.read()
    assert not body.ended
    assert not body.skip()


def test_what_is_here_already_can_be_passed_over():
    body = sized(5)
    body.wire.buffer = b"helloGET /"
    assert body.skip()
    assert body.wire.buffer == b"GET /"
    assert not sized(5, b"hello").skip()
    assert not chunked(b"0\r\n\r\n").skip()


@pytest.fixture
def socketed():
    """A body of 100 bytes on a socket, and the client's end of it."""
    ours, theirs = socket.socketpair()
    wire = Wire(ours, HandClock(), patience=10, rate=100)
    with theirs:
        yield Input(wire, 100, expects=False), theirs
        wire.close()


def test_the_rest_may_be_moved_unseen_and_never_more_than_it(socketed):
    body, theirs = socketed
    theirs.sendall(b"x" * 100 + b"GET /")
    assert body.passes
    with pipe() as (out, into):
        assert [body.fill(into, 60), body.fill(into, 60), body.ended, body.passes] == [60, 40, True, False]
        assert os.read(out, 200) == b"x" * 100
    with pytest.raises(ValueError):
        body.fill(into, 1)
    assert body.wire.read(5) == b"GET /"


def test_a_rest_that_breaks_while_it_is_moved_is_broken_for_good(socketed):
    body, theirs = socketed
    theirs.close()
    with pipe() as (_, into):
        for error in (Gone, ValueError):
            with pytest.raises(error):
                body.fill(into, 60)
    assert (body.broken, body.ended, body.skip()) == (True, False, False)


def test_what_has_to_be_looked_at_first_does_not_pass(socketed):
    wire = socketed[0].wire
    assert not Input(wire, None, expects=False).passes
    assert not Input(wire, 100, expects=True).passes
    assert not sized(100).passes
    wire.buffer = b"begun"
    assert not socketed[0].passes
    wire.buffer, socketed[0]._kept = b"", b"begun"
    assert not socketed[0].passes
