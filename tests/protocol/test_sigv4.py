"""The signature against the published examples, against botocore and awscrt as oracles, and against every single change."""

import random
import tracemalloc
from urllib.parse import quote

import pytest
from awscrt import auth as crt
from awscrt.http import HttpHeaders, HttpRequest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from s3shunt.protocol import addressing, presigned, sigv4
from s3shunt.protocol.errors import (
    AccessDenied,
    AuthorizationHeaderMalformed,
    InvalidArgument,
    InvalidRequest,
    RequestTimeTooSkewed,
    S3Error,
    SignatureDoesNotMatch,
)

AK, SK = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
DATE = "20130524T000000Z"
HOST = "examplebucket.s3.amazonaws.com"
SEED = 20260105
ORACLE = 10_000
MUTATED = 600

SEGMENTS = ["a", "b c", "+", "~", "%", "%2F", ".", "..", "", "&=?", "é", "à", "日本", "a-b", "x%20y", "*'()!", "A:B@C", "#;,", '"<>\\^`{|}']
NAMES = ["a", "a-b", "a.b", "A", "prefix", "list-type", "versionId", "é", "x y", "%", "a+b", "uploads", "~", "="]
VALUES = ["", "1", "b c", "a+b", "%2F", "/", "é=&?", "~", "a-b", "日本", "//", ".."]
TEXTS = ["1", "a  b", " lead", "trail ", "tab\there", "é à", "日本", "a,b", "x" * 70, "", 'q="1"; w']


def headers_for(payload, **more):
    return {"host": HOST, "x-amz-content-sha256": payload, "x-amz-date": DATE} | more


def put_example():
    payload = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
    more = {"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"}
    return headers_for(payload, **more), payload


EXAMPLES = [
    ("GET", "/test.txt", [], headers_for(sigv4.EMPTY_SHA256, range="bytes=0-9"), sigv4.EMPTY_SHA256,
     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
    ("PUT", "/test%24file.text", [], *put_example(), "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
    ("GET", "/", [("lifecycle", "")], headers_for(sigv4.EMPTY_SHA256), sigv4.EMPTY_SHA256,
     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
    ("GET", "/", [("max-keys", "2"), ("prefix", "J")], headers_for(sigv4.EMPTY_SHA256), sigv4.EMPTY_SHA256,
     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
]  # fmt: skip


@pytest.mark.parametrize("example", EXAMPLES, ids=["get range", "put", "lifecycle", "list"])
def test_the_published_examples_are_signed_and_verified(example):
    method, path, query, headers, payload, signature = example
    value = sigv4.authorization(method, path, query, headers, payload, access_key=AK, secret_key=SK, timestamp=DATE)
    assert value.endswith(f"Signature={signature}")
    credential = sigv4.from_header(value, headers)
    sigv4.verify(credential, SK, sigv4.Sent(method, path, sigv4.canonical_query(query), query, headers))
    with pytest.raises(SignatureDoesNotMatch):
        sigv4.verify(credential, SK + "x", sigv4.Sent(method, path, "", query, headers))


# botocore as the oracle


class Case:
    """One random request, as sent and as a WSGI server sees it."""

    def __init__(self, rng):
        self.method = rng.choice(["GET", "PUT", "HEAD", "POST", "DELETE"])
        key = "/".join(rng.choice(SEGMENTS) for _ in range(rng.randrange(1, 5)))
        pairs = [(rng.choice(NAMES), rng.choice(VALUES)) for _ in range(rng.randrange(4))]
        write = rng.choice([canonical, canonical, untidy])
        self.path = "/bucket/" + write(key, rng, "/~")
        self.query = "&".join(f"{write(n, rng, '~')}={write(v, rng, '~')}" for n, v in pairs)
        self.host = rng.choice([HOST, "127.0.0.1:8080", "Bucket.Example.ORG", "[::1]:80"])
        self.region = rng.choice(["us-east-1", "eu-central-1", "any_where"])
        self.payload = b"x" * rng.randrange(3)
        names = rng.sample(["x-amz-meta-a", "x-amz-meta-a-b", "content-type", "range", "content-md5", "x-amz-acl"], rng.randrange(4))
        self.headers = {name: rng.choice(TEXTS) for name in names}

    @property
    def target(self):
        return f"{self.path}?{self.query}" if self.query else self.path


def canonical(text, _rng, safe):
    return quote(text, safe=safe)


def untidy(text, rng, safe):
    """Encoded in one of the ways that mean the same: lower-case hex, more than needed, less than canonical."""
    written = "".join(f"%{b:02x}" if rng.random() < 0.2 and b not in b"/" else quote(bytes([b]), safe=safe) for b in text.encode())
    return written.replace("%2B", "+") if "/" not in safe or rng.random() < 0.5 else written.replace("%28", "(").replace("%21", "!")


def oracle_header(case):
    request = AWSRequest(case.method, f"http://{case.host}{case.target}", headers=dict(case.headers), data=case.payload)
    request.headers["host"] = case.host
    S3SigV4Auth(Credentials(AK, SK), "s3", case.region).add_auth(request)
    return {name.lower(): wsgi(value) for name, value in request.headers.items()}, case.target


def oracle_query(case):
    """botocore writes the query itself and knows no repeated names."""
    pairs = dict(addressing.query(case.query))
    request = AWSRequest(case.method, f"http://{case.host}{case.path}", headers=dict(case.headers), params=pairs)
    request.headers["host"] = case.host
    S3SigV4QueryAuth(Credentials(AK, SK, "tok/en+=" if case.payload else None), "s3", case.region, expires=77).add_auth(request)
    target = request.url.removeprefix(f"http://{case.host}")
    return {name.lower(): wsgi(value) for name, value in request.headers.items()}, target


def wsgi(value):
    return value.encode().decode("latin-1")


def check(method, target, headers, secret=SK):
    """What the filter does with a request, time and key source apart."""
    pairs = addressing.query(target.partition("?")[2])
    credential = presigned.claimed(pairs, headers)
    sigv4.check_signed(credential, headers)
    sigv4.verify(credential, secret, presigned.sent(credential, method, target, pairs, headers))
    return credential


@pytest.mark.parametrize(("oracle", "seed"), [(oracle_header, SEED), (oracle_query, SEED + 1)], ids=["header", "presigned"])
def test_what_botocore_signs_is_verified(oracle, seed):
    rng = random.Random(seed)
    disagreements = []
    for number in range(ORACLE):
        case = Case(rng)
        headers, target = oracle(case)
        try:
            check(case.method, target, headers)
        except S3Error as error:
            disagreements.append((seed, number, case.method, target, headers, repr(error)))
    assert not disagreements, f"{len(disagreements)} of {ORACLE}: {disagreements[:3]}"


def test_we_sign_exactly_as_botocore_does():
    rng = random.Random(SEED + 2)
    for number in range(2000):
        case = Case(rng)
        pairs = addressing.query(case.query)
        path = sigv4.canonical_path(case.path)
        request = AWSRequest(case.method, f"http://{case.host}{path}", headers=dict(case.headers), data=case.payload, params=pairs)
        request.headers["host"] = case.host
        S3SigV4Auth(Credentials(AK, SK), "s3", case.region).add_auth(request)
        headers = {name.lower(): wsgi(value) for name, value in request.headers.items()}
        wanted = headers.pop("authorization")
        ours = sigv4.authorization(
            case.method, path, pairs, headers, headers["x-amz-content-sha256"],
            access_key=AK, secret_key=SK, timestamp=headers["x-amz-date"], region=case.region,
        )  # fmt: skip
        assert ours == wanted, (SEED + 2, number)


def test_what_awscrt_signs_is_verified():
    """The signer of the newer SDKs: query canonical, path as sent. A bare '+' in a query it takes for a plus, S3 for a space."""
    rng, verified = random.Random(SEED + 4), 0
    for number in range(3000):
        case = Case(rng)
        if "+" in case.query:
            continue
        headers, target = oracle_crt(case, in_query=bool(number % 2))
        check(case.method, target, headers)
        verified += 1
    assert verified > 2000


def oracle_crt(case, *, in_query):
    kind = crt.AwsSignatureType
    config = crt.AwsSigningConfig(
        algorithm=crt.AwsSigningAlgorithm.V4,
        signature_type=kind.HTTP_REQUEST_QUERY_PARAMS if in_query else kind.HTTP_REQUEST_HEADERS,
        credentials_provider=crt.AwsCredentialsProvider.new_static(AK, SK),
        region=case.region,
        service="s3",
        use_double_uri_encode=False,
        should_normalize_uri_path=False,
        signed_body_value="UNSIGNED-PAYLOAD",
        signed_body_header_type=crt.AwsSignedBodyHeaderType.NONE if in_query else crt.AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256,
        expiration_in_seconds=77 if in_query else None,
    )
    request = HttpRequest(case.method, case.target, HttpHeaders([("host", case.host), *case.headers.items()]))
    crt.aws_sign_request(request, config).result(10)
    return {name.lower(): wsgi(value) for name, value in request.headers}, request.path


def mutations(method, target, headers):
    """Every request that differs in one field and in what it means."""
    path, _, query = target.partition("?")
    parts = query.split("&") if query else []
    yield "method", ("PATCH", target, headers)
    yield "path longer", (method, f"{path}x?{query}", headers)
    yield "path shorter", (method, f"{path.rsplit('/', 1)[0]}?{query}", headers)
    yield "bucket", (method, f"/c{path[2:]}?{query}", headers)
    yield "slash", (method, f"/{path}?{query}", headers)
    yield "query added", (method, f"{path}?{'&'.join([*parts, 'acl='])}", headers)
    for number, part in enumerate(parts):
        rest = [*parts[:number], *parts[number + 1 :]]
        yield f"query dropped {part}", (method, f"{path}?{'&'.join(rest)}", headers)
        yield f"query name {part}", (method, f"{path}?{'&'.join(['z' + part, *rest])}", headers)
        yield f"query value {part}", (method, f"{path}?{'&'.join([changed(part), *rest])}", headers)
    for name, value in headers.items():
        yield f"header {name}", (method, target, headers | {name: changed(value)})
        if value and name != "authorization":
            yield f"header dropped {name}", (method, target, {other: v for other, v in headers.items() if other != name})
    for name in ("x-amz-copy-source", "x-amz-acl2", "x-amz-security-token"):
        yield f"added {name}", (method, target, headers | {name: "/bucket/secret"})
    if "authorization" in headers:
        yield from credential_mutations(method, target, headers)


def credential_mutations(method, target, headers):
    value = headers["authorization"]
    for old, new in [("/us-east-1/", "/eu-west-9/"), ("/s3/", "/ec2/"), ("host;", ""), ("Signature=", "Signature=0")]:
        if old in value and new not in value.split(", ")[-1]:
            yield f"credential {old}", (method, target, headers | {"authorization": value.replace(old, new, 1)})
    for position in (-1, -33, -64):
        place = len(value) + position
        other = value[:place] + ("0" if value[place] != "0" else "1") + value[place + 1 :]
        yield f"digit {position}", (method, target, headers | {"authorization": other})


def changed(text):
    """Another value, and not one that only differs in how it is written."""
    return text[:-1] + ("y" if text[-1:] != "y" else "z") if text else "y"


@pytest.mark.parametrize("oracle", [oracle_header, oracle_query], ids=["header", "presigned"])
def test_every_single_change_is_refused(oracle):
    rng = random.Random(SEED + 3)
    tried = 0
    for number in range(MUTATED):
        case = Case(rng)
        headers, target = oracle(case)
        check(case.method, target, headers)
        for what, mutated in mutations(case.method, target, headers):
            tried += 1
            with pytest.raises(S3Error):
                check(*mutated)
                pytest.fail(f"accepted: {(SEED + 3, number, what, mutated)}")
        with pytest.raises(SignatureDoesNotMatch):
            check(case.method, target, headers, SK[:-1])
    assert tried > MUTATED * 10


# Refusals


HEADERS = headers_for(sigv4.EMPTY_SHA256)
GOOD = sigv4.authorization("GET", "/b/k", [], HEADERS, sigv4.EMPTY_SHA256, access_key=AK, secret_key=SK, timestamp=DATE)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda v: "AWS AKIA:c2lnbmF0dXJl", InvalidRequest),
        (lambda v: v.replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), InvalidRequest),
        (lambda v: v.replace("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), InvalidRequest),
        (lambda v: "Basic dXNlcjpwYXNz", InvalidArgument),
        (lambda v: "Bearer x", InvalidArgument),
        (lambda v: "", InvalidArgument),
        (lambda v: v.lower(), InvalidArgument),
        (lambda v: "AWS4-HMAC-SHA256", AuthorizationHeaderMalformed),
        (lambda v: v.replace(", Signature", ", Extra=1, Signature"), AuthorizationHeaderMalformed),
        (lambda v: v + ", Signature=00", AuthorizationHeaderMalformed),
        (lambda v: v.partition(", Signature")[0], AuthorizationHeaderMalformed),
        (lambda v: v.replace("/20130524", ""), AuthorizationHeaderMalformed),
        (lambda v: v.replace("/20130524", "/20130525"), AuthorizationHeaderMalformed),
        (lambda v: v.replace("aws4_request", "aws4"), AuthorizationHeaderMalformed),
        (lambda v: v.replace("/s3/", "/sts/"), AuthorizationHeaderMalformed),
        (lambda v: v.replace(AK, ""), AuthorizationHeaderMalformed),
        (lambda v: v.replace("host;", "Host;"), AuthorizationHeaderMalformed),
        (lambda v: v.replace("host;", "host;host;"), AuthorizationHeaderMalformed),
        (lambda v: v.replace("host;", ";"), AuthorizationHeaderMalformed),
    ],
)
def test_a_malformed_authorization_is_refused(change, error):
    with pytest.raises(error):
        sigv4.from_header(change(GOOD), HEADERS)


def test_spaces_between_the_parts_do_not_matter():
    assert sigv4.from_header(GOOD.replace(", ", ","), HEADERS) == sigv4.from_header(GOOD, HEADERS)


def test_the_payload_hash_must_be_sent():
    with pytest.raises(InvalidRequest, match="x-amz-content-sha256"):
        sigv4.from_header(GOOD, {name: value for name, value in HEADERS.items() if name != "x-amz-content-sha256"})


@pytest.mark.parametrize("date", ["", "yesterday", "20130524", "20130524T000000", "20131324T000000Z", "20130524T00000xZ", "٢0130524T0000Z"])
def test_a_request_without_a_date_is_refused(date):
    with pytest.raises(AccessDenied, match="Date"):
        sigv4.from_header(GOOD, HEADERS | {"x-amz-date": date})


def test_the_date_header_stands_in_for_x_amz_date():
    headers = {name: value for name, value in HEADERS.items() if name != "x-amz-date"}
    headers["date"] = "Fri, 24 May 2013 00:00:00 GMT"
    assert sigv4.from_header(GOOD, headers).timestamp == DATE


def test_every_x_amz_header_and_the_host_must_be_signed():
    credential = sigv4.from_header(GOOD, HEADERS)
    sigv4.check_signed(credential, HEADERS | {"range": "bytes=0-1", "user-agent": "x"})
    for name in ("x-amz-copy-source", "x-amz-acl", "x-amz-meta-a", "x-amz-security-token"):
        with pytest.raises(AccessDenied, match="not signed") as refused:
            sigv4.check_signed(credential, HEADERS | {name: "x"})
        assert refused.value.details["HeadersNotSigned"] == name
    with pytest.raises(AccessDenied, match="not signed") as refused:
        sigv4.check_signed(credential._replace(signed=("x-amz-content-sha256", "x-amz-date")), HEADERS)
    assert refused.value.details["HeadersNotSigned"] == "host"


def test_a_clock_may_be_off_by_the_skew_and_no_more():
    credential = sigv4.from_header(GOOD, HEADERS)
    at = credential.signed_at
    assert sigv4.timestamp(at) == DATE
    for off in (-900_000, 0, 900_000):
        sigv4.check_time(credential, at + off, 900_000)
    for off in (-900_001, 900_001):
        with pytest.raises(RequestTimeTooSkewed):
            sigv4.check_time(credential, at + off, 900_000)


def test_a_region_is_accepted_or_named():
    scope = sigv4.Scope("20130524", "eu-west-1")
    sigv4.check_region(scope, ())
    sigv4.check_region(scope, ("us-east-1", "eu-west-1"))
    with pytest.raises(AuthorizationHeaderMalformed, match="expecting 'us-east-1'") as refused:
        sigv4.check_region(scope, ("us-east-1",))
    assert refused.value.details["Region"] == "us-east-1"


@pytest.mark.parametrize(
    ("raw", "canonical"),
    [
        ("/", "/"),
        ("/b//k/../.", "/b//k/../."),
        ("/b/%7e~", "/b/~~"),
        ("/b/a+b", "/b/a%2Bb"),
        ("/b/a%2fb", "/b/a%2Fb"),
        ("/b/%61", "/b/a"),
        ("/b/%C3%A9", "/b/%C3%A9"),
        ("/b/%ff%zz", "/b/%FF%25zz"),
    ],
)
def test_a_path_is_decoded_and_encoded_once(raw, canonical):
    assert sigv4.canonical_path(raw) == canonical


def test_parameters_are_sorted_by_name_and_then_by_value():
    assert sigv4.canonical_query([("a-b", "1"), ("a", "2"), ("a", "10"), ("b", " /")]) == "a=10&a=2&a-b=1&b=%20%2F"


def test_white_space_is_folded_and_the_bytes_of_utf8_are_not():
    assert sigv4.fold("  a \t b  ") == "a b"
    assert sigv4.fold("à  x".encode().decode("latin-1")).encode("latin-1").decode() == "à x"
    assert sigv4.fold("日本").encode("latin-1").decode() == "日本"


def test_what_is_shown_of_a_request_whose_signature_is_wrong_holds_no_secret():
    """Error documents end in logs and mails."""
    headers = headers_for(
        sigv4.EMPTY_SHA256, **{"x-amz-security-token": "CANARY&1", "x-amz-server-side-encryption-customer-key": "CANARY2=="},
        **{"x-amz-copy-source-server-side-encryption-customer-key": "CANARY3==", "x-amz-server-side-encryption-customer-key-md5": "shown"},
    )  # fmt: skip
    line = sigv4.authorization("GET", "/a", [], headers, sigv4.EMPTY_SHA256, access_key=AK, secret_key="wrong", timestamp=DATE)
    query = presigned.presign("GET", "/a", [], {"host": HOST}, access_key=AK, secret_key="wrong", timestamp=DATE, session_token="CANARY4")
    pairs = addressing.query(query)
    header, link = sigv4.from_header(line, headers), presigned.claimed(pairs, {"host": HOST})
    sent = presigned.sent(link, "GET", f"/a?{query}", pairs, {"host": HOST})
    shown = ""
    for credential, request in ((header, sigv4.Sent("GET", "/a", "", [], headers)), (link, sent)):
        with pytest.raises(SignatureDoesNotMatch) as refusal:
            sigv4.verify(credential, SK, request)
        shown += refusal.value.details["CanonicalRequest"]
    assert "CANARY" not in shown
    assert "customer-key-md5:shown" in shown
    assert shown.count("...") == 4


def test_what_strangers_claim_takes_next_to_no_memory():
    tracemalloc.start()
    try:
        for number in range(1200):
            names = ";".join([f"n{number}", *(f"{name:x}" for name in range(1500))])
            claims = f"AWS4-HMAC-SHA256 Credential=A{number}/20130524/r/s3/aws4_request, SignedHeaders={names}, Signature={'a' * 64}"
            headers = headers_for(sigv4.EMPTY_SHA256, **{f"x-amz-{number}-{'y' * 7000}": ""})
            credential = sigv4.from_header(claims, headers)
            with pytest.raises(AccessDenied):
                sigv4.check_signed(credential, headers)
            sigv4.canonical_query([(f"{number}" + "!" * 8000, "é" * 1300 + f"{number}")])
            addressing.decode(f"{number}" + "%20" * 2700)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 4 << 20


# What requests have in common that are signed alike


def test_a_kind_signs_as_its_requests_are_signed():
    rng = random.Random(SEED + 5)
    for _ in range(500):
        names = rng.sample(["x-amz-meta-a", "x-amz-meta-%s", "range", "content-type"], rng.randrange(4))
        headers = headers_for(sigv4.EMPTY_SHA256, **{name: rng.choice(["1", "", "%s", "a,b"]) for name in names})
        line = (rng.choice(["GET", "PUT"]), rng.choice(["/b/k", "/b/%25"]), "")
        value = sigv4.authorization(*line[:2], [], headers, sigv4.EMPTY_SHA256, access_key=AK, secret_key=SK, timestamp=DATE)
        kind = sigv4.kind_of(value[: -sigv4.DIGITS])
        values = [headers[name] for name in kind.signed]
        assert sigv4.single(values)
        assert kind.signature(SK, DATE, line, values, sigv4.EMPTY_SHA256) == value[-sigv4.DIGITS :]
        credential = sigv4.from_header(value, headers)
        assert (kind.access_key, kind.scope, kind.signed) == credential[:3]


OUT_OF_THE_ORDINARY = [("Signature=", "Signature = "), ("host;", ""), ("host;", "host;é;"), ("/s3/", "/ec2/"), ("AWS4-", "AWS")]


@pytest.mark.parametrize(("old", "new"), OUT_OF_THE_ORDINARY)
def test_of_an_authorization_out_of_the_ordinary_there_is_no_kind(old, new):
    assert sigv4.kind_of(GOOD[: -sigv4.DIGITS].replace(old, new)) is None


@given(st.lists(st.text(st.characters(max_codepoint=0x2FF)), max_size=4))
def test_in_single_words_there_is_nothing_to_fold(values):
    if sigv4.single(values):
        assert [sigv4.fold(value) for value in values] == values


def test_a_word_is_single_and_two_or_none_are_not():
    for values in (["a"], ["a", "b"], ["a", "", "~"], ["\x00\x7f"]):
        assert sigv4.single(values)
    for values in ([], [""], ["a b"], [" a"], ["a", "b "], ["a\t"], ["a", "\n", "b"], ["\xe9"], ["\xa0"]):
        assert not sigv4.single(values)
