"""One connection: nothing waits for ever."""

import socket
import subprocess
import sys

import pytest

from s3shunt.protocol.errors import IncompleteBody
from s3shunt.relay import link as links
from s3shunt.relay.body import AnswerBody


@pytest.fixture
def pair():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = links.connect(listener.getsockname(), None, 2)
        other, _ = listener.accept()
        with other:
            yield made, other
        made.close()


def test_what_is_sent_arrives_whole_however_slow_the_other_side(pair):
    link, other = pair
    link.until(5)
    link.send(b"x" * 1000)
    assert other.recv(4096) == b"x" * 1000


def test_a_store_that_reads_nothing_is_given_up(pair):
    link, _ = pair
    link.until(0.05)
    with pytest.raises(TimeoutError):
        link.send(bytes(64 << 20))


@pytest.mark.parametrize("ready", [True, False])
def test_a_store_that_says_nothing_is_given_up(pair, ready):
    link, _ = pair
    link.until(0.05)
    with pytest.raises(TimeoutError):
        link.receive(10, ready=ready)


def test_a_quiet_link_is_quiet_until_something_comes(pair):
    link, other = pair
    assert not link.stirred()
    other.sendall(b"!")
    link.until(5)
    link.wait()
    assert link.stirred()
    assert link.receive(10) == b"!"
    assert not link.stirred()
    other.close()
    link.wait()
    assert link.stirred()


def test_where_nobody_listens_it_fails():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    with pytest.raises(OSError, match=r"connect"):
        links.connect(address, None, 2)


def test_a_host_that_does_not_exist_fails():
    with pytest.raises(socket.gaierror):
        links.connect(("no-such-host.invalid", 80), None, 2)


def test_a_store_that_sends_little_within_the_gap_is_still_sending_and_one_that_sends_nothing_is_not(pair):
    link, other = pair
    body = AnswerBody(link, b"", 1 << 20, 0.05, lambda *_: None)
    other.send(b"x")
    body._wait(link)
    assert link.receive(10) == b"x"
    with pytest.raises(IncompleteBody):
        body._wait(link)


HUNG = """
import socket, sys, threading, warnings
warnings.simplefilter("ignore")
from s3shunt import clock, green
green.use_eventlet()
from s3shunt.relay import link
found = socket.getaddrinfo
def hang(host, *args, flags=0, **more):
    if not flags:
        threading.Event().wait(2)
    return found(host, *args, flags=flags, **more)
socket.getaddrinfo = hang
begun = clock.wall.monotonic()
try:
    link.connect(("store.invalid", 80), None, 0.2)
except TimeoutError as error:
    print(type(error).__name__, clock.wall.monotonic() - begun < 1.5)
with socket.create_server(("127.0.0.1", 0)) as listener:
    link.connect(listener.getsockname(), None, 5).close()
    print("an address is no name")
"""


def test_a_resolver_that_hangs_is_given_up_as_a_store_is():
    ended = subprocess.run([sys.executable, "-c", HUNG], check=False, capture_output=True, timeout=60, text=True)
    assert (ended.stdout.splitlines(), ended.stderr) == (["TimeoutError True", "an address is no name"], "")
