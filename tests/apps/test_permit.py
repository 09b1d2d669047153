"""May an upload go to the store without us: what nginx is told."""

from dataclasses import replace

import pytest

from s3shunt import config, connect
from s3shunt.apps.permit import Options, Permit
from s3shunt.config import Ini
from s3shunt.context import Decision
from s3shunt.filters.errors import Errors
from s3shunt.filters.errors import Options as ErrorsOptions
from s3shunt.model import Identity, ObjectRef
from s3shunt.protocol import sigv4
from s3shunt.protocol.errors import AccessDenied
from s3shunt.testing.client import call, environ
from s3shunt.testing.clock import HandClock
from s3shunt.wsgi import Application

PEER = "10.0.0.9"
HASH = "a" * 64
UNSIGNED = {"x_amz_content_sha256": "UNSIGNED-PAYLOAD"}


class Upstream:
    region, endpoint = "eu-west-1", "http://store:9000"

    def credential(self, account):
        if account != "desk":
            raise AccessDenied
        return "STOREKEY", "store-secret"


class Unread:
    """A body that is not there: nginx keeps it."""

    def read(self, size=-1):
        raise AssertionError("nobody reads it")


class Site:
    def __init__(self, tmp, **options):
        (tmp / "ini").write_text(f"[DEFAULT]\nstate = {tmp}/state\n")
        self.house = connect.House(Ini(tmp / "ini", {}), HandClock())
        self.house.put("store", "main", Upstream())
        self.permit = Permit(config.read(Options, "app:permit", {"peers": PEER, **options}), self.house)
        self.app = Application(Errors(self.doors, ErrorsOptions()))
        self.identity = Identity(access_key="AK", account="desk", grants=None)
        self.plain, self.decide, self.context = True, lambda decision: decision, None

    def doors(self, request):
        self.context = request.context
        request.context.plain = self.plain
        request.at(replace(request.ref, account="desk"))
        request.context.decision = self.decide(Decision(self.identity, request.operation, request.ref, frozenset({request.ref})))
        return self.permit(request)

    def __call__(self, method="PUT", target="/films/a%20b", peer=PEER, **fields):
        given = environ(method, target, b"", {"content-length": "5", **{name.replace("_", "-"): text for name, text in fields.items()}})
        return call(self.app, given | {"REMOTE_ADDR": peer, "wsgi.input": Unread()})


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_nginx_is_told_what_signs_the_upload_that_it_holds(site):
    fields = {"content_type": "a/b", "x_amz_meta_title": "b  c", "authorization": "CLIENT", "x_amz_date": "CLIENT", "user_agent": "x"}
    answer = site(**fields, **UNSIGNED)
    told = {name.removeprefix("x-s3shunt-"): value for name, value in answer.headers.items() if name.startswith("x-s3shunt-")}
    assert (answer.status, told.pop("target")) == (204, "/films/a%20b")
    authorization = told.pop("authorization")
    assert told == {"host": "store:9000", "x-amz-date": told["x-amz-date"], "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    sent = {**told, "content-type": "a/b", "x-amz-meta-title": "b  c"}
    assert authorization == sigv4.authorization(
        "PUT", "/films/a%20b", [], sent, "UNSIGNED-PAYLOAD",
        access_key="STOREKEY", secret_key="store-secret", timestamp=told["x-amz-date"], region="eu-west-1",
    )  # fmt: skip
    assert site.context.notes["offload"] == "permit"


def test_a_callers_own_key_at_the_store_signs(site):
    site.identity = replace(site.identity, store_access_key="OWN", store_secret_key="own")
    assert "Credential=OWN/" in site(**UNSIGNED).headers["x-s3shunt-authorization"]


@pytest.mark.parametrize(
    "asked",
    [
        {"method": "GET"}, {"method": "DELETE"}, {"target": "/films"}, {"target": "/films/a?partNumber=1&uploadId=x"},
        {"target": "/films/a?tagging"}, {"x_amz_copy_source": "/a/b"}, {"x_amz_storage_class": "GLACIER"}, {"x_amz_checksum_crc32": "x"},
        {"content_encoding": "aws-chunked"}, {"transfer_encoding": "chunked"}, {"x_copy_from": "/a/b"}, {"x_amz_meta_a": ""},
        {"x_amz_content_sha256": HASH}, {"x_amz_content_sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}, {"x_amz_content_sha256": ""},
        {"target": "/films/a?X-Amz-Signature=x&x-amz-meta-a=1"},
    ],
    ids=str,
)  # fmt: skip
def test_whatever_else_goes_through_us(site, asked):
    answer = site(**{**UNSIGNED, **asked})
    assert (answer.status, answer.body) == (401, b"")
    assert not [name for name in answer.headers if name.startswith("x-s3shunt")]


def test_a_bucket_of_which_something_is_to_be_recorded_goes_through_us(site):
    site.plain = False
    assert site(**UNSIGNED).status == 401


def test_a_presigned_link_says_nothing_of_the_body(site):
    answer = site(target="/films/a?X-Amz-Signature=x&X-Amz-Date=x&x-id=PutObject")
    assert (answer.status, answer.headers["x-s3shunt-target"]) == (204, "/films/a")


def test_a_link_that_says_which_body_it_is_for_holds_for_no_other(tmp_path):
    link = f"/films/a?X-Amz-Signature=x&X-Amz-Date=x&X-Amz-Content-Sha256={HASH}"
    assert Site(tmp_path)(target=link).status == 401
    answer = Site(tmp_path, verifies="sha256")(target=link)
    assert (answer.status, answer.headers["x-s3shunt-x-amz-content-sha256"]) == (204, HASH)


def test_the_sha256_of_a_body_goes_to_a_store_that_checks_it(tmp_path):
    answer = Site(tmp_path, verifies="sha256")(x_amz_content_sha256=HASH)
    assert (answer.status, answer.headers["x-s3shunt-x-amz-content-sha256"]) == (204, HASH)
    assert Site(tmp_path, verifies="sha256")(x_amz_content_sha256=HASH.upper()).status == 401
    assert Site(tmp_path, verifies="checksums, trailers")(x_amz_content_sha256=HASH).status == 401


def test_checksums_go_to_a_store_that_checks_them(tmp_path):
    asked = {**UNSIGNED, "x_amz_checksum_crc32": "AAAAAA==", "x_amz_sdk_checksum_algorithm": "CRC32"}
    assert Site(tmp_path, verifies="checksums")(**asked).status == 204
    assert Site(tmp_path, verifies="sha256 trailers")(**asked).status == 401


FRAMED = {
    "x_amz_content_sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    "x_amz_trailer": "x-amz-checksum-crc32", "x_amz_decoded_content_length": "5",
    "content_encoding": "gzip,aws-chunked", "x_amz_sdk_checksum_algorithm": "CRC32",
}  # fmt: skip


def test_trailers_go_framed_as_they_are_to_a_store_that_checks_them(tmp_path):
    answer = Site(tmp_path, verifies="trailers")(**FRAMED)
    told = {name.removeprefix("x-s3shunt-"): value for name, value in answer.headers.items() if name.startswith("x-s3shunt-")}
    names = told["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    assert (answer.status, told["x-amz-content-sha256"]) == (204, FRAMED["x_amz_content_sha256"])
    assert {"content-encoding", "x-amz-trailer", "x-amz-decoded-content-length", "x-amz-sdk-checksum-algorithm"} <= set(names)
    sent = {name.replace("_", "-"): value for name, value in FRAMED.items()} | {"host": "store:9000", "x-amz-date": told["x-amz-date"]}
    assert told["authorization"] == sigv4.authorization(
        "PUT", "/films/a%20b", [], sent, FRAMED["x_amz_content_sha256"],
        access_key="STOREKEY", secret_key="store-secret", timestamp=told["x-amz-date"], region="eu-west-1",
    )  # fmt: skip
    assert Site(tmp_path, verifies="sha256 checksums")(**FRAMED).status == 401
    signed_chunks = {**FRAMED, "x_amz_content_sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"}
    assert Site(tmp_path, verifies="sha256 checksums trailers")(**signed_chunks).status == 401


def test_what_a_store_cannot_be_said_to_verify_stops_the_start(tmp_path):
    with pytest.raises(config.ConfigError, match="sha256, checksums, trailers"):
        Site(tmp_path, verifies="md5")

@pytest.mark.parametrize("peer", ["10.0.0.8", "", "::1"])
def test_nobody_but_nginx_may_ask(site, peer):
    answer = site(peer=peer, x_forwarded_for=PEER, **UNSIGNED)
    assert (answer.status, answer.code) == (403, "AccessDenied")


@pytest.mark.parametrize(
    "decide",
    [
        lambda decision: None,
        lambda decision: replace(decision, ref=ObjectRef("films", "other", account="desk")),
        lambda decision: replace(decision, denied=frozenset({decision.ref})),
        lambda decision: replace(decision, identity=replace(decision.identity, account="other")),
    ],
    ids=["none", "of another object", "a refusal", "an account that the store does not know"],
)
def test_without_a_decision_for_it_nothing_is_allowed(site, decide):
    site.decide = decide
    answer = site(**UNSIGNED)
    assert (answer.status, answer.code) == (403, "AccessDenied")
