"""The documents of an object's sub-resources: tags, ACL, legal hold, retention, attributes."""

from collections.abc import Mapping

from s3shunt.model import Facts
from s3shunt.protocol import locks, xml
from s3shunt.protocol.entity import quoted
from s3shunt.protocol.errors import InvalidArgument, InvalidTag, MalformedXML

MAX_TAGS = 10
MAX_TAG_KEY = 128
MAX_TAG_VALUE = 256
ATTRIBUTES = ("ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize")
_XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"'


def document(root: str, inner: str) -> bytes:
    return f'{xml.DECLARATION}<{root} xmlns="{xml.NAMESPACE}">{inner}</{root}>'.encode()


def tagging(tags: Mapping[str, str]) -> bytes:
    rows = "".join(f"<Tag>{xml.element('Key', key)}{xml.element('Value', value)}</Tag>" for key, value in sorted(tags.items()))
    return document("Tagging", f"<TagSet>{rows}</TagSet>")


def read_tagging(body: bytes) -> dict[str, str]:
    """Raises MalformedXML, InvalidTag."""
    tag_set = xml.child(xml.read(body, "Tagging"), "TagSet")
    if tag_set is None:
        raise MalformedXML
    rows = [(xml.value(tag, "Key"), xml.value(tag, "Value")) for tag in xml.children(tag_set)]
    tags = {key: value for key, value in rows if key and value is not None}
    if len(rows) > MAX_TAGS:
        raise InvalidTag("Object tags cannot be greater than 10")
    if len(tags) < len(rows):
        raise InvalidTag("Cannot provide multiple Tags with the same key")
    if any(len(key) > MAX_TAG_KEY or len(value) > MAX_TAG_VALUE for key, value in tags.items()):
        raise InvalidTag
    return tags


def acl(facts: Facts) -> bytes:
    """As the store told it; without that, the owner's alone."""
    if facts.acl.lstrip().startswith("<"):
        return facts.acl.encode()
    owner = xml.element("ID", facts.owner)
    grant = f"<Grant><Grantee {_XSI}>{owner}</Grantee><Permission>FULL_CONTROL</Permission></Grant>"
    return document("AccessControlPolicy", f"<Owner>{owner}</Owner><AccessControlList>{grant}</AccessControlList>")


def read_acl(body: bytes) -> str:
    """The document itself, once it is known to be one."""
    root = xml.read(body, "AccessControlPolicy")
    if xml.child(root, "AccessControlList") is None:
        raise MalformedXML
    return body.decode()


def is_private(acl: str) -> bool:
    """Whether an ACL, a document or one of S3's words, grants nothing to anybody but the owner; no ACL grants nothing."""
    if not acl.lstrip().startswith("<"):
        return acl in ("", "private")
    try:
        root = xml.read(acl.encode(), "AccessControlPolicy")
    except MalformedXML:
        return False
    grants = xml.child(root, "AccessControlList")
    owner = xml.value(root, "Owner/ID")
    return grants is not None and all(_the_owner(grant, owner) for grant in xml.children(grants))


def _the_owner(grant: xml.Element, owner: str | None) -> bool:
    """By ID; or a user without any, of an owner without any, which is how a store speaks that has no ACLs (MinIO)."""
    if owner:
        return xml.value(grant, "Grantee/ID") == owner
    grantee = xml.child(grant, "Grantee")
    said = [] if grantee is None else [(xml.name(node), node.text) for node in xml.children(grantee)]
    return said == [("Type", "CanonicalUser")]


def legal_hold(status: str) -> bytes:
    return document("LegalHold", xml.element("Status", status))


def read_legal_hold(body: bytes) -> str:
    status = xml.value(xml.read(body, "LegalHold"), "Status", "")
    if status not in ("ON", "OFF"):
        raise MalformedXML
    return status


def retention(lock: Mapping[str, str]) -> bytes:
    inner = xml.element("Mode", lock[locks.MODE]) + xml.element("RetainUntilDate", lock.get(locks.UNTIL, ""))
    return document("Retention", inner)


def read_retention(body: bytes, now: int) -> dict[str, str]:
    """The lock that is asked for; empty takes it off. Raises MalformedXML, InvalidArgument."""
    root = xml.read(body, "Retention")
    mode, until = xml.value(root, "Mode"), xml.value(root, "RetainUntilDate")
    if mode is None and until is None:
        return {}
    if mode not in ("GOVERNANCE", "COMPLIANCE") or until is None or (moment := locks.moment(until)) is None:
        raise MalformedXML
    if moment <= now:
        raise InvalidArgument("The retain until date must be in the future!")
    return {locks.MODE: mode, locks.UNTIL: until}


def attributes(facts: Facts, storage_class: str, asked: str) -> bytes:
    """Those of ``x-amz-object-attributes``."""
    wanted = [name.strip() for name in asked.split(",") if name.strip()]
    if not wanted or set(wanted) - set(ATTRIBUTES):
        raise InvalidArgument("Invalid attribute name specified.", ArgumentName="x-amz-object-attributes", ArgumentValue=asked)
    known = {
        "ETag": xml.element("ETag", quoted(facts.etag).strip('"')),
        "Checksum": _checksum(facts),
        "ObjectParts": f"<ObjectParts>{xml.element('PartsCount', str(len(facts.parts)))}</ObjectParts>" if facts.parts else "",
        "StorageClass": xml.element("StorageClass", storage_class),
        "ObjectSize": xml.element("ObjectSize", str(facts.size)),
    }
    return document("GetObjectAttributesResponse", "".join(known[name] for name in ATTRIBUTES if name in wanted))


def _checksum(facts: Facts) -> str:
    names = {name.lower().removeprefix("x-amz-checksum-"): value for name, value in facts.checksums.items()}
    kind = names.pop("type", "")
    rows = [xml.element(f"Checksum{name.upper()}", value) for name, value in sorted(names.items())]
    rows += [xml.element("ChecksumType", kind)] if rows and kind else []
    return f"<Checksum>{''.join(rows)}</Checksum>" if rows else ""
