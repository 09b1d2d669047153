"""Listing documents: written as lxml would, and read from stores as they write them."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from s3shunt.protocol import listing_xml, xml
from s3shunt.protocol.errors import MalformedXML
from s3shunt.protocol.listing import Item, Kind, Page, Query, Restore

DATE = "2012-12-21T00:00:00.000Z"
UNTIL = 1356048000000
MARKUP = st.sampled_from("&<>\r\n\t\"'")
LEGAL = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Cn"), blacklist_characters="\ufffe\uffff") | MARKUP)
TEXT = LEGAL.filter(bool)

ITEMS = st.builds(
    Item, key=TEXT, etag=TEXT, size=st.just("7"), last_modified=st.just(DATE), storage_class=st.sampled_from(["STANDARD", "A&B"]),
    owner=st.none() | st.tuples(TEXT, TEXT), version=TEXT, latest=st.booleans(), delete_marker=st.booleans(),
    checksum_algorithms=st.sampled_from([(), ("SHA256",), ("CRC32", "SHA1")]), checksum_type=st.just("FULL_OBJECT"),
    restore=st.sampled_from([None, Restore(), Restore(UNTIL)]),
)  # fmt: skip
PAGES = st.builds(Page, st.lists(ITEMS | TEXT, max_size=4).map(tuple), st.none() | st.tuples(TEXT, TEXT))
QUERIES = st.builds(
    Query, kind=st.sampled_from(Kind), prefix=LEGAL, delimiter=LEGAL, after=LEGAL, after_version=st.none() | TEXT,
    start_after=st.none() | TEXT, token=st.none() | st.just("abc"), encoded=st.booleans(), with_owner=st.booleans(),
    with_restore=st.booleans(),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(QUERIES, PAGES)
def test_documents_are_what_lxml_would_serialise(query, page):
    written = listing_xml.write(query, "films", page, "next")
    tree = etree.fromstring(written)

    assert etree.tostring(tree, xml_declaration=True, encoding="UTF-8") == re.sub(rb"<(\w+)></\1>", rb"<\1/>", written)


@settings(max_examples=200, deadline=None)
@given(QUERIES, PAGES)
def test_what_is_written_is_read_back(query, page):
    read = listing_xml.read(listing_xml.write(query, "films", page, "next"), query.kind)
    keys = sorted(listing_xml.name(one) for one in page.items)

    assert [listing_xml.name(one) for one in read.items] == keys
    assert read.truncated is (page.next is not None)


def test_the_elements_of_a_version_1_listing_stand_in_s3s_order():
    item = Item(key="a", size="3", etag='"e"', last_modified=DATE, owner=("i", "n"), restore=Restore(UNTIL))
    query = Query(kind=Kind.V1, delimiter="/", with_restore=True)

    assert listing_xml.write(query, "films", Page((item, "b/"), ("b/", None))).decode() == (
        "<?xml version='1.0' encoding='UTF-8'?>\n"
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>films</Name><Prefix/><Marker/>'
        "<NextMarker>b/</NextMarker><MaxKeys>1000</MaxKeys><Delimiter>/</Delimiter><IsTruncated>true</IsTruncated>"
        f'<Contents><Key>a</Key><LastModified>{DATE}</LastModified><ETag>"e"</ETag><Size>3</Size><StorageClass>STANDARD</StorageClass>'
        "<Owner><ID>i</ID><DisplayName>n</DisplayName></Owner><RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress>"
        f"<RestoreExpiryDate>{DATE}</RestoreExpiryDate></RestoreStatus></Contents>"
        "<CommonPrefixes><Prefix>b/</Prefix></CommonPrefixes></ListBucketResult>"
    )


def test_the_elements_of_a_version_2_listing_stand_in_s3s_order():
    query = Query(kind=Kind.V2, token="t", start_after="a b", encoded=True, with_owner=False)
    item = Item(key="a c/+", size="3", etag='"e"', last_modified=DATE, owner=("i", "n"), restore=Restore())

    body = listing_xml.write(query, "films", Page((item,), ("a c", None)), "n").decode()
    assert body.partition("<Prefix/>")[2] == (
        "<NextContinuationToken>n</NextContinuationToken><ContinuationToken>t</ContinuationToken><StartAfter>a%20b</StartAfter>"
        "<KeyCount>1</KeyCount><MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
        f'<Contents><Key>a%20c/%2B</Key><LastModified>{DATE}</LastModified><ETag>"e"</ETag><Size>3</Size>'
        "<StorageClass>STANDARD</StorageClass></Contents></ListBucketResult>"
    )


def test_the_elements_of_a_versions_listing_stand_in_s3s_order():
    facts = {"size": "3", "etag": '"e"', "last_modified": DATE, "owner": ("i", "n"), "checksum_algorithms": ("SHA1",)}
    item = Item(key="a", version="v2", latest=True, **facts)
    marker = Item(key="a", version="v1", delete_marker=True, last_modified=DATE)

    body = listing_xml.write(Query(kind=Kind.VERSIONS, after="0"), "films", Page((item, marker), ("a", "v1"))).decode()
    assert body.partition("<Prefix/>")[2] == (
        "<KeyMarker>0</KeyMarker><VersionIdMarker/><NextKeyMarker>a</NextKeyMarker><NextVersionIdMarker>v1</NextVersionIdMarker>"
        "<MaxKeys>1000</MaxKeys><IsTruncated>true</IsTruncated>"
        f'<Version><Key>a</Key><VersionId>v2</VersionId><IsLatest>true</IsLatest><LastModified>{DATE}</LastModified><ETag>"e"</ETag>'
        "<ChecksumAlgorithm>SHA1</ChecksumAlgorithm><Size>3</Size><StorageClass>STANDARD</StorageClass>"
        "<Owner><ID>i</ID><DisplayName>n</DisplayName></Owner></Version>"
        f"<DeleteMarker><Key>a</Key><VersionId>v1</VersionId><IsLatest>false</IsLatest><LastModified>{DATE}</LastModified></DeleteMarker>"
        "</ListVersionsResult>"
    )


def test_next_marker_is_told_where_the_last_key_does_not_say_it():
    def told(page):
        return b"<NextMarker>" in listing_xml.write(Query(kind=Kind.V1), "films", page)

    assert not told(Page((Item(key="a"),), ("a", None)))
    assert told(Page((Item(key="a"),), ("b", None)))
    assert told(Page((), ("b", None)))


def test_a_stores_facts_are_kept_as_it_tells_them():
    document = f"""<?xml version="1.0"?><ListBucketResult xmlns="{xml.NAMESPACE}"><EncodingType>url</EncodingType>
      <NextMarker>z%2F</NextMarker><IsTruncated> true </IsTruncated><CommonPrefixes><Prefix>a%2F</Prefix></CommonPrefixes>
      <Contents><Key>b+c%20%F0%9F%98%80</Key><ETag>&quot;e&quot;</ETag><Size>9</Size><StorageClass>DEEP_ARCHIVE</StorageClass>
      <ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumAlgorithm>SHA1</ChecksumAlgorithm><ChecksumType>COMPOSITE</ChecksumType>
      <Owner><ID>i</ID></Owner><RestoreStatus><IsRestoreInProgress>true</IsRestoreInProgress></RestoreStatus></Contents>
      <Contents><Key>0</Key></Contents></ListBucketResult>"""
    page = listing_xml.read(document.encode(), Kind.V2)

    assert (page.truncated, page.next) == (True, "z/")
    assert page.items == (
        Item(key="0"),
        "a/",
        Item(
            key="b c \U0001f600", etag='"e"', size="9", storage_class="DEEP_ARCHIVE", checksum_algorithms=("CRC32", "SHA1"),
            checksum_type="COMPOSITE", owner=("i", ""), restore=Restore(),
        ),
    )  # fmt: skip


def test_keys_are_taken_literally_when_the_store_did_not_encode_them():
    document = b"<ListBucketResult><Contents><Key>a+b%20</Key></Contents></ListBucketResult>"

    assert listing_xml.read(document, Kind.V1).items[0].key == "a+b%20"


@pytest.mark.parametrize("document", [b"", b"<ListVersionsResult/>", b"<Error/>"])
def test_what_is_no_such_listing_is_malformed(document):
    with pytest.raises(MalformedXML):
        listing_xml.read(document, Kind.V1)
