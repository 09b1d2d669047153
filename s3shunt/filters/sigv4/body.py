"""A body verified while it streams: its last bytes come only after all that was promised of it holds."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from s3shunt.protocol import checksums, chunked, sigv4
from s3shunt.protocol.errors import AccessDenied, S3Error
from s3shunt.protocol.names import Known
from s3shunt.wsgi import Body, Request

NOTHING = (sigv4.EMPTY_SHA256, sigv4.UNSIGNED)
"""What may be signed of a body that is not there."""


class Verified(Body):
    """A body whose last bytes come only after everything promised of it holds.

    Of a known length the final piece is held back, of an unknown one each piece
    until the next. What fails once fails again on every read.
    """

    def __init__(self, inner: Body, length: int | None, decoder: chunked.Decoder | None, sums: Sequence[checksums.Sum]) -> None:
        super().__init__(inner, length, chunked=length is None)
        self.checksums: dict[str, str] = {}
        self._inner = inner
        self._decoder = decoder
        self._sums = sums
        self._ready = b""
        self._held = b""
        self._seen = 0
        self._ended = False
        self._failed: S3Error | None = None

    def read(self, size: int = -1) -> bytes:
        """As ``Body.read``; raises what the verification found. ``checksums`` (header -> value) is full at the end."""
        if size < 0:
            return b"".join(self)
        if size and not self._ready and not self._ended:
            self._advance(size)
        data, self._ready = self._ready[:size], self._ready[size:]
        self.taken += len(data)
        return data

    def _advance(self, size: int) -> None:
        if self._failed is not None:
            raise self._failed
        try:
            while not self._ready and not self._ended:
                self._step(max(size, self.CHUNK))
        except S3Error as error:
            self._failed, self._ready, self._held = error, b"", b""
            raise

    def _step(self, size: int) -> None:
        data = self._inner.read(size)
        pieces = [data] if self._decoder is None else self._decoder.feed(data)
        for piece in pieces:
            for each in self._sums:
                each.running.update(piece)
            self._seen += len(piece)
        fresh = b"".join(pieces)
        if not data or self._inner.taken == self._inner.length:
            self._verify()
            self._ready, self._held = self._held + fresh, b""
        elif self.length is not None and self._seen < self.length:
            self._ready = fresh
        elif fresh:
            self._ready, self._held = self._held, fresh

    def _verify(self) -> None:
        trailers: Mapping[str, str] = {}
        if self._decoder is not None:
            self._decoder.close()
            trailers = self._decoder.trailers
        for each in self._sums:
            each.check(trailers)
        self.checksums = {each.header: checksums.written(each.running) for each in self._sums if each.header != checksums.PAYLOAD}
        self._ended = True


def guard(request: Request, headers: Mapping[str, str], payload: str, chain: Callable[[], chunked.Chain] | None, minimum: int) -> None:
    """Put a verified body before the doors behind. An empty one is verified now: it has no byte to hold back."""
    if request.body_length == 0 and payload in NOTHING and not any(map(PROMISES.__getitem__, headers)):
        return
    mode = chunked.mode(payload)
    if mode.signed and chain is None:
        raise AccessDenied("The chunks of a request that is not signed cannot be.")
    names = chunked.trailer_names(headers.get("x-amz-trailer"), wanted=mode.trailer)
    of_object = request.method == "POST" and "uploadId" in request.parameters
    sums = checksums.promised(headers, names, mode.hash, of_object=of_object)
    if not sums and not mode.chunked:
        return
    if not mode.chunked:
        body = Verified(request.input, request.input.length, None, sums)
    else:
        length = chunked.decoded_length(headers)
        decoder = chunked.Decoder(chain() if chain and mode.signed else None, names, length, minimum=minimum)
        body = Verified(request.input, length, decoder, sums)
        reframe(request.environ, length)
    request.input = body
    if body.length == 0:
        body.read(1)


PROMISES = Known(lambda header: header == "x-amz-trailer" or checksums.is_value(header))
"""Whether a header says something of the body that must hold."""


def reframe(environ: dict[str, Any], length: int | None) -> None:
    """From here on the environ frames the body as it is now read, not as it came."""
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ.pop("CONTENT_LENGTH", None)
    if length is None:
        environ["HTTP_TRANSFER_ENCODING"] = "chunked"
    else:
        environ["CONTENT_LENGTH"] = str(length)
