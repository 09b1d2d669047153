import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3shunt.model import Facts, ObjectRef
from s3shunt.protocol.entity import OVERRIDES, answer, described, quoted, same
from s3shunt.protocol.errors import InvalidArgument, InvalidPartNumber, InvalidRange, InvalidRequest, NotImplemented, PreconditionFailed

REF = ObjectRef("b", "k", "null")
FACTS = Facts(
    size=10,
    etag='"e-3"',
    last_modified=1_356_048_000_999,
    headers={"content-type": "video/mxf", "cache-control": "no-store"},
    metadata={"title": "A"},
    checksums={"x-amz-checksum-crc32": "AA=="},
    parts=(4, 4, 2),
    tags={"a": "1", "b": "2"},
    lock={"x-amz-object-lock-legal-hold": "ON"},
    sse={"x-amz-server-side-encryption": "AES256"},
)


def asked(facts=FACTS, parameters=None, **headers):
    return answer(facts, REF, {name.replace("_", "-"): value for name, value in headers.items()}, parameters or {})


def test_a_whole_version_is_told_with_all_it_has():
    found = asked()
    assert (found.status, found.start, found.end) == (200, 0, 10)
    assert dict(found.headers) == {
        "accept-ranges": "bytes",
        "content-type": "video/mxf",
        "cache-control": "no-store",
        "content-length": "10",
        "etag": '"e-3"',
        "last-modified": "Fri, 21 Dec 2012 00:00:00 GMT",
        "x-amz-meta-title": "A",
        "x-amz-object-lock-legal-hold": "ON",
        "x-amz-server-side-encryption": "AES256",
        "x-amz-tagging-count": "2",
    }


def test_a_version_is_named_only_where_there_are_versions():
    assert described(FACTS, ObjectRef("b", "k", "v1"))["x-amz-version-id"] == "v1"


def test_checksums_are_told_on_request_and_of_the_whole_only():
    assert dict(asked(x_amz_checksum_mode="enabled").headers)["x-amz-checksum-crc32"] == "AA=="
    assert "x-amz-checksum-crc32" not in dict(asked(x_amz_checksum_mode="ENABLED", range="bytes=0-1").headers)


def test_a_304_keeps_what_a_cache_needs():
    found = asked(if_none_match='"e-3"')
    assert (found.status, sorted(dict(found.headers))) == (304, ["cache-control", "etag", "last-modified"])


@pytest.mark.parametrize(
    ("error", "parameters", "headers"),
    [
        (PreconditionFailed, {}, {"if_match": '"other"', "range": "bytes=99-"}),
        (InvalidRange, {}, {"range": "bytes=10-"}),
        (InvalidPartNumber, {"partNumber": "4"}, {}),
        (InvalidArgument, {"partNumber": "0"}, {}),
        (InvalidArgument, {"partNumber": "x"}, {}),
        (InvalidArgument, {"partNumber": "10001"}, {}),
        (InvalidRequest, {"partNumber": "1"}, {"range": "bytes=0-1"}),
    ],
)
def test_what_cannot_be_is_refused(error, parameters, headers):
    with pytest.raises(error):
        asked(parameters=parameters, **headers)


def test_a_part_is_a_range_that_tells_how_many_there_are():
    found = asked(parameters={"partNumber": "2"})
    assert (found.status, found.start, found.end) == (206, 4, 8)
    assert dict(found.headers)["content-range"] == "bytes 4-7/10"
    assert dict(found.headers)["x-amz-mp-parts-count"] == "3"


def test_an_object_without_parts_is_its_own_first_part():
    plain = Facts(size=5, etag='"e"', last_modified=0)
    assert asked(plain, {"partNumber": "1"}).status == 206
    assert "x-amz-mp-parts-count" not in dict(asked(plain, {"partNumber": "1"}).headers)
    with pytest.raises(InvalidPartNumber):
        asked(plain, {"partNumber": "2"})


def test_part_sizes_that_are_not_known_are_not_guessed():
    with pytest.raises(NotImplemented):
        asked(Facts(size=5, etag='"e-2"', last_modified=0), {"partNumber": "1"})


def test_an_if_range_of_another_version_gives_the_whole():
    assert asked(range="bytes=0-1", if_range='"other"').status == 200


@given(st.integers(0, 20), st.one_of(st.none(), st.integers(0, 20)))
def test_the_length_told_is_the_length_sent(first, last):
    try:
        found = asked(range=f"bytes={first}-{'' if last is None else last}")
    except InvalidRange:
        assert first >= 10
        return
    assert dict(found.headers)["content-length"] == str(found.end - found.start)
    assert 0 <= found.start < found.end <= 10


def test_etags_are_quoted_once_and_compared_without():
    assert quoted("e") == quoted('"e"') == '"e"'
    assert same("e", '"e"')
    assert not same("e", "f")


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: x", "a\nb", "\r", "a\x00", "a\x7f", "\x1b[2J"])
@pytest.mark.parametrize("name", sorted(OVERRIDES))
def test_a_header_asked_for_is_one_line_or_refused(name, value):
    with pytest.raises(InvalidArgument):
        asked(parameters={name: value})


def test_a_header_asked_for_goes_out_in_utf8():
    told = dict(asked(parameters={"response-content-disposition": "é €"}).headers)["content-disposition"]
    assert told.encode("latin-1").decode() == "é €"
