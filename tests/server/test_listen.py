"""The outer door on real sockets: a serving process, raw requests, a store that does as told."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from s3shunt import config
from s3shunt.config import ConfigError
from s3shunt.server.listen import Options, listen, opened
from s3shunt.testing.client import Client
from s3shunt.testing.origin import HttpOrigin, Reply

BIG = bytes(range(256)) * 4096

INI = """
[DEFAULT]
state = {state}
[pipeline:main]
pipeline = access_log errors health virtual_host sigv4 grants proxy
[listen:main]
address = 127.0.0.1:0
app = main
workers = {workers}
front = {front}
drain = 10s
[filter:access_log]
use = egg:s3shunt#access_log
path = {state}/access.log
flush = 0s
[filter:errors]
use = egg:s3shunt#errors
[filter:health]
use = egg:s3shunt#health
[filter:virtual_host]
use = egg:s3shunt#virtual_host
[filter:sigv4]
use = egg:s3shunt#sigv4
[filter:grants]
use = egg:s3shunt#grants
[app:proxy]
use = egg:s3shunt#proxy
gap = 2s
[keys:main]
url = file://{state}/keys.json
[store:main]
url = s3+{endpoint}
credentials = {state}/store.json
buckets = per account
"""

SERVE = """
import sys
from pathlib import Path
from s3shunt.server import listen
sockets = listen.opened(Path(sys.argv[1]))
print(sockets[0][1].getsockname()[1], flush=True)
listen.serve(Path(sys.argv[1]), sockets)
"""


class Served:
    """A serving process and what it stands on."""

    def __init__(self, tmp, workers=1, front="strict"):
        self.store = HttpOrigin().__enter__()
        secret(tmp / "keys.json", [{"access_key": "AK", "secret_key": "SK", "account": "desk"}])
        secret(tmp / "store.json", {"desk": {"access_key": "STOREKEY", "secret_key": "s"}})
        self.ini = tmp / "site.ini"
        self.ini.write_text(INI.format(state=tmp, endpoint=self.store.endpoint, workers=workers, front=front))
        self.tmp = tmp
        with (tmp / "err").open("wb") as errors:
            self.process = subprocess.Popen([sys.executable, "-c", SERVE, str(self.ini)], stdout=subprocess.PIPE, stderr=errors)
        self.port = int(self.process.stdout.readline())

    def connect(self):
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        return sock, sock.makefile("rb")

    def signed(self, method, target, body=b"", **fields):
        """The bytes of a signed request, split into head and body."""
        client = Client(None, "AK", "SK", host=f"127.0.0.1:{self.port}")
        made = client.environ(method, target, body, {name.replace("_", "-"): value for name, value in fields.items()})
        named = {k[5:].replace("_", "-").lower(): v for k, v in made.items() if k.startswith("HTTP_")}
        named |= {"content-type": made["CONTENT_TYPE"]} if "CONTENT_TYPE" in made else {}
        named |= {"content-length": made["CONTENT_LENGTH"]} if body or method in ("PUT", "POST") else {}
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items()), "", ""]
        return "\r\n".join(lines).encode("latin-1"), body

    def ask(self, method, target, body=b"", **fields):
        sock, file = self.connect()
        with sock, file:
            sock.sendall(b"".join(self.signed(method, target, body, **fields)))
            return answer(file, method)

    def lines(self):
        """The access log, once all that was answered is in it."""
        for _ in range(100):
            if (self.tmp / "access.log").exists():
                break
            threading.Event().wait(0.05)
        return [json.loads(line) for line in (self.tmp / "access.log").read_text().splitlines()]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=20)
        self.store.__exit__()
        return code


def secret(path, facts):
    path.touch(mode=0o600)
    path.write_text(json.dumps(facts))


def answer(file, method="GET"):
    """Status, headers and body of the next answer; None at the end of the connection."""
    line = file.readline()
    if not line:
        return None
    headers = {}
    while (field := file.readline().strip()) != b"":
        name, _, value = field.decode("latin-1").partition(": ")
        assert name.lower() not in headers, f"{name} twice"
        headers[name.lower()] = value
    status = int(line.split()[1])
    length = 0 if method == "HEAD" or status in (100, 204, 304) else int(headers.get("content-length", 0))
    return status, headers, file.read(length)


@pytest.fixture(scope="module", params=["strict", "stock"])
def served(tmp_path_factory, request):
    made = Served(tmp_path_factory.mktemp("served"), front=request.param)
    yield made
    assert made.stop() == 0
    assert b"Traceback" not in (made.tmp / "err").read_bytes()


def test_a_request_walks_from_door_to_store_and_back(served):
    served.store.script.append(Reply(200, BIG, [("ETag", '"1"'), ("X-Amz-Meta-a", "B")]))
    status, headers, body = served.ask("GET", "/films/a%2F//%20b")
    assert (status, body, headers["etag"], headers["x-amz-meta-a"]) == (200, BIG, '"1"', "B")
    assert headers["x-amz-request-id"]
    assert served.store.requests[-1].target == "/films/a///%20b"
    line = next(line for line in served.lines() if line["id"] == headers["x-amz-request-id"])
    assert (line["operation"], line["status"], line["out"]) == ("GetObject", 200, len(BIG))


def test_an_upload_without_a_type_gets_none(served):
    assert served.ask("PUT", "/films/a", BIG)[0] == 200
    assert served.store.requests[-1].body == BIG
    assert "content-type" not in served.store.requests[-1].fields


def test_a_target_that_begins_with_two_slashes_stays_itself(served):
    assert b"<Code>InvalidBucketName</Code>" in served.ask("GET", "//films/a")[2]
    served.ask("GET", "/films//a")
    assert served.store.requests[-1].target == "/films//a"


def test_health_needs_no_signature(served):
    sock, file = served.connect()
    with sock, file:
        sock.sendall(b"GET /-/live HTTP/1.1\r\nHost: x\r\n\r\nGET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer(file)[0] == 200
        assert json.loads(answer(file)[2])["status"] == "up"


def test_continue_is_said_only_when_the_body_is_wanted(served):
    head, body = served.signed("PUT", "/films/a", b"hello", expect="100-continue")
    sock, file = served.connect()
    with sock, file:
        sock.sendall(head)
        assert answer(file)[0] == 100
        sock.sendall(body)
        assert answer(file)[0] == 200
    assert served.store.requests[-1].body == b"hello"


def test_a_refused_upload_is_never_told_to_continue(served):
    head, _ = served.signed("PUT", "/films/a", b"hello", expect="100-continue")
    sock, file = served.connect()
    with sock, file:
        sock.sendall(head.replace(b"Signature=", b"Signature=0"))
        status, headers, body = answer(file)
        assert (status, headers["connection"]) == (403, "close")
        assert b"<Code>" in body
        assert answer(file) is None


def test_a_refused_upload_is_not_drained(served):
    head, _ = served.signed("PUT", "/films/a", b"x" * 10, content_length=str(1 << 40))
    sock, file = served.connect()
    with sock, file:
        sock.sendall(head.replace(b"Signature=", b"Signature=0"))
        sock.sendall(b"x" * 100_000)
        assert answer(file)[0] == 403
        assert answer(file) is None


def test_an_upload_cut_by_the_client_stores_nothing(served):
    count = len(served.store.requests)
    head, body = served.signed("PUT", "/films/a", BIG)
    sock, file = served.connect()
    with sock, file:
        sock.sendall(head + body[:-1])
    assert served.store.wait(count + 1)[-1].cut


@pytest.mark.parametrize("chunked", [False, True])
def test_an_answer_cut_by_the_store_is_cut_to_the_client(served, chunked):
    served.store.script.append(Reply(200, BIG, chunked=chunked, cut=len(BIG) // 2))
    sock, file = served.connect()
    with sock, file:
        sock.sendall(b"".join(served.signed("GET", "/films/a")))
        raw = file.read()
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert len(body) < len(BIG)
    assert not body.endswith(b"0\r\n\r\n")


def test_a_client_that_leaves_takes_its_upstream_connection_along(served):
    served.store.script.append(Reply(200, BIG * 16, [("x-amz-meta-a", "left")]))
    sock, file = served.connect()
    with sock, file:
        sock.sendall(b"".join(served.signed("GET", "/films/left")))
        file.read(1000)
    for _ in range(100):
        left = [line for line in served.lines() if line.get("key") == "left"]
        if left:
            break
        threading.Event().wait(0.1)
    assert left[0]["cut"] is True
    assert left[0]["out"] < 16 * len(BIG)
    connections = served.store.connections
    assert served.ask("HEAD", "/films/a")[0] == 200
    assert served.ask("HEAD", "/films/a")[0] == 200
    assert served.store.connections <= connections + 1


def test_an_upload_in_chunks_without_a_length_goes_on_with_one(served):
    head, _ = served.signed("PUT", "/films/a", x_amz_content_sha256="UNSIGNED-PAYLOAD")
    head = head.replace(b"content-length: 0", b"Transfer-Encoding: chunked")
    sock, file = served.connect()
    with sock, file:
        sock.sendall(head + b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
        assert answer(file)[0] == 200
        sock.sendall(b"GET /-/live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer(file)[0] == 200
    assert served.store.requests[-1].body == b"hello world"


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 5\r\nContent-Length: 5",
        b"Content-Length: +5",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding : chunked",
        b"Transfer-Encoding: chunked\r\n folded",
        b"X Y: z\r\nTransfer-Encoding: chunked",
        b"X: a\x00b",
        b"no colon here\r\nX: y",
        b"Host: y",
    ],
)
def test_what_can_be_framed_in_two_ways_is_refused_and_closed(served, fields):
    hidden = b"GET /-/live HTTP/1.1\r\nHost: x\r\n\r\n"
    sock, file = served.connect()
    with sock, file:
        sock.sendall(b"GET /-/live HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n\r\n" + b"0\r\n\r\n" + hidden)
        raw = file.read()
    assert raw.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
    assert raw.count(b"HTTP/1.") == 1


@pytest.mark.parametrize(
    "line", [b"GET /-/live", b"GET  /-/live HTTP/1.1", b"GET /-/li\xffve HTTP/1.1", b"GET x HTTP/1.1", b"\x16\x03\x01"]
)
def test_a_request_line_that_is_none_is_refused(served, line):
    sock, file = served.connect()
    with sock, file:
        sock.sendall(line + b"\r\nHost: x\r\n\r\n")
        raw = file.read()
    assert b"200 OK" not in raw
    assert raw.count(b"HTTP/1.") <= 1


def test_a_request_that_runs_ends_before_the_process_does(tmp_path):
    served = Served(tmp_path)
    served.ask("HEAD", "/films/a")
    idle, _ = served.connect()
    head, body = served.signed("PUT", "/films/a", BIG, expect="100-continue")
    sock, file = served.connect()
    with sock, file, idle:
        sock.sendall(head)
        assert answer(file)[0] == 100
        served.process.send_signal(signal.SIGTERM)
        assert idle.recv(1) == b""
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", served.port), timeout=2)
        sock.sendall(body)
        assert answer(file)[0] == 200
        assert answer(file) is None
    assert served.store.requests[-1].body == BIG
    assert served.stop() == 0


def test_processes_share_an_address_and_one_that_dies_is_replaced(tmp_path):
    served = Served(tmp_path, workers=2)
    assert served.ask("HEAD", "/films/a")[0] == 200
    children = Path(f"/proc/{served.process.pid}/task/{served.process.pid}/children").read_text().split()
    assert len(children) == 2
    os.kill(int(children[0]), signal.SIGKILL)
    for _ in range(100):
        now = Path(f"/proc/{served.process.pid}/task/{served.process.pid}/children").read_text().split()
        if len(now) == 2 and children[0] not in now:
            break
        threading.Event().wait(0.1)
    assert len(now) == 2
    assert served.ask("HEAD", "/films/a")[0] == 200
    assert served.stop() == 0


def test_a_listener_opens_what_its_section_says(tmp_path):
    options = config.read(Options, "listen:main", {"address": "[::1]:0", "app": "main", "workers": "auto"})
    assert options.workers == os.cpu_count()
    with listen(options) as sock:
        assert sock.family == socket.AF_INET6
    path = tmp_path / "ini"
    path.write_text(textwrap.dedent("[listen:a]\naddress = 127.0.0.1:0\napp = x\n[listen:b]\naddress = 127.0.0.1:0\napp = y\n"))
    sockets = opened(path)
    assert [options.app for options, _ in sockets] == ["x", "y"]
    for _, sock in sockets:
        sock.close()


def test_an_ini_without_a_listener_says_so(tmp_path):
    path = tmp_path / "ini"
    path.write_text("[DEFAULT]\n")
    with pytest.raises(ConfigError, match=r"\[listen:main\] is missing"):
        opened(path)


@pytest.mark.parametrize("workers", ["0", "-1", "many"])
def test_a_number_of_processes_is_one_or_more(workers):
    with pytest.raises(ConfigError, match="expected auto or a number from 1"):
        config.read(Options, "listen:main", {"address": "127.0.0.1:0", "app": "main", "workers": workers})
