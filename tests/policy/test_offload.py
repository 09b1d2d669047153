"""Which bytes may go past us: a table for each way."""

from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest

from s3shunt.model import Entry, Facts, Interest, ObjectRef, Place, State
from s3shunt.policy import offload
from s3shunt.policy.offload import Asked, Known
from s3shunt.protocol import presigned, sigv4

NOW = 1_000_000
ENTRY = Entry(ref=ObjectRef("films", "a", "null"), state=State.ONLINE, facts=Facts(size=5, etag='"e"', last_modified=0))
PLAIN = Known(plain=True, searched=True, looked_up=True)
UNSEARCHED = Known()
UNKNOWN = Known(searched=True, looked_up=True)
SILENT = Known(searched=True)
"""A bucket with a policy while the catalog does not answer."""


def of(state, **more):
    return replace(UNKNOWN, entry=replace(ENTRY, state=state, **more))


PLACE = {"place": Place("landing", "x"), "restored_until": NOW + 1}
WISHED = {"storage_class": "GLACIER", "interests": (Interest("AK", 1, until=NOW + 1),)}
READS = [
    ("a bucket nobody archives", PLAIN, True, True),
    ("a pipeline that looks nothing up", UNSEARCHED, True, True),
    ("an object nobody knows, which the archive may", UNKNOWN, True, False),
    ("a catalog that does not answer", SILENT, False, False),
    ("online", of(State.ONLINE), True, True),
    ("on its way to tape", of(State.ARCHIVING), True, False),
    ("on tape, its bytes still here", of(State.VERIFIED), True, False),
    ("about to leave the store", of(State.EVICTING), True, False),
    ("a write under way on an unknown key", of(State.ONLINE, facts=None), True, False),
    ("class GLACIER, its bytes still here", of(State.ONLINE, storage_class="GLACIER"), False, False),
    ("class GLACIER, restored before it left", of(State.ONLINE, **WISHED), False, False),
    ("archived", of(State.ARCHIVED, storage_class="GLACIER"), False, False),
    ("coming back", of(State.RECALLING, storage_class="GLACIER"), False, False),
    ("restored", of(State.RESTORED, storage_class="GLACIER", **PLACE), False, False),
    ("restored, and never of an archive's class", of(State.RESTORED, **PLACE), False, False),
    ("deleted", of(State.DELETED), False, False),
    ("deleted, and nothing known of it", of(State.DELETED, facts=None), False, False),
    ("lost", of(State.LOST), False, False),
]


@pytest.mark.parametrize(("known", "signed", "lasting"), [row[1:] for row in READS], ids=[row[0] for row in READS])
def test_a_read_goes_past_us_by_what_is_known_of_the_object(known, signed, lasting):
    asked = Asked(operation="GetObject")
    assert (offload.signed(asked, known, NOW), offload.lasting(asked, known, NOW)) == (signed, lasting)


ASKED = [
    (Asked(operation="GetObject", version="null"), True, True),
    (Asked(operation="GetObject", version="v1"), False, False),
    (Asked(operation="HeadObject"), False, False),
    (Asked(operation="ListObjects"), False, False),
    (Asked(operation="GetObjectTagging"), False, False),
    (Asked(operation="PutObject"), False, False),
    (Asked(operation="GetObject", fields=[("range", "bytes=0-1"), ("if-match", "x"), ("origin", "x")]), True, True),
    (Asked(operation="GetObject", fields=[("x-amz-checksum-mode", "ENABLED")]), True, False),
    (Asked(operation="GetObject", fields=[("x-amz-server-side-encryption-customer-key", "x")]), False, False),
    (Asked(operation="GetObject", fields=[("x-amz-request-payer", "x")]), False, False),
]


@pytest.mark.parametrize(("asked", "signed", "lasting"), ASKED, ids=str)
def test_a_read_goes_past_us_by_what_is_asked(asked, signed, lasting):
    assert (offload.signed(asked, PLAIN, NOW), offload.lasting(asked, PLAIN, NOW)) == (signed, lasting)


GIVEN = {"host": "h", "content-length": "5", "content-type": "a/b", "x-amz-meta-a": "1", "authorization": "x", "user-agent": "x"}
PUT = Asked(operation="PutObject", fields=[("content-type", "a/b"), ("x-amz-meta-a", "1")])


def test_an_upload_to_a_plain_bucket_may_go_past_us():
    assert offload.direct(PUT, PLAIN, GIVEN)
    assert offload.direct(PUT, UNSEARCHED, GIVEN)


@pytest.mark.parametrize("known", [UNKNOWN, SILENT, of(State.ONLINE), of(State.ARCHIVED), replace(UNSEARCHED, entry=ENTRY)], ids=str)
def test_an_upload_to_any_other_bucket_goes_through_us(known):
    assert not offload.direct(PUT, known, GIVEN)


@pytest.mark.parametrize("operation", ["UploadPart", "CopyObject", "PutObjectTagging", "CreateBucket", "PostObject", "GetObject"])
def test_what_is_no_simple_upload_goes_through_us(operation):
    assert not offload.direct(replace(PUT, operation=operation), PLAIN, GIVEN)


@pytest.mark.parametrize(
    "more",
    [
        {"x-amz-copy-source": "/a/b"}, {"x-copy-from": "a/b"}, {"x-object-meta-a": "1"}, {"x-delete-at": "1"}, {"x-odd": "1"},
        {"x-amz-meta-a": "other"}, {"x-amz-meta-b": ""}, {"x-amz-storage-class": "GLACIER"}, {"content-encoding": "aws-chunked"},
        {"transfer-encoding": "chunked"}, {"content-length": ""}, {"content-length": "x"}, {"x-amz-checksum-crc32": "x"},
        {"x-amz-server-side-encryption-customer-key": "x"},
    ],
    ids=str,
)  # fmt: skip
def test_an_upload_with_a_header_that_the_store_would_not_get_from_us_goes_through_us(more):
    assert not offload.direct(PUT, PLAIN, GIVEN | more)
    fields = [*PUT.fields, *more.items()]
    if any(name.startswith(("x-amz-checksum", "x-amz-server")) for name in more):
        assert not offload.direct(replace(PUT, fields=fields), PLAIN, GIVEN | more)


def test_an_upload_whose_headers_are_in_its_link_goes_through_us():
    fields = [*PUT.fields, ("x-amz-meta-b", "2")]
    assert not offload.direct(replace(PUT, fields=fields, parameters={"x-amz-meta-b"}), PLAIN, GIVEN | {"x-amz-meta-b": "2"})
    assert not offload.direct(replace(PUT, fields=fields), PLAIN, GIVEN)


def test_nginx_is_told_the_whole_signed_request_under_names_that_go_no_further():
    said = dict(offload.handed("/films/a%20b?x=1", [("host", "store:80"), ("range", "bytes=0-1"), ("authorization", "AWS4 x")]))
    assert said == {
        "X-Accel-Redirect": "@s3shunt_store", "X-S3shunt-Target": "/films/a%20b?x=1", "X-S3shunt-Host": "store:80",
        "X-S3shunt-Range": "bytes=0-1", "X-S3shunt-Authorization": "AWS4 x", "Content-Length": "0",
    }  # fmt: skip


def test_it_is_told_where_the_store_has_archives_of_its_own():
    assert dict(offload.handed("/a/b", [], archives=True))["X-S3shunt-Archives"] == "store"


def test_of_an_upload_it_is_told_what_signs_it_alone():
    fields = [("host", "s"), ("x-amz-date", "d"), ("x-amz-content-sha256", "h"), ("content-type", "a/b"), ("authorization", "x")]
    assert [name for name, _ in offload.permitted("/films/a", fields)] == [
        "X-S3shunt-Target", "X-S3shunt-Host", "X-S3shunt-X-Amz-Date", "X-S3shunt-X-Amz-Content-Sha256", "X-S3shunt-Authorization",
    ]  # fmt: skip


def test_a_link_is_good_at_the_public_name_for_a_while():
    location = offload.link(
        "PUT", "/films/a%20b", [("response-expires", "1")], [("content-type", "a/b")], base="https://store.example",
        credential=("AK", "secret"), region="r", now=1_767_609_000_000, expires=90_000,
    )  # fmt: skip
    parts = urlsplit(location)
    pairs = parse_qsl(parts.query)
    assert (parts.netloc, parts.path) == ("store.example", "/films/a%20b")
    headers = {"host": "store.example", "content-type": "a/b"}
    credential = presigned.from_query(pairs, headers)
    assert (credential.signed, credential.expires) == (("content-type", "host"), 1_767_609_090_000)
    sigv4.verify(credential, "secret", presigned.sent(credential, "PUT", f"{parts.path}?{parts.query}", pairs, headers))


def test_nobody_keeps_a_link_or_tells_of_it():
    said = dict(offload.moved("https://store.example/a"))
    assert (said["Location"], said["Cache-Control"], said["Referrer-Policy"]) == ("https://store.example/a", "no-store", "no-referrer")


@pytest.mark.parametrize(
    ("value", "address", "believed"),
    [
        ("127.0.0.1", "127.0.0.1", True), ("10.0.0.0/8, ::1", "10.1.2.3", True), ("10.0.0.0/8 ::1", "::1", True), ("unix", "", True),
        ("127.0.0.1", "127.0.0.2", False), ("10.0.0.0/8", "", False), ("unix", "127.0.0.1", False), ("10.0.0.0/8", "unknown", False),
    ],
)  # fmt: skip
def test_who_is_a_peer(value, address, believed):
    assert offload.trusts(offload.peers(value), address) is believed


@pytest.mark.parametrize("value", ["nginx", "10.0.0.1/8", "300.1.1.1"])
def test_what_is_no_address_is_told(value):
    with pytest.raises(ValueError, match="expected addresses or networks"):
        offload.peers(value)
