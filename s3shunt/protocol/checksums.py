"""The checksums S3 knows, fed piece by piece, and how they are written in headers and trailers.

CRC32C and CRC64NVME come from awscrt where it is installed, else from a table
here (some 20 MB/s). All CRCs are written big-endian, as S3 has them.
"""

import base64
import binascii
import hashlib
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Protocol

from s3shunt.protocol.errors import BadDigest, InvalidDigest, InvalidRequest, XAmzContentSHA256Mismatch
from s3shunt.protocol.names import remembered

PREFIX = "x-amz-checksum-"
PAYLOAD = "x-amz-content-sha256"
_NOT_VALUES = frozenset({"x-amz-checksum-algorithm", "x-amz-checksum-mode", "x-amz-checksum-type"})


class Checksum(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class Crc:
    """A CRC of ``width`` bytes, by a function of (data, so far)."""

    def __init__(self, function: Callable[[bytes, int], int], width: int) -> None:
        self._function = function
        self._width = width
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = self._function(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._width, "big")


@lru_cache
def _table(polynomial: int) -> list[int]:
    """What two bytes do to a reflected CRC."""
    table = list(range(65536))
    for _ in range(16):
        table = [value >> 1 ^ (polynomial if value & 1 else 0) for value in table]
    return table


def by_table(polynomial: int, width: int) -> Callable[[bytes, int], int]:
    """A reflected CRC in plain Python, two bytes at a step; ``polynomial`` is the reflected one."""
    mask = (1 << 8 * width) - 1

    def crc(data: bytes, so_far: int) -> int:
        table, value = _table(polynomial), so_far ^ mask
        for pair in struct.unpack_from(f"<{len(data) // 2}H", data):
            value = table[(value ^ pair) & 0xFFFF] ^ value >> 16
        if len(data) % 2:
            value ^= data[-1]
            for _ in range(8):
                value = value >> 1 ^ (polynomial if value & 1 else 0)
        return value ^ mask

    return crc


table_crc32c = by_table(0x82F63B78, 4)
table_crc64nvme = by_table(0x9A6C9329AC4BC9B5, 8)
_BY_TABLE = {"crc32c": table_crc32c, "crc64nvme": table_crc64nvme}


@cache
def _fastest(name: str) -> Callable[[bytes, int], int]:
    try:
        from awscrt import checksums as crt  # not a dependency, and slow to load: a faster way to the same numbers
    except ImportError:
        return _BY_TABLE[name]
    return getattr(crt, name)  # type: ignore[no-any-return]

FACTORIES: dict[str, Callable[[], Checksum]] = {
    "content-md5": lambda: hashlib.md5(usedforsecurity=False),
    "x-amz-checksum-crc32": lambda: Crc(zlib.crc32, 4),
    "x-amz-checksum-crc32c": lambda: Crc(_fastest("crc32c"), 4),
    "x-amz-checksum-crc64nvme": lambda: Crc(_fastest("crc64nvme"), 8),
    "x-amz-checksum-sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "x-amz-checksum-sha256": hashlib.sha256,
}
"""By lower-case header name."""

_SIZES = {PREFIX + name: size for name, size in (("crc32", 4), ("crc32c", 4), ("crc64nvme", 8), ("sha1", 20), ("sha256", 32))}
_SIZES["content-md5"] = 16


@remembered
def is_value(header: str) -> bool:
    """Whether a lower-case header carries a checksum of the body, known or not."""
    return header == "content-md5" or (header.startswith(PREFIX) and header not in _NOT_VALUES)


def for_header(header: str) -> Callable[[], Checksum]:
    """Raises InvalidRequest for a checksum nobody here can compute: it must not pass unverified."""
    found = FACTORIES.get(header)
    if found is None:
        raise InvalidRequest(f"The checksum {header} is not supported. Use one of {', '.join(sorted(FACTORIES))}.")
    return found


def expected(header: str, value: str) -> bytes:
    """The digest a header or trailer promises. Raises InvalidDigest (Content-MD5) or InvalidRequest when it is none."""
    for_header(header)
    try:
        digest = base64.b64decode(value.strip().encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        digest = b""
    if len(digest) != _SIZES[header]:
        raise InvalidDigest if header == "content-md5" else InvalidRequest(f"Value for {header} header is invalid.")
    return digest


@dataclass(frozen=True, slots=True)
class Sum:
    """One digest that the whole body must have; what a trailer promises is not known before its end."""

    header: str
    running: Checksum
    digest: bytes | None = None

    def check(self, trailers: Mapping[str, str]) -> None:
        """Raises XAmzContentSHA256Mismatch or BadDigest, and what ``expected`` raises."""
        wanted = self.digest if self.digest is not None else expected(self.header, trailers[self.header])
        if self.running.digest() != wanted:
            raise XAmzContentSHA256Mismatch if self.header == PAYLOAD else BadDigest


def promised(headers: Mapping[str, str], trailers: Sequence[str], payload: bytes | None, *, of_object: bool) -> list[Sum]:
    """Every digest that headers, announced trailers and the signed hash promise of a body.

    ``of_object``: the request completes an upload, so its x-amz-checksum-* is
    that of the object and not of its document. Raises InvalidRequest,
    InvalidDigest.
    """
    found = [name for name in headers if is_value(name)]
    of_s3 = [name for name in found if name.startswith(PREFIX)]
    if len(of_s3) + len(trailers) > 1:
        raise InvalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
    kept = [name for name in found if not (of_object and name in of_s3)]
    sums = [Sum(name, for_header(name)(), expected(name, headers[name])) for name in kept]
    sums += [Sum(name, for_header(name)()) for name in trailers]
    return sums if payload is None else [*sums, Sum(PAYLOAD, hashlib.sha256(), payload)]


def written(checksum: Checksum) -> str:
    """The digest so far in base64, as S3 writes it."""
    return base64.b64encode(checksum.digest()).decode("ascii")
