"""Whether a request, as a foreign server hands it on, can be framed in one way only. Pure.

Some of what a server of our own refuses cannot be seen here any more: ends of lines, the order of a
head's parts, what its parser threw away.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]++")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*+")
_TARGET = re.compile(r"(?:/|https?://)[\x21\x22\x24-\x7e]*+|\*")
_ONCE = frozenset({"content-length", "content-type", "transfer-encoding", "host", "expect", "authorization"})


def fault(environ: Mapping[str, Any], fields: Iterable[tuple[str, str]] | None, *, underscores: bool) -> str | None:
    """What could be read in two ways, in words for the client; None where nothing could.

    ``fields``: every header as it was sent, where the server tells; ``underscores``: whether names may have them.
    """
    if fields is not None and (found := _of_fields(fields, underscores=underscores)):
        return found
    if not _TOKEN.fullmatch(environ.get("REQUEST_METHOD", "")):
        return "The method is no token."
    target = environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ.get("RAW_PATH_INFO")
    if target is not None and not _TARGET.fullmatch(target):
        return "The target is no path."
    if not all(_VALUE.fullmatch(value) for name, value in environ.items() if name.startswith("HTTP_")):
        return "A header holds control characters."
    if "," in environ.get("HTTP_HOST", ""):
        return "Host is given twice."
    return _of_length(environ)


def _of_fields(fields: Iterable[tuple[str, str]], *, underscores: bool) -> str | None:
    seen = set()
    for name, value in fields:
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            return "A header's name is no token, or it holds control characters."
        if "_" in name and not underscores:
            return "A header's name may not have an underscore."
        lower = name.lower()
        if lower in _ONCE and lower in seen:
            return f"{name} is given twice."
        seen.add(lower)
    return None


def _of_length(environ: Mapping[str, Any]) -> str | None:
    coding, length = environ.get("HTTP_TRANSFER_ENCODING"), environ.get("CONTENT_LENGTH")
    if coding is not None and (length or coding.lower() != "chunked"):
        return "The length of the body could be read in two ways."
    if length and not (length.isascii() and length.isdigit() and len(length) <= 18):
        return "Content-Length must be digits."
    return None
