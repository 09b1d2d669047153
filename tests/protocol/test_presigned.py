"""Presigned URLs: the published example, what they must carry, and when they are good."""

import random

import pytest

from s3shunt.protocol import addressing, presigned, sigv4
from s3shunt.protocol.errors import AccessDenied, AuthorizationQueryParametersError, InvalidArgument, InvalidRequest, S3Error

AK, SK = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
DATE = "20130524T000000Z"
HEADERS = {"host": "examplebucket.s3.amazonaws.com"}


def url(method="GET", path="/test.txt", query=(), headers=HEADERS, **more):
    return presigned.presign(method, path, query, headers, access_key=AK, secret_key=SK, timestamp=DATE, **{"expires": 86400} | more)


def credential(query, headers=HEADERS):
    return presigned.claimed(addressing.query(query), headers)


def verify(query, method="GET", path="/test.txt", headers=HEADERS):
    found = credential(query, headers)
    sigv4.verify(found, SK, presigned.sent(found, method, f"{path}?{query}", addressing.query(query), headers))
    return found


def test_the_published_example():
    query = url()
    assert query.endswith("X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")
    found = verify(query)
    assert found.expires == found.signed_at + 86_400_000
    assert found.payload == "UNSIGNED-PAYLOAD"


def test_further_parameters_headers_and_a_session_token_are_signed():
    headers = HEADERS | {"x-amz-meta-a": "b"}
    query = url("PUT", "/k", [("versionId", "a+b /"), ("versionId", "")], headers, session_token="tok+en")
    assert verify(query, "PUT", "/k", headers).token == "tok+en"
    with pytest.raises(S3Error):
        verify(query.replace("versionId=a", "versionId=b"), "PUT", "/k", headers)
    with pytest.raises(S3Error):
        verify(query, "PUT", "/k", headers | {"x-amz-meta-a": "c"})


def test_the_signature_may_stand_anywhere():
    parts = url().split("&")
    for moved in (parts[::-1], [parts[-1], *parts[:-1]]):
        assert verify("&".join(moved)).access_key == AK
        with pytest.raises(S3Error):
            verify("&".join(moved).replace("20130524", "20130525"))


@pytest.mark.parametrize("name", presigned.NEEDED)
def test_each_parameter_is_needed_once(name):
    parts = url().split("&")
    [mine] = [part for part in parts if part.startswith(name + "=")]
    rest = [part for part in parts if part != mine]
    for query in ("&".join(rest), "&".join([*parts, mine]), "&".join([*rest, mine.replace(name, name.lower())])):
        with pytest.raises(AuthorizationQueryParametersError):
            credential(query)


@pytest.mark.parametrize("value", ["0", "604801", "-1", "", "1.5", "1e3", "٣", "9" * 40, "+5", "0x10"])
def test_a_url_is_good_for_a_second_to_a_week(value):
    with pytest.raises(AuthorizationQueryParametersError, match="X-Amz-Expires"):
        credential(url(expires=value))


@pytest.mark.parametrize("value", [1, 604_800])
def test_a_second_and_a_week_are_allowed(value):
    assert verify(url(expires=value))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
        ("AWS4-HMAC-SHA256", "aws4-hmac-sha256"),
        ("%2Fs3%2F", "%2Fec2%2F"),
        ("Date=20130524T", "Date=20130525T"),
        ("Date=20130524T000000Z", "Date=tomorrow"),
        ("SignedHeaders=host", "SignedHeaders=Host"),
        ("SignedHeaders=host", "SignedHeaders="),
    ],
)
def test_malformed_parameters_are_refused(old, new):
    assert old in url()
    with pytest.raises(AuthorizationQueryParametersError):
        credential(url().replace(old, new))


def test_a_url_is_not_good_before_its_time_nor_after():
    found = credential(url(expires=60))
    sigv4.check_time(found, found.signed_at - 900_000, 900_000)
    sigv4.check_time(found, found.signed_at + 60_000, 900_000)
    with pytest.raises(AccessDenied, match="not yet valid"):
        sigv4.check_time(found, found.signed_at - 900_001, 900_000)
    with pytest.raises(AccessDenied, match="has expired"):
        sigv4.check_time(found, found.signed_at + 60_001, 900_000)


def test_two_credentials_at_once_are_refused():
    both = HEADERS | {"authorization": "AWS4-HMAC-SHA256 x"}
    for query in (url(), "AWSAccessKeyId=a&Signature=b&Expires=1"):
        with pytest.raises(InvalidArgument, match="Only one auth mechanism"):
            credential(query, both)
    with pytest.raises(InvalidArgument, match="Only one auth mechanism"):
        credential(url() + "&Signature=x")


@pytest.mark.parametrize("query", ["AWSAccessKeyId=a&Signature=b&Expires=1", "Signature=b"])
def test_signature_version_2_is_refused_and_told_why(query):
    with pytest.raises(InvalidRequest, match="AWS4-HMAC-SHA256"):
        credential(query)


def test_no_credential_is_no_credential():
    assert credential("list-type=2&x-amz-checksum-mode=ENABLED") is None


def test_header_and_query_must_agree_on_hash_and_token():
    with pytest.raises(InvalidRequest, match="differ"):
        credential(url(query=[("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")]), HEADERS | {"x-amz-content-sha256": "a" * 64})
    with pytest.raises(InvalidRequest, match="differ"):
        credential(url(session_token="a"), HEADERS | {"x-amz-security-token": "b"})
    headers = HEADERS | {"x-amz-content-sha256": sigv4.EMPTY_SHA256}
    assert verify(url(headers=headers), headers=headers).payload == sigv4.EMPTY_SHA256


def test_headers_hoisted_into_the_query_are_headers():
    pairs = [("X-Amz-Storage-Class", "GLACIER"), ("x-amz-meta-title", "é"), ("X-Amz-Date", DATE), ("x-id", "PutObject"), ("prefix", "")]
    assert presigned.hoisted(pairs, HEADERS) == {"x-amz-storage-class": "GLACIER", "x-amz-meta-title": "é".encode().decode("latin-1")}
    assert presigned.hoisted(addressing.query(url()), HEADERS) == {}


@pytest.mark.parametrize(
    ("pairs", "headers", "error"),
    [
        ([("x-amz-acl", "private"), ("X-Amz-Acl", "public-read")], {}, InvalidRequest),
        ([("x-amz-acl", "private")], {"x-amz-acl": "private"}, InvalidRequest),
        ([("x-amz-meta-a_b", "1")], {}, InvalidRequest),
        ([("x-amz-meta-a\n", "1")], {}, InvalidRequest),
        ([("x-amz-meta-a", "1\r\nx: y")], {}, InvalidArgument),
    ],
)
def test_what_can_be_no_header_is_not_hoisted(pairs, headers, error):
    with pytest.raises(error):
        presigned.hoisted(pairs, headers)


def test_what_is_no_part_of_the_credential_is_told():
    pairs = [("X-Amz-Date", "x"), ("x-amz-SIGNATURE", "x"), ("x-amz-meta-a", "1"), ("partNumber", "1")]
    assert presigned.further(pairs) == ["x-amz-meta-a", "partNumber"]


def test_a_query_may_hold_nothing_of_a_credential():
    assert presigned.unsigned([])
    assert presigned.unsigned(addressing.query("list-type=2&x-amz-checksum-mode=ENABLED&prefix=Signature"))
    for query in (url(), "x-amz-date=1", "X-AMZ-SIGNATURE", "a&Signature=x", "AWSAccessKeyId=x"):
        assert not presigned.unsigned(addressing.query(query))


# What the links of one signer have in common


def test_a_link_is_its_template_filled():
    """Whatever the order of its parameters, and whatever further ones it has."""
    rng = random.Random(20261120)
    for number in range(2000):
        further = [(rng.choice(["a", "a-b", "versionId", "é", "X"]), rng.choice(["", "1", "b c", "é=&"])) for _ in range(rng.randrange(3))]
        parts = url("GET", f"/k{number}", further, session_token=rng.choice([None, "tok+en/="])).split("&")
        rng.shuffle(parts)
        query = "&".join(parts)
        text, date, signature = presigned.taken_out(query)
        if parts[0].startswith("X-Amz-Date=") or query.index(presigned.SIGNATURE) < query.index("X-Amz-Date="):
            assert text == "", "no SDK writes it so"
            continue
        found, credential_of_it = presigned.template(text), credential(query)
        assert found.filled(date, signature) == addressing.query(query)
        unsigned = [pair for pair in addressing.query(query) if pair[0] != presigned.SIGNATURE]
        assert date.join(found.query) == sigv4.canonical_query(unsigned)
        assert (found.kind.access_key, found.kind.scope, found.kind.signed) == credential_of_it[:3]
        assert (found.payload, found.token, found.lasts) == (credential_of_it.payload, credential_of_it.token, 86_400_000)
        line = ("GET", f"/k{number}", date.join(found.query))
        assert found.kind.signature(SK, date, line, tuple(HEADERS.values()), found.payload) == signature


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Date=", "Date=x"),
        ("&X-Amz-Signature=", "&X-Amz-Signature=0"),
        ("X-Amz-Date=&", ""),
        ("&X-Amz-Signature=", ""),
        ("X-Amz-Date=", "X-Amz-Date=&X-Amz-Date="),
        ("X-Amz-Algorithm", "Signature=a&X-Amz-Algorithm"),
        ("X-Amz-Algorithm", "x-amz-acl=private&X-Amz-Algorithm"),
        ("X-Amz-Algorithm", "a=%zz&X-Amz-Algorithm"),
        ("HMAC-SHA256", "HMAC-SHA1"),
        ("SignedHeaders=host", "SignedHeaders=range"),
        ("SignedHeaders=host", "SignedHeaders=host%3Bx-amz-content-sha256"),
        ("SignedHeaders=host", "SignedHeaders=host%3Bx-amz-security-token"),
        ("SignedHeaders=host", "SignedHeaders=host%3B%C3%A9"),
        ("Expires=86400", "Expires=0"),
        ("%2F20130524%2F", "%2F20131324%2F"),
        ("%2F20130524%2F", "%2F"),
    ],
)
def test_a_query_out_of_the_ordinary_has_no_template(old, new):
    text, _, _ = presigned.taken_out(url())
    assert old in text
    assert presigned.template(text) is not None
    assert presigned.template(text.replace(old, new)) is None


def test_a_date_that_is_part_of_another_parameter_is_not_the_link_s():
    """Who holds a link may not move its date into a prefix that was signed without it."""
    query = url("GET", "/k", [("prefix", "aX-Amz-Date=")])
    date = dict(addressing.query(query))["X-Amz-Date"]
    for name in ("prefix=aX-Amz-Date%3D", "prefix=aX-Amz-Date="):
        moved = query.replace(f"X-Amz-Date={date}", "X-Amz-Date=").replace("prefix=aX-Amz-Date%3D", name + date)
        assert moved.count(date) == 1
        assert presigned.template(presigned.taken_out(moved)[0]) is None


@pytest.mark.parametrize("query", ["", "acl", "X-Amz-Date=20130524T000000Z", "X-Amz-Date=&X-Amz-Signatur=", "a&X-Amz-Signature=0"])
def test_of_what_is_no_link_nothing_is_taken_out(query):
    assert presigned.taken_out(query) == ("", "", "")
