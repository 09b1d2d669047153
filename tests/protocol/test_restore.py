import re
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3shunt.protocol import xml
from s3shunt.protocol.errors import InvalidArgument, MalformedXML, NotImplemented
from s3shunt.protocol.restore import RestoreRequest, busy, header


def request(inner, namespace=""):
    return f"<RestoreRequest{namespace}>{inner}</RestoreRequest>".encode()


def test_s3cmds_document_with_a_namespace_is_read():
    document = request(
        "<Days>7</Days><GlacierJobParameters><Tier>Bulk</Tier></GlacierJobParameters>", ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
    )
    assert RestoreRequest.from_xml(document) == RestoreRequest(7, "Bulk")


@pytest.mark.parametrize(
    ("inner", "tier"),
    [
        ("", "Standard"),
        ("<Tier>Expedited</Tier>", "Expedited"),
        ("<Tier>Bulk</Tier><GlacierJobParameters><Tier>Standard</Tier></GlacierJobParameters>", "Standard"),
        ("<Description>for the news</Description>", "Standard"),
    ],
)
def test_the_tier_is_the_jobs_else_the_top_level_one_else_standard(inner, tier):
    assert RestoreRequest.from_xml(request(f"<Days>1</Days>{inner}")).tier == tier


@pytest.mark.parametrize(
    ("inner", "error"),
    [
        ("", MalformedXML),
        ("<Days/>", MalformedXML),
        ("<Days>one</Days>", MalformedXML),
        ("<Days>1.5</Days>", MalformedXML),
        ("<Days>1</Days><Days>2</Days>", MalformedXML),
        ("<Days>1</Days><Surprise/>", MalformedXML),
        ("<Days>1</Days><GlacierJobParameters/>", MalformedXML),
        ("<Days>1</Days><Tier>standard</Tier>", MalformedXML),
        ("<Days>1</Days><OutputLocation/>", MalformedXML),
        ("<Days>1</Days><SelectParameters/>", MalformedXML),
        ("<Days>1</Days><Type>OTHER</Type>", MalformedXML),
        ("<Type>SELECT</Type>", NotImplemented),
        ("<Days>0</Days>", InvalidArgument),
        ("<Days>-3</Days>", InvalidArgument),
        ("<Days>11</Days>", InvalidArgument),
    ],
)
def test_a_document_that_is_wrong_is_refused(inner, error):
    with pytest.raises(error):
        RestoreRequest.from_xml(request(inner), max_days=10)


@settings(max_examples=200)
@given(st.binary(max_size=200) | st.text(max_size=60).map(request))
def test_any_bytes_are_a_request_or_a_refusal(document):
    with suppress(MalformedXML, InvalidArgument, NotImplemented):
        assert RestoreRequest.from_xml(document, max_days=10).days in range(1, 11)


def test_the_header_has_two_forms():
    assert header(None) == 'ongoing-request="true"'
    assert header(1_356_048_000_000) == 'ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"'


@given(st.integers(0, 250_000_000_000_000))
def test_the_date_is_always_an_imf_fixdate(until):
    assert re.fullmatch(r'ongoing-request="false", expiry-date="\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT"', header(until))


def test_busy_tells_where_to_come_back_to():
    root = xml.read(busy("http://s3.test/films/a?x=1&y=2", 37), "Restore")
    assert [xml.value(root, name) for name in ("Url", "Status", "Progress")] == ["http://s3.test/films/a?x=1&y=2", "busy", "37"]
    assert b"Progress" not in busy("u")
