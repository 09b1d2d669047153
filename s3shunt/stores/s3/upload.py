"""Bodies on their way into the store, whole or not at all.

No request carries a byte before all of its bytes were seen: there are stores
that keep an object of nothing when a PUT is cut before its first byte. So a
small body is one PUT, a larger one a multipart upload, completed last.
"""

from base64 import b64encode
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from hashlib import md5
from typing import Any
from urllib.parse import urlencode

from botocore.exceptions import BotoCoreError, ClientError

from s3shunt.model import Facts
from s3shunt.protocol.lengths import blocks, exactly
from s3shunt.stores.s3.session import line

PART = 16 << 20
MOST_PARTS = 10_000

_PARAMETERS = {
    "cache-control": "CacheControl",
    "content-disposition": "ContentDisposition",
    "content-encoding": "ContentEncoding",
    "content-language": "ContentLanguage",
    "content-type": "ContentType",
    "expires": "Expires",
    "x-amz-website-redirect-location": "WebsiteRedirectLocation",
}


def described(facts: Facts | None) -> dict[str, Any]:
    """The parameters of a PUT that carry what is said of the object: headers, metadata, tags."""
    if facts is None:
        return {}
    how: dict[str, Any] = {_PARAMETERS[name]: value for name, value in facts.headers.items() if name in _PARAMETERS}
    how["Metadata"] = {name: line(value) for name, value in facts.metadata.items()}
    return {**how, "Tagging": urlencode(facts.tags)} if facts.tags else how


def part_size(size: int) -> int:
    """At least 16 MiB, whole MiB, and never more than 10,000 parts."""
    least = -(-size // MOST_PARTS)
    return max(PART, -(-least // (1 << 20)) << 20)


def put(client: Any, name: dict[str, str], chunks: Iterable[bytes], size: int, how: dict[str, Any]) -> dict[str, Any]:
    """The store's answer, with the new object's ETag and VersionId."""
    if size > PART:
        return _in_parts(client, name, chunks, size, how)
    body = b"".join(exactly(chunks, size))
    answer: dict[str, Any] = client.put_object(**name, Body=body, ContentMD5=_digest(body), **how)
    return answer


def _in_parts(client: Any, name: dict[str, str], chunks: Iterable[bytes], size: int, how: dict[str, Any]) -> dict[str, Any]:
    upload = {**name, "UploadId": client.create_multipart_upload(**name, **how)["UploadId"]}
    with ExitStack() as stack:
        stack.callback(_abort, client, upload)
        parts = []
        for number, block in enumerate(blocks(exactly(chunks, size), part_size(size)), 1):
            done = client.upload_part(**upload, PartNumber=number, Body=block, ContentMD5=_digest(block))
            parts.append({"PartNumber": number, "ETag": done["ETag"]})
        answer: dict[str, Any] = client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
        stack.pop_all()
    return answer


def _digest(body: bytes) -> str:
    return b64encode(md5(body).digest()).decode()


def _abort(client: Any, upload: dict[str, str]) -> None:
    with suppress(ClientError, BotoCoreError):  # what is left is the bucket's lifecycle to clean; the first error matters more
        client.abort_multipart_upload(**upload)
