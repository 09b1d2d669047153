"""Where the corridor ends, against a store on a socket that does as told."""

from contextlib import ExitStack
from hashlib import sha256

import pytest

from s3shunt import config, connect
from s3shunt.apps.proxy import Options, Proxy
from s3shunt.config import Ini
from s3shunt.context import Decision
from s3shunt.filters.errors import Errors
from s3shunt.filters.errors import Options as ErrorsOptions
from s3shunt.model import Identity, ObjectRef
from s3shunt.protocol import addressing, sigv4
from s3shunt.protocol.errors import AccessDenied, BadDigest, IncompleteBody
from s3shunt.testing.client import call, environ
from s3shunt.testing.clock import HandClock
from s3shunt.testing.origin import HttpOrigin, Reply
from s3shunt.wsgi import Application, Body

EDITOR = Identity(access_key="AK", account="desk", grants=None)
BIG = bytes(range(256)) * 1024


class Upstream:
    region = "eu-west-1"
    per_account = True

    def __init__(self, *endpoints):
        self.endpoint, self.endpoints = endpoints[0], endpoints

    def credential(self, account):
        if account != "desk":
            raise AccessDenied
        return "STOREKEY", "store-secret"


class Site:
    """The proxy behind errors and a stand-in for grants that decides what the test says."""

    def __init__(self, tmp, store, **options):
        path = tmp / "ini"
        path.write_text(f"[DEFAULT]\nstate = {tmp}/state\n")
        self.store = store
        self.house = connect.House(Ini(path, {}), HandClock())
        self.house.put("store", "main", Upstream(store.endpoint))
        self.proxy = Proxy(config.read(Options, "app:proxy", {"response": "300ms", "gap": "300ms"} | options), self.house)
        self.identity, self.decide, self.wrap, self.store_archives = EDITOR, True, None, False
        self.app = Application(Errors(self.grants, ErrorsOptions()))
        self.context = None

    def grants(self, request):
        self.context = request.context
        request.at(ObjectRef(request.ref.bucket, request.ref.key, request.ref.version, "desk"))
        if self.decide:
            targets = {request.ref}
            if "x-amz-copy-source" in request.fields:
                source = addressing.copy_source(request.fields["x-amz-copy-source"])
                targets.add(ObjectRef(source.bucket, source.key, source.version, "desk"))
            request.context.decision = Decision(self.identity, request.operation, request.ref, frozenset(targets))
        if self.wrap:
            request.input = self.wrap(request.input)
        request.context.store_archives = self.store_archives
        return self.proxy(request)

    def __call__(self, method, target, body=b"", **fields):
        return call(self.app, environ(method, target, body, {n.replace("_", "-"): v for n, v in fields.items()}))


@pytest.fixture
def store():
    with HttpOrigin() as running:
        yield running


@pytest.fixture
def site(tmp_path, store):
    made = Site(tmp_path, store)
    yield made
    made.proxy.relay.close()
    assert made.proxy.relay.open == 0


def test_requests_with_the_same_headers_are_told_apart_by_their_values(site, store):
    for value in ("bytes=0-1", "bytes=2-3"):
        assert site("GET", "/films/a", range=value, x_amz_meta_a="1").status == 200
    assert site("GET", "/films/a").status == 200
    assert [request.fields.get("range") for request in store.requests] == ["bytes=0-1", "bytes=2-3", None]
    for _ in range(2):
        assert site("PUT", "/films/a", b"x", x_amz_write_offset_bytes="1").status == 501


def test_a_read_goes_out_as_the_callers_account_and_comes_back_whole(site, store):
    store.script.append(Reply(206, BIG, [("ETag", '"1"'), ("Date", "x"), ("x-amz-request-id", "STORE"), ("Content-Range", "bytes 0-1/2")]))
    answer = site("GET", "/films/a%20b", range="bytes=0-1", authorization="CLIENT", x_amz_date="CLIENT", host="films.example")
    assert (answer.status, answer.body, answer.broken) == (206, BIG, None)
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["x-amz-request-id"] not in ("", "STORE")
    assert "date" not in answer.headers
    got = store.requests[0]
    assert (got.method, got.target, got.fields["range"]) == ("GET", "/films/a%20b", "bytes=0-1")
    assert got.fields["authorization"].startswith("AWS4-HMAC-SHA256 Credential=STOREKEY/20260105/eu-west-1/s3/aws4_request")
    assert got.fields["x-amz-date"] == "20260105T103000Z"
    assert got.fields["host"] == store.endpoint.removeprefix("http://")
    assert (site.context.upstream_status, site.context.upstream_attempts) == (206, 1)


def test_what_is_sent_is_what_was_signed(site, store):
    site("PUT", "/films/a~%2B%C3%A9//..?partNumber=1&uploadId=x%2By", b"body", x_amz_meta_a="b  c", content_type="a/b")
    got = store.requests[0]
    path, _, query = got.target.partition("?")
    names = got.fields["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    signed = {name: got.fields[name] for name in names}
    assert {"host", "x-amz-date", "x-amz-content-sha256", "content-length", "content-type", "x-amz-meta-a"} <= set(names)
    expected = sigv4.authorization(
        "PUT", path, addressing.query(query), signed, "UNSIGNED-PAYLOAD",
        access_key="STOREKEY", secret_key="store-secret", timestamp=got.fields["x-amz-date"], region="eu-west-1",
    )  # fmt: skip
    assert got.fields["authorization"] == expected


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        ("/films", "/films"),
        ("/films/", "/films"),
        ("/films/a//b/../c", "/films/a//b/../c"),
        ("/films/a%2Fb", "/films/a/b"),
        ("/films/%2Bx+y~'", "/films/%2Bx%2By~%27"),
        ("/films/a?versionId=v1&x-id=GetObject", "/films/a?versionId=v1"),
        ("/films?prefix=in/&prefix=out/&delimiter=/", "/films?delimiter=%2F&prefix=in%2F"),
        ("/films/a?X-Amz-Signature=s&X-Amz-Credential=c", "/films/a"),
        ("/films?versions&prefix", "/films?prefix=&versions="),
    ],
)
def test_the_upstream_target_is_made_from_what_was_decided(site, store, target, sent):
    site("GET", target)
    assert store.requests[0].target == sent


def test_the_service_itself_is_asked_for_buckets(site, store):
    site("GET", "/")
    assert store.requests[0].target == "/"


def test_an_upload_is_streamed_with_its_length_and_unsigned(site, store):
    assert site("PUT", "/films/a", BIG, content_encoding="aws-chunked,gzip").status == 200
    got = store.requests[0]
    assert (got.body, got.fields["content-length"]) == (BIG, str(len(BIG)))
    assert got.fields["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert got.fields["content-encoding"] == "gzip"


@pytest.mark.parametrize("name", ["GLACIER", "DEEP_ARCHIVE", "glacier", " GLACIER "])
@pytest.mark.parametrize(("method", "target"), [("PUT", "/films/a"), ("POST", "/films/a?uploads")])
def test_an_archive_class_that_nobody_kept_is_refused_and_never_dropped(site, store, method, target, name):
    assert site(method, target, x_amz_storage_class=name).code == "InvalidStorageClass"
    assert not store.requests


@pytest.mark.parametrize(("method", "target"), [("PUT", "/films/a"), ("POST", "/films/a?uploads")])
def test_an_archive_class_goes_to_a_store_that_has_such(site, store, method, target):
    site.store_archives = True
    assert site(method, target, x_amz_storage_class="GLACIER").status == 200
    assert store.requests[0].fields["x-amz-storage-class"] == "GLACIER"


def test_a_restore_goes_to_the_store_with_its_document(site, store):
    store.script.append(Reply(202, b"", [("x-amz-restore-output-path", "p")]))
    document = b"<RestoreRequest><Days>1</Days></RestoreRequest>"
    assert site("POST", "/films/a?restore", document).status == 202
    got = store.requests[0]
    assert (got.method, got.target, got.body) == ("POST", "/films/a?restore=", document)


def test_a_part_has_no_class_of_its_own(site, store):
    assert site("PUT", "/films/a?partNumber=1&uploadId=u", b"x", x_amz_storage_class="GLACIER").status == 200
    assert "x-amz-storage-class" not in store.requests[0].fields


def test_an_empty_upload_has_a_length_too(site, store):
    assert site("PUT", "/films/a").status == 200
    assert store.requests[0].fields["content-length"] == "0"


def test_a_document_goes_on_with_its_hash(site, store):
    site("PUT", "/films?tagging", b"<Tagging/>")
    assert store.requests[0].body == b"<Tagging/>"
    assert store.requests[0].fields["x-amz-content-sha256"] == sha256(b"<Tagging/>").hexdigest()


def test_a_copy_source_is_written_anew(site, store):
    site("PUT", "/films/a", x_amz_copy_source="other/b%20%2B?versionId=v%2F1", x_amz_copy_source_if_match='"1"')
    assert store.requests[0].fields["x-amz-copy-source"] == "/other/b%20%2B?versionId=v/1"
    assert store.requests[0].fields["x-amz-copy-source-if-match"] == '"1"'


def test_without_a_decision_nothing_is_asked(site, store):
    site.decide = False
    assert site("GET", "/films/a").code == "AccessDenied"
    assert not store.requests


@pytest.mark.parametrize(
    "decision",
    [
        {"ref": ObjectRef("films", "b", None, "desk")},
        {"ref": ObjectRef("films", "a", None, "other")},
        {"operation": "DeleteObject"},
        {"targets": frozenset()},
        {"denied": frozenset({ObjectRef("films", "x")})},
    ],
)
def test_a_decision_about_something_else_is_none(site, store, decision):
    from s3shunt.protocol.operations import BY_NAME

    def meddle(body):
        ref = ObjectRef("films", "a", None, "desk")
        source = ObjectRef("other", "b", None, "desk")
        made = {"ref": ref, "operation": "CopyObject", "targets": frozenset({ref, source})} | decision
        made["operation"] = BY_NAME[made["operation"]]
        site.context.decision = Decision(EDITOR, **made)
        return body

    site.wrap = meddle
    assert site("PUT", "/films/a", x_amz_copy_source="other/b").code == "AccessDenied"
    assert not store.requests


def test_keys_of_a_document_must_all_be_decided(site, store):
    document = b"<Delete><Object><Key>a</Key></Object></Delete>"
    assert site("POST", "/films?delete", document).code == "AccessDenied"
    assert not store.requests


def test_an_account_the_store_does_not_know_is_refused(site):
    site.identity = Identity(access_key="AK", account="stranger", grants=None)
    assert site("GET", "/films/a").code == "AccessDenied"


def test_a_key_with_its_own_store_credential_uses_it(site, store):
    site.identity = Identity(access_key="AK", account="x", grants=None, store_access_key="OWN", store_secret_key="s")
    site("GET", "/films/a")
    assert "Credential=OWN/" in store.requests[0].fields["authorization"]


def test_the_answers_headers_may_be_changed_by_who_signed_only(site, store):
    site("GET", "/films/a?response-content-type=a/b")
    assert store.requests[0].target == "/films/a?response-content-type=a%2Fb"
    site.identity = Identity(account="desk")
    assert site("GET", "/films/a?response-content-type=a/b").code == "InvalidRequest"


@pytest.mark.parametrize("error", [BadDigest, IncompleteBody])
def test_a_body_that_proves_wrong_stores_nothing(site, store, error):
    class Wrong(Body):
        def __iter__(self):
            yield BIG[:-10]
            raise error

    site.wrap = lambda body: Wrong(body.source, body.length)
    assert site("PUT", "/films/a", BIG).code == error.__name__
    assert store.wait(1)[0].cut


def test_an_upload_that_never_begins_is_not_announced_to_the_store(site, store):
    class Unborn(Body):
        def read(self, size=-1):
            raise IncompleteBody

    site.wrap = lambda body: Unborn(body.source, body.length)
    assert site("PUT", "/films/a", BIG).code == "IncompleteBody"
    assert not store.requests


def test_an_empty_body_is_verified_before_anything_is_sent(site, store):
    class Wrong(Body):
        def __iter__(self):
            raise BadDigest
            yield

    site.wrap = lambda body: Wrong(body.source, 0)
    assert site("PUT", "/films/a").code == "BadDigest"
    assert not store.requests


@pytest.mark.parametrize("limits", [{"spool": "1M"}, {"spool": "1K"}])
def test_an_upload_of_unknown_length_is_kept_until_its_length_is_known(tmp_path, store, limits):
    site = Site(tmp_path, store, **limits)
    assert site("PUT", "/films/a", BIG, transfer_encoding="chunked").status == 200
    assert store.requests[0].body == BIG
    assert store.requests[0].fields["content-length"] == str(len(BIG))
    assert not list((tmp_path / "state" / "spool").iterdir())


def test_an_upload_of_unknown_length_has_a_limit(tmp_path, store):
    site = Site(tmp_path, store, spool_limit="128K")
    answer = site("PUT", "/films/a", BIG, transfer_encoding="chunked")
    assert (answer.status, answer.code, answer.headers["connection"]) == (411, "MissingContentLength", "close")
    assert not store.requests


def test_all_uploads_of_unknown_length_together_have_a_limit(tmp_path, store):
    site = Site(tmp_path, store, spool_total=str(len(BIG) + 10))

    def meanwhile(body):
        yield b"x" * 11
        site.second = site("PUT", "/films/b", BIG, transfer_encoding="chunked")
        yield b"y"

    first = site.proxy.spool
    with ExitStack() as kept:
        length, pieces = first.keep(meanwhile(None), kept)
        assert (length, b"".join(pieces), first.total) == (12, b"x" * 11 + b"y", 12)
    assert (site.second.status, site.second.code, site.second.headers["retry-after"]) == (503, "SlowDown", "5")
    assert (first.total, store.requests) == (0, [])
    assert site("PUT", "/films/c", BIG, transfer_encoding="chunked").status == 200


@pytest.mark.parametrize("answers", [[], [Reply(raw=b"")]])
def test_room_for_an_upload_is_given_back_however_it_ends(site, store, answers):
    store.script += answers
    site("PUT", "/films/a", BIG, transfer_encoding="chunked")
    assert site.proxy.spool.total == 0


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("cut", [80_000, len(BIG) - 1])
def test_an_answer_cut_short_never_ends_quietly(site, store, chunked, cut):
    store.script.append(Reply(200, BIG, chunked=chunked, cut=cut))
    answer = site("GET", "/films/a")
    assert isinstance(answer.broken, IncompleteBody)
    assert len(answer.body) <= cut


@pytest.mark.parametrize("reply", [Reply(200, BIG, cut=0), Reply(200, BIG, chunked=True, cut=100), Reply(200, BIG, cut=0, stall=True)])
def test_an_answer_that_breaks_before_its_first_bytes_is_no_answer(site, store, reply):
    store.script.append(reply)
    answer = site("GET", "/films/a")
    assert (answer.status, answer.code, answer.broken) == (503, "ServiceUnavailable", None)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(raw=b"", close=True),
        Reply(raw=b"garbage", close=True),
        Reply(raw=b"HTTP/1.1 200 OK\r\n\r\nno end", close=True),
        Reply(silent=True),
    ],
    ids=["gone", "garbage", "endless", "silent"],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_store_that_gives_no_answer_is_unavailable_for_now(site, store, reply, method):
    store.script += [reply] * (3 if method == "GET" else 1)
    answer = site(method, "/films/a", b"x" if method == "PUT" else b"")
    assert (answer.status, answer.code) == (503, "ServiceUnavailable")
    assert answer.headers["retry-after"] == "1"
    assert len(store.requests) == (3 if method == "GET" else 1)


def test_a_store_that_is_away_is_unavailable_for_now(tmp_path):
    with HttpOrigin() as store:
        site = Site(tmp_path, store)
    assert site("GET", "/films/a").status == 503
    assert site("HEAD", "/films/a").headers["retry-after"] == "1"


@pytest.mark.parametrize("status", [404, 412, 416, 500, 503])
def test_the_stores_own_refusals_pass_as_they_are(site, store, status):
    store.script.append(Reply(status, b"<Error/>", [("Content-Type", "application/xml"), ("Retry-After", "9")]))
    answer = site("GET", "/films/a")
    assert (answer.status, answer.body, answer.headers["retry-after"]) == (status, b"<Error/>", "9")
    assert len(store.requests) == 1


@pytest.mark.parametrize("status", [400, 403])
def test_a_refusal_of_the_stores_passes_unless_it_is_our_signature(site, store, status):
    store.script += [
        Reply(status, b"<Error><Code>AccessDenied</Code></Error>"),
        Reply(status, b"<Error><Code>SignatureDoesNotMatch</Code><StringToSign>secret</StringToSign></Error>"),
    ]
    assert site("PUT", "/films/a", b"x").code == "AccessDenied"
    answer = site("PUT", "/films/a", b"x")
    assert (answer.status, answer.code) == (503, "ServiceUnavailable")
    assert b"secret" not in answer.body


@pytest.mark.parametrize("status", [301, 307])
def test_a_redirect_goes_nowhere(site, store, status):
    store.script.append(Reply(status, b"", [("Location", "http://internal.example/")]))
    answer = site("GET", "/films/a")
    assert answer.status == 503
    assert "location" not in answer.headers


def test_not_modified_has_no_body(site, store):
    store.script.append(Reply(304, b"", [("ETag", '"1"')]))
    answer = site("GET", "/films/a", if_none_match='"1"')
    assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", '"1"')


def test_a_head_keeps_the_length(site, store):
    store.script.append(Reply(200, b"", [("Content-Length", "12345")]))
    answer = site("HEAD", "/films/a")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "12345")


def test_an_early_refusal_is_relayed_and_closes_the_clients_connection(site, store):
    store.script.append(Reply(403, b"<Error><Code>AccessDenied</Code></Error>", early=True))
    answer = site("PUT", "/films/a", BIG * 200)
    assert answer.code == "AccessDenied"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("told", "status"), [([("x-amz-version-id", "v1")], 200), ([("x-amz-version-id", "v2")], 404), ([], 404)])
def test_a_version_is_answered_with_itself_or_not_at_all(site, store, method, told, status):
    """SeaweedFS answers any version id of a bucket without versions with the current object."""
    store.script.append(Reply(200, b"bytes", told))
    answer = site(method, "/films/a?versionId=v1")
    assert (answer.status, b"bytes" in answer.body) == (status, status == 200 and method == "GET")


def test_the_version_null_need_not_be_named(site, store):
    store.script.append(Reply(200, b"bytes"))
    assert site("GET", "/films/a?versionId=null").body == b"bytes"


@pytest.mark.parametrize(
    "document",
    [
        b'<!DOCTYPE t [<!ENTITY x SYSTEM "file:///etc/passwd">]><Tagging>&x;</Tagging>',
        b"\xef\xbb\xbf<! doctype t><Tagging/>",
        "<!DOCTYPE t><Tagging/>".encode("utf-16"),
        b"<?xml version='1.0' encoding='utf-7'?>+ADw-!DOCTYPE t+AD4-",
        b"<Tagging>\xff</Tagging>",
    ],
)
def test_a_document_that_could_make_the_store_read_files_stays_here(site, store, document):
    """CVE-2022-47950"""
    assert site("PUT", "/films/a?tagging", document).code == "MalformedXML"
    assert not store.requests


def test_a_policy_in_json_is_a_document_too(site, store):
    policy = b'{"Statement": [{"Sid": "<1>", "Effect": "Allow"}]}'
    assert site("PUT", "/films?policy", policy).status == 200
    assert store.requests[0].body == policy


def test_of_several_endpoints_the_log_and_the_numbers_say_who_answered(tmp_path):
    with HttpOrigin() as first, HttpOrigin() as second:
        site = Site(tmp_path, first)
        site.house.put("store", "main", Upstream(first.endpoint, second.endpoint))
        site.proxy = Proxy(config.read(Options, "app:proxy", {}), site.house)
        seen = set()
        for _ in range(4):
            assert site("GET", "/films/a").status == 200
            seen.add(site.context.notes["endpoint"])
        hosts = {origin.endpoint.removeprefix("http://") for origin in (first, second)}
        assert seen == hosts
        assert {name: site.house.numbers.tally.counts["endpoint", name] for name in hosts} == dict.fromkeys(hosts, 2)


def test_all_tries_have_the_time_that_the_operator_gave_them(tmp_path):
    with HttpOrigin([Reply(silent=True)] * 3) as store:
        site = Site(tmp_path, store, budget="350ms")
        assert site("GET", "/films/a").status == 503
        assert len(store.requests) < 3
