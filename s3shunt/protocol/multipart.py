"""The answers of writes that say more than a status: which upload, which ETag, and errors that come with 200."""

from dataclasses import dataclass
from datetime import UTC, datetime

from s3shunt.protocol import xml
from s3shunt.protocol.errors import MalformedXML

ROOTS = ("CompleteMultipartUploadResult", "CopyObjectResult", "CopyPartResult", "PostResponse")


@dataclass(frozen=True, slots=True)
class Outcome:
    """``error`` is the code of a failure that came with 200, '' for a success."""

    etag: str = ""
    error: str = ""


def upload_id(document: bytes) -> str | None:
    """Of the answer to CreateMultipartUpload; None when it is no such answer."""
    try:
        return xml.value(xml.read(document, "InitiateMultipartUploadResult"), "UploadId") or None
    except MalformedXML:
        return None


def outcome(document: bytes) -> Outcome | None:
    """Of a Complete or a copy, which keep the connection alive with space before the document; None if it is neither."""
    document = document.strip()
    for root in (*ROOTS, "Error"):
        try:
            tree = xml.read(document, root)
        except MalformedXML:
            continue
        if root == "Error":
            return Outcome(error=xml.value(tree, "Code") or "InternalError")
        return Outcome(etag=xml.value(tree, "ETag") or "")
    return None


def copied(etag: str, modified: int, *, part: bool = False) -> bytes:
    """The answer to a copy that we made ourselves; ``modified`` in milliseconds."""
    root = "CopyPartResult" if part else "CopyObjectResult"
    when = f"{datetime.fromtimestamp(modified // 1000, UTC):%Y-%m-%dT%H:%M:%S}.000Z"
    inner = xml.element("LastModified", when) + xml.element("ETag", etag)
    return f'{xml.DECLARATION}<{root} xmlns="{xml.NAMESPACE}">{inner}</{root}>'.encode()
