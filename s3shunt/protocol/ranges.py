"""The ``Range`` header on a body of known size, as S3 reads it.

S3 serves one range. What it cannot read, another unit, or several ranges get
the whole object with 200; a range that no byte falls into is refused.
"""

import re

from s3shunt.protocol.errors import InvalidRange

_RANGE = re.compile(r"\s*bytes\s*=\s*([0-9]{0,99})\s*-\s*([0-9]{0,99})\s*", re.ASCII | re.IGNORECASE)


def parse(header: str | None, size: int) -> tuple[int, int] | None:
    """``(start, end)``, end exclusive and never beyond ``size``; None for the whole body. Raises InvalidRange."""
    found = _RANGE.fullmatch(header) if header else None
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        start, end = max(size - int(found[2]), 0), size
    else:
        start, end = int(found[1]), min(int(found[2]) + 1, size) if found[2] else size
        if found[2] and int(found[2]) < start:
            return None
    if start >= end:
        raise InvalidRange(
            RangeRequested=(header or "").strip(), ActualObjectSize=str(size), headers=(("Content-Range", f"bytes */{size}"),)
        )
    return start, end


def content_range(start: int, end: int, size: int) -> str:
    """The value of ``Content-Range`` for what ``parse`` gave."""
    return f"bytes {start}-{end - 1}/{size}"
