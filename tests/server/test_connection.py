"""Connections on real sockets: requests in their order, one answer each, nothing behind a wrong one."""

import random
import re
import socket
import threading

import pytest

from s3shunt.server.front import Limits
from s3shunt.testing.clock import HandClock

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"


def statuses(raw):
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) ", raw)]


@pytest.fixture(scope="module")
def echo(fronted):
    with fronted() as made:
        yield made


def test_requests_that_come_together_are_answered_in_their_order(echo):
    put = b"PUT /%d HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n%d"
    raw = echo.ask(b"".join(put % (number, number) for number in range(9)) + b"\r\n" + GET)
    assert re.findall(rb"\r\n\r\n(\d)", raw) == [b"%d" % number for number in range(9)]
    assert statuses(raw) == [200] * 10


@pytest.mark.parametrize("size", [1, 2, 7])
def test_a_request_may_come_in_pieces(echo, size):
    whole = b"PUT /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + GET
    with echo.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(whole), size):
            sock.sendall(whole[start : start + size])
        sock.shutdown(socket.SHUT_WR)
        raw = b"".join(iter(lambda: sock.recv(65536), b""))
    assert statuses(raw) == [200, 200]
    assert raw.count(b"\r\n\r\nabc") == 1


def test_nothing_behind_a_refused_request_is_parsed(echo):
    before = len(echo.seen)
    raw = echo.ask(b"GET /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n" + HIDDEN * 3)
    assert statuses(raw) == [400]
    assert b"<Code>BadRequest</Code>" in raw
    assert len(echo.seen) == before


def test_what_an_application_is_told(echo):
    echo.ask(b"POST /a%2Fb?c=d HTTP/1.1\r\nHost: x:1\r\nContent-Type: t/x\r\nContent-Length: 2\r\nX-A: 1\r\n\r\nhi")
    method, target, body, environ = echo.seen[-1]
    assert (method, target, body) == ("POST", "/a%2Fb?c=d", b"hi")
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert environ["SERVER_PORT"] == str(echo.port)
    assert (environ["wsgi.url_scheme"], environ["HTTP_X_A"], environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"]) == (
        "http",
        "1",
        "t/x",
        "2",
    )
    assert environ["SCRIPT_NAME"] == ""


def test_an_old_client_is_closed_on_unless_it_asks_to_stay(echo):
    assert statuses(echo.ask(b"GET / HTTP/1.0\r\n\r\n" + GET)) == [200]
    assert statuses(echo.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + GET)) == [200, 200]


def test_nothing_is_answered_behind_close(echo):
    assert statuses(echo.ask(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + GET)) == [200]


# every line that frames a body, mutated: 0 desynchronisations

BYTES = [bytes([number]) for number in range(256)]
GADGETS = [
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
    b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding:\r\n chunked",
    b"Transfer-Encoding : chunked",
    b" Transfer-Encoding: chunked",
    b"Transfer_Encoding: chunked",
    b"Transfer-Encoding",
    b"Transfer-Encoding:",
    b"X: y\nTransfer-Encoding: chunked",
    b"X: y\rTransfer-Encoding: chunked",
    b"Content-Length: 6\r\nContent-Length: 0",
    b"Content-Length: 6, 0",
    b"Content-Length: 0\r\nContent-Length: 6",
    b"Content-Length:\r\n 6",
    b"Content_Length: 6",
    b"Content-Length : 6",
    b"Content-Length: 0x6",
    b"Content-Length: 6\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nContent-Length: 6",
    b"Content-Length: 6 6",
]
MUTATED = [
    *GADGETS,
    *[b"Transfer-Encoding:" + byte + b"chunked" for byte in BYTES],
    *[b"Transfer-Encoding: chunked" + byte for byte in BYTES],
    *[b"Transfer-Encoding" + byte + b": chunked" for byte in BYTES],
    *[b"Content-Length:" + byte + b"6" for byte in BYTES],
    *[b"Content-Length: 6" + byte for byte in BYTES],
    *[byte + b"Content-Length: 6" for byte in BYTES],
]
SMALL = b"1\r\nZ\r\n0\r\n\r\n"
"""Six bytes of it are a body by length, all of it one in chunks, none of it a request."""


def meant(line):
    """What a strict reader makes of the line: 'length', 'chunks', 'other' (no framing field) or None (refused)."""
    if re.fullmatch(rb"Content-Length:[ \t]*0*\d*6[ \t]*|Content-Length: 6\d[ \t]*", line):
        return "length"
    if re.fullmatch(rb"Transfer-Encoding:[ \t]*chunked[ \t]*", line):
        return "chunks"
    return (
        "other"
        if re.fullmatch(rb"(?!Transfer-Encoding:|Content-Length:)[!#$%&'*+.^`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*", line)
        else None
    )


def test_no_mutated_line_that_frames_a_body_lets_a_hidden_request_run(echo):
    assert len(MUTATED) > 1500
    for line in MUTATED:
        before = len(echo.seen)
        raw = echo.ask(b"POST /a HTTP/1.1\r\nHost: x\r\n" + line + b"\r\n\r\n" + SMALL + HIDDEN)
        seen = echo.seen[before:]
        hidden = [target for _, target, _, _ in seen if target == "/hidden"]
        if meant(line) == "chunks" and seen:
            assert [body for _, _, body, _ in seen] == [b"Z", b""], line
            continue
        assert not hidden, line
        assert statuses(raw)[-1] in (400, 431, 501), line
        if seen:
            wanted = int(line.partition(b":")[2]) if meant(line) == "length" else 0
            assert seen[0][2] in ((SMALL + HIDDEN)[:wanted], None), line


def mutated(chance, data):
    made = bytearray(data)
    for _ in range(chance.randrange(1, 4)):
        place = chance.randrange(len(made))
        kind = chance.randrange(3)
        if kind == 0:
            made[place] = chance.randrange(256)
        elif kind == 1:
            del made[place]
        else:
            made[place:place] = chance.choice((b"\r\n", b"\n", b" ", b"0\r\n\r\n", b"Content-Length: 1\r\n", b"5"))
    return bytes(made)


WHOLE = [
    b"PUT /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nx-t: y\r\n\r\n" + GET,
    b"PUT /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello" + GET,
    b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + GET + GET,
]


def fuzz(echo, count, seed):
    chance = random.Random(seed)
    for _ in range(count):
        data = mutated(chance, chance.choice(WHOLE))
        raw = echo.ask(data)
        assert 500 not in statuses(raw), data
    assert statuses(echo.ask(GET)) == [200]


def test_no_bytes_end_the_front_or_make_it_fail(echo):
    fuzz(echo, 800, 1)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_two_hundred_thousand_mutated_streams_do_not_either(echo):
    fuzz(echo, 200_000, 2)
    assert until(lambda: not echo.front.connections)


# time


def clocked(fronted, **limits):
    timer = HandClock()
    return timer, fronted(limits=Limits(**limits), timer=timer)


def until(condition):
    for _ in range(200):
        if condition():
            return True
        threading.Event().wait(0.02)
    return False


def test_a_head_that_drips_is_given_ten_seconds_in_all(fronted):
    timer, making = clocked(fronted)
    with making as front, front.connect() as sock:
        sock.sendall(b"GET /a HT")
        assert until(lambda: [c for c in front.front.connections if c.wire.waiting and not c.idle])
        for letter in b"TP/1.1\r\n":
            timer.sleep(1)
            sock.sendall(bytes([letter]))
            threading.Event().wait(0.01)
        timer.sleep(2.5)
        raw = b"".join(iter(lambda: sock.recv(65536), b""))
    assert statuses(raw) == [408]


def test_a_client_that_says_nothing_is_let_go(fronted):
    timer, making = clocked(fronted, header=10, keep_alive=75)
    with making as front, front.connect() as mute, front.connect() as idle:
        idle.sendall(GET)
        assert idle.recv(65536)
        assert until(lambda: len([c for c in front.front.connections if c.wire.waiting]) == 2)
        timer.sleep(11)
        assert mute.recv(1) == b""
        idle.settimeout(0.4)
        with pytest.raises(TimeoutError):
            idle.recv(1)
        timer.sleep(65)
        idle.settimeout(10)
        assert idle.recv(1) == b""


def test_a_body_must_come_at_the_least_rate(fronted):
    timer, making = clocked(fronted, patience=60, rate=100)
    with making as front, front.connect() as sock:
        sock.sendall(b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        for _ in range(5):
            sock.sendall(b"x" * 1000)
            threading.Event().wait(0.1)
            timer.sleep(10)
        for _ in range(70):
            try:
                sock.sendall(b"x")
            except ConnectionError:
                break
            threading.Event().wait(0.02)
            timer.sleep(1)
        assert until(lambda: front.seen)
        assert not until(lambda: front.front.connections) or statuses(sock.recv(65536)) == [400]
        assert front.seen[0][2] is None


def test_a_client_that_does_not_take_its_answer_is_let_go(fronted):
    timer = HandClock()
    closed = threading.Event()

    class Endless:
        def __iter__(self):
            return iter(lambda: b"x" * 65536, None)

        def close(self):
            closed.set()

    def app(environ, start_response):
        start_response("200 OK", [])
        return Endless()

    with fronted(app, Limits(patience=60), timer=timer) as front, front.connect() as sock:
        sock.sendall(GET)
        assert until(lambda: [c for c in front.front.connections if c.wire.waiting and not c.idle])
        timer.sleep(61)
        assert closed.wait(5)


# bodies and answers


def test_continue_is_said_when_the_body_is_read_and_not_before(fronted):
    def app(environ, start_response):
        body = environ["wsgi.input"].read() if environ["PATH_INFO"] == "/wanted" else b""
        start_response("200 OK" if body else "403 Forbidden", [("Content-Length", "0")])
        return []

    head = b"PUT %b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    with fronted(app) as front:
        with front.connect() as sock:
            sock.sendall(head % b"/wanted")
            assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
            sock.sendall(b"hello")
            assert statuses(sock.recv(1000)) == [200]
            sock.sendall(GET)
            assert statuses(sock.recv(1000)) == [403]
        with front.connect() as sock:
            sock.sendall(head % b"/refused")
            raw = b"".join(iter(lambda: sock.recv(1000), b""))
            assert statuses(raw) == [403]
            assert b"Connection: close" in raw


def test_a_body_nobody_read_ends_the_connection_but_its_answer_arrives(fronted):
    def app(environ, start_response):
        start_response("403 Forbidden", [("Content-Length", "2")])
        return [b"no"]

    with fronted(app) as front, front.connect() as sock:
        sock.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n" + b"x" * 100_000)
        raw = b"".join(iter(lambda: sock.recv(65536), b""))
    assert raw.endswith(b"Connection: close\r\n\r\nno")


def test_a_small_body_nobody_read_is_passed_over(fronted):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "0")])
        return []

    with fronted(app) as front:
        assert statuses(front.ask(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\n" + HIDDEN[:30] + GET)) == [200, 200]


@pytest.mark.parametrize("broken", [b"5\r\nhel", b"5\r\nhello!\r\n0\r\n\r\n", b"zz\r\n"])
def test_a_body_that_cannot_be_read_is_the_clients_fault(echo, broken):
    raw = echo.ask(b"PUT /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + broken + HIDDEN)
    assert statuses(raw) == [400]
    assert b"<Code>IncompleteBody</Code>" in raw


def test_an_application_that_fails_says_nothing_of_itself(fronted, caplog):
    def app(environ, start_response):
        start_response("200 OK", [("A", "secret\r\nB: c")] if environ["PATH_INFO"] == "/split" else [])
        if environ["PATH_INFO"] == "/raise":
            raise RuntimeError("secret")
        return [b""]

    with fronted(app) as front:
        for path in (b"/raise", b"/split"):
            raw = front.ask(GET.replace(b"/a", path) + GET)
            assert statuses(raw) == [500]
            assert b"secret" not in raw
        assert statuses(front.ask(GET)) == [200]
    assert "secret" in caplog.text


@pytest.mark.parametrize("modern", [True, False])
def test_an_answer_that_breaks_off_is_seen_to_be_broken(fronted, modern):
    closed = []

    def app(environ, start_response):
        start_response("200 OK", [])

        def body():
            try:
                yield b"part"
                raise RuntimeError
            finally:
                closed.append(1)

        return body()

    with fronted(app) as front, front.connect() as sock:
        sock.sendall(GET if modern else b"GET / HTTP/1.0\r\n\r\n")
        raw, reset = b"", False
        try:
            while data := sock.recv(1000):
                raw += data
        except ConnectionResetError:
            reset = True
    assert closed
    assert reset or (modern and not raw.endswith(b"0\r\n\r\n"))


def test_a_client_that_leaves_ends_what_it_asked_for(fronted):
    closed = threading.Event()

    def app(environ, start_response):
        start_response("200 OK", [])

        def body():
            try:
                while True:
                    yield b"x" * 65536
            finally:
                closed.set()

        return body()

    with fronted(app) as front:
        with front.connect() as sock:
            sock.sendall(GET)
            sock.recv(1000)
        assert closed.wait(5)


def test_a_large_body_goes_both_ways_unchanged(echo):
    body = bytes(range(256)) * 20_000
    with echo.connect() as sock:
        threading.Thread(
            target=sock.sendall, args=(b"PUT /big HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body,)
        ).start()
        raw = b""
        while len(raw) < len(body) and (data := sock.recv(1 << 20)):
            raw += data
    assert raw.partition(b"\r\n\r\n")[2] == body
