"""Deadlines, repetition and tokens, on real sockets and in several processes."""

import json
import logging
import socket
import subprocess
import sys
import threading

import pytest

from s3shunt.archives.mediahaven.credentials import Basic, Tokens
from s3shunt.archives.mediahaven.link import Link, NotTaken, Times, Wire
from s3shunt.clock import wall
from s3shunt.model import ObjectRef, Recall
from s3shunt.protocol.errors import NoSuchKey, ServiceUnavailable, SlowDown
from s3shunt.testing.clock import HandClock
from s3shunt.testing.mediahaven import MediaHaven, site

REF = ObjectRef("films", "a.mxf")
TIMES = Times(connect=1000, silence=300, deadline=600)


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def server(clock):
    with MediaHaven(clock) as running:
        running.ingest("films", "a.mxf", b"hello")
        yield running


@pytest.fixture
def archive(server, clock, tmp_path):
    return site.archive(tmp_path, server, site.house(tmp_path, clock))


def link(server, clock=wall, retries=0, times=TIMES):
    return Link(f"{server.url}/mediahaven-rest-api/resources", Wire(times, clock, None), Basic("s3shunt", "mediahaven"), retries)


def calls(server, beginning):
    return sum(call.startswith(beginning) for call in server.api.calls)


# Repetition


@pytest.mark.parametrize("status", [429, 503])
def test_a_reading_call_is_repeated_with_growing_waits(archive, server, clock, status):
    server.set(refuse=[{"on": "GET /records", "status": status, "count": 3}])
    began = clock.now()
    assert archive.find(ref=REF).size == 5
    assert 875 <= clock.now() - began <= 2625  # 250 + 500 + 1000, each by half more or less


def test_retry_after_is_kept(archive, server, clock):
    server.set(refuse=[{"on": "GET /records", "retry_after": 20}])
    began = clock.now()
    archive.find(ref=REF)
    assert clock.now() - began >= 20_000


def test_a_retry_after_beyond_the_deadline_is_passed_on(archive, server, clock):
    server.set(refuse=[{"on": "GET /records", "retry_after": 90}])
    with pytest.raises(ServiceUnavailable) as told:
        archive.find(ref=REF)
    assert told.value.retry_after == 90


def test_the_last_refusal_is_told(archive, server):
    server.set(refuse=[{"on": "GET /records", "status": 429, "count": 99, "retry_after": 2}])
    with pytest.raises(SlowDown) as told:
        archive.find(ref=REF)
    assert told.value.retry_after == 2


@pytest.mark.parametrize("status", [400, 403, 404, 500, 502, 302])
def test_other_refusals_are_told_at_once(archive, server, status):
    server.set(refuse=[{"on": "GET /records", "status": status, "count": 1}])
    if status == 404:
        assert archive.find(ref=REF) is None
    else:
        with pytest.raises(ServiceUnavailable, match=str(status)):
            archive.find(ref=REF)
    assert archive.find(ref=REF).size == 5


def test_nobody_there_is_asked_again_and_then_told(clock):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        nobody = Link(url, Wire(TIMES, clock, None), Basic("u", "p"), 3)
        began = clock.now()
        with pytest.raises(ServiceUnavailable, match="cannot be reached"):
            Link(url, Wire(Times(1000, 300, 60_000), clock, None), Basic("u", "p"), 3).get("/records")
        assert clock.now() - began >= 875
        with pytest.raises(NotTaken):
            nobody.order("POST", "/exports", {})


def test_an_order_is_sent_once(server, clock):
    server.set(refuse=[{"on": "POST /exports", "status": 503}])
    with pytest.raises(NotTaken) as refused:
        link(server, clock, retries=3).order("POST", "/exports", {})
    assert isinstance(refused.value.error, ServiceUnavailable)
    server.set(refuse=[{"on": "POST /exports", "status": 500}])
    with pytest.raises(ServiceUnavailable, match="500"):
        link(server, clock, retries=3).order("POST", "/exports", {})
    server.set(refuse=[{"on": "POST /exports", "status": 404}])
    with pytest.raises(NotTaken) as refused:
        link(server, clock).order("POST", "/exports", {})
    assert isinstance(refused.value.error, NoSuchKey)


# Deadlines


@pytest.mark.parametrize("knob", [
    {"slow": [{"on": "GET /media", "wait": 700}]},
    {"hang": [{"on": "GET /media", "wait": 700}]},
    {"drip": [{"on": "GET /media", "wait": 50}]},
    {"lose": [{"on": "GET /media"}]},
])  # fmt: skip
def test_no_answer_holds_us_longer_than_the_deadline(server, knob):
    server.set(**knob)
    began = wall.monotonic()
    with pytest.raises(ServiceUnavailable):
        link(server).get("/media?q=")
    assert wall.monotonic() - began < 1.2


def test_an_answer_without_end_is_not_kept(server):
    wire = Wire(TIMES, wall, None)
    wire.cap = 10
    with pytest.raises(ServiceUnavailable, match="no end"):
        Link(f"{server.url}/mediahaven-rest-api/resources", wire, Basic("s3shunt", "mediahaven"), 0).get("/media?q=")


def test_what_is_not_json_is_an_outage():
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>")

    thread = threading.Thread(target=serve)
    thread.start()
    with listener, pytest.raises(ServiceUnavailable, match="not JSON"):
        Link(f"http://127.0.0.1:{listener.getsockname()[1]}", Wire(TIMES, wall, None), Basic("u", "p"), 0).get("/")
    thread.join()


def test_the_environment_has_no_say(server, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert link(server).get("/media?q=", accept="application/json")["totalNrOfResults"] == 1


def test_an_unknown_certificate_is_not_believed(tmp_path):
    import ssl

    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
               "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        for _ in range(2):
            connection, _ = listener.accept()
            try:
                with context.wrap_socket(connection, server_side=True) as secured:
                    secured.recv(65536)
                    secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]")
            except OSError:
                connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    with listener:
        with pytest.raises(ServiceUnavailable, match="SSLError"):
            Link(url, Wire(TIMES, wall, None), Basic("u", "p"), 0).get("/")
        assert Link(url, Wire(TIMES, wall, str(certificate)), Basic("u", "p"), 0).get("/") == []
        thread.join()


# Tokens


def test_a_token_is_got_once_and_refreshed_when_it_ends(archive, server, clock):
    server.set(token_lifetime=60_000)
    for _ in range(3):
        archive.find(ref=REF)
    assert (server.api.door.logins, server.api.door.refreshed) == (1, 0)
    clock.later(51_000)
    for _ in range(3):
        archive.find(ref=REF)
    assert (server.api.door.logins, server.api.door.refreshed) == (1, 1)
    assert calls(server, "GET /records") == 6


def test_a_401_costs_one_refresh_and_no_answer(archive, server):
    archive.find(ref=REF)
    server.api.door.revoke()
    recall = Recall(id="r", ref=REF, generation=1, archive="tape", archive_id=archive.find(ref=REF).archive_id)
    assert (server.api.door.logins, server.api.door.refreshed) == (1, 1)
    server.api.door.revoke()
    request = archive.request(recall)
    server.api.door.revoke()
    assert archive.status([request])
    assert (server.api.door.logins, server.api.door.refreshed, len(server.exports)) == (1, 3, 1)


def test_an_order_is_not_lost_by_a_401(archive, server):
    recall = Recall(id="r", ref=REF, generation=1, archive="tape", archive_id=archive.find(ref=REF).archive_id)
    server.set(refuse=[{"on": "POST /exports", "status": 401}])
    archive.request(recall)
    assert len(server.exports) == 1


def test_a_refresh_token_that_was_used_up_costs_a_login(archive, server):
    archive.find(ref=REF)
    server.api.door.refreshes.clear()
    server.api.door.revoke()
    assert archive.find(ref=REF).size == 5
    assert server.api.door.logins == 2


def test_a_token_file_that_cannot_be_read_costs_a_login(archive, server, tmp_path, clock):
    archive.find(ref=REF)
    for path in tmp_path.glob("mediahaven/*/token"):
        assert path.stat().st_mode & 0o777 == 0o600
        path.write_text("{")
    assert site.archive(tmp_path, server, site.house(tmp_path, clock)).find(ref=REF).size == 5
    assert server.api.door.logins == 2


def test_many_threads_get_one_token(archive, server):
    found = []
    threads = [threading.Thread(target=lambda: found.append(archive.find(ref=REF).size)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [5] * 20
    assert server.api.door.logins == 1


SCRIPT = """
import sys
sys.path[:0] = {path!r}
from pathlib import Path
from types import SimpleNamespace
from s3shunt.archives.mediahaven import MediaHavenArchive, Options
from s3shunt.clock import wall
from s3shunt.config import read
from s3shunt.model import ObjectRef
house = SimpleNamespace(clock=wall, state=Path({home!r}))
archive = MediaHavenArchive(read(Options, "archive:tape", {section!r}), house)
for line in sys.stdin:
    print(sum(archive.find(ref=ObjectRef("films", "a.mxf")).size for _ in range(5)), flush=True)
"""


def test_processes_do_not_invalidate_each_others_refresh_token(tmp_path):
    with MediaHaven(wall) as server:
        server.ingest("films", "a.mxf", b"hello")
        script = SCRIPT.format(path=sys.path, home=str(tmp_path), section=site.section(tmp_path, server))
        workers = [
            subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)
        ]
        told = [_round(workers) for _ in range(4) if server.api.door.revoke() is None]
        for worker in workers:
            worker.communicate()
        assert told == [["25\n"] * 3] * 4
        assert (server.api.door.logins, server.api.door.refreshed) == (1, 3)


def _round(workers):
    """All at once."""
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    return [worker.stdout.readline() for worker in workers]


def test_a_stopped_holder_of_the_lock_does_not_stop_the_others_for_ever(tmp_path):
    import fcntl

    tokens = Tokens(tmp_path / "token", None, wall, 100)
    with (tmp_path / "token.lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ServiceUnavailable, match="lock"):
            tokens.header()


@pytest.mark.parametrize("api", ["1", "2"])
def test_a_wrong_password_is_an_outage_and_never_told(server, clock, tmp_path, caplog, api):
    caplog.set_level(logging.DEBUG)
    site.secret(tmp_path, "password", "correct-horse-battery")
    archive = site.archive(tmp_path, server, site.house(tmp_path, clock), api=api)
    with pytest.raises(ServiceUnavailable) as told:
        archive.find(ref=REF)
    assert "token" in str(told.value)
    assert "correct-horse" not in caplog.text + str(told.value) + repr(archive.options) + repr(vars(archive._link))
    assert "correct-horse" not in json.dumps(server.api.calls)


def test_a_token_endpoint_that_does_not_work_takes_no_order(archive, server):
    recall = Recall(id="r", ref=REF, generation=1, archive="tape", archive_id=archive.find(ref=REF).archive_id)
    server.api.door.revoke()
    server.set(refuse=[{"on": "POST /auth", "status": 500, "count": 99}])
    with pytest.raises(ServiceUnavailable, match="token endpoint"):
        archive.request(recall)
    server.set(refuse=[])
    archive.request(recall)
    assert len(server.exports) == 1
