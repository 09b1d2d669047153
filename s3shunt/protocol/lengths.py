"""Bodies of a declared length: exactly so many bytes, or an error before the last of them is given on."""

from collections.abc import Iterable, Iterator

from s3shunt.protocol.errors import IncompleteBody


def exactly(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes, one chunk late: the last is held back until the source ended where it should.

    Raises IncompleteBody for a source that ends early or goes on.
    """
    held, seen = b"", 0
    for chunk in chunks:
        if not chunk:
            continue
        seen += len(chunk)
        if seen > size:
            raise IncompleteBody(f"Got more than the {size} bytes that were declared.")
        if held:
            yield held
        held = chunk
    if seen != size:
        raise IncompleteBody(f"Got {seen} of {size} bytes.")
    if held:
        yield held


def blocks(chunks: Iterable[bytes], length: int) -> Iterator[bytes]:
    """The same bytes in blocks of ``length``; only the last may be shorter."""
    kept = bytearray()
    for chunk in chunks:
        kept += chunk
        while len(kept) >= length:
            yield bytes(kept[:length])
            del kept[:length]
    if kept:
        yield bytes(kept)
