import pytest

from s3shunt.model import Facts
from s3shunt.protocol import locks, xml
from s3shunt.protocol import subresources as documents
from s3shunt.protocol.errors import InvalidArgument, InvalidTag, MalformedXML

SUMS = {"x-amz-checksum-crc32": "AA==", "x-amz-checksum-type": "FULL_OBJECT"}
FACTS = Facts(size=7, etag='"e-2"', last_modified=1, parts=(4, 3), checksums=SUMS)
ROOT = "GetObjectAttributesResponse"


def tagged(*pairs):
    return f"<Tagging><TagSet>{''.join(f'<Tag><Key>{k}</Key><Value>{v}</Value></Tag>' for k, v in pairs)}</TagSet></Tagging>".encode()


def test_tags_are_read_as_they_are_written():
    tags = {"a": "1", "b & c": "", "ü": "<x>"}
    assert documents.read_tagging(documents.tagging(tags)) == tags
    assert documents.read_tagging(documents.tagging({})) == {}


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (b"<Tagging/>", MalformedXML),
        (b"<Tags/>", MalformedXML),
        (tagged(("a", 1), ("a", 2)), InvalidTag),
        (tagged(("", 1)), InvalidTag),
        (tagged(("k" * 129, 1)), InvalidTag),
        (tagged(("k", "v" * 257)), InvalidTag),
        (tagged(*((n, n) for n in range(11))), InvalidTag),
    ],
)
def test_tags_that_are_wrong_are_refused(document, error):
    with pytest.raises(error):
        documents.read_tagging(document)


def test_an_acl_is_the_stores_own_or_the_owners_alone():
    told = "<AccessControlPolicy><AccessControlList/></AccessControlPolicy>"
    assert documents.acl(Facts(size=0, etag="", last_modified=0, acl=told)) == told.encode()
    root = xml.read(documents.acl(Facts(size=0, etag="", last_modified=0, owner="me")), "AccessControlPolicy")
    assert xml.value(root, "AccessControlList/Grant/Grantee/ID") == "me"
    assert documents.read_acl(told.encode()) == told
    with pytest.raises(MalformedXML):
        documents.read_acl(b"<AccessControlPolicy/>")


def test_a_legal_hold_is_on_or_off():
    assert documents.read_legal_hold(documents.legal_hold("ON")) == "ON"
    with pytest.raises(MalformedXML):
        documents.read_legal_hold(b"<LegalHold><Status>MAYBE</Status></LegalHold>")


def test_a_retention_ends_in_the_future_or_is_taken_off():
    lock = {locks.MODE: "GOVERNANCE", locks.UNTIL: "2027-01-01T00:00:00Z"}
    assert documents.read_retention(documents.retention(lock), 0) == lock
    assert documents.read_retention(b"<Retention/>", 0) == {}
    with pytest.raises(InvalidArgument):
        documents.read_retention(documents.retention(lock), 1 << 50)
    with pytest.raises(MalformedXML):
        documents.read_retention(b"<Retention><Mode>GOVERNANCE</Mode></Retention>", 0)


def test_attributes_are_those_that_were_asked_for():
    told = documents.attributes
    root = xml.read(told(FACTS, "GLACIER", "ETag, Checksum,ObjectParts,StorageClass,ObjectSize"), ROOT)
    names = ("ETag", "Checksum/ChecksumCRC32", "Checksum/ChecksumType", "ObjectParts/PartsCount", "StorageClass", "ObjectSize")
    assert [xml.value(root, name) for name in names] == ["e-2", "AA==", "FULL_OBJECT", "2", "GLACIER", "7"]
    assert [xml.name(node) for node in xml.children(xml.read(told(FACTS, "X", "ETag"), ROOT))] == ["ETag"]
    for asked in ("", "Surprise"):
        with pytest.raises(InvalidArgument):
            documents.attributes(FACTS, "X", asked)


OWN = (
    "<AccessControlPolicy><Owner><ID>worker</ID></Owner><AccessControlList><Grant><Grantee><ID>worker</ID></Grantee>"
    "<Permission>FULL_CONTROL</Permission></Grant>{}</AccessControlList></AccessControlPolicy>"
)
EVERYBODY = "<Grant><Grantee><URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee><Permission>READ</Permission></Grant>"

NOBODY = (
    "<AccessControlPolicy><Owner><ID></ID><DisplayName></DisplayName></Owner><AccessControlList><Grant>"
    '<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><Type>CanonicalUser</Type></Grantee>'
    "<Permission>FULL_CONTROL</Permission></Grant>{}</AccessControlList></AccessControlPolicy>"
)
"""What MinIO, which has no ACLs, says of every object."""


@pytest.mark.parametrize(
    ("acl", "private"),
    [
        (NOBODY.format(""), True),
        (NOBODY.format(EVERYBODY), False),
        (NOBODY.format("").replace("<Type>CanonicalUser", "<Type>Group"), False),
        ("", True), ("private", True), ("public-read", False),
        (OWN.format(""), True),
        (OWN.format(EVERYBODY), False), (OWN.format("").replace("<ID>worker", "<ID>guest", 1), False),
        (OWN.format("").replace("worker", ""), False), ("<AccessControlPolicy/>", False), ("<Access", False),
    ],
)  # fmt: skip
def test_an_acl_is_private_when_its_owner_alone_is_named(acl, private):
    assert documents.is_private(acl) is private
