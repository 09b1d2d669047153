"""A request on its way to a store: all of it or visibly cut, whoever moves the bytes."""

import os
import select
import socket
import threading
from contextlib import contextmanager

import pytest

from s3shunt.protocol.errors import BadDigest, IncompleteBody
from s3shunt.relay import Head, pipe, upload
from s3shunt.relay.link import PIECE, Link

LARGE = bytes(range(256)) * 8192
WIRE = b"PUT /films/a HTTP/1.1\r\n\r\n"
EDGES = [2 * PIECE + 1, pipe.CAPACITY - 1, pipe.CAPACITY, pipe.CAPACITY + 1, pipe.CAPACITY + PIECE, pipe.CAPACITY + PIECE + 1, len(LARGE)]


class Passing:
    """A body whose first piece was read, and whose rest is in a socket."""

    passes = True

    def __init__(self, data, first=PIECE, most=pipe.CAPACITY):
        self.first, self.most = data[:first], most
        self.here, self.there = socket.socketpair()
        self.filled = 0
        threading.Thread(target=self.feed, args=(data[first:],), daemon=True).start()

    def feed(self, rest):
        self.there.sendall(rest)
        self.there.close()

    def __iter__(self):
        yield self.first
        raise AssertionError("the rest was asked for by hand")

    def fill(self, into, count):
        select.select([self.here], [], [])
        moved = os.splice(self.here.fileno(), into, min(count, self.most))
        if not moved:
            raise IncompleteBody
        self.filled += moved
        return moved


@contextmanager
def store(*, small=False):
    """A link, and the store's end of it."""
    here, there = socket.socketpair()
    if small:
        here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with here, there:
        yield Link(here), there


def received(there, count, into):
    while len(into) < count and (data := there.recv(min(1 << 16, count - len(into)))):
        into.extend(data)


def sent(body, length, gap=5, **options):
    """Whether all was sent, and what came."""
    came = bytearray()
    with store(**options) as (link, there):
        reader = threading.Thread(target=received, args=(there, len(WIRE) + length, came))
        reader.start()
        try:
            return upload.send(link, Head("PUT", "/films/a", [], length), WIRE, body, gap), came
        finally:
            link.sock.shutdown(socket.SHUT_WR)
            reader.join()


def test_a_small_request_leaves_in_one_piece():
    with store() as (link, there):
        assert upload.send(link, Head("PUT", "/", [], 3), WIRE, [b"abc"], 1)
        assert there.recv(100) == WIRE + b"abc"


@pytest.mark.parametrize("length", EDGES)
def test_what_passes_arrives_as_it_came(length):
    body = Passing(LARGE[:length])
    whole, came = sent(body, length)
    assert (whole, bytes(came), body.filled) == (True, WIRE + LARGE[:length], length - PIECE)


@pytest.mark.parametrize("length", [PIECE + 1, 2 * PIECE])
def test_a_rest_that_is_small_is_read_by_hand(length):
    with pytest.raises(AssertionError, match="by hand"):
        sent(Passing(LARGE[:length]), length)


def test_without_a_pipe_it_is_read_by_hand(monkeypatch):
    monkeypatch.setattr(pipe, "ready", lambda: False)
    with pytest.raises(AssertionError, match="by hand"):
        sent(Passing(LARGE), len(LARGE))


@pytest.mark.parametrize("small", [False, True])
def test_never_more_is_moved_than_was_announced(small):
    body = Passing(LARGE + b"GET / HTTP/1.1\r\n")
    whole, came = sent(body, len(LARGE), small=small)
    assert (whole, bytes(came)) == (True, WIRE + LARGE)
    assert body.here.recv(4) == b"GET "


@pytest.mark.parametrize("there", [PIECE, PIECE + 1, pipe.CAPACITY, len(LARGE) - 1])
def test_a_body_that_breaks_while_it_passes_leaves_no_pipe_with_bytes_in_it(there):
    with pytest.raises(IncompleteBody):
        sent(Passing(LARGE[:there]), len(LARGE))
    assert not any(pipe.holds(out) for out, _ in pipe._idle)


@pytest.mark.parametrize("make", [lambda: Passing(LARGE), lambda: [LARGE[:PIECE], LARGE[PIECE:]]], ids=["passing", "by hand"])
@pytest.mark.parametrize("says", [b"HTTP/1.1 403 No\r\n", b""])
def test_a_store_that_answers_and_stops_listening_is_heard_at_once(make, says):
    with store(small=True) as (link, there):

        def answer():
            there.recv(1000)
            if says:
                there.sendall(says)
            else:
                there.shutdown(socket.SHUT_WR)

        threading.Thread(target=answer).start()
        assert upload.send(link, Head("PUT", "/", [], len(LARGE)), WIRE, make(), 600) is False
        assert link.sock.recv(100) == says
    assert not any(pipe.holds(out) for out, _ in pipe._idle)


@pytest.mark.parametrize("make", [lambda: Passing(LARGE), lambda: [LARGE[:PIECE], LARGE[PIECE:]]], ids=["passing", "by hand"])
def test_a_store_that_goes_away_ends_it(make):
    with store(small=True) as (link, there):
        threading.Thread(target=lambda: (there.recv(1000), there.close())).start()
        assert upload.send(link, Head("PUT", "/", [], len(LARGE)), WIRE, make(), 600) is False


@pytest.mark.parametrize("make", [lambda: Passing(LARGE), lambda: [LARGE[:PIECE], LARGE[PIECE:]]], ids=["passing", "by hand"])
def test_a_store_that_takes_nothing_is_given_up(make):
    with store(small=True) as (link, _), pytest.raises(TimeoutError):
        upload.send(link, Head("PUT", "/", [], len(LARGE)), WIRE, make(), 0.1)


def test_a_body_by_hand_has_exactly_its_length():
    for pieces in ([b"a"], [b"abc"], [b"ab", b"c"], []):
        with pytest.raises(IncompleteBody):
            sent(pieces, 2)
    assert sent([b"a", b"b"], 2) == (True, WIRE + b"ab")


def test_what_a_body_says_behind_its_last_byte_counts():
    def wrong():
        yield b"ab"
        raise BadDigest

    with pytest.raises(BadDigest):
        sent(wrong(), 2)
