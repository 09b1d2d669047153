"""The guard on a server that is not ours: eventlet's own, and Swift's."""

import socket
import threading

import eventlet
import pytest
from eventlet import wsgi as eventlet_wsgi
from eventlet.greenio import GreenSocket

from s3shunt import config
from s3shunt.config import ConfigError
from s3shunt.filters.guard import Guard, Options, factory

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"


def swift():
    from swift.common.http_protocol import SwiftHttpProtocol

    return SwiftHttpProtocol


class Host:
    """A foreign server in a thread, with the guard in front of an application that remembers."""

    def __init__(self, protocol):
        self.seen = []
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.guard = Guard(self.app, config.read(Options, "filter:guard", {}))
        self.protocol = protocol
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def app(self, environ, start_response):
        self.seen.append(environ["PATH_INFO"])
        body = environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    def run(self):
        server = eventlet.spawn(
            eventlet_wsgi.server, GreenSocket(self.listening), self.guard, log_output=False, protocol=self.protocol, debug=False
        )
        while not self.stop.is_set():
            eventlet.sleep(0.01)
        server.kill()

    def ask(self, data):
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as sock:
            sock.sendall(data)
            sock.settimeout(1)
            try:
                return b"".join(iter(lambda: sock.recv(65536), b""))
            except TimeoutError:
                return b"(open)"


@pytest.fixture(scope="module", params=["eventlet", "swift"])
def host(request):
    made = Host(eventlet_wsgi.HttpProtocol if request.param == "eventlet" else swift())
    yield made
    made.stop.set()
    made.thread.join(10)


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Content-Length: +5",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding: \x0bchunked",
        b"A: b\r\n c",
        b"Host: y",
        b"Content_Length: 5",
    ],
)
def test_what_can_be_framed_in_two_ways_is_refused_and_nothing_behind_it_runs(host, fields):
    before = len(host.seen)
    raw = host.ask(b"POST /a HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n\r\n0\r\n\r\n" + HIDDEN)
    assert raw.split(b" ")[1] == b"400"
    assert raw.count(b"HTTP/1.") == 1
    assert host.seen[before:] == []


def test_sound_requests_pass(host):
    before = len(host.seen)
    put = b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
    raw = host.ask(put + put.replace(b"Host", b"Connection: close\r\nHost"))
    assert raw.count(b"HTTP/1.1 200 OK") == 2
    assert host.seen[before:] == ["/a", "/a"]


def test_a_swift_client_is_told_in_words_and_an_s3_client_in_xml():
    told = []

    def ask(**environ):
        guard = Guard(None, Options())
        made = {"REQUEST_METHOD": "PUT", "CONTENT_LENGTH": "x", "PATH_INFO": "/b/k", **environ}
        return b"".join(guard(made, lambda status, headers: told.append((status, dict(headers)["Content-Type"]))))

    assert b"<Code>BadRequest</Code>" in ask()
    assert ask(HTTP_X_AUTH_TOKEN="t") == ask(PATH_INFO="/v1/a/c") == b"Content-Length must be digits.\n"
    assert ask(REQUEST_METHOD="HEAD") == b""
    assert {status for status, _ in told} == {"400 Bad Request"}


def test_it_is_loaded_as_a_filter(tmp_path):
    path = tmp_path / "ini"
    path.write_text("[DEFAULT]\n")
    made = factory({"__file__": str(path)}, underscores="pass")("behind")
    assert (made.app, made.underscores) == ("behind", True)
    with pytest.raises(ConfigError, match="expected refuse or pass"):
        factory({"__file__": str(path)}, underscores="maybe")
