"""Names of S3 as names of directories, one to one. Pure.

A name is cut into pieces of 80 bytes, each percent-encoded, each with a mark
behind it that no encoded piece can hold: ``+`` goes on, ``=`` ends a key, ``,``
a bucket, ``@`` an account. So no piece is ``..``, too long, or another's.
"""

from collections.abc import Iterator
from urllib.parse import quote, unquote_to_bytes

from s3shunt.model import ObjectRef

PIECE = 80
MORE, KEY, BUCKET, ACCOUNT = "+", "=", ",", "@"


def pieces(name: str, end: str) -> Iterator[str]:
    raw = name.encode("utf-8", "surrogateescape")
    cut = max(0, (len(raw) - 1) // PIECE * PIECE)
    for at in range(0, cut, PIECE):
        yield quote(raw[at : at + PIECE], safe="") + MORE
    yield quote(raw[cut:], safe="") + end


def bucket_path(account: str, bucket: str) -> list[str]:
    return [*pieces(account, ACCOUNT), *pieces(bucket, BUCKET)]


def path(ref: ObjectRef) -> list[str]:
    return [*bucket_path(ref.account, ref.bucket), *pieces(ref.key, KEY)]


def piece(name: str) -> tuple[bytes, str]:
    """The bytes a directory stands for, and its mark."""
    return unquote_to_bytes(name[:-1]), name[-1:]
