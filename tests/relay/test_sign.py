"""What a store is asked is signed whole."""

import re

from s3shunt.protocol import sigv4
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
