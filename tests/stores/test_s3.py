"""What needs no real store; the contract runs against SeaweedFS and Swift on the stage."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from s3shunt import config
from s3shunt.config import ConfigError
from s3shunt.model import Fingerprint, ObjectRef
from s3shunt.ports import Evict
from s3shunt.protocol import errors
from s3shunt.stores.s3 import Options, S3Store, upload
from s3shunt.stores.s3.facts import facts, part_count
from s3shunt.stores.s3.session import Credentials, line, refusal
from s3shunt.testing.clock import HandClock

REF = ObjectRef("films", "a.mxf")
HEAD = {
    "Content-Length": "3", "ETag": '"acbd18db4cc2f85cedef654fccc4a4d8"', "Last-Modified": "Mon, 05 Jan 2026 10:30:00 GMT",
    "Content-Type": "application/mxf", "x-amz-meta-pid": "qs1", "x-amz-checksum-crc32": "AAAA", "x-amz-request-id": "random",
    "x-amz-object-lock-mode": "GOVERNANCE", "x-amz-server-side-encryption": "AES256", "Server": "s",
}  # fmt: skip


@contextmanager
def scripted(answer):
    """A store that answers every request with what ``answer(handler)`` writes."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def say(self, status, headers=(), body=b""):
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **dict(headers)}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    def run(handler):
        handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        answer(handler)

    for method in ("GET", "HEAD", "PUT", "DELETE", "POST"):
        setattr(Handler, f"do_{method}", run)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def keys(tmp_path):
    return keys_file(tmp_path, {"": {"access_key": "worker", "secret_key": "secret"}})


def keys_file(tmp_path, given, mode=0o600):
    path = tmp_path / "store.json"
    path.write_text(json.dumps(given))
    path.chmod(mode)
    return path


def store(endpoint, keys, **given):
    return S3Store(Options(url=f"s3+{endpoint}", credentials=keys, **given), SimpleNamespace(clock=HandClock()))


# Facts


def told(**changes):
    return facts({name.lower(): value for name, value in {**HEAD, **changes}.items()})


def test_a_head_answer_becomes_facts():
    found = told()
    assert (found.size, found.etag, found.last_modified, found.stamp) == (3, HEAD["ETag"], 1_767_609_000_000, "")
    assert found.headers == {"content-type": "application/mxf"}
    assert (found.metadata, found.checksums) == ({"pid": "qs1"}, {"x-amz-checksum-crc32": "AAAA"})
    assert (found.lock, found.sse) == ({"x-amz-object-lock-mode": "GOVERNANCE"}, {"x-amz-server-side-encryption": "AES256"})


@pytest.mark.parametrize("name", ["x-amz-request-id", "x-amz-restore", "date", "seaweed-x-amz-etag", "x-trans-id", "x-amz-expiration"])
def test_what_changes_from_answer_to_answer_is_not_in_the_fingerprint(name):
    assert told(**{name: "one"}).fingerprint == told(**{name: "other"}).fingerprint


@pytest.mark.parametrize("name", ["content-type", "cache-control", "expires", "x-amz-meta-pid", "x-amz-website-redirect-location"])
def test_what_belongs_to_the_version_is_in_the_fingerprint(name):
    assert told(**{name: "one"}).fingerprint != told(**{name: "other"}).fingerprint


def test_the_stamp_is_the_version_id_where_there_is_one():
    assert told(**{"x-amz-version-id": "v7"}).stamp == "v7"
    assert told(**{"x-amz-version-id": "null"}).stamp == ""


@pytest.mark.parametrize(("etag", "count"), [('"' + "0" * 32 + '-12"', 12), ('"' + "0" * 32 + '"', 0), ('"a-b"', 0), ("", 0)])
def test_a_multipart_etag_tells_how_many_parts(etag, count):
    assert part_count(etag) == count


# Credentials


def test_one_credential_serves_all_accounts_of_a_global_store(keys):
    assert Credentials(keys, per_account=False).find("alice") == ("worker", "secret")


def test_the_workers_credential_is_nobody_elses_where_accounts_are_named(tmp_path):
    path = keys_file(tmp_path, {"": {"access_key": "worker", "secret_key": "s"}, "alice": {"access_key": "a", "secret_key": "s"}})
    known = Credentials(path, per_account=False)
    assert known.find("alice") == ("a", "s")
    assert known.find("") == ("worker", "s")
    with pytest.raises(errors.AccessDenied):
        known.find("mallory")


def test_accounts_with_buckets_of_their_own_never_share_the_workers_credential(keys):
    with pytest.raises(errors.AccessDenied):
        Credentials(keys, per_account=True).find("alice")


def test_an_account_added_later_is_found(tmp_path, keys):
    known = Credentials(keys, per_account=True)
    assert known.find("") == ("worker", "secret")
    keys_file(tmp_path, {"alice": {"access_key": "a", "secret_key": "s"}})
    assert known.find("alice") == ("a", "s")


@pytest.mark.parametrize(
    ("given", "mode"),
    [({}, 0o644), ([], 0o600), ({"": {}}, 0o600), ({"": "x"}, 0o600), ({"access_key": "a", "secret_key": "b"}, 0o600)],
)
def test_a_credentials_file_that_is_open_or_malformed_stops_the_start(tmp_path, given, mode):
    with pytest.raises(ConfigError):
        Credentials(keys_file(tmp_path, given, mode), per_account=False)


def test_credentials_that_are_not_there_are_missed_when_they_are_wanted(tmp_path):
    known = Credentials(tmp_path / "none yet", per_account=False)
    with pytest.raises(ConfigError):
        known.find("")


# Refusals


def refused(status, code=""):
    return refusal(ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "HeadObject")).code


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (404, "NoSuchKey", "NoSuchKey"), (404, "404", "NoSuchKey"), (404, "NoSuchVersion", "NoSuchKey"),
        (404, "NoSuchBucket", "NoSuchBucket"),
        (412, "412", "PreconditionFailed"), (403, "SignatureDoesNotMatch", "AccessDenied"), (507, "x", "MetadataTooLarge"),
        (400, "MetadataTooLarge", "MetadataTooLarge"), (500, "InternalError", "ServiceUnavailable"), (503, "SlowDown", "SlowDown"),
        (501, "NotImplemented", "NotImplemented"), (400, "Strange", "InvalidRequest"), (502, "", "ServiceUnavailable"),
    ],
)  # fmt: skip
def test_the_stores_refusals_are_translated(status, code, expected):
    assert refused(status, code) == expected


def test_a_store_that_is_not_there_is_unavailable(keys):
    with pytest.raises(errors.ServiceUnavailable):
        store("http://127.0.0.1:1", keys).head(REF)


def test_the_environment_cannot_send_us_elsewhere(keys, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_PROFILE", "absent")
    with scripted(lambda h: h.say(404)) as endpoint:
        assert store(endpoint, keys).head(REF) is None


def test_a_redirect_is_not_followed(keys):
    asked = []

    def answer(handler):
        asked.append(handler.path)
        handler.say(307, {"Location": "http://127.0.0.1:1/elsewhere"})

    with scripted(answer) as endpoint, pytest.raises(errors.ServiceUnavailable, match="307"):
        store(endpoint, keys).head(REF)
    assert set(asked) == {"/films/a.mxf"}


# Reading


def test_a_cut_answer_is_never_a_short_success(keys):
    def cut(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "10")
        handler.end_headers()
        handler.wfile.write(b"hello")
        handler.close_connection = True

    with scripted(cut) as endpoint:
        reading = store(endpoint, keys).read(REF)
        with pytest.raises(errors.IncompleteBody):
            b"".join(reading)


def test_a_store_that_answers_for_another_version_is_not_believed(keys):
    def answer(handler):
        handler.say(200, {"ETag": '"x"', "Last-Modified": HEAD["Last-Modified"]}, b"" if handler.command == "HEAD" else b"foo")

    with scripted(answer) as endpoint:
        asked = ObjectRef("films", "a.mxf", "v7")
        assert store(endpoint, keys).head(asked) is None
        with pytest.raises(errors.NoSuchKey):
            store(endpoint, keys).read(asked)


# Writing


@given(st.integers(1, 5 << 40))
def test_parts_are_within_s3s_limits(size):
    length = upload.part_size(size)
    assert length >= 16 << 20
    assert -(-size // length) <= 10_000


def test_a_body_that_breaks_sends_nothing(keys):
    asked = []
    with scripted(lambda h: (asked.append(h.command), h.say(200))) as endpoint, pytest.raises(errors.IncompleteBody):
        store(endpoint, keys).write(REF, [b"hello"], size=6)
    assert asked == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [("plain", "plain"), ("caf\u00e9", "=?iso-8859-1?q?caf=E9?="), ("caf\u00c3\u00a9", "=?utf-8?b?Y2Fmw6k=?="), ("", "")],
)
def test_metadata_beyond_ascii_is_written_as_s3_answers_it(value, expected):
    assert line(value) == expected


# Deleting


def test_without_versions_and_without_an_atomic_delete_nothing_is_evicted(keys):
    with scripted(lambda h: h.say(204)) as endpoint:
        careful = store(endpoint, keys, evict="version")
        assert careful.evict is Evict.VERSION
        with pytest.raises(errors.InvalidRequest):
            careful.delete_exact(REF, Fingerprint('"x"', 1, "d"))


def test_a_version_is_deleted_by_its_id_and_nothing_else(keys):
    asked = []
    with scripted(lambda h: (asked.append((h.command, h.path)), h.say(204))) as endpoint:
        store(endpoint, keys, evict="version").delete_exact(ObjectRef("films", "a", "v7"), Fingerprint('"x"', 1, "d", "v7"))
    assert asked == [("DELETE", "/films/a?versionId=v7")]


def test_the_workers_credential_and_the_endpoint_are_the_proxys_too(keys):
    made = store("http://127.0.0.1:8100", keys, buckets=True)
    assert (made.endpoint, made.region, made.per_account) == ("http://127.0.0.1:8100", "us-east-1", True)
    assert made.credential("") == ("worker", "secret")


def test_further_endpoints_are_hosts_and_nothing_more(keys):
    given = {"url": "s3+http://a:1/", "credentials": str(keys)}
    made = S3Store(config.read(Options, "store:main", {**given, "also": "http://b:2/, https://c"}), SimpleNamespace(clock=HandClock()))
    assert list(made.endpoints) == ["http://a:1", "http://b:2", "https://c"]
    for wrong in ("b:2", "s3+http://b:2", "http://b:2/path", "http://key@b:2", "http://b:2?x"):
        with pytest.raises(ConfigError, match="also"):
            config.read(Options, "store:main", {**given, "also": wrong})


@pytest.mark.parametrize("there", [0, 1])
def test_a_worker_asks_the_next_endpoint_when_one_is_away_and_stays_there(keys, there):
    asked = []
    with scripted(lambda h: h.say(204)) as away:
        endpoints = [away, away]
    with scripted(lambda h: (asked.append(h.headers["Host"]), h.say(204))) as running:
        endpoints[there] = running
        both = store(endpoints[0], keys, also=tuple(endpoints[1:]))
        for _ in range(3):
            both.delete(REF)
        assert both._asking._turns._at == there
    assert asked == [endpoints[0].removeprefix("http://")] * 3, "who signed for one Host says it to all"
