"""The answer of ListBuckets, and what is left of it for one of many who share a store's credential."""

from collections.abc import Collection

from lxml import etree

from s3shunt.protocol import xml


def names(document: bytes) -> list[str]:
    """The buckets in the order of the answer. Raises MalformedXML."""
    return [xml.value(bucket, "Name", "") or "" for bucket in _rows(xml.read(document, "ListAllMyBucketsResult"))]


def only(document: bytes, kept: Collection[str]) -> bytes:
    """The same answer with these buckets alone."""
    root = xml.read(document, "ListAllMyBucketsResult")
    for bucket in _rows(root):
        if xml.value(bucket, "Name", "") not in kept:
            bucket.getparent().remove(bucket)
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))


def _rows(root: xml.Element) -> list[xml.Element]:
    return [bucket for group in xml.children(root, "Buckets") for bucket in xml.children(group, "Bucket")]
