"""The answer to a DeleteObjects, read and written; and the part of its question that goes to the store."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from lxml import etree

from s3shunt.protocol import xml
from s3shunt.protocol.errors import MalformedXML


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one object; ``code`` is '' for a success."""

    key: str
    version: str | None = None
    marker: str | None = None
    code: str = ""
    message: str = ""


def quiet(document: bytes) -> bool:
    return (xml.value(xml.read(document, "Delete"), "Quiet", "") or "").strip().lower() == "true"


def conditions(document: bytes) -> list[dict[str, str]]:
    """Of each object in order: the request headers that say the same as its ETag, LastModifiedTime and Size."""
    names = {"ETag": "If-Match", "LastModifiedTime": "x-amz-if-match-last-modified-time", "Size": "x-amz-if-match-size"}
    objects = xml.children(xml.read(document, "Delete"), "Object")
    return [{names[xml.name(f)]: f.text or "" for f in xml.children(each) if xml.name(f) in names} for each in objects]


def without(document: bytes, left_out: Collection[int]) -> bytes:
    """The same question without some of its objects, by their place; and every result is to be told."""
    root = xml.read(document, "Delete")
    for number, node in enumerate(list(xml.children(root, "Object"))):
        if number in left_out:
            root.remove(node)
    for node in list(xml.children(root, "Quiet")):
        root.remove(node)
    return bytes(etree.tostring(root, encoding="UTF-8", xml_declaration=True))


def results(document: bytes) -> list[Result]:
    """Raises MalformedXML for what is no DeleteResult."""
    found = []
    for node in xml.children(xml.read(document.strip(), "DeleteResult")):
        told = {xml.name(field): field.text or "" for field in xml.children(node)}
        if "Key" not in told:
            raise MalformedXML
        failed = xml.name(node) == "Error"
        found.append(
            Result(
                key=told["Key"],
                version=told.get("VersionId"),
                marker=told.get("DeleteMarkerVersionId") if told.get("DeleteMarker") == "true" else None,
                code=told.get("Code", "InternalError") if failed else "",
                message=told.get("Message", ""),
            )
        )
    return found


def write(rows: Iterable[Result], *, quietly: bool) -> bytes:
    """Failures are always told."""
    inner = "".join(_row(row) for row in rows if row.code or not quietly)
    return f'{xml.DECLARATION}<DeleteResult xmlns="{xml.NAMESPACE}">{inner}</DeleteResult>'.encode()


def _row(row: Result) -> str:
    told = {"Key": row.key, "VersionId": row.version, "Code": row.code or None, "Message": row.message or None}
    if row.marker is not None:
        told |= {"DeleteMarker": "true", "DeleteMarkerVersionId": row.marker}
    tag = "Error" if row.code else "Deleted"
    return f"<{tag}>{''.join(xml.element(name, value) for name, value in told.items() if value is not None)}</{tag}>"
