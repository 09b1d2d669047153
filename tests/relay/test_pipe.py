"""From socket to socket: the same bytes, and no pipe that was left with some is used again."""

import os
import resource
import socket

import pytest

from s3shunt.relay import pipe


class Sink:
    def __init__(self, broken=False):
        self.got = b""
        self.broken = broken

    def send_pipe(self, end, count):
        if self.broken:
            raise ConnectionResetError
        self.got += os.read(end, count)


@pytest.fixture
def ends():
    here, there = socket.socketpair()
    here.setblocking(False)
    with here, there:
        yield here, there


def never():
    raise AssertionError("there was no need to wait")


def test_exactly_so_many_bytes_are_moved(ends):
    here, there = ends
    there.sendall(b"abcdef")
    sink = Sink()
    assert sum(pipe.move(here.fileno(), 4, never, sink)) == 4
    assert (sink.got, here.recv(10)) == (b"abcd", b"ef")


def test_it_waits_for_what_is_not_there_yet(ends):
    here, there = ends
    sink, said = Sink(), [b"one", b"two"]
    assert sum(pipe.move(here.fileno(), 6, lambda: there.sendall(said.pop(0)), sink)) == 6
    assert sink.got == b"onetwo"


def test_a_source_that_ends_early_ends_it(ends):
    here, there = ends
    there.sendall(b"abc")
    there.close()
    assert sum(pipe.move(here.fileno(), 10, never, Sink())) == 3


def test_a_clean_pipe_is_used_again_and_one_with_bytes_in_it_is_not(ends):
    here, there = ends
    there.sendall(b"abcd")
    list(pipe.move(here.fileno(), 2, never, Sink()))
    kept = pipe._idle[-1]
    with pytest.raises(ConnectionResetError):
        list(pipe.move(here.fileno(), 2, never, Sink(broken=True)))
    assert kept not in pipe._idle
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(kept[0])


def test_where_descriptors_are_short_there_is_none_to_be_had():
    while pipe._idle:
        for end in pipe._idle.pop():
            os.close(end)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = os.dup(0)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (taken, limits[1]))
        assert not pipe.ready()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        os.close(taken)
    assert pipe.ready()
    assert len(pipe._idle) == 1
