import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from s3shunt.testing.services import haproxy as service

pytestmark = pytest.mark.skipif(not service.installed(), reason="haproxy is not installed")


class Mirror(BaseHTTPRequestHandler):
    """Answers with the forwarded hosts it was told."""

    def do_GET(self):
        told = ", ".join(self.headers.get_all("X-Forwarded-Host") or []).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *_):
        pass


@pytest.fixture
def behind():
    with ThreadingHTTPServer(("127.0.0.1", 0), Mirror) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def told(running, **headers):
    with build_opener(ProxyHandler({})).open(Request(running.url, headers={"Host": "asked:81", **headers}), timeout=5) as answer:
        return answer.read().decode()


@pytest.mark.parametrize(
    ("policy", "alone", "after_another"),
    [
        ("append", "asked:81", "other, asked:81"),
        ("replace", "asked:81", "asked:81"),
        ("if-none", "asked:81", "other"),
        ("never", "", "other"),
    ],
)
def test_it_forwards_the_host_as_openshifts_router_does(behind, policy, alone, after_another):
    with service.haproxy(behind, service.ROUTER[policy]) as running:
        assert told(running) == alone
        assert told(running, **{"X-Forwarded-Host": "other"}) == after_another


def test_it_stops_comes_again_and_leaves_nothing_behind(behind):
    with service.haproxy(behind) as running:
        first = running.pid
        running.stop()
        running.start()
        assert told(running) == ""
        home, second = running.home, running.pid
    assert not home.exists()
    for pid in (first, second):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_one_that_cannot_start_says_why():
    with pytest.raises(RuntimeError, match="nonsense"), service.haproxy(1, "nonsense here"):
        pass
