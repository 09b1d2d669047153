"""Two allow-lists: what the store sees of the client, and the client of the store."""

import pytest

from s3shunt.protocol import headers
from s3shunt.protocol.errors import InvalidArgument, NotImplemented


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Content-Type", "video/mp4"),
        ("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg=="),
        ("Range", "bytes=0-9"),
        ("If-None-Match", "*"),
        ("x-amz-meta-Title", "a  b"),
        ("x-amz-meta-name", "caf\xc3\xa9"),
        ("x-amz-checksum-crc64nvme", "AAAA"),
        ("x-amz-checksum-mode", "ENABLED"),
        ("x-amz-server-side-encryption", "AES256"),
        ("x-amz-copy-source-server-side-encryption-customer-key", "k"),
        ("x-amz-grant-read", 'id="1"'),
        ("x-amz-storage-class", "STANDARD_IA"),
    ],
)
def test_what_s3_knows_goes_to_the_store(name, value):
    assert headers.to_store([(name, value)]) == [(name.lower(), value)]


@pytest.mark.parametrize(
    "name",
    [
        "Authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "x-amz-copy-source", "Host", "Cookie",
        "Connection", "Transfer-Encoding", "Expect", "Content-Length", "X-Forwarded-For", "X-Copy-From", "X-Auth-Token",
        "x-amz-trailer", "x-amz-decoded-content-length", "x-amz-expected-bucket-owner", "X-Object-Manifest", "Accept-Encoding",
        "x-amz-replication-status", "x-amz-checksum-foo", "x-minio-source-mtime", "TE", "Upgrade", "User-Agent",
    ],
)  # fmt: skip
def test_everything_else_stays_behind(name):
    assert headers.to_store([(name, "x")]) == []


@pytest.mark.parametrize("name", ["GLACIER", "DEEP_ARCHIVE", "glacier"])
def test_an_archive_class_is_never_sent_to_a_store(name):
    assert headers.to_store([("x-amz-storage-class", name)]) == []


def test_a_checksum_algorithm_goes_only_with_its_checksum():
    assert headers.to_store([("x-amz-sdk-checksum-algorithm", "CRC32")]) == []
    both = [("x-amz-sdk-checksum-algorithm", "CRC32"), ("x-amz-checksum-crc32", "AAAAAA==")]
    assert headers.to_store(both) == both


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("aws-chunked", ""),
        ("aws-chunked,gzip", "gzip"),
        ("gzip, AWS-Chunked", "gzip"),
        ("gzip , br", "gzip , br"),
        ("", ""),
        ("aws-chunked-not", "aws-chunked-not"),
    ],
)
def test_only_the_token_aws_chunked_is_taken_off(given, kept):
    assert headers.without_aws_chunked(given) == kept
    assert headers.to_store([("Content-Encoding", given)]) == ([("content-encoding", kept)] if kept else [])


@pytest.mark.parametrize("value", ["a\r\nx: y", "a\nb", "a\x00b", "\x7f"])
def test_a_value_that_would_break_the_line_is_refused(value):
    with pytest.raises(InvalidArgument):
        headers.to_store([("x-amz-meta-a", value)])


def test_a_header_that_changes_the_meaning_is_refused_and_not_dropped():
    with pytest.raises(NotImplemented):
        headers.to_store([("x-amz-write-offset-bytes", "10")])


def test_the_answer_keeps_its_spelling_and_loses_what_is_the_stores_own():
    given = [
        ("ETag", '"abc"'), ("content-length", "3"), ("X-Amz-Meta-Name", "v"), ("x-amz-version-id", "1"),
        ("Access-Control-Allow-Origin", "*"), ("Date", "now"), ("Server", "x"), ("x-amz-request-id", "1"), ("x-amz-id-2", "1"),
        ("X-Trans-Id", "tx"), ("Set-Cookie", "a"), ("Transfer-Encoding", "chunked"), ("Connection", "close"), ("Keep-Alive", "1"),
        ("x-amz-meta-folded", "a\r\n b"),
    ]  # fmt: skip
    assert [name for name, _ in headers.from_store(given)] == [
        "ETag", "Content-Length", "X-Amz-Meta-Name", "x-amz-version-id", "Access-Control-Allow-Origin",
    ]  # fmt: skip
