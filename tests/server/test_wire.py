"""One socket on the hub; with whole requests on it: ``test_connection``."""

import os
import socket

import pytest

from s3shunt.server.wire import Gone, Wire
from s3shunt.testing.clock import HandClock


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    wire = Wire(ours, HandClock(), patience=10, rate=100)
    yield wire, theirs
    wire.close()
    theirs.close()


def test_lines_are_taken_up_to_their_end(pair):
    wire, theirs = pair
    theirs.sendall(b"one\r\n\r\nrest")
    assert (wire.line(10), wire.line(10), wire.read(100)) == (b"one", b"", b"rest")


@pytest.mark.parametrize("data", [b"one\n", b"\n", b"o\r\r\n" * 0 + b"one\rtwo\n", b"x" * 50, b"x" * 20 + b"\r\n"])
def test_a_line_has_a_cr_and_a_limit(pair, data):
    wire, theirs = pair
    theirs.sendall(data)
    with pytest.raises(ValueError):
        wire.line(10)


def test_the_end_of_a_body_is_told_from_its_bytes(pair):
    wire, theirs = pair
    theirs.sendall(b"ab")
    theirs.close()
    assert wire.read(10) == b"ab"
    with pytest.raises(Gone):
        wire.read(10)
    with pytest.raises(Gone):
        wire.send(b"x" * 10_000_000)


def test_bytes_that_move_earn_time_up_to_the_patience(pair):
    wire, theirs = pair
    wire.credit = 1.0
    theirs.sendall(b"x" * 200)
    wire.read(1000)
    assert wire.credit == 3.0
    theirs.sendall(b"x" * 20_000)
    wire.read(100_000)
    assert wire.credit == 10


def test_an_abort_is_a_reset():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = socket.create_connection(listening.getsockname())
        wire = Wire(listening.accept()[0], HandClock(), 10, 100)
        wire.abort()
        assert wire.closed
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        client.close()


def test_a_file_is_sent_in_part(pair, tmp_path):
    wire, theirs = pair
    (tmp_path / "a").write_bytes(b"0123456789")
    with (tmp_path / "a").open("rb") as file:
        assert wire.send_file(file.fileno(), 2, 3) == 3
        assert wire.send_file(file.fileno(), 8, 100) == 2
    assert theirs.recv(100) == b"23489"


def test_what_is_there_goes_into_a_pipe_and_no_more_than_was_asked(pair):
    wire, theirs = pair
    out, into = os.pipe2(os.O_NONBLOCK)
    theirs.sendall(b"bodyGET /")
    assert wire.fill_pipe(into, 4) == 4
    assert (os.read(out, 100), wire.read(100)) == (b"body", b"GET /")
    theirs.close()
    with pytest.raises(Gone):
        wire.fill_pipe(into, 4)
    os.close(out)
    os.close(into)
