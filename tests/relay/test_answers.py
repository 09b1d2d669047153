"""Whatever bytes a store sends: they are read as a slow reader would, or they are no answer."""

import random
import re
import signal
import socket
from contextlib import contextmanager

import pytest

from s3shunt.protocol.errors import IncompleteBody, ServiceUnavailable
from s3shunt.relay import Head, Limits, Relay
from s3shunt.relay.link import Link

BODY = bytes(range(256)) * 20
CHUNKED = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nETag: "1"\r\n\r\n'
SEEDS = (
    b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "5d41"\r\nx-amz-meta-pid: a b\r\n\r\nhello',
    b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: %d\r\nAccept-Ranges: bytes\r\n\r\n" % len(BODY) + BODY,
    b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-2/9\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabc",
    b"HTTP/1.1 204 No Content\r\nx-amz-version-id: null\r\n\r\n",
    b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\nContent-Length: 12\r\n\r\n',
    b"HTTP/1.1 404 Not Found\r\nContent-Type: application/xml\r\nContent-Length: 8\r\nConnection: close\r\n\r\n<Error/>",
    b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 \r\n\r\nHTTP/1.1 503 Slow\r\nContent-Length: 3\r\n\r\nxyz",
    CHUNKED + b"5\r\nhello\r\n0\r\n\r\n",
    CHUNKED + b"A;name=value\r\n0123456789\r\n003\r\nabc\r\n0\r\nx-amz-checksum-crc32: AAAAAA==\r\n\r\n",
    CHUNKED + b"1400\r\n" + BODY + b"\r\n1400 \r\n" + BODY + b"\r\n0;last\r\n\r\n",
)
LONG = b"X" * 9000
PARTS = (
    b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b",", b";", b"\x00", b"\x0b", b"\x85", b"\xff", b"0", b"0\r\n\r\n", b"\r\n\r\n", b"f",
    b"-1", b"+5", b"99999999999999999999", b"Content-Length: 5\r\n", b"content-length: 3, 3\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip\r\n", b"Connection: close\r\n", b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 200 Hidden\r\nContent-Length: 5\r\n\r\nowned", LONG, b"a: b\r\n" * 210,
)  # fmt: skip


class Heard(Link):
    """A connection on which everything has come already, and arrives in pieces."""

    def __init__(self, pieces):
        self.pieces, self.deadline = [piece for piece in reversed(pieces) if piece], 0.0

    def send(self, data):
        pass

    def receive(self, size, *, ready=True):
        if not self.pieces:
            return b""
        piece = self.pieces.pop()
        if len(piece) > size:
            self.pieces.append(piece[size:])
        return piece[:size]

    def stirred(self):
        return bool(self.pieces)

    def close(self):
        pass


class Fed(Relay):
    """A relay whose next connection is given to it."""

    link = None

    def take(self, end, *, fresh):
        self._open += 1
        return self.link


def slow(data, method):
    """Status, body and what follows, read plainly; None when there is no whole answer."""
    for _ in range(8):
        head, found, data = data.partition(b"\r\n\r\n")
        if not found or len(head) > 65536:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        status = re.fullmatch(r"HTTP/1\.[01] ([1-5]\d\d)( [\t -~\x80-\xff]*)?", first, re.ASCII)
        fields = [re.fullmatch(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t -~\x80-\xff]*)", line) for line in lines]
        if status is None or None in fields or len(fields) > 200:
            return None
        code, framing = int(status[1]), [(field[1].lower(), field[2].strip("\t ")) for field in fields]
        framing = [field for field in framing if field[0] in ("content-length", "transfer-encoding")]
        bodiless = method == "HEAD" or code in (204, 304) or code < 200
        if len(framing) > 1 or not (framing or bodiless) or any(not sound(*field, bodiless) for field in framing):
            return None
        if code >= 200:
            return (code, b"", data) if bodiless else after(code, framing[0], data)
        if code == 101:
            return None
    return None


def sound(name, value, bodiless):
    if name == "transfer-encoding":
        return bodiless or value.lower() == "chunked"
    return re.fullmatch(r"[0-9]{1,18}", value)


def after(code, framing, data):
    if framing[0] == "content-length":
        count = int(framing[1])
        return (code, data[:count], data[count:]) if len(data) >= count else None
    whole = b""
    while True:
        line = re.match(rb"([0-9a-fA-F]{1,15})[\t ]*(;[\t -~\x80-\xff]*)?\r\n", data)
        if line is None:
            return None
        size, data = int(line[1], 16), data[line.end() :]
        if not size:
            break
        whole, mark, data = whole + data[:size], data[size : size + 2], data[size + 2 :]
        if mark != b"\r\n":
            return None
    for _ in range(100):
        line, found, data = data.partition(b"\r\n")
        if not found:
            return None
        if not line:
            return code, whole, data
    return None


def heard(relay, method):
    try:
        answer = relay.send(Head(method, "/films/a", [("host", "h")]))
        return answer.status, b"".join(answer.body)
    except (ServiceUnavailable, IncompleteBody):
        relay.breaker.answered()
        return None


def judged(relay, link, data, method):
    """Whether it was an answer; anything but that, or none, fails."""
    relay.link = link
    expected, found = slow(data, method), heard(relay, method)
    assert found == (expected[:2] if expected else None) or (found is None and too_long(data)), data
    if relay.open:  # it is kept for the next request
        assert not expected[2] or link.stirred(), data
    relay.close()
    assert relay.open == 0, data
    return found is not None


def too_long(data):
    """For a line of chunks, of which no more than that is waited for."""
    return max(map(len, data.split(b"\n"))) > 8192


def mutated(chance, data):
    """An answer with a few bytes changed, dropped, doubled, cut off or put in from elsewhere."""
    made = bytearray(data)
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3, 8))):
        place, kind = chance.randrange(len(made) + 1), chance.randrange(6)
        if chance.random() < 0.7:
            place = min(place, chance.randrange(200))
        if kind == 0:
            made[place : place + 1] = bytes([chance.randrange(256)])
        elif kind == 1:
            del made[place : place + chance.randrange(1, 4)]
        elif kind == 2:
            made[place:place] = made[place : place + chance.randrange(1, 40)]
        elif kind == 3:
            del made[place:]
        elif kind == 4:
            made += chance.choice(SEEDS)
        else:
            made[place:place] = chance.choice(PARTS)
    return bytes(made)


def cut(chance, data):
    """In pieces, as a network might."""
    if chance.random() < 0.6:
        return [data]
    places = sorted(chance.randrange(len(data) + 1) for _ in range(chance.choice((1, 2, 5, 20))))
    return [data[one:other] for one, other in zip([0, *places], [*places, len(data)], strict=True)]


@contextmanager
def on_a_socket(data):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        theirs.settimeout(10)
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        yield Link(ours)


@contextmanager
def within_a_second():
    """Of CPU: whoever reads for longer is stuck."""

    def stuck(*_):
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGVTALRM, stuck)
    signal.setitimer(signal.ITIMER_VIRTUAL, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def fuzz(count, seed, batch=50):
    """How many of so many were answers. One in ten comes over a socket."""
    chance, relay, answers = random.Random(seed), Fed("http://store:1", Limits()), 0
    for number in range(0, count, batch):
        with within_a_second():
            for each in range(batch):
                data, method = mutated(chance, chance.choice(SEEDS)), chance.choice(("GET", "GET", "GET", "HEAD"))
                answers += judged(relay, Heard(cut(chance, data)), data, method)
                if each % 10 == 0:
                    with on_a_socket(data) as link:
                        judged(relay, link, data, method)
    return answers


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("data", SEEDS)
def test_what_a_store_says_properly_is_read_in_whatever_pieces_it_comes(data, method):
    relay = Fed("http://store:1", Limits())
    for size in (1, 2, 3, 7, len(data)):
        assert judged(relay, Heard([data[at : at + size] for at in range(0, len(data), size)]), data, method)


@pytest.mark.parametrize("data", [data for data in SEEDS if len(data) < 400])
def test_an_answer_that_ends_anywhere_before_its_end_is_none(data):
    relay = Fed("http://store:1", Limits())
    for end in range(len(data)):
        judged(relay, Heard([data[:end]]), data[:end], "GET")
        assert slow(data[:end], "GET") is None or data[:end].endswith(b"\r\n\r\n")


def test_five_thousand_mutated_answers_are_read_in_the_one_way_or_refused():
    assert 500 < fuzz(5_000, 1) < 5_000


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_million_mutated_answers_are_read_in_the_one_way_or_refused():
    assert fuzz(1_000_000, 2) > 100_000
