"""An upload from a client's socket to a store's: the same bytes or a visible cut, and only where nobody looks at them."""

import random
import socket
import threading

import pytest

from s3shunt.apps.proxy.opened import Opened
from s3shunt.protocol.errors import S3Error
from s3shunt.relay import Head, Limits, Relay
from s3shunt.relay.link import PIECE
from s3shunt.relay.pipe import CAPACITY
from s3shunt.server.body import Input
from s3shunt.server.front import Limits as Patience
from s3shunt.testing.origin import HttpOrigin, Reply
from s3shunt.wsgi import Body, Request

BIG = random.Random(7).randbytes(3 << 20)
EDGES = [PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 1, CAPACITY - 1, CAPACITY, CAPACITY + 1, CAPACITY + PIECE, CAPACITY + PIECE + 1, len(BIG)]


def put(data, length=None, more=b""):
    return b"PUT /films/a HTTP/1.1\r\nHost: s3.test\r\nContent-Length: %d\r\n%b\r\n" % (length or len(data), more) + data


class Taking:
    """Hands uploads on to a store, as the proxy does. ``ended``: what each took of the wire, and how it ended."""

    def __init__(self, origin, wrap=lambda body: body):
        self.relay = Relay(origin.endpoint, Limits(response=2000, gap=400))
        self.wrap, self.ended = wrap, []

    def __call__(self, environ, start_response):
        request = Request(environ)
        status = "503 Gone"
        try:
            body = self.wrap(request.input)
            fields = [("host", self.relay.host), ("content-length", str(body.length))]
            answer = self.relay.send(Head("PUT", request.target, fields, body.length), Opened(body))
            status = f"{answer.status} Told"
            answer.body.close()
        except S3Error as error:
            status = f"{error.status} {type(error).__name__}"
        self.ended.append((request.taken, status))
        start_response(status, [("Content-Length", "0")])
        return []


@pytest.fixture
def moved(monkeypatch):
    """How many bytes the kernel moved."""
    seen = []
    before = Input.fill

    def fill(self, *args):
        seen.append(before(self, *args))
        return seen[-1]

    monkeypatch.setattr(Input, "fill", fill)
    return seen


@pytest.fixture
def origin():
    with HttpOrigin() as running:
        yield running


@pytest.mark.parametrize("length", EDGES)
def test_it_arrives_as_it_came_and_the_request_behind_it_too(fronted, origin, moved, length):
    app, second = Taking(origin), BIG[-2 * length :][:length]
    with fronted(app) as front:
        got = front.ask(put(BIG[:length]) + put(second))
    assert got.count(b"HTTP/1.1 200 Told\r\n") == 2
    assert [(one.body, one.cut) for one in origin.requests] == [(BIG[:length], False), (second, False)]
    assert app.ended == [(length, "200 Told")] * 2
    assert origin.connections == 1
    assert bool(moved) == (length > 2 * PIECE)


@pytest.mark.parametrize("there", [1, PIECE, PIECE + 1, CAPACITY, CAPACITY + PIECE, len(BIG) - 1])
def test_one_that_is_cut_is_cut_for_the_store(fronted, origin, there):
    app = Taking(origin)
    with fronted(app) as front:
        assert b"200" not in front.ask(put(BIG[:there], len(BIG)))
    assert (app.ended, app.relay.open) == ([(app.ended[0][0], "400 IncompleteBody")], 0)
    if there < PIECE:
        assert origin.requests == []
    else:
        [received] = origin.wait(1)
        assert received.cut
        assert BIG.startswith(received.body)


def test_a_client_that_resets_cuts_it_too(fronted, origin):
    app = Taking(origin)
    with fronted(app) as front, front.connect() as sock:
        sock.sendall(put(BIG[:CAPACITY], len(BIG)))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.close()
        assert origin.wait(1)[0].cut
    assert app.relay.open == 0


def test_a_client_that_waits_is_told_to_go_on_before_anything_is_moved(fronted, origin, moved):
    with fronted(Taking(origin)) as front, front.connect() as sock:
        sock.sendall(put(b"", len(BIG), b"Expect: 100-continue\r\n"))
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(BIG)
        assert sock.recv(100).startswith(b"HTTP/1.1 200 Told\r\n")
    assert origin.requests[0].body == BIG
    assert moved


def test_a_client_that_stands_still_is_given_up_and_the_store_sees_a_cut(fronted, origin, moved):
    app = Taking(origin)
    with fronted(app, Patience(patience=0.3, rate=10_000_000)) as front, front.connect() as sock:
        sock.sendall(put(BIG[: 4 * PIECE], len(BIG)))
        assert origin.wait(1)[0].cut
    assert app.ended[0][1] == "400 IncompleteBody"
    assert moved


def test_a_slow_client_is_waited_for(fronted, origin, moved):
    with fronted(Taking(origin)) as front, front.connect() as sock:
        for at in range(0, len(BIG), CAPACITY // 3):
            sock.sendall(put(BIG[: CAPACITY // 3], len(BIG)) if at == 0 else BIG[at : at + CAPACITY // 3])
            threading.Event().wait(0.02)
        assert sock.recv(100).startswith(b"HTTP/1.1 200 Told\r\n")
    assert origin.requests[0].body == BIG
    assert len(moved) > 3


@pytest.mark.parametrize("status", [403, 507])
def test_a_refusal_before_the_end_is_handed_on(fronted, origin, status):
    origin.script.append(Reply(status, b"", early=True))
    app = Taking(origin)
    with fronted(app) as front, front.connect() as sock:
        sock.sendall(put(BIG[: 8 * PIECE], len(BIG)))
        threading.Event().wait(0.1)
        sock.sendall(BIG[8 * PIECE : CAPACITY])
        assert sock.recv(1000).startswith(b"HTTP/1.1 %d Told\r\n" % status)
    assert app.relay.open == 0


class Rough:
    """A store that reads so many bytes, and then does something."""

    def __init__(self, count, act):
        self.count, self.act = count, act
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with self.listening, self.listening.accept()[0] as sock:
            while self.count > 0 and (data := sock.recv(min(self.count, PIECE))):
                self.count -= len(data)
            self.act(sock)


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def refuse(sock):
    sock.sendall(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
    threading.Event().wait(5)


def sleep(_):
    threading.Event().wait(5)


@pytest.mark.parametrize(("act", "status"), [(reset, b"503"), (refuse, b"403"), (sleep, b"503")])
@pytest.mark.parametrize("count", [PIECE, CAPACITY + PIECE])
def test_a_store_that_resets_refuses_or_takes_no_more_is_told_to_the_client(fronted, act, status, count):
    app = Taking(Rough(count, act))
    data = put(BIG * 8)
    with fronted(app) as front, front.connect() as sock:
        threading.Thread(target=lambda: _pushed(sock, data), daemon=True).start()
        assert sock.recv(1000)[9:12] == status
    assert app.relay.open == 0


def _pushed(sock, data):
    try:
        sock.sendall(data)
    except OSError:
        return


def test_a_slow_store_gets_it_all(fronted, moved):
    def answer(sock):
        while b"\r\n\r\n" not in taken or len(taken) < taken.index(b"\r\n\r\n") + 4 + 4 * len(BIG):
            threading.Event().wait(0.003)
            taken.extend(sock.recv(PIECE))
        sock.sendall(b"HTTP/1.1 200 Told\r\nContent-Length: 0\r\n\r\n")

    taken = bytearray()
    with fronted(Taking(Rough(0, answer))) as front:
        assert front.ask(put(BIG * 4)).startswith(b"HTTP/1.1 200 Told\r\n")
    assert taken.endswith(BIG * 4)
    assert moved


@pytest.mark.parametrize("wrap", [lambda body: Looking(body, body.length), lambda body: Body(Reader(body), body.length)])
def test_what_somebody_looks_at_goes_through_his_hands(fronted, origin, moved, wrap):
    with fronted(Taking(origin, wrap)) as front:
        assert b"200 Told" in front.ask(put(BIG))
    assert origin.requests[0].body == BIG
    assert moved == []


class Looking(Body):
    pass


class Reader:
    def __init__(self, body):
        self.body = body

    def __getattr__(self, name):
        return getattr(self.body, name)
