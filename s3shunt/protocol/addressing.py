"""From a request target and host to an ``ObjectRef``, decoded exactly once.

Keys are kept as the client wrote them: ``//``, ``.`` and ``..`` are ordinary
characters of a key (S3 API, Creating object key names).
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from urllib.parse import quote, unquote_to_bytes

from s3shunt.model import ObjectRef
from s3shunt.protocol.errors import BadRequest, InvalidBucketName, InvalidURI, KeyTooLongError
from s3shunt.protocol.names import Known, remembered

_UNRESERVED = re.compile("[/A-Za-z0-9._~-]*")
MAX_KEY = 1024
_BUCKET = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9._-]{1,253})[a-zA-Z0-9]")
_LEGAL = Known(lambda bucket: _BUCKET.fullmatch(bucket) is not None)
_HOST = re.compile(r"(?:((?:[a-z0-9_-]{1,63}+\.)*[a-z0-9_-]{1,63}+)\.?|\[([0-9a-f:.]+)\])(?::([0-9]{0,5}))?", re.ASCII)
MAX_HOST = 253


def escape(path: str) -> str:
    """Percent-encode as SigV4 does for S3: everything but unreserved characters and '/'."""
    return path if _UNRESERVED.fullmatch(path) else quote(path, safe="/~")


def origin_form(target: str) -> str:
    """The path and query of a target; an absolute form loses its scheme and authority."""
    if target.startswith("/"):
        return target
    found = re.match(r"https?://[^/?#]*(/[^#]*)?$", target, re.IGNORECASE)
    if found is None:
        raise InvalidURI
    return found[1] or "/"


def authority(target: str) -> str:
    """Whom an absolute form names, in lower case; '' for an origin form."""
    found = re.match(r"https?://([^/?#]*)", target, re.IGNORECASE)
    return found[1].lower() if found else ""


@lru_cache(maxsize=4096)
def hostname(text: str) -> str:
    """The name in a Host, as hosts are compared: in lower case, without port and without the dot of the root.

    An IPv6 address keeps its brackets; '' names none. Raises BadRequest for what is no host: a list, an
    address without its brackets, a name that is not ASCII (an IDN travels as ``xn--``).
    """
    if not text:
        return ""
    found = _HOST.fullmatch(text.lower()) if text.isascii() else None
    if found is None or len(found[1] or "") > MAX_HOST or int(found[3] or 0) > 65535:
        raise BadRequest("The Host cannot be read.")
    return found[1] or f"[{_address(found[2])}]"


def _address(text: str) -> IPv6Address:
    try:
        return IPv6Address(text)
    except AddressValueError:
        raise BadRequest("The Host cannot be read.") from None


def under(name: str, domains: Sequence[str]) -> tuple[str, str] | None:
    """What stands before the longest of ``domains`` that a host name ends with, and that domain; whole labels only."""
    found = max((domain for domain in domains if f".{name}".endswith(f".{domain}")), key=len, default="")
    return (name[: -len(found) - 1], found) if found else None


def decode(text: str) -> str:
    """Percent-decoded text. Raises InvalidURI for a stray '%', for what is not UTF-8, and for NUL, which no database keeps."""
    return text if _plain(text) else _decoded(text)


def _plain(text: str) -> bool:
    return "%" not in text and text.isascii() and "\x00" not in text


@remembered
def _decoded(text: str) -> str:
    if re.search(r"%(?![0-9A-Fa-f]{2})|%00|\x00", text):
        raise InvalidURI
    try:
        return unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidURI from None


def query(text: str) -> list[tuple[str, str]]:
    """Parameters in order, '+' standing for a space as S3 reads it."""
    if not text:
        return []
    return [part.partition("=")[::2] if _plain(part) and "+" not in part else _parameter(part) for part in text.split("&") if part]


def _parameter(part: str) -> tuple[str, str]:
    name, _, value = part.replace("+", " ").partition("=")
    return decode(name), decode(value)


def check(ref: ObjectRef) -> ObjectRef:
    """Raises InvalidBucketName, KeyTooLongError or InvalidURI."""
    bucket, key = ref.bucket, ref.key
    if (bucket or key) and not _LEGAL[bucket]:
        raise InvalidBucketName(BucketName=bucket)
    if len(key) > MAX_KEY or (not key.isascii() and len(key.encode()) > MAX_KEY):
        raise KeyTooLongError
    if "\x00" in key:
        raise InvalidURI
    return ref


def path_style(raw_path: str, version: str | None = None, account: str = "") -> ObjectRef:
    """``/bucket/key`` -> ref."""
    if not raw_path.startswith("/"):
        raise InvalidURI
    bucket, _, key = raw_path[1:].partition("/")
    if not _plain(raw_path):
        bucket, key = decode(bucket), decode(key)
    return check(ObjectRef(bucket, key, version or None, account))


def host_style(bucket: str, raw_path: str, version: str | None = None) -> ObjectRef:
    """``/key`` on the bucket's own host -> ref."""
    if not raw_path.startswith("/"):
        raise InvalidURI
    return check(ObjectRef(bucket, decode(raw_path[1:]), version or None))


def ambiguous(key: str) -> bool:
    """Whether a store that keeps keys as paths of files may take this one for another."""
    if "/." not in key and "//" not in key and "\\" not in key and key[:1] not in ("", ".", "/"):
        return False  # most keys: no segment can be one of these
    segments = key.removesuffix("/").split("/")
    return "\\" in key or any(segment in ("", ".", "..") for segment in segments)


def copy_source(value: str) -> ObjectRef:
    """The object named by ``x-amz-copy-source``: ``[/]bucket/key[?versionId=x]``, percent-encoded."""
    path, _, parameters = value.partition("?")
    version = dict(query(parameters)).get("versionId")
    ref = path_style("/" + path.removeprefix("/"), version)
    if not ref.key:
        raise InvalidURI("Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
    return ref
