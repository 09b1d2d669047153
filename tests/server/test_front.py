"""The front as a whole: its caps, its end, and what ``accept`` may say."""

import errno
import re
import socket
import threading

import pytest

from s3shunt.server import peer, tls
from s3shunt.server.front import Limits

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"


def until(condition):
    for _ in range(200):
        if condition():
            return True
        threading.Event().wait(0.02)
    return False


def test_beyond_the_cap_the_longest_idle_client_makes_room(fronted):
    with fronted(limits=Limits(connections=3)) as front:
        clients = [front.connect() for _ in range(3)]
        for sock in clients:
            sock.sendall(GET)
            assert sock.recv(1000)
        assert until(lambda: len([c for c in front.front.connections if c.idle]) == 3)
        assert b"200 OK" in front.ask(GET)
        assert clients[0].recv(1) == b""
        clients[2].sendall(GET)
        assert clients[2].recv(1000)
        for sock in clients:
            sock.close()


def test_beyond_the_cap_and_nobody_idle_one_more_is_told_to_slow_down(fronted):
    go = threading.Event()

    def app(environ, start_response):
        import eventlet

        while not go.is_set():
            eventlet.sleep(0.01)
        start_response("200 OK", [("Content-Length", "0")])
        return []

    with fronted(app, Limits(connections=1)) as front, front.connect() as first:
        first.sendall(GET)
        assert until(lambda: [c for c in front.front.connections if not c.idle])
        with front.connect() as second:
            raw = second.recv(1000)
        assert re.match(rb"HTTP/1.1 503 ", raw)
        assert b"Retry-After: 1" in raw
        go.set()
        assert first.recv(1000).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ECONNABORTED, errno.EPROTO, errno.ENETDOWN, errno.EPERM]
)
def test_whatever_accept_says_the_front_goes_on(fronted, number, caplog):
    with fronted() as front:
        listener = front.front._listening[0]
        real = listener.sock

        class Failing:
            count = 3

            def accept(self):
                if self.count:
                    self.count -= 1
                    raise OSError(number, "no")
                return real.accept()

            def __getattr__(self, name):
                return getattr(real, name)

        listener.sock = Failing()
        assert b"200 OK" in front.ask(GET)
        assert listener.sock.count == 0


def test_a_front_that_drains_lets_requests_end_and_says_so(fronted):
    go = threading.Event()

    def app(environ, start_response):
        import eventlet

        while not go.is_set():
            eventlet.sleep(0.01)
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    with fronted(app) as front:
        busy, idle = front.connect(), front.connect()
        busy.sendall(GET)
        assert until(lambda: [c for c in front.front.connections if not c.idle])
        front.stop.set()
        assert idle.recv(1) == b""
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", front.port), timeout=2)
        go.set()
        raw = b"".join(iter(lambda: busy.recv(1000), b""))
        assert raw.endswith(b"Connection: close\r\n\r\nok")
        front.thread.join(5)
        assert front.left
        busy.close()
        idle.close()


def test_a_proxy_says_who_the_client_is(fronted):
    with fronted(trusted=peer.networks("127.0.0.0/8")) as front:
        assert b"200 OK" in front.ask(b"PROXY TCP4 192.0.2.7 192.0.2.1 4321 80\r\n" + GET)
        assert (front.seen[-1][3]["REMOTE_ADDR"], front.seen[-1][3]["REMOTE_PORT"]) == ("192.0.2.7", "4321")
        second = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x08\xc0\x00\x02\x01\x10\xe1\x00\x50"
        assert b"200 OK" in front.ask(second + GET)
        assert front.seen[-1][3]["REMOTE_ADDR"] == "192.0.2.8"
        assert front.ask(GET) in (b"", b"(reset)")


def test_nobody_else_is_believed(fronted):
    with fronted(trusted=peer.networks("192.0.2.0/24")) as front:
        assert b"200 OK" in front.ask(GET)
        assert b" 400 " in front.ask(b"PROXY TCP4 192.0.2.7 192.0.2.1 4321 80\r\n" + GET)


def test_tls_with_a_body_both_ways(fronted, certificate):
    import ssl

    body = bytes(range(256)) * 4000
    client = ssl.create_default_context(cafile=str(certificate))
    with fronted(tls=tls.context(certificate, None)) as front:
        with client.wrap_socket(front.connect(), server_hostname="localhost") as sock:
            assert sock.selected_alpn_protocol() is None
            for _ in range(2):
                sock.sendall(b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                raw = b""
                while len(raw) < len(body) and (data := sock.recv(65536)):
                    raw += data
                assert raw.partition(b"\r\n\r\n")[2] == body
        assert front.seen[-1][3]["wsgi.url_scheme"] == "https"
        with client.wrap_socket(front.connect(), server_hostname="localhost", suppress_ragged_eofs=False) as sock:
            sock.sendall(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            assert b"".join(iter(lambda: sock.recv(65536), b"")).startswith(b"HTTP/1.1 200")
        assert b"HTTP" not in front.ask(GET)
