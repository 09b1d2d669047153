"""Bytes that go past the proxy: who is handed what, and who is not."""

from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest

from s3shunt import config, connect
from s3shunt.apps.proxy import Options, Proxy
from s3shunt.config import ConfigError, Ini
from s3shunt.context import Decision
from s3shunt.filters.errors import Errors
from s3shunt.filters.errors import Options as ErrorsOptions
from s3shunt.model import ANONYMOUS, Entry, Facts, Identity, ObjectRef, State
from s3shunt.protocol import addressing, presigned, sigv4
from s3shunt.protocol.errors import AccessDenied
from s3shunt.testing.client import call, environ
from s3shunt.testing.clock import HandClock
from s3shunt.testing.origin import HttpOrigin, Reply
from s3shunt.wsgi import Application

EDITOR = Identity(access_key="AK", account="desk", grants=None)
PEER = "10.0.0.9"
ACCEL = {"offload": "accel", "accel_peers": f"{PEER}, unix"}
REDIRECT = {"offload": "redirect", "public": "https://store.example/"}
HASH = "a" * 64
LINK = "X-Amz-Signature=x&X-Amz-Date=x&X-Amz-Expires=5"


class Upstream:
    region = "eu-west-1"

    def __init__(self, endpoint):
        self.endpoint, self.endpoints = endpoint, [endpoint]

    def credential(self, account):
        if account != "desk":
            raise AccessDenied
        return "STOREKEY", "store-secret"


class Site:
    def __init__(self, tmp, store, **options):
        path = tmp / "ini"
        path.write_text(f"[DEFAULT]\nstate = {tmp}/state\n")
        self.house = connect.House(Ini(path, {}), HandClock())
        self.house.put("store", "main", Upstream(store.endpoint))
        self.proxy = Proxy(config.read(Options, "app:proxy", options), self.house)
        self.app = Application(Errors(self.doors, ErrorsOptions()))
        self.identity, self.plain, self.entry, self.context = EDITOR, True, None, None

    def doors(self, request):
        context = self.context = request.context
        context.plain, context.looked_up, context.entry = self.plain, True, self.entry
        request.at(replace(request.ref, account="desk"))
        context.decision = Decision(self.identity, request.operation, request.ref, frozenset({request.ref}))
        return self.proxy(request)

    def __call__(self, method, target, body=b"", peer=PEER, **fields):
        given = environ(method, target, body, {name.replace("_", "-"): value for name, value in fields.items()})
        return call(self.app, given | {"REMOTE_ADDR": peer})


@pytest.fixture
def store():
    with HttpOrigin() as running:
        running.script.append(Reply(200, b"bytes"))
        yield running


@pytest.fixture
def make(tmp_path, store):
    return lambda **options: Site(tmp_path, store, **options)


NGINX = {"x_s3shunt_offload": "accel"}


@pytest.mark.parametrize("peer", [PEER, ""], ids=["an address", "a unix socket"])
def test_nginx_is_handed_a_request_that_it_can_send_as_it_is(make, store, peer):
    site = make(**ACCEL)
    target = "/films/a%2Fb//c%20d+?response-content-type=a%2Fb"
    answer = site("GET", target, peer=peer, range="bytes=0-4", x_amz_checksum_mode="ENABLED", **NGINX)
    told = {name.removeprefix("x-s3shunt-"): value for name, value in answer.headers.items() if name.startswith("x-s3shunt-")}
    assert (answer.status, answer.body, answer.headers["x-accel-redirect"]) == (200, b"", "@s3shunt_store")
    assert store.requests == []
    path, _, query = told.pop("target").partition("?")
    assert path == "/films/a/b//c%20d%2B"
    authorization = told.pop("authorization")
    assert told.keys() == {"host", "range", "x-amz-date", "x-amz-content-sha256", "x-amz-checksum-mode"}
    assert told["host"] == store.endpoint.removeprefix("http://")
    assert authorization == sigv4.authorization(
        "GET", path, addressing.query(query), told, sigv4.EMPTY_SHA256,
        access_key="STOREKEY", secret_key="store-secret", timestamp=told["x-amz-date"], region="eu-west-1",
    )  # fmt: skip
    assert site.context.notes["offload"] == "accel"


@pytest.mark.parametrize(
    ("peer", "fields"),
    [
        ("10.0.0.8", NGINX),
        (PEER, {}),
        (PEER, {"x_s3shunt_offload": "redirect"}),
        ("10.0.0.8", NGINX | {"x_forwarded_for": PEER}),
        (PEER, NGINX | {"x_amz_server_side_encryption_customer_key": "k"}),
    ],
    ids=["another peer", "no word of it", "another word", "a peer in a header", "a key of the client's"],
)
def test_nobody_else_is_handed_anything(make, peer, fields):
    answer = make(**ACCEL)("GET", "/films/a", peer=peer, **fields)
    assert (answer.status, answer.body) == (200, b"bytes")
    assert not [name for name in answer.headers if name.startswith(("x-accel", "x-s3shunt"))]


@pytest.mark.parametrize("target", ["/films/a?versionId=v1", "/films/a?tagging", "/films?list-type=2"])
def test_what_must_be_looked_at_on_its_way_back_goes_through_us(make, store, target):
    assert make(**ACCEL)("GET", target, **NGINX).headers.get("x-accel-redirect") is None
    assert len(store.requests) == 1


def test_a_head_is_ours(make, store):
    make(**ACCEL)("HEAD", "/films/a", **NGINX)
    assert store.requests[0].method == "HEAD"


@pytest.mark.parametrize("state", [State.ONLINE, State.ARCHIVED])
def test_what_is_known_of_the_object_counts(make, state):
    site = make(**ACCEL)
    facts = Facts(size=5, etag='"e"', last_modified=0)
    site.plain, site.entry = False, Entry(ref=ObjectRef("films", "a", "null"), state=state, facts=facts)
    assert ("x-accel-redirect" in site("GET", "/films/a", **NGINX).headers) is (state is State.ONLINE)


def test_without_a_decision_nothing_is_handed_over(make):
    site = make(**ACCEL)
    site.identity = replace(EDITOR, account="other")
    answer = site("GET", "/films/a", **NGINX)
    assert (answer.status, answer.code, "x-accel-redirect" in answer.headers) == (403, "AccessDenied", False)


def test_a_link_leads_to_the_same_at_the_store(make, store):
    site = make(**REDIRECT, redirect_expires="90s")
    answer = site("GET", f"/films/a%20b?{LINK}&response-content-type=a%2Fb", range="bytes=0-4")
    parts = urlsplit(answer.headers["location"])
    pairs = parse_qsl(parts.query)
    assert (answer.status, parts.scheme, parts.netloc, parts.path) == (307, "https", "store.example", "/films/a%20b")
    assert dict(pairs)["response-content-type"] == "a/b"
    assert answer.headers["cache-control"] == "no-store"
    headers = {"host": "store.example"}
    credential = presigned.from_query(pairs, headers)
    assert (credential.access_key, credential.expires - credential.signed_at) == ("STOREKEY", 90_000)
    sigv4.verify(credential, "store-secret", presigned.sent(credential, "GET", f"{parts.path}?{parts.query}", pairs, headers))
    assert (store.requests, site.context.notes["offload"]) == ([], "redirect")


def test_who_signs_a_header_would_not_follow(make):
    assert make(**REDIRECT)("GET", "/films/a", authorization="AWS4-HMAC-SHA256 x").status == 200


@pytest.mark.parametrize(("allowed", "status"), [("no", 200), ("yes", 307)])
def test_who_is_nobody_gets_a_link_only_where_it_is_allowed(make, allowed, status):
    site = make(**REDIRECT, redirect_anonymous=allowed)
    site.identity = replace(ANONYMOUS, account="desk")
    assert site("GET", "/films/a").status == status


@pytest.mark.parametrize(("allowed", "status"), [("no", 200), ("yes", 307)])
def test_an_upload_by_link_goes_to_the_store_only_where_it_is_allowed(make, allowed, status):
    answer = make(**REDIRECT, redirect_uploads=allowed)("PUT", f"/films/a?{LINK}", b"bytes", content_type="a/b")
    assert answer.status == status
    if status == 307:
        assert dict(parse_qsl(urlsplit(answer.headers["location"]).query))["X-Amz-SignedHeaders"] == "content-type;host"


@pytest.mark.parametrize("fields", [{"x_amz_meta_a": ""}, {"x_odd": "1"}, {"x_amz_checksum_crc32": "AAAAAA=="}], ids=str)
def test_an_upload_with_what_the_store_would_not_get_so_goes_through_us(make, fields):
    assert make(**REDIRECT, redirect_uploads="yes")("PUT", f"/films/a?{LINK}", b"bytes", **fields).status == 200


@pytest.mark.parametrize(("query", "fields"), [(f"&X-Amz-Content-Sha256={HASH}", {}), ("", {"x_amz_content_sha256": HASH})], ids=str)
def test_an_upload_by_a_link_that_says_which_body_it_is_for_goes_through_us(make, query, fields):
    assert make(**REDIRECT, redirect_uploads="yes")("PUT", f"/films/a?{LINK}{query}", b"bytes", **fields).status == 200


@pytest.mark.parametrize(("options", "said"), [({"offload": "accel"}, "accel_peers"), ({"offload": "redirect"}, "public")])
def test_what_is_missing_stops_the_start(make, options, said):
    with pytest.raises(ConfigError, match=said):
        make(**options)
