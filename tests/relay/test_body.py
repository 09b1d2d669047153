"""The bytes of an answer, however they arrive: whole, or broken; never cut quietly, never more than the answer."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3shunt.protocol.errors import IncompleteBody
from s3shunt.relay import pipe
from s3shunt.relay.body import LARGEST, AnswerBody, Whole


class Fed:
    """A link that gives what it is told to, then ends."""

    def __init__(self, pieces):
        self.pieces = [piece for piece in pieces if piece]
        self.asked = []

    def until(self, seconds):
        pass

    def receive(self, size):
        self.asked.append(size)
        if not self.pieces:
            return b""
        data, self.pieces[0] = self.pieces[0][:size], self.pieces[0][size:]
        self.pieces = [piece for piece in self.pieces if piece]
        return data


def body(pieces, length, first=b""):
    ends = []
    return AnswerBody(Fed(pieces), first, length, 1.0, lambda _, clean: ends.append(clean)), ends


def cut(data, places):
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in pairwise(edges)]


def chunked(pieces):
    return b"".join(b"%x;a=b\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece) + b"0\r\nx: y\r\n\r\n"


pieces = st.lists(st.binary(min_size=1, max_size=50), max_size=6)
places = st.lists(st.integers(0, 500), max_size=8)


@settings(max_examples=150)
@given(pieces, places, st.binary(max_size=3), st.booleans())
def test_it_is_the_same_in_whatever_pieces_it_comes(said, places, behind, in_chunks):
    data = b"".join(said)
    wire = chunked(said) if in_chunks else data
    read, ends = body(cut(wire + behind, places), None if in_chunks else len(data))
    if not in_chunks and not data:
        read.finish()
    assert b"".join(read) == data
    assert ends[0] in ([True] if not behind else [True, False])  # what comes later is seen when the link is next used


@settings(max_examples=150)
@given(pieces.filter(any), places, st.integers(1, 400), st.booleans())
def test_cut_anywhere_it_breaks(said, places, short, in_chunks):
    wire = chunked(said) if in_chunks else b"".join(said)
    read, ends = body(cut(wire[:-short], places), None if in_chunks else len(wire))
    with pytest.raises(IncompleteBody):
        b"".join(read)
    assert ends == [False]


@pytest.mark.parametrize(
    "wire",
    [
        b"3\r\nabcd\r\n0\r\n\r\n", b"-1\r\n", b"0x3\r\nabc\r\n", b" 3\r\nabc\r\n", b"\r\n",
        b"3\nabc\n0\n\n", b"g\r\n", b"1" * 16 + b"\r\n", b"3" * 9000,
    ],
)  # fmt: skip
def test_chunks_that_are_none_break_it(wire):
    with pytest.raises(IncompleteBody):
        b"".join(body([wire, b"0\r\n\r\n" * 3], None)[0])


def test_trailers_without_end_break_it():
    with pytest.raises(IncompleteBody):
        b"".join(body([b"0\r\n" + b"a: b\r\n" * 200 + b"\r\n"], None)[0])


def test_what_came_behind_it_spoils_the_link():
    read, ends = body([b"cd" + b"HTTP/1.1 200"], 4, first=b"ab")
    assert (read.whole(), ends) == (b"abcd", [False])


def test_a_small_one_comes_in_one_piece():
    assert body([b"b" * 10] * 3, 31, first=b"a")[0].whole() == b"a" + b"b" * 30


def test_who_keeps_up_gets_ever_larger_pieces_up_to_a_limit():
    read, _ = body([bytes(LARGEST)] * 8, 8 * LARGEST)
    sizes = [len(piece) for piece in read]
    assert sizes[:3] == [65536, 131072, 262144]
    assert max(sizes) <= LARGEST
    assert max(read._link.asked if read._link else [LARGEST]) == LARGEST


def test_closing_it_ends_it_once():
    read, ends = body([b"abc"], 6)
    next(iter(read))
    read.close()
    read.close()
    del read
    assert ends == [False]


def test_what_came_with_the_head_is_given_once():
    assert (list(Whole(b"abc")), list(Whole(b""))) == ([b"abc"], [])
    body = Whole(b"abc")
    body.begin()
    assert (body.left, body.passes, body.whole(), body.left, list(body)) == (3, False, b"abc", 0, [])
    dropped = Whole(b"abc")
    dropped.close()
    assert list(dropped) == []


class Sink(list):
    """A client that takes what is handed to it, and knows of no pipes."""

    send = list.append


@pytest.mark.parametrize("short", [0, 1])
def test_a_pipe_that_others_took_while_a_client_took_the_first_bytes_is_not_needed(monkeypatch, short):
    monkeypatch.setattr(pipe, "ready", lambda: False)
    sink, (read, ends) = Sink(), body([b"b" * 100, b"c" * 50], 153 + short, b"abc")
    if short:
        with pytest.raises(IncompleteBody):
            read.pass_to(sink)
    else:
        read.pass_to(sink)
    assert b"".join(sink) == b"abc" + b"b" * 100 + b"c" * 50
    assert ends == [not short]
