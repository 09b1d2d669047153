"""The door that asks who is there, in front of a scripted handler."""

import base64
import hashlib
import hmac
import io
import random
import tracemalloc
import wsgiref.util
from dataclasses import replace
from hashlib import sha256

import pytest
import webob
from hypothesis import given, settings
from hypothesis import strategies as st

from s3shunt import config
from s3shunt.config import ConfigError, Ini
from s3shunt.connect import House
from s3shunt.filters.sigv4 import KeyRing, Options, SigV4, Verified, factory
from s3shunt.model import ANONYMOUS, Grant, Identity, Key
from s3shunt.protocol import checksums, chunked, presigned, sigv4
from s3shunt.protocol.errors import (
    AccessDenied,
    AuthorizationHeaderMalformed,
    BadDigest,
    ExpiredToken,
    IncompleteBody,
    InvalidAccessKeyId,
    InvalidArgument,
    InvalidChunkSizeError,
    InvalidDigest,
    InvalidRequest,
    InvalidToken,
    InvalidURI,
    RequestTimeTooSkewed,
    S3Error,
    ServiceUnavailable,
    SignatureDoesNotMatch,
    XAmzContentSHA256Mismatch,
)
from s3shunt.testing.clock import HandClock
from s3shunt.wsgi import Body, Request, Response

KEY = Key(access_key="AK", secret_key="secret", account="films", grants=(Grant(),), store_access_key="SAK", store_secret_key="SSK")
SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


class Shelf:
    """Keys in a dict, that can be down."""

    def __init__(self, *keys):
        self.keys = {key.access_key: key for key in keys}
        self.down = False
        self.asked = 0

    def find(self, access_key):
        self.asked += 1
        if self.down:
            raise ServiceUnavailable
        return self.keys.get(access_key)


class Stage:
    """The door, its keys, its clock, and a handler that reads the body and keeps what it saw."""

    def __init__(self, tmp_path, *keys, **options):
        ini = tmp_path / "proxy.ini"
        ini.write_text("[DEFAULT]\n")
        self.clock = HandClock()
        self.house = House(Ini(ini, {}), self.clock)
        self.shelf = Shelf(*(keys or (KEY,)))
        self.house.put("keys", "main", self.shelf)
        self.door = SigV4(self.handler, config.read(Options, "filter:sigv4", options), self.house)
        self.request = None
        self.body = None

    def handler(self, request):
        self.request = request
        self.body = []
        for data in request.input:
            self.body.append(data)  # what came before an error counts
        return Response(status=200)

    def __call__(self, environ):
        self.request = self.body = None
        return self.door(Request(environ))

    def got(self):
        return None if self.body is None else b"".join(self.body)

    @property
    def now(self):
        return sigv4.timestamp(self.clock.now())


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


class Dribble:
    """A socket that gives what it likes, at most what is asked."""

    def __init__(self, data, rng=None):
        self.data = io.BytesIO(data)
        self.rng = rng

    def read(self, size=-1):
        return self.data.read(self.rng.randint(1, size) if self.rng and size > 1 else size)


def environ(method, target, headers, body=b"", *, framing="length", source=None):
    path, _, query = target.partition("?")
    found = {"REQUEST_METHOD": method, "RAW_URI": target, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": query}
    for name, value in headers.items():
        found["HTTP_" + name.upper().replace("-", "_")] = value
    if framing == "length":
        found["CONTENT_LENGTH"] = str(len(body))
    else:
        found["HTTP_TRANSFER_ENCODING"] = "chunked"
    return found | {"wsgi.input": source or Dribble(body), "wsgi.url_scheme": "http", "SERVER_NAME": "h", "SERVER_PORT": "80"}


def signed(stage, method="GET", target="/films/a", body=b"", payload=None, *, key=KEY, more=(), region="us-east-1", **framing):
    """An environ with an Authorization header over all its headers."""
    payload = sha256(body).hexdigest() if payload is None else payload
    headers = {"host": "s3.example", "x-amz-date": stage.now, "x-amz-content-sha256": payload, **dict(more)}
    path, _, query = target.partition("?")
    pairs = [part.partition("=")[::2] for part in query.split("&")] if query else []
    headers["authorization"] = sigv4.authorization(
        method, path, pairs, headers, payload, access_key=key.access_key, secret_key=key.secret_key, timestamp=stage.now, region=region
    )
    return environ(method, target, headers, body, **framing)


def url(stage, method="GET", target="/films/a", key=KEY, headers=(), body=b"", **more):
    headers = {"host": "s3.example", **dict(headers)}
    query = presigned.presign(
        method, target, [], headers, access_key=key.access_key, secret_key=key.secret_key, timestamp=stage.now, **more
    )
    return environ(method, f"{target}?{query}", headers, body)


# Who is asking


def test_a_signed_request_carries_its_identity(stage):
    assert stage(signed(stage)).status_int == 200
    assert stage.request.context.identity == Identity(
        access_key="AK", account="films", grants=(Grant(),), store_access_key="SAK", store_secret_key="SSK"
    )


def test_a_presigned_url_carries_its_identity_and_any_body(stage):
    stage(url(stage, "PUT", body=b"whatever"))
    assert stage.request.context.identity.account == "films"
    assert stage.got() == b"whatever"


def test_without_a_credential_one_is_anonymous(stage):
    stage(environ("PUT", "/films/a", {"host": "h"}, b"bytes"))
    assert stage.request.context.identity is ANONYMOUS
    assert stage.got() == b"bytes"


@pytest.mark.parametrize("secret", ["guess", sigv4.DUMMY_SECRET])
def test_an_unknown_key_is_unknown_whatever_it_signs_with(stage, secret):
    with pytest.raises(InvalidAccessKeyId):
        stage(signed(stage, key=replace(KEY, access_key="nobody", secret_key=secret)))
    assert stage.shelf.asked == 1
    assert stage.request is None


def test_a_disabled_key_is_as_good_as_unknown(tmp_path):
    stage = Stage(tmp_path, replace(KEY, disabled=True))
    with pytest.raises(InvalidAccessKeyId):
        stage(signed(stage))


def test_a_wrong_secret_and_a_changed_byte_are_refused(stage):
    with pytest.raises(SignatureDoesNotMatch):
        stage(signed(stage, key=replace(KEY, secret_key="guess")))
    moved = signed(stage)
    moved["RAW_URI"] = "/films/b"
    with pytest.raises(SignatureDoesNotMatch):
        stage(moved)


def test_a_pair_ends_when_it_expires(tmp_path):
    stage = Stage(tmp_path, replace(KEY, expires=HandClock().now() + 1000))
    stage(signed(stage))
    stage.clock.later(1000)
    with pytest.raises(ExpiredToken):
        stage(signed(stage))


def test_a_session_token_must_be_there_be_signed_and_be_the_keys(tmp_path):
    stage = Stage(tmp_path, replace(KEY, session_token="tok"))
    stage(signed(stage, more={"x-amz-security-token": "tok"}))
    stage(url(stage, session_token="tok"))
    for bad in (signed(stage), signed(stage, more={"x-amz-security-token": "kot"}), url(stage), url(stage, session_token="kot")):
        with pytest.raises(InvalidToken):
            stage(bad)
    with pytest.raises(AccessDenied, match="not signed"):
        stage(signed(stage) | {"HTTP_X_AMZ_SECURITY_TOKEN": "tok"})


def test_a_key_without_a_session_takes_no_token(stage):
    with pytest.raises(InvalidToken):
        stage(signed(stage, more={"x-amz-security-token": "tok"}))


@pytest.mark.parametrize("name", ["X_AMZ_COPY_SOURCE", "X_AMZ_ACL", "X_AMZ_META_A", "X_AMZ_STORAGE_CLASS"])
def test_an_unsigned_x_amz_header_is_refused_with_header_and_query_alike(stage, name):
    """CVE-2026-71191, CVE-2026-97731: a copy source slipped under a signature."""
    for good in (signed(stage, "PUT"), url(stage, "PUT")):
        with pytest.raises(AccessDenied, match="not signed"):
            stage(good | {f"HTTP_{name}": "/films/secret"})


def test_the_clock_may_be_off_by_the_skew(tmp_path):
    stage = Stage(tmp_path, skew="1m")
    early = signed(stage)
    stage.clock.later(60_000)
    stage(early)
    stage.clock.later(1)
    with pytest.raises(RequestTimeTooSkewed):
        stage(early)


def test_a_presigned_url_expires(stage):
    link = url(stage, expires=60)
    stage.clock.later(60_000)
    stage(link)
    stage.clock.later(1)
    with pytest.raises(AccessDenied, match="expired"):
        stage(link)


def test_the_region_is_ours_or_one_that_is_accepted(tmp_path):
    other = lambda stage: signed(stage, region="eu-west-1")
    stage = Stage(tmp_path)
    with pytest.raises(AuthorizationHeaderMalformed, match="expecting 'us-east-1'"):
        stage(other(stage))
    for regions in ("eu-west-1, eu-west-2", "any"):
        stage = Stage(tmp_path, regions=regions)
        stage(other(stage))
        stage(signed(stage))


def refused_requests(stage):
    good = signed(stage)
    yield InvalidRequest, good | {"HTTP_AUTHORIZATION": "AWS AK:c2ln"}
    yield InvalidRequest, environ("GET", "/films/a?AWSAccessKeyId=AK&Signature=c2ln&Expires=9", {"host": "h"})
    yield InvalidRequest, good | {"HTTP_AUTHORIZATION": good["HTTP_AUTHORIZATION"].replace("HMAC-SHA256", "ECDSA-P256-SHA256")}
    yield InvalidArgument, good | {"HTTP_AUTHORIZATION": "Bearer x"}
    yield InvalidArgument, url(stage) | {"HTTP_AUTHORIZATION": good["HTTP_AUTHORIZATION"]}
    yield InvalidRequest, {name: value for name, value in good.items() if name != "HTTP_X_AMZ_CONTENT_SHA256"}
    yield InvalidURI, good | {"RAW_URI": "/films/\xc3\xa9"}


def test_what_is_no_sigv4_is_refused(stage):
    for error, request in refused_requests(stage):
        with pytest.raises(error):
            stage(request)
        assert stage.request is None


# The raw target


def bare(stage, path):
    """As wsgiref and webob make it: the target is decoded, and what it was is lost."""
    good = signed(stage, target=path)
    found = webob.Request.blank(path).environ | {name: value for name, value in good.items() if name.startswith("HTTP_")}
    wsgiref.util.setup_testing_defaults(found)
    return found


def test_without_the_raw_target_a_plain_one_is_enough(stage):
    stage(bare(stage, "/films/a-b.mxf"))
    assert stage.request.context.identity.account == "films"


@pytest.mark.parametrize("path", ["/films/a%20b", "/films/%25", "/films//a", "/films/%C3%A9"])
def test_without_the_raw_target_nothing_is_guessed(stage, path):
    with pytest.raises(InvalidURI):
        stage(bare(stage, path))
    stage(signed(stage, target=path))


def test_an_encoded_slash_that_the_server_decoded_is_refused(stage):
    with pytest.raises(SignatureDoesNotMatch):
        stage(bare(stage, "/films/a%2Fb"))


def test_eventlets_name_of_the_raw_path_is_known(stage):
    good = signed(stage, target="/films/a%2Fb?versionId=1")
    del good["RAW_URI"]
    stage(good | {"RAW_PATH_INFO": "/films/a%2Fb"})
    assert stage.request.ref.key == "a/b"


# The body


def b64(digest):
    return base64.b64encode(digest).decode()


def crc32(data):
    running = checksums.for_header("x-amz-checksum-crc32")()
    running.update(data)
    return checksums.written(running)


def chunks_of(stage, request, pieces, key=KEY):
    """A body of signed chunks behind the seed signature of ``request``."""
    last = request["HTTP_AUTHORIZATION"].rpartition("=")[2]
    scope = sigv4.Scope(stage.now[:8], "us-east-1")
    body = b""
    for data in [*pieces, b""]:
        text = f"AWS4-HMAC-SHA256-PAYLOAD\n{stage.now}\n{scope}\n{last}\n{sigv4.EMPTY_SHA256}\n{sha256(data).hexdigest()}"
        last = sigv4.signing_key(key.secret_key, scope).sign(text)
        body += b"%x;chunk-signature=%s\r\n" % (len(data), last.encode()) + data + b"\r\n"
    return body


def unsigned_chunks(pieces, trailer):
    body = b"".join(b"%x\r\n%s\r\n" % (len(data), data) for data in pieces)
    return body + f"0\r\n{trailer[0]}:{trailer[1]}\r\n\r\n".encode()


FILM = random.Random(7).randbytes(200_000)


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("size", [0, 1, 65536, 200_000])
def test_a_body_that_is_what_was_signed_passes(stage, framing, size):
    body = FILM[:size]
    stage(signed(stage, "PUT", body=body, framing=framing))
    assert stage.got() == body
    assert stage.request.input.length == (size if framing == "length" else None)


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("place", [0, 100_000, 199_999])
def test_of_a_body_that_is_not_what_was_signed_the_end_is_never_given(stage, framing, place):
    body = bytearray(FILM)
    body[place] ^= 1
    request = signed(stage, "PUT", body=bytes(body), payload=sha256(FILM).hexdigest(), framing=framing)
    with pytest.raises(XAmzContentSHA256Mismatch):
        stage(request)
    assert len(stage.got()) < len(FILM)


def test_an_empty_body_is_verified_before_anybody_behind_is_asked(stage):
    with pytest.raises(XAmzContentSHA256Mismatch):
        stage(signed(stage, "PUT", payload=sha256(b"x").hexdigest()))
    assert stage.request is None
    with pytest.raises(BadDigest):
        stage(signed(stage, "PUT", more={"content-md5": b64(bytes(16))}))
    assert stage.request is None


def test_a_body_cut_short_is_incomplete(stage):
    for payload in (None, "UNSIGNED-PAYLOAD"):
        request = signed(stage, "PUT", body=FILM, payload=payload)
        request["wsgi.input"] = Dribble(FILM[:-1])
        with pytest.raises(IncompleteBody):
            stage(request)
        assert len(stage.got()) < len(FILM)


def test_an_unsigned_payload_passes_as_it_is(stage):
    stage(signed(stage, "PUT", body=FILM, payload="UNSIGNED-PAYLOAD"))
    assert stage.got() == FILM
    assert type(stage.request.input) is Body


@pytest.mark.parametrize("header", sorted(checksums.FACTORIES))
@pytest.mark.parametrize("payload", ["UNSIGNED-PAYLOAD", None])
def test_a_checksum_in_a_header_is_verified(stage, header, payload):
    running = checksums.for_header(header)()
    running.update(FILM)
    stage(signed(stage, "PUT", body=FILM, payload=payload, more={header: checksums.written(running)}))
    assert stage.got() == FILM
    assert stage.request.input.checksums == {header: checksums.written(running)}
    wrong = b64(bytes(len(running.digest())))
    with pytest.raises(BadDigest):
        stage(signed(stage, "PUT", body=FILM, payload=payload, more={header: wrong}))
    assert len(stage.got()) < len(FILM)


def test_a_checksum_that_is_none_is_refused_at_once(stage):
    with pytest.raises(InvalidDigest):
        stage(signed(stage, "PUT", body=FILM, more={"content-md5": "x"}))
    with pytest.raises(InvalidRequest):
        stage(signed(stage, "PUT", body=FILM, more={"x-amz-checksum-crc32": "x"}))
    assert stage.request is None


def test_the_checksum_on_complete_is_not_of_its_document(stage):
    body = b"<CompleteMultipartUpload/>"
    md5 = b64(hashlib.md5(body).digest())
    more = {"x-amz-checksum-crc32": "AAAAAA==-3", "content-md5": md5}
    stage(signed(stage, "POST", "/films/a?uploadId=u", body, more=more))
    assert stage.got() == body


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("declared", [True, False])
def test_signed_chunks_are_decoded(stage, framing, declared):
    more = {"x-amz-decoded-content-length": str(len(FILM))} if declared else {}
    request = signed(stage, "PUT", payload=SIGNED, more={"content-encoding": "aws-chunked", **more}, framing=framing)
    wire = chunks_of(stage, request, [FILM[:65536], FILM[65536:]])
    fit = {"CONTENT_LENGTH": str(len(wire))} if framing == "length" else {}
    stage(request | fit | {"wsgi.input": Dribble(wire, random.Random(1))})
    assert stage.got() == FILM
    assert stage.request.input.length == (len(FILM) if declared else None)
    assert stage.request.body_length == stage.request.input.length
    for place in (30, 120, 70_000, len(wire) - 10):
        forged = wire[:place] + bytes([wire[place] ^ 1]) + wire[place + 1 :]
        with pytest.raises(S3Error):
            stage(request | fit | {"wsgi.input": Dribble(forged)})
        assert len(stage.got() or b"") < len(FILM)


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_chunked_body_framed_well_but_without_its_end_is_incomplete(stage, framing, declared):
    """CVE-2026-49017: a cut aws-chunked body looped for ever."""
    more = {"x-amz-decoded-content-length": "70000"} if declared else {}
    request = signed(stage, "PUT", payload=SIGNED, more=more, framing=framing)
    wire = chunks_of(stage, request, [FILM[:65536], FILM[65536:70000]])
    for cut in (0, 10, 30_000, len(wire) - 91, len(wire) - 88, len(wire) - 2, len(wire) - 1):
        fit = {"CONTENT_LENGTH": str(cut)} if framing == "length" else {}
        with pytest.raises(IncompleteBody):
            stage(request | fit | {"wsgi.input": Dribble(wire[:cut])})
        assert len(stage.got()) < 70_000


def test_a_body_that_failed_in_the_middle_has_no_more_to_give(stage):
    request = signed(stage, "PUT", payload=SIGNED)
    wire = chunks_of(stage, request, [FILM[:65536], FILM[65536:131072], FILM[131072:]])
    forged = wire[:100] + bytes([wire[100] ^ 1]) + wire[101:]
    with pytest.raises(SignatureDoesNotMatch):
        stage(request | {"wsgi.input": Dribble(forged), "CONTENT_LENGTH": str(len(wire))})
    for _ in range(3):
        with pytest.raises(SignatureDoesNotMatch):
            stage.request.input.read(65536)
    assert stage.got() == b""


@pytest.mark.parametrize("name", sorted(set(checksums.FACTORIES) - {"content-md5"}))
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_trailing_checksums_are_verified(stage, name, framing):
    running = checksums.for_header(name)()
    running.update(FILM)
    good, wrong = checksums.written(running), b64(bytes(len(running.digest())))
    for value, error in [(good, None), (wrong, BadDigest), ("x", InvalidRequest)]:
        wire = unsigned_chunks([FILM[:65536], FILM[65536:]], (name, value))
        more = {"x-amz-trailer": name, "content-encoding": "aws-chunked", "x-amz-decoded-content-length": str(len(FILM))}
        request = signed(stage, "PUT", body=wire, payload=UNSIGNED_TRAILER, more=more, framing=framing)
        if error is None:
            stage(request)
            assert (stage.got(), stage.request.input.checksums) == (FILM, {name: good})
            continue
        with pytest.raises(error):
            stage(request)
        assert len(stage.got()) < len(FILM)


def test_an_empty_chunked_body_is_verified_before_anybody_behind_is_asked(stage):
    more = {"x-amz-trailer": "x-amz-checksum-crc32", "x-amz-decoded-content-length": "0"}
    stage(signed(stage, "PUT", body=unsigned_chunks([], ("x-amz-checksum-crc32", crc32(b""))), payload=UNSIGNED_TRAILER, more=more))
    assert stage.got() == b""
    with pytest.raises(BadDigest):
        stage(signed(stage, "PUT", body=unsigned_chunks([], ("x-amz-checksum-crc32", "AAAAAQ==")), payload=UNSIGNED_TRAILER, more=more))
    assert stage.request is None


def test_the_decoded_length_must_be_true(stage):
    wire = unsigned_chunks([b"abc"], ("x-amz-checksum-crc32", crc32(b"abc")))
    for length in ("2", "4", "0"):
        more = {"x-amz-trailer": "x-amz-checksum-crc32", "x-amz-decoded-content-length": length}
        with pytest.raises(IncompleteBody):
            stage(signed(stage, "PUT", body=wire, payload=UNSIGNED_TRAILER, more=more))
        assert stage.got() in (None, b"")


def test_small_chunks_are_refused_unless_the_operator_takes_them(tmp_path):
    wire = unsigned_chunks([b"abc", b"d"], ("x-amz-checksum-crc32", crc32(b"abcd")))
    request = lambda stage: signed(stage, "PUT", body=wire, payload=UNSIGNED_TRAILER, more={"x-amz-trailer": "x-amz-checksum-crc32"})
    stage = Stage(tmp_path)
    with pytest.raises(InvalidChunkSizeError):
        stage(request(stage))
    stage = Stage(tmp_path, min_chunk="0")
    stage(request(stage))
    assert stage.got() == b"abcd"


@pytest.mark.parametrize("mode", ["STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD", "anything", ""])
def test_the_signature_is_verified_before_the_mode_is_looked_at(stage, mode):
    """CVE-2025-31489, CVE-2026-40344, CVE-2026-41145: a body mode that skipped the signature."""
    with pytest.raises(InvalidArgument):
        stage(signed(stage, "PUT", payload=mode))
    with pytest.raises(SignatureDoesNotMatch):
        stage(signed(stage, "PUT", payload=mode, key=replace(KEY, secret_key="guess")))


@pytest.mark.parametrize("mode", [SIGNED, SIGNED + "-TRAILER", UNSIGNED_TRAILER, "UNSIGNED-PAYLOAD"])
def test_no_mode_makes_up_for_a_false_signature(stage, mode):
    wire = unsigned_chunks([b"abc"], ("x-amz-checksum-crc32", crc32(b"abc")))
    more = {"x-amz-trailer": "x-amz-checksum-crc32"}
    with pytest.raises(SignatureDoesNotMatch):
        stage(signed(stage, "PUT", body=wire, payload=mode, more=more, key=replace(KEY, secret_key="guess")))
    with pytest.raises(SignatureDoesNotMatch):
        bad = {"x-amz-content-sha256": mode, **more}
        stage(url(stage, "PUT", key=replace(KEY, secret_key="guess"), headers=bad, body=wire))


def test_an_sdk_that_signs_nothing_has_its_trailer_decoded_all_the_same(stage):
    wire = unsigned_chunks([b"abc"], ("x-amz-checksum-crc32", crc32(b"abc")))
    headers = {"host": "h", "x-amz-trailer": "x-amz-checksum-crc32", "content-encoding": "aws-chunked"}
    stage(environ("PUT", "/films/a", headers, wire))
    assert (stage.got(), stage.request.context.identity) == (b"abc", ANONYMOUS)
    with pytest.raises(AccessDenied):
        stage(environ("PUT", "/films/a", headers | {"x-amz-content-sha256": SIGNED + "-TRAILER"}, wire))


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 300_000), st.booleans(), st.booleans(), st.booleans())
def test_however_it_is_read_the_last_bytes_come_after_the_verification(seed, size, known, framed, honest):
    rng = random.Random(seed)
    data = rng.randbytes(size)
    digest = data if honest else data + b"x"
    decoder = chunked.Decoder(names=(), length=size if known else None, minimum=0) if framed else None
    wire = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces(data, rng)) + b"0\r\n\r\n" if framed else data
    inner = Body(Dribble(wire, rng), len(wire) if known else None, chunked=not known)
    body = Verified(inner, size if known else None, decoder, checksums.promised({}, (), sha256(digest).digest(), of_object=False))
    got = b""
    try:
        while piece := body.read(rng.choice([1, 7, 1000, 65536, 10**6]) if len(got) < 50 else 65536):
            got += piece
    except XAmzContentSHA256Mismatch:
        assert not honest
        assert len(got) < size or size == 0
        with pytest.raises(XAmzContentSHA256Mismatch):
            body.read(1)
        return
    assert honest
    assert got == data
    assert body.read(1) == b""


def pieces(data, rng):
    while data:
        size = rng.randint(1, 100_000)
        yield data[:size]
        data = data[size:]


# The keys


def test_a_key_is_believed_for_the_cache_time_and_no_longer(stage):
    stage(signed(stage))
    stage.shelf.keys.clear()
    stage.clock.later(9_999)
    stage(signed(stage))
    assert stage.shelf.asked == 1
    stage.clock.later(1)
    with pytest.raises(InvalidAccessKeyId):
        stage(signed(stage))


def test_a_new_key_is_known_within_a_second(stage):
    new = replace(KEY, access_key="new")
    with pytest.raises(InvalidAccessKeyId):
        stage(signed(stage, key=new))
    stage.shelf.keys["new"] = new
    stage.clock.later(1000)
    stage(signed(stage, key=new))


def test_when_the_source_is_down_only_strangers_wait(stage):
    stage(signed(stage))
    stage.shelf.down = True
    stage.clock.later(60_000)
    stage(signed(stage))
    stage(signed(stage))
    assert stage.shelf.asked == 2, "a source that is down is not asked for every request"
    with pytest.raises(ServiceUnavailable):
        stage(signed(stage, key=replace(KEY, access_key="stranger")))
    stage.shelf.down, stage.shelf.keys["AK"] = False, replace(KEY, disabled=True)
    stage.clock.later(1000)
    with pytest.raises(InvalidAccessKeyId):
        stage(signed(stage))


def test_strangers_cannot_fill_the_memory():
    ring = KeyRing(Shelf(KEY), 10_000)
    ring.find("AK", 0)
    for number in range(KeyRing.SIZE + 10):
        ring.find(f"stranger{number}", 0)
    assert len(ring._kept) <= KeyRing.SIZE
    assert "AK" in ring._kept
    ring.find("x" * 8000, 1)
    assert not [name for name in ring._kept if len(name) > KeyRing.LONGEST]


# The section


def test_a_key_may_not_be_believed_for_more_than_a_minute():
    with pytest.raises(ConfigError, match="at most 60s"):
        config.read(Options, "filter:sigv4", {"cache": "61s"})


def test_the_door_is_made_by_its_factory():
    assert factory.options is Options
    assert factory.make is SigV4


def test_the_signature_of_a_test_is_not_made_by_what_it_tests(stage):
    """One request signed by hand, from AWS's text alone."""
    text = f"GET\n/films/a\n\nhost:s3.example\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:{stage.now}\n\n"
    text += "host;x-amz-content-sha256;x-amz-date\nUNSIGNED-PAYLOAD"
    day = stage.now[:8]
    key = b"AWS4secret"
    for part in (day, "us-east-1", "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    to_sign = f"AWS4-HMAC-SHA256\n{stage.now}\n{day}/us-east-1/s3/aws4_request\n{sha256(text.encode()).hexdigest()}"
    value = f"AWS4-HMAC-SHA256 Credential=AK/{day}/us-east-1/s3/aws4_request,SignedHeaders=host;x-amz-content-sha256;x-amz-date,"
    value += f"Signature={hmac.digest(key, to_sign.encode(), 'sha256').hex()}"
    headers = {"host": "s3.example", "x-amz-content-sha256": "UNSIGNED-PAYLOAD", "x-amz-date": stage.now, "authorization": value}
    stage(environ("GET", "/films/a", headers))
    assert stage.request.context.identity.account == "films"


# The fast path


USUAL = ["/films/a", "/films/r%C3%A9els/b%20c", "/films//.x/", "/", "/films/a?uploadId=u&partNumber=1", "/films?list-type=2&prefix=a&acl="]
TARGETS = ["/films/a", "/films/a%2fb", "/films/a+b", "/films/%C3%A9?versionId=1", "/films/a?response-content-type=x%2Fy&a-b=1"]
HEADERS = ["content-type", "range", "x-amz-meta-a", "x-amz-acl", "content-md5", "x-amz-checksum-crc32", "if-match"]


def by_the_fast_path(stage, environ):
    return stage.door.fast.key(Request(dict(environ)), stage.clock.now())


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("target", USUAL)
def test_what_is_signed_as_usual_takes_the_fast_path(stage, method, target):
    header, unsigned = signed(stage, method, target), signed(stage, method, target, payload="UNSIGNED-PAYLOAD")
    for request in (header, unsigned, *([] if "?" in target else [url(stage, method, target)])):
        assert by_the_fast_path(stage, request | {"HTTP_USER_AGENT": "x", "HTTP_RANGE": "bytes=0-1"}) == (KEY, True)


def test_a_body_and_what_is_promised_of_it_are_looked_at_after_the_fast_path(stage):
    body, sums = signed(stage, "PUT", body=b"x"), signed(stage, "PUT", more={"content-md5": b64(bytes(16))})
    for request in (body, sums, signed(stage, payload="0" * 64)):
        assert by_the_fast_path(stage, request) == (KEY, False)
    sdk = url(stage, "PUT", headers={"x-amz-trailer": "x-amz-checksum-crc32"}, body=b"x")
    assert by_the_fast_path(stage, sdk) == (KEY, False)
    chunked_body = signed(stage, "PUT", more={"transfer-encoding": "chunked"})
    assert by_the_fast_path(stage, chunked_body) == (KEY, False)


def by_hand(stage, headers, date, scope_date):
    """Signed with another day in the scope, or with other headers, than a client of ours would."""
    names = tuple(sorted(headers))
    scope = sigv4.Scope(scope_date, "us-east-1")
    text = sigv4.canonical_request(("GET", "/films/a", ""), headers, names, "UNSIGNED-PAYLOAD")
    signature = sigv4.signing_key("secret", scope).sign(sigv4.string_to_sign(text, date, scope))
    value = f"AWS4-HMAC-SHA256 Credential=AK/{scope}, SignedHeaders={';'.join(names)}, Signature={signature}"
    return environ("GET", "/films/a", {"host": "h", **headers, "authorization": value})


def without_host(stage):
    return by_hand(stage, {"x-amz-date": stage.now, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}, stage.now, stage.now[:8])


def of_another_day(stage, day="20260104"):
    return by_hand(stage, {"host": "h", "x-amz-date": stage.now, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}, stage.now, day)


def signed_at(stage, moment):
    date = sigv4.timestamp(moment)
    return by_hand(stage, {"host": "h", "x-amz-date": date, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}, date, date[:8])


def test_what_is_signed_by_hand_for_these_tests_is_signed_well(stage):
    assert by_the_fast_path(stage, signed_at(stage, stage.clock.now() + 900_000)) == (KEY, True)
    assert by_the_fast_path(stage, of_another_day(stage, stage.now[:8])) == (KEY, True)


def test_a_link_from_the_future_takes_the_slow_path(stage):
    link = url(stage)
    stage.clock.later(-900_001)
    assert by_the_fast_path(stage, link) == (None, False)
    stage.clock.later(1)
    assert by_the_fast_path(stage, link) == (KEY, True)


def test_a_body_where_none_was_signed_is_refused(stage):
    with pytest.raises(XAmzContentSHA256Mismatch):
        stage(signed(stage, "PUT", body=b"x", payload=sigv4.EMPTY_SHA256))


def unusual(stage):
    good, link = signed(stage), url(stage)
    yield "nobody", environ("GET", "/films/a", {"host": "h"})
    yield "both", good | {"RAW_URI": link["RAW_URI"]}
    yield "unsigned", good | {"HTTP_X_AMZ_ACL": "private"}
    yield "unsigned in a link", link | {"HTTP_X_AMZ_SECURITY_TOKEN": "t"}
    yield "promise", good | {"HTTP_CONTENT_MD5": "x"}
    yield "promise with a link", link | {"HTTP_TRANSFER_ENCODING": "chunked"}
    yield "two of a name", link | {"HTTP_CONTENT_LENGTH": "0"}
    yield "underscore", signed(stage, more={"x-amz-meta-a_b": "1"})
    yield "spaces", signed(stage, more={"x-amz-meta-a": "a  b"})
    yield "bytes", signed(stage, more={"x-amz-meta-a": "\xc3\xa9"})
    yield "region", signed(stage, region="eu-west-1")
    yield "hoisted", environ("GET", link["RAW_URI"].replace("?", "?x-amz-acl=private&"), {"host": "s3.example"})
    yield "SigV2", environ("GET", link["RAW_URI"].replace("?", "?Signature=c2ln&"), {"host": "s3.example"})
    yield "twice", environ("GET", link["RAW_URI"] + "&X-Amz-Date=" + stage.now, {"host": "s3.example"})
    yield "longer", link | {"RAW_URI": link["RAW_URI"] + "0"}
    yield "host", without_host(stage)
    yield "another day", of_another_day(stage)
    for shift in (-901_000, 901_000):
        yield "time", signed_at(stage, stage.clock.now() + shift)
    yield "agreed", url(stage, headers={"x-amz-content-sha256": "UNSIGNED-PAYLOAD"})
    for parameter in ("Signature=c2ln", "AWSAccessKeyId=AK", "X-Amz-Date=1", "x-amz-signature=0"):
        yield parameter, signed(stage, target=f"/films/a?{parameter}")
    yield "canonical", signed(stage, target="/films/a%2Fb") | {"RAW_URI": "/films/a%2fb"}


def test_what_is_out_of_the_ordinary_takes_the_slow_path(stage):
    for what, request in unusual(stage):
        assert by_the_fast_path(stage, request) == (None, False), what
        assert outcome(stage, request) == by_the_slow_path(stage, request), what


def outcome(stage, request):
    """All that one can see of what the door made of a request."""
    request = dict(request) | {"wsgi.input": Dribble(b"")}
    try:
        stage(request)
    except S3Error as error:
        return type(error), error.details, str(error)
    said = stage.request
    kept = {name: value for name, value in said.environ.items() if name != "wsgi.input"}
    return said.context.identity, said.query, said.parameters, stage.got(), kept


def by_the_slow_path(stage, request):
    fast, stage.door.fast = stage.door.fast, NoFastPath()
    try:
        return outcome(stage, request)
    finally:
        stage.door.fast = fast


class NoFastPath:
    def key(self, request, now):
        return None, False


def some_request(stage, rng):
    target, names = rng.choice(TARGETS), rng.sample(HEADERS, rng.randrange(3))
    more = {name: rng.choice(["1", "a b", " a", "\xc3\xa9", "", "AAAAAA=="]) for name in names}
    path, _, query = target.partition("?")
    if rng.random() < 0.5:
        return signed(stage, rng.choice(["GET", "PUT"]), target, payload=rng.choice([None, "UNSIGNED-PAYLOAD", "0" * 64]), more=more)
    headers = {"host": "s3.example", **more}
    pairs = [(name, value.replace("%2F", "/")) for name, _, value in (part.partition("=") for part in query.split("&") if part)]
    keys = {"access_key": "AK", "secret_key": "secret", "timestamp": stage.now, "session_token": rng.choice([None, None, "tok"])}
    link = presigned.presign("GET", path, pairs, headers, **keys)
    parts = link.split("&")
    if rng.random() < 0.5:
        rng.shuffle(parts)
    return environ("GET", f"{path}?{'&'.join(parts)}", headers)


def somehow_changed(request, rng):
    """One bit of one part of it, a part more or a part less."""
    changed = dict(request)
    name = rng.choice([name for name in request if name.startswith("HTTP_") or name in ("RAW_URI", "REQUEST_METHOD", "CONTENT_LENGTH")])
    how = rng.randrange(6)
    if how == 0:
        changed[rng.choice(["HTTP_X_AMZ_ACL", "HTTP_X_AMZ_SECURITY_TOKEN", "HTTP_CONTENT_MD5", "HTTP_USER_AGENT"])] = "x"
    elif how == 1 and name != "REQUEST_METHOD":
        del changed[name]
    elif changed[name]:
        place = rng.randrange(len(changed[name]))
        flipped = chr(ord(changed[name][place]) ^ 1 << rng.randrange(7))
        changed[name] = changed[name][:place] + rng.choice([flipped, flipped, "", changed[name][place] * 2]) + changed[name][place + 1 :]
    return changed


def test_both_ways_come_to_the_same_whatever_is_sent(tmp_path):
    rng, fast = random.Random(20261120), 0
    stage = Stage(tmp_path)
    for _ in range(1500):
        request = some_request(stage, rng)
        stage.clock.later(rng.choice([0, 0, 0, 1000, 900_000, 900_001]))
        for sent in (request, *(somehow_changed(request, rng) for _ in range(3))):
            assert outcome(stage, sent) == by_the_slow_path(stage, sent), sent
        fast += by_the_fast_path(stage, request)[0] is not None
    assert fast > 300


def test_a_flipped_bit_anywhere_in_what_was_signed_is_refused(stage):
    """Of each part each character, after the same request has passed. A link without its '?' is a key that nobody signed."""
    for request in (signed(stage), url(stage)):
        stage(dict(request))
        parts = ["REQUEST_METHOD", "RAW_URI", *(name for name in request if name.startswith("HTTP_"))]
        for name in parts:
            for place in range(len(request[name])):
                value = request[name][:place] + chr(ord(request[name][place]) ^ 1) + request[name][place + 1 :]
                if outcome(stage, request | {name: value})[0] is not ANONYMOUS:
                    assert stage.request is None, (name, value)


@pytest.mark.parametrize("ask", [signed, url])
def test_what_is_remembered_never_outlives_a_key(stage, ask):
    """Disabled, rotated, taken away, over: refused as soon as the ring knows, on the same connection or another."""
    for after, error in [
        (replace(KEY, disabled=True), InvalidAccessKeyId),
        (replace(KEY, secret_key="rotated"), SignatureDoesNotMatch),
        (None, InvalidAccessKeyId),
        (replace(KEY, expires=0), ExpiredToken),
        (replace(KEY, session_token="tok"), InvalidToken),
    ]:
        stage.shelf.keys["AK"] = KEY
        stage.clock.later(10_000)
        assert by_the_fast_path(stage, ask(stage)) == (KEY, True)
        stage.shelf.keys["AK"] = after
        stage.clock.later(9_999)
        stage(ask(stage))
        stage.clock.later(1)
        with pytest.raises(error):
            stage(ask(stage))


def test_a_rotated_key_brings_its_new_rights(stage):
    stage(signed(stage))
    stage.shelf.keys["AK"] = replace(KEY, account="others")
    stage.clock.later(10_000)
    stage(signed(stage))
    assert stage.request.context.identity.account == "others"


def test_what_strangers_sign_takes_next_to_no_room(stage):
    fast = stage.door.fast
    tracemalloc.start()
    try:
        for number in range(1200):
            headers = {"host": "h", **{f"x-{number}-{each}": "v" for each in range(60)}, f"x-{number}-{'y' * 4000}": ""}
            for names in (";".join(sorted(headers)), "host"):
                day = f"AK{number}/{stage.now[:8]}/us-east-1/s3/aws4_request"
                value = f"AWS4-HMAC-SHA256 Credential={day}, SignedHeaders={names}, Signature={'0' * 64}"
                request = environ("GET", "/", {**headers, "x-amz-date": stage.now, "authorization": value})
                fast.key(Request(request), stage.clock.now())
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 24 << 20
