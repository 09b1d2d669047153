"""``aws-chunked``: a body in chunks, each signed or not, with checksums behind it (AWS, Chunked Upload).

Sans I/O: feed the decoder any split of the bytes and it gives the same payload
and the same verdict. A chunk's bytes are handed on as they come, its signature
is checked when it ends; so nobody may act for good on what was decoded before
``close`` returned.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from s3shunt.protocol import checksums
from s3shunt.protocol.errors import IncompleteBody, InvalidArgument, InvalidChunkSizeError, InvalidRequest, SignatureDoesNotMatch
from s3shunt.protocol.sigv4 import EMPTY_SHA256, UNSIGNED, Scope, SigningKey, same

MAX_LINE = 1024
"""Bytes in a chunk's header or in one trailer."""

MAX_CHUNK = 5 << 30
MIN_CHUNK = 8192
"""S3's own least size of a chunk that is not the last."""

TRAILER_SIGNATURE = "x-amz-trailer-signature"
_HEX = b"0123456789abcdefABCDEF"


@dataclass(frozen=True, slots=True)
class Mode:
    """What ``x-amz-content-sha256`` says of the body. ``hash`` is what the whole of it must have."""

    chunked: bool = False
    signed: bool = False
    trailer: bool = False
    hash: bytes | None = None


_MODES = {
    UNSIGNED: Mode(),
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD": Mode(chunked=True, signed=True),
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": Mode(chunked=True, signed=True, trailer=True),
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER": Mode(chunked=True, trailer=True),
}


def mode(payload: str) -> Mode:
    """Raises InvalidArgument for what is neither a known mode nor a SHA-256."""
    found = _MODES.get(payload)
    if found is not None:
        return found
    if len(payload) == 64 and not payload.strip("0123456789abcdef"):
        return Mode(hash=bytes.fromhex(payload))
    raise InvalidArgument(
        f"x-amz-content-sha256 must be {', '.join(_MODES)}, or a valid sha256 value.", ArgumentName="x-amz-content-sha256"
    )


def anonymous_payload(headers: Mapping[str, str]) -> str:
    """What somebody who signs nothing says of the body: SDKs then leave the mode out, and send its trailer all the same."""
    implied = "STREAMING-UNSIGNED-PAYLOAD-TRAILER" if "x-amz-trailer" in headers else UNSIGNED
    return headers.get("x-amz-content-sha256", implied)


def decoded_length(headers: Mapping[str, str]) -> int | None:
    """Bytes of the payload, where the client says it. Raises InvalidArgument for what is no number."""
    text = headers.get("x-amz-decoded-content-length")
    if text is not None and not (text.isascii() and text.isdigit() and len(text) < 16):
        raise InvalidArgument("x-amz-decoded-content-length must be a number.", ArgumentName="x-amz-decoded-content-length")
    return None if text is None else int(text)


def trailer_names(value: str | None, *, wanted: bool) -> tuple[str, ...]:
    """The checksums that ``x-amz-trailer`` announces. Raises InvalidRequest unless the mode is for them, and they are for S3."""
    names = tuple(name.strip().lower() for name in value.split(",")) if value else ()
    if bool(names) != wanted:
        raise InvalidRequest("The x-amz-trailer header must be given with, and only with, a mode that ends on -TRAILER.")
    if len(set(names)) != len(names) or not all(name in checksums.FACTORIES and name.startswith(checksums.PREFIX) for name in names):
        raise InvalidRequest("The value specified in the x-amz-trailer header is not supported")
    return names


class Chain:
    """Each chunk's signature covers its bytes and the signature before; the first follows the request's own."""

    def __init__(self, key: SigningKey, timestamp: str, scope: Scope, seed: str) -> None:
        self._key = key
        self._stamp = f"{timestamp}\n{scope}"
        self._last = seed
        self._hash = sha256()

    def update(self, data: bytes) -> None:
        self._hash.update(data)

    def check(self, signature: str) -> None:
        """The chunk ends here. Raises SignatureDoesNotMatch."""
        self._compare(f"AWS4-HMAC-SHA256-PAYLOAD\n{self._stamp}\n{self._last}\n{EMPTY_SHA256}\n{self._hash.hexdigest()}", signature)
        self._hash = sha256()

    def check_trailer(self, lines: str, signature: str) -> None:
        """``lines`` are ``name:value`` with a newline each. Raises SignatureDoesNotMatch."""
        digest = sha256(lines.encode()).hexdigest()
        self._compare(f"AWS4-HMAC-SHA256-TRAILER\n{self._stamp}\n{self._last}\n{digest}", signature)

    def _compare(self, text: str, signature: str) -> None:
        if not same(self._key.sign(text), signature):
            raise SignatureDoesNotMatch("A chunk's signature does not match.")
        self._last = signature


class Decoder:
    """Decodes one body; any fault raises, and ``close`` raises unless the end was seen.

    ``length`` is what x-amz-decoded-content-length promised, ``names`` the
    trailers announced; what they said is in ``trailers`` once ``ended``.
    """

    def __init__(
        self, chain: Chain | None = None, names: Sequence[str] = (), length: int | None = None, *, minimum: int = MIN_CHUNK
    ) -> None:
        self.trailers: dict[str, str] = {}
        self.total = 0
        self.ended = False
        self._chain = chain
        self._names = names
        self._length = length
        self._minimum = minimum
        self._step: Callable[[memoryview, list[bytes]], memoryview] = self._header
        self._line = b""
        self._left = 0
        self._short = False
        self._signature = ""

    def feed(self, data: bytes) -> list[bytes]:
        """The payload that these bytes complete, in pieces."""
        pieces: list[bytes] = []
        rest = memoryview(data)
        while rest:
            rest = self._step(rest, pieces)
        return pieces

    def close(self) -> None:
        """The peer has no more bytes. Raises IncompleteBody when some are missing."""
        if not self.ended:
            raise IncompleteBody

    def _header(self, data: memoryview, _pieces: list[bytes]) -> memoryview:
        line, rest = self._take(data)
        if line is None:
            return rest
        size, separator, extension = line.partition(b";")
        self._left = _size(size)
        self._signature = self._chunk_signature(separator + extension)
        if self._left:
            self._count(self._left)
            self._step = self._payload
            return rest
        if self._chain is not None:
            self._chain.check(self._signature)
        self._step = self._trailer
        return rest

    def _chunk_signature(self, extension: bytes) -> str:
        if self._chain is None:
            if extension:
                raise IncompleteBody("A chunk of an unsigned body has an extension.")
            return ""
        if not extension.startswith(b";chunk-signature="):
            raise IncompleteBody("A chunk of a signed body has no signature.")
        return extension[17:].decode("latin-1")

    def _count(self, size: int) -> None:
        if self._short:
            raise InvalidChunkSizeError
        self._short = size < self._minimum
        self.total += size
        if self._length is not None and self.total > self._length:
            raise IncompleteBody

    def _payload(self, data: memoryview, pieces: list[bytes]) -> memoryview:
        piece = bytes(data[: self._left])
        self._left -= len(piece)
        if self._chain is not None:
            self._chain.update(piece)
        pieces.append(piece)
        if not self._left:
            if self._chain is not None:
                self._chain.check(self._signature)
            self._step = self._gap
        return data[len(piece) :]

    def _gap(self, data: memoryview, _pieces: list[bytes]) -> memoryview:
        missing = 2 - len(self._line)
        self._line += data[:missing]
        if not b"\r\n".startswith(self._line):
            raise IncompleteBody("A chunk is longer than it said.")
        if len(self._line) == 2:
            self._line, self._step = b"", self._header
        return data[missing:]

    def _trailer(self, data: memoryview, _pieces: list[bytes]) -> memoryview:
        line, rest = self._take(data)
        if line is None:
            return rest
        if not line:
            self._end()
            return rest
        name, colon, value = line.decode("latin-1").partition(":")
        name = name.lower()
        announced = name in self._names or (name == TRAILER_SIGNATURE and self._chain is not None and self._names)
        if not colon or not announced or name in self.trailers or TRAILER_SIGNATURE in self.trailers:
            raise InvalidRequest("A trailer was sent that was not announced, or sent twice.")
        self.trailers[name] = value.strip()
        return rest

    def _end(self) -> None:
        signature = self.trailers.pop(TRAILER_SIGNATURE, "")
        if self.trailers.keys() != set(self._names):
            raise InvalidRequest("A trailer was announced that was not sent.")
        if self._chain is not None and self._names:
            self._chain.check_trailer("".join(f"{name}:{value}\n" for name, value in self.trailers.items()), signature)
        if self._length is not None and self.total != self._length:
            raise IncompleteBody
        self.ended = True
        self._step = self._nothing

    def _nothing(self, _data: memoryview, _pieces: list[bytes]) -> memoryview:
        raise IncompleteBody("The body goes on after its end.")

    def _take(self, data: memoryview) -> tuple[bytes | None, memoryview]:
        """One line without its CRLF, and the rest; None when it has not ended yet."""
        kept = len(self._line)
        line = self._line + data[: MAX_LINE + 2 - kept]
        end = line.find(b"\r\n")
        if end < 0:
            if len(line) == MAX_LINE + 2:
                raise IncompleteBody("A line between the chunks is too long.")
            self._line = line
            return None, data[len(data) :]
        self._line = b""
        return line[:end], data[end + 2 - kept :]


def _size(text: bytes) -> int:
    if not text or len(text) > 16 or text.translate(None, _HEX):
        raise IncompleteBody("A chunk's size is not a hexadecimal number.")
    size = int(text, 16)
    if size > MAX_CHUNK:
        raise IncompleteBody("A chunk is too large.")
    return size
