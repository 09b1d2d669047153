"""Against a scripted Swift; the real one is on the stage."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from s3shunt.model import Fingerprint, ObjectRef
from s3shunt.protocol.errors import AccessDenied, InvalidRequest, ServiceUnavailable
from s3shunt.stores.swift import SwiftEvictor

REF = ObjectRef("films", "a/../b c", account="alice")
KEY = ("alice:worker", "secret")
NOW = "1767609000.12345"


class Swift:
    """Answers by (method, path), else 404, and remembers what it was asked."""

    def __init__(self):
        self.answers, self.asked, self.moments, self.tokens = {}, [], {}, ["t1", "t2"]

    def object(self, stamp=NOW, segments=None, delete=204):
        path = "/v1/AUTH_alice/films/a/../b%20c"
        slo = {} if segments is None else {"X-Static-Large-Object": "True"}
        body = json.dumps([{"path": name} for name in segments or ()]).encode()
        self.answers[("HEAD", path)] = self.answers[("GET", path)] = (200, {"X-Timestamp": stamp, **slo}, body)
        self.answers[("DELETE", path)] = (delete, {}, b"")

    def answer(self, handler):
        path = handler.path.partition("?")[0]
        if path == "/auth/v1.0":
            told = {"X-Auth-Token": self.tokens[0], "X-Storage-Url": "http://elsewhere.example/v1/AUTH_alice"}
            return (200, told, b"") if handler.headers["X-Auth-Key"] == "secret" else (401, {}, b"")
        if handler.headers["X-Auth-Token"] != self.tokens[0]:
            return 401, {}, b""
        self.asked.append((handler.command, path))
        self.moments[(handler.command, path)] = handler.headers["X-Timestamp"]
        return self.answers.get((handler.command, path), (404, {}, b""))


@contextmanager
def served(swift):
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def run(self):
            status, headers, body = swift.answer(self)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_DELETE = run

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield SwiftEvictor(f"http://127.0.0.1:{server.server_port}", 5000, 5000)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def known(stamp=NOW):
    return Fingerprint('"x"', 1, "d", stamp)


def test_the_delete_names_the_moment_behind_the_version_and_only_that_object():
    swift = Swift()
    swift.object()
    with served(swift) as evictor:
        assert evictor.stamp(REF, KEY) == NOW
        evictor.delete_exact(REF, known(), KEY)
    path = "/v1/AUTH_alice/films/a/../b%20c"
    assert swift.asked == [("HEAD", path), ("GET", path), ("DELETE", path)]
    assert swift.moments[("DELETE", path)] == "1767609000.12346"


def test_another_version_is_not_touched():
    swift = Swift()
    swift.object(stamp="1767609001.00000")
    with served(swift) as evictor:
        evictor.delete_exact(REF, known(), KEY)
    assert [method for method, _ in swift.asked] == ["GET"]


def test_segments_go_only_after_their_manifest_and_only_our_own():
    swift = Swift()
    swift.object(segments=["/films+segments/a/1/1", "/films+segments/a/1/2", "/others/secret"])
    with served(swift) as evictor:
        evictor.delete_exact(REF, known(), KEY)
    root = "/v1/AUTH_alice"
    assert [path.removeprefix(root) for method, path in swift.asked if method == "DELETE"] == [
        "/films/a/../b%20c", "/films%2Bsegments/a/1/1", "/films%2Bsegments/a/1/2",
    ]  # fmt: skip


@pytest.mark.parametrize("answer", [404, 409])
def test_where_a_later_write_survives_its_segments_do_too(answer):
    swift = Swift()
    swift.object(segments=["/films+segments/a/1/1"], delete=answer)
    with served(swift) as evictor:
        evictor.delete_exact(REF, known(), KEY)
    assert len([method for method, _ in swift.asked if method == "DELETE"]) == 1


def test_a_version_without_its_moment_is_not_deleted():
    with served(Swift()) as evictor, pytest.raises(InvalidRequest):
        evictor.delete_exact(REF, known(stamp=""), KEY)


def test_a_lapsed_token_is_renewed_once():
    swift = Swift()
    swift.object()
    with served(swift) as evictor:
        assert evictor.stamp(REF, KEY) == NOW
        swift.tokens.pop(0)
        assert evictor.stamp(REF, KEY) == NOW


def test_a_wrong_credential_is_refused_and_an_absent_object_has_no_stamp():
    with served(Swift()) as evictor:
        assert evictor.stamp(REF, KEY) == ""
        with pytest.raises(AccessDenied):
            evictor.stamp(REF, ("alice:worker", "wrong"))


@pytest.mark.parametrize("status", [500, 503, 301])
def test_an_unclear_answer_is_no_answer(status):
    swift = Swift()
    swift.object(delete=status)
    with served(swift) as evictor, pytest.raises(ServiceUnavailable):
        evictor.delete_exact(REF, known(), KEY)


def test_a_swift_that_is_not_there_is_unavailable():
    with pytest.raises(ServiceUnavailable):
        SwiftEvictor("http://127.0.0.1:1", 1000, 1000).stamp(REF, KEY)
