"""The bytes of a request on their way to a store: by our hands, or by the kernel where nobody needs to see them.

A store that answers, or stops listening, before it has all of them ends the upload: what it says is worth more than the rest.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

from s3shunt import green
from s3shunt.protocol.errors import IncompleteBody
from s3shunt.relay import pipe
from s3shunt.relay.body import TURN
from s3shunt.relay.head import Head
from s3shunt.relay.link import PIECE, Link


def send(link: Link, head: Head, wire: bytes, body: Iterable[bytes], gap: float) -> bool:
    """Send the request; False when the store answered, or stopped listening, before it had all of it.

    Behind its first piece a body that ``passes`` is moved by its ``fill``. Raises IncompleteBody when there are more or
    fewer bytes than ``head`` says, what ``body`` raises, and TimeoutError when the store takes none for ``gap`` seconds.
    """
    pieces = iter(body)
    first = next(pieces, b"")
    link.until(gap)
    if len(first) == head.length <= PIECE:
        link.send(wire + first)
        return _none_follow(pieces)
    link.send(wire)
    sent = 0
    for data in chain([first], pieces):
        sent += len(data)
        if sent > head.length:
            raise IncompleteBody
        if data and not _taken(link, data, gap):
            return False
        _turn(sent - len(data), sent)
        if head.length - sent > PIECE and type(link) is Link and getattr(body, "passes", False) and pipe.ready():
            return _piped(link, body, head.length - sent, gap)
    if sent < head.length:
        raise IncompleteBody
    return True


def _none_follow(pieces: Iterator[bytes]) -> bool:
    """What is held back until a body is verified may be nothing but the verdict."""
    if any(pieces):
        raise IncompleteBody
    return True


def _taken(link: Link, data: bytes, gap: float) -> bool:
    if link.refused():
        return False
    if type(link) is Link:
        rest = memoryview(data)
        return _all(link, lambda left: link.sock.send(rest[-left:]), len(data), gap)
    link.until(gap)
    try:
        link.send(data)
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def _piped(link: Link, body: Any, left: int, gap: float) -> bool:
    """So many bytes from the client's socket to the store's, and none beyond."""
    sock = link.sock.fileno()
    with pipe.pipe() as (out, into):
        while left:
            count = body.fill(into, min(left, pipe.CAPACITY))
            if link.refused() or not _all(link, lambda held: os.splice(out, sock, held, flags=pipe.FLAGS), count, gap):
                return False
            _turn(left - count, left)
            left -= count
    return True


def _all(link: Link, some: Callable[[int], int], left: int, gap: float) -> bool:
    """Until ``some(left)``, which says how many it moved, has moved all; False when the store does not want them."""
    while left:
        link.until(gap)
        try:
            left -= some(left)
        except BlockingIOError:
            if link.refused():
                return False
            link.wait_to_send()
        except (BrokenPipeError, ConnectionResetError):
            return False
    return True


def _turn(before: int, after: int) -> None:
    """Where both sides are always ready nobody ever waits: others have their turn, too."""
    if before // TURN != after // TURN:
        green.sleep(0)
