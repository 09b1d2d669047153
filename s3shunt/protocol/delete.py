"""The ``Delete`` document: which objects a DeleteObjects names."""

import re

from lxml import etree

from s3shunt.model import ObjectRef
from s3shunt.protocol import addressing
from s3shunt.protocol.errors import MalformedXML

MAX_OBJECTS = 1000
_FACTS = {"Key", "VersionId", "ETag", "LastModifiedTime", "Size"}
_DOCTYPE = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)


def targets(document: bytes, bucket: ObjectRef) -> tuple[ObjectRef, ...]:
    """The objects in the order of the document, in ``bucket``. Raises MalformedXML.

    Only UTF-8 without a DOCTYPE is read; between one and 1000 objects. Strict on
    purpose: what another reader might take for a further or a different key is
    refused.
    """
    root = _root(document)
    children = [child for child in root if isinstance(child.tag, str)]
    found = tuple(_object(child, bucket) for child in children if _tag(child) == "Object")
    known = all(_tag(child) in ("Object", "Quiet") for child in children)
    if _tag(root) != "Delete" or not known or not 1 <= len(found) <= MAX_OBJECTS:
        raise MalformedXML
    return found


def _root(document: bytes) -> etree._Element:
    if _DOCTYPE.search(document) or b"\x00" in document:
        raise MalformedXML
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, encoding="utf-8")
    try:
        return etree.fromstring(document, parser)
    except etree.XMLSyntaxError:
        raise MalformedXML from None


def _object(element: etree._Element, bucket: ObjectRef) -> ObjectRef:
    children = [child for child in element if isinstance(child.tag, str)]
    facts = {_tag(child): child.text or "" for child in children}
    if not facts.get("Key") or facts.keys() - _FACTS or len(facts) < len(children) or any(len(child) for child in children):
        raise MalformedXML
    return addressing.check(ObjectRef(bucket.bucket, facts["Key"], facts.get("VersionId") or None, bucket.account))


def _tag(element: etree._Element) -> str:
    return str(etree.QName(element).localname)
