"""The ``Delete`` document: which objects a DeleteObjects names."""

import re
from typing import Any

from s3shunt.model import ObjectRef
from s3shunt.protocol import addressing, xml
from s3shunt.protocol.errors import MalformedXML

MAX_OBJECTS = 1000
_MARKUP = re.compile(rb"<!|<\?(?!xml\s)")
_FACTS = {"Key", "VersionId", "ETag", "LastModifiedTime", "Size"}


def targets(document: bytes, bucket: ObjectRef) -> tuple[ObjectRef, ...]:
    """The objects in the order of the document, in ``bucket``; between one and 1000. Raises MalformedXML.

    Strict on purpose: what another reader might take for a further or a
    different key is refused: comments, CDATA and processing instructions split a text for some.
    """
    root = xml.read(document, "Delete")
    children = list(xml.children(root))
    found = tuple(_object(child, bucket) for child in children if xml.name(child) == "Object")
    known = all(xml.name(child) in ("Object", "Quiet") for child in children)
    if _MARKUP.search(document) or not known or not 1 <= len(found) <= MAX_OBJECTS:
        raise MalformedXML
    return found


def _object(node: Any, bucket: ObjectRef) -> ObjectRef:
    children = list(xml.children(node))
    facts = {xml.name(child): child.text or "" for child in children}
    if not facts.get("Key") or facts.keys() - _FACTS or len(facts) < len(children) or any(len(child) for child in children):
        raise MalformedXML
    return addressing.check(ObjectRef(bucket.bucket, facts["Key"], facts.get("VersionId") or None, bucket.account))
