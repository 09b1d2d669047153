"""Known check values, awscrt and botocore as oracles, any split of the bytes."""

import base64
import hashlib
import random
import zlib

import pytest
from awscrt import checksums as crt
from botocore.httpchecksum import _CHECKSUM_CLS

from s3shunt.protocol import checksums
from s3shunt.protocol.errors import BadDigest, InvalidDigest, InvalidRequest, XAmzContentSHA256Mismatch

CHECK = b"123456789"
KNOWN = {
    "content-md5": "25f9e794323b453885f5181f1b624d0b",
    "x-amz-checksum-crc32": "cbf43926",
    "x-amz-checksum-crc32c": "e3069283",
    "x-amz-checksum-crc64nvme": "ae8b14860a799888",
    "x-amz-checksum-sha1": "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
    "x-amz-checksum-sha256": "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
}


@pytest.mark.parametrize("header", checksums.FACTORIES)
def test_the_check_value(header):
    running = checksums.for_header(header)()
    running.update(CHECK)
    assert running.digest().hex() == KNOWN[header]
    assert checksums.written(running) == base64.b64encode(bytes.fromhex(KNOWN[header])).decode()


@pytest.mark.parametrize("header", sorted(set(checksums.FACTORIES) - {"content-md5"}))
def test_botocore_agrees_whatever_the_split(header):
    rng = random.Random(header)
    for _ in range(50):
        pieces = [rng.randbytes(rng.choice([0, 1, 2, 3, 7, 8, 255, 4096])) for _ in range(rng.randrange(5))]
        ours, theirs = checksums.for_header(header)(), _CHECKSUM_CLS[header.removeprefix("x-amz-checksum-")]()
        for piece in pieces:
            ours.update(piece)
        theirs.update(b"".join(pieces))
        assert checksums.written(ours) == theirs.b64digest()


@pytest.mark.parametrize(
    ("ours", "theirs"), [(checksums.table_crc32c, crt.crc32c), (checksums.table_crc64nvme, crt.crc64nvme)], ids=["crc32c", "crc64nvme"]
)
def test_the_tables_give_what_awscrt_gives(ours, theirs):
    rng = random.Random(64)
    for length in [*range(20), 4095, 65536]:
        data, so_far = rng.randbytes(length), theirs(rng.randbytes(9))
        assert ours(data, so_far) == theirs(data, so_far)


def test_a_table_of_zlibs_polynomial_is_zlibs_crc():
    assert checksums.by_table(0xEDB88320, 4)(CHECK, 5) == zlib.crc32(CHECK, 5)


@pytest.mark.parametrize("value", ["", "x", "AAAA", "AAAAAAA=", "AAAAAA", "====", "é", "AAAA AA==", "AAAAAA==AAAAAA=="])
def test_what_is_no_checksum_is_refused(value):
    with pytest.raises(InvalidRequest, match="crc32"):
        checksums.expected("x-amz-checksum-crc32", value)
    with pytest.raises(InvalidDigest):
        checksums.expected("content-md5", value)


def test_an_unknown_checksum_is_refused_and_not_ignored():
    assert checksums.is_value("x-amz-checksum-xxhash64")
    with pytest.raises(InvalidRequest, match="xxhash64"):
        checksums.promised({"x-amz-checksum-xxhash64": "AAAA"}, (), None, of_object=False)


def test_headers_that_only_speak_of_checksums_promise_nothing():
    headers = {"x-amz-checksum-algorithm": "SHA256", "x-amz-checksum-mode": "ENABLED", "x-amz-checksum-type": "COMPOSITE", "host": "h"}
    assert checksums.promised(headers, (), None, of_object=False) == []


def test_one_checksum_is_enough():
    two = {"x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-crc32c": "AAAAAA=="}
    with pytest.raises(InvalidRequest, match="single"):
        checksums.promised(two, (), None, of_object=False)
    with pytest.raises(InvalidRequest, match="single"):
        checksums.promised({"x-amz-checksum-crc32": "AAAAAA=="}, ("x-amz-checksum-sha1",), None, of_object=False)


def test_the_checksum_of_an_upload_is_not_that_of_the_document_that_completes_it():
    headers = {"x-amz-checksum-crc32": "AAAAAA==-2", "content-md5": base64.b64encode(hashlib.md5(b"").digest()).decode()}
    assert [each.header for each in checksums.promised(headers, (), b"h", of_object=True)] == ["content-md5", checksums.PAYLOAD]


def test_each_kind_of_mismatch_has_its_error():
    with pytest.raises(XAmzContentSHA256Mismatch):
        checksums.Sum(checksums.PAYLOAD, hashlib.sha256(), b"other").check({})
    with pytest.raises(BadDigest):
        checksums.Sum("content-md5", hashlib.md5(), b"other").check({})
    with pytest.raises(BadDigest):
        checksums.Sum("x-amz-checksum-crc32", checksums.for_header("x-amz-checksum-crc32")()).check({"x-amz-checksum-crc32": "AAAAAQ=="})
