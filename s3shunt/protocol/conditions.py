"""Conditional requests, judged against what we know of a version (RFC 9110 section 13.2.2, as S3 orders them).

``If-Match`` that holds silences ``If-Unmodified-Since``; ``If-None-Match`` that
is present silences ``If-Modified-Since``. A date that cannot be read is no
condition. Dates are compared in whole seconds, as the wire has them.
"""

from collections.abc import Mapping
from email.utils import mktime_tz, parsedate_tz

from s3shunt.protocol.names import remembered


def judge(headers: Mapping[str, str], etag: str, last_modified: int) -> int | None:
    """For a GET or HEAD: None when it may go on, else 304 or 412.

    ``headers`` is case-insensitive or has lower-case names, ``etag`` may be
    quoted or bare, ``last_modified`` is in milliseconds.
    """
    seconds = last_modified // 1000
    if (match := headers.get("if-match")) is not None:
        if not _names(match, etag, weak=False):
            return 412
    elif (limit := date(headers.get("if-unmodified-since"))) is not None and seconds > limit:
        return 412
    if (none := headers.get("if-none-match")) is not None:
        return 304 if _names(none, etag, weak=True) else None
    if (since := date(headers.get("if-modified-since"))) is not None and seconds <= since:
        return 304
    return None


def range_holds(headers: Mapping[str, str], etag: str, last_modified: int) -> bool:
    """Whether ``Range`` is to be honoured: always without ``If-Range``, else only if that names this version."""
    given = headers.get("if-range")
    if given is None:
        return True
    if (seconds := date(given)) is not None and '"' not in given:
        return last_modified // 1000 == seconds
    return "*" not in given and _names(given, etag, weak=False)


def date(value: str | None) -> int | None:
    """Seconds since the epoch of an HTTP date in any of its three forms; None when it is not one."""
    return _seconds(value) if value else None


@remembered
def _seconds(value: str) -> int | None:
    parts = parsedate_tz(value)
    if parts is None:
        return None
    try:
        return mktime_tz(parts)
    except (ValueError, OverflowError):
        return None


def _names(field: str, etag: str, *, weak: bool) -> bool:
    """Whether a list of entity tags has this one. S3's clients may leave the quotes out."""
    if field.strip() == "*":
        return True
    tags = [tag.strip() for tag in field.split(",")]
    if weak:
        tags = [tag.removeprefix("W/") for tag in tags]
    return etag.strip('"') in [tag.strip('"') for tag in tags if tag]
