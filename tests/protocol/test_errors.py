"""Refusals in S3's own words."""

from lxml import etree

from s3shunt.protocol import errors


def test_the_class_name_is_the_code_on_the_wire():
    document = errors.to_xml(errors.NoSuchKey(Key="a&b<c>"), resource="/films/a&b", request_id="r1", host_id="h1")
    root = etree.fromstring(document)
    assert root.tag == "Error"
    assert [(child.tag, child.text) for child in root] == [
        ("Code", "NoSuchKey"),
        ("Message", "The specified key does not exist."),
        ("Key", "a&b<c>"),
        ("Resource", "/films/a&b"),
        ("RequestId", "r1"),
        ("HostId", "h1"),
    ]


def test_text_that_xml_cannot_hold_does_not_break_the_document():
    document = errors.to_xml(errors.NoSuchKey(Key="a\x00\x1b\ud800\r"), resource="/", request_id="r")
    assert etree.fromstring(document).findtext("Key") == "a\ufffd\ufffd\ufffd\r"


def test_every_refusal_has_a_status_that_refuses():
    refusals = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.S3Error)]
    assert len(refusals) >= 50
    assert all(400 <= kind.status < 600 and kind.message for kind in refusals if kind is not errors.S3Error)


def test_a_message_may_say_more_than_the_code():
    error = errors.SlowDown("later", retry_after=3, headers=(("x-a", "b"),))
    assert (str(error), error.code, error.status, error.retry_after, error.headers) == ("later", "SlowDown", 503, 3, (("x-a", "b"),))
