"""What a store is asked is signed whole."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3shunt.protocol import sigv4
from s3shunt.protocol.addressing import escape
from s3shunt.protocol.errors import InvalidArgument
from s3shunt.relay import Head, sign


def test_every_field_that_goes_out_is_signed():
    head = sign(
        Head("PUT", "/films/a", [("content-length", "3"), ("x-amz-meta-a", "b")], 3), [("partNumber", "1")],
        host="h:1", credential=("AK", "SK"), region="r", now=1_767_609_000_123, payload=sigv4.UNSIGNED,
    )  # fmt: skip
    fields = dict(head.fields)
    signed = re.search("SignedHeaders=([^,]+)", fields.pop("authorization"))[1].split(";")
    assert signed == sorted(fields)
    assert (fields["host"], fields["x-amz-content-sha256"], fields["x-amz-date"]) == ("h:1", "UNSIGNED-PAYLOAD", "20260105T103000Z")
    assert (head.target, head.length) == ("/films/a?partNumber=1", 3)


paths = st.text(max_size=20).map(lambda key: escape(f"/films/{key}"))


@given(paths, st.sampled_from(["GET", "HEAD", "DELETE"]), st.integers(0, 2 * 10**12))
def test_what_only_its_path_and_second_make_another_request_is_signed_as_any_other(path, method, now):
    for host in ("h:1", "[fe80::1%25lo]:1"):
        for payload in (sigv4.EMPTY_SHA256, sigv4.UNSIGNED):
            head = sign(Head(method, path, []), [], host=host, credential=("AK%s", "SK"), region="r<date>", now=now, payload=payload)
            fields = dict(head.fields)
            told = fields.pop("authorization")
            stamp = fields["x-amz-date"]
            assert stamp == sigv4.timestamp(now)
            assert told == sigv4.authorization(
                method, path, (), fields, payload, access_key="AK%s", secret_key="SK", timestamp=stamp, region="r<date>"
            )
            assert head.wire() == Head(method, head.target, head.fields).wire()


@pytest.mark.parametrize("target", ["/a b", "/a\r\nx: y", "", "/\xe9"])
def test_a_target_that_is_not_one_word_is_not_written(target):
    with pytest.raises(InvalidArgument):
        sign(Head("GET", target, []), [], host="h", credential=("AK", "SK"), region="r", now=0).wire()
