"""A body ends where it should, or raises."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3shunt.protocol.errors import IncompleteBody
from s3shunt.wsgi import Body


def test_a_body_ends_only_at_its_length():
    body = Body(io.BytesIO(b"0123456789"), 10)
    assert (body.read(4), body.ended, body.read(), body.ended, body.read(1)) == (b"0123", False, b"456789", True, b"")


@pytest.mark.parametrize("length", [1, 11, 65537])
def test_a_body_that_ends_early_raises(length):
    with pytest.raises(IncompleteBody):
        b"".join(Body(io.BytesIO(b"x" * (length - 1)), length))


@pytest.mark.parametrize("error", [OSError, ValueError, ConnectionResetError])
def test_a_connection_that_breaks_is_an_early_end(error):
    class Broken:
        def read(self, size):
            raise error

    with pytest.raises(IncompleteBody):
        Body(Broken(), None).read(1)


@given(st.binary(max_size=300), st.lists(st.integers(1, 100), min_size=1, max_size=20))
def test_a_body_is_what_was_sent_however_it_is_read(data, sizes):
    body, pieces = Body(io.BytesIO(data + b"next request"), len(data)), []
    for size in sizes:
        pieces.append(body.read(size))
        assert len(pieces[-1]) <= size
    assert b"".join([*pieces, *body]) == data
    assert body.ended


def test_a_body_can_be_read_in_lines_too():
    body = Body(io.BytesIO(b"one\ntwo\n\nthree, next request"), 14)
    assert (body.readline(), body.readline(2), body.readline(), body.readlines()) == (b"one\n", b"tw", b"o\n", [b"\n", b"three"])
    with pytest.raises(IncompleteBody):
        Body(io.BytesIO(b"one\ntw"), 8).readlines()


class Server:
    """A source whose rest can be moved by the kernel."""

    def __init__(self, passes=True, error=None):
        self.passes, self.error = passes, error

    def read(self, size):
        return b"x" * size

    def fill(self, pipe, count):
        if self.error:
            raise self.error
        return min(count, 60)


def test_what_is_moved_unseen_counts_as_read():
    body = Body(Body(Server(), 100), 100)
    assert body.passes
    assert [body.fill(1, 100), body.ended, body.fill(1, 40), body.ended] == [60, False, 40, True]
    assert (body.taken, body.source.taken) == (100, 100)


@pytest.mark.parametrize("error", [ConnectionResetError, ValueError])
def test_what_breaks_while_it_is_moved_is_an_early_end(error):
    with pytest.raises(IncompleteBody):
        Body(Server(error=error), 100).fill(1, 100)


def test_nothing_passes_whoever_looks_at_it():
    class Looking(Body):
        pass

    class Foreign:
        """A filter's, that hands on every attribute it does not know."""

        def __getattr__(self, name):
            return getattr(Server(), name)

    looked_at = [Looking(Server(), 100), Body(Looking(Server(), 100), 100), Body(Foreign(), 100), Body(io.BytesIO(), 100)]
    assert not any(body.passes for body in [*looked_at, Body(Server(), None, chunked=True), Body(Server(passes=False), 100)])
