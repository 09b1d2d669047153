from s3shunt.protocol import xml
from s3shunt.protocol.multipart import Outcome, copied, outcome, upload_id

NS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def test_an_upload_id_is_found_in_the_answer_to_create():
    document = f"<InitiateMultipartUploadResult {NS}><UploadId>u&amp;1</UploadId></InitiateMultipartUploadResult>"
    assert upload_id(document.encode()) == "u&1"
    assert upload_id(b"<Error><Code>X</Code></Error>") is None
    assert upload_id(b"") is None


def test_a_complete_tells_its_etag_behind_the_space_that_kept_the_connection():
    inner = "<ETag>&quot;e-2&quot;</ETag>"
    document = f"   \n\n<?xml version='1.0'?><CompleteMultipartUploadResult {NS}>{inner}</CompleteMultipartUploadResult>"
    assert outcome(document.encode()) == Outcome(etag='"e-2"')


def test_an_error_may_come_with_200():
    assert outcome(b" <Error><Code>InvalidPart</Code></Error>") == Outcome(error="InvalidPart")
    assert outcome(b"<Error/>") == Outcome(error="InternalError")


def test_what_is_neither_is_nothing():
    assert outcome(b"") is None
    assert outcome(b"<html/>") is None


def test_our_own_copies_are_told_as_s3_does():
    root = xml.read(copied('"e"', 1_356_048_000_123), "CopyObjectResult")
    assert [xml.value(root, name) for name in ("LastModified", "ETag")] == ["2012-12-21T00:00:00.000Z", '"e"']
    assert xml.read(copied('"e"', 0, part=True), "CopyPartResult") is not None
