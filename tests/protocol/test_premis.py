import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3shunt.protocol import premis
from s3shunt.protocol.errors import MalformedXML
from s3shunt.protocol.premis import Event

EVENT = (
    '<event xmlns="{space}"><eventIdentifier><eventIdentifierType>MEDIAHAVEN_EVENT</eventIdentifierType>'
    "<eventIdentifierValue>e1</eventIdentifierValue></eventIdentifier><eventType>EXPORTED</eventType>{detail}"
    "<eventOutcomeInformation><eventOutcome>{outcome}</eventOutcome></eventOutcomeInformation>"
    "<linkingObjectIdentifier><linkingObjectIdentifierType>MEDIAHAVEN_ID</linkingObjectIdentifierType>"
    "<linkingObjectIdentifierValue>m1</linkingObjectIdentifierValue></linkingObjectIdentifier>"
    "<linkingObjectIdentifier><linkingObjectIdentifierType>EXTERNAL_ID</linkingObjectIdentifierType>"
    "<linkingObjectIdentifierValue> pid </linkingObjectIdentifierValue></linkingObjectIdentifier></event>"
)
V2 = {"space": "info:lc/xmlns/premis-v2", "detail": "<eventDetail>x1</eventDetail>"}
V3 = {
    "space": "http://www.loc.gov/premis/v3",
    "detail": "<eventDetailInformation><eventDetail>x1</eventDetail></eventDetailInformation>",
}


@pytest.mark.parametrize("version", [V2, V3])
@pytest.mark.parametrize("root", ["{}", "<events>{}</events>", '<p:premis xmlns:p="x">{}</p:premis>'])
@pytest.mark.parametrize(("outcome", "good"), [("OK", True), ("NOK", False), (" nok ", False), ("", True)])
def test_both_versions_are_read_in_any_wrapping(version, root, outcome, good):
    document = root.format(EVENT.format(outcome=outcome, **version)).encode()
    assert premis.read(document) == [Event("e1", "EXPORTED", ("m1", "pid"), "x1", good)]


def test_many_events_are_read_in_their_order():
    one = EVENT.format(outcome="OK", **V3)
    assert [event.id for event in premis.read(f"<premis>{one}{one.replace('>e1<', '>e2<')}</premis>".encode())] == ["e1", "e2"]


@pytest.mark.parametrize("left_out", ["<event/>", "<event><eventType>EXPORTED</eventType></event>", "<other/>"])
def test_what_says_nothing_of_an_object_is_left_out(left_out):
    assert premis.read(f"<premis>{left_out}</premis>".encode()) == []


@pytest.mark.parametrize("document", [
    b"", b"{}", b"<other/>", b"<premis>", b'<!DOCTYPE p [<!ENTITY a "b">]><premis>&a;</premis>',
    '<?xml version="1.0" encoding="UTF-16"?><premis/>'.encode("utf-16"), b"<premis>" + b" " * premis.MAX_BYTES + b"</premis>",
])  # fmt: skip
def test_what_is_no_premis_is_refused(document):
    with pytest.raises(MalformedXML):
        premis.read(document)


@given(st.binary(max_size=200))
def test_nothing_else_is_ever_raised(document):
    try:
        premis.read(document)
    except MalformedXML:
        return
