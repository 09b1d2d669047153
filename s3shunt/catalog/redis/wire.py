"""Redis' own language (RESP2) on a connection that many share: commands packed, answers unpacked as they come.

redis-py reads one answer at a time from a socket that it may wait for; a callback of the hub may not wait.
"""

from typing import Any

from redis.exceptions import ResponseError

MOST = 4 << 20
"""Bytes of an answer that is not complete yet; no answer to us is larger."""


def packed(*command: Any) -> bytes:
    """A command as it is sent."""
    parts = [b"*%d\r\n" % len(command)]
    for word in command:
        data = word if type(word) is bytes else str(word).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


class Answers:
    """``answers(data)``: those that are complete now, in order. An error is one of them. Raises ValueError for what is no answer."""

    def __init__(self) -> None:
        self._rest = b""

    def __call__(self, data: bytes) -> list[Any]:
        data, at, found = self._rest + data, 0, []
        while at < len(data) and (one := _answer(data, at)) is not None:
            found.append(one[0])
            at = one[1]
        self._rest = data[at:]
        if len(self._rest) > MOST:
            raise ValueError("an answer without an end")
        return found


def _answer(data: bytes, at: int) -> tuple[Any, int] | None:
    """The answer that begins ``at``, and where it ends; None when its end is not here yet."""
    end = data.find(b"\r\n", at)
    if end < 0:
        return None
    kind, head, end = data[at : at + 1], data[at + 1 : end], end + 2
    if kind == b"$":
        return _bulk(data, end, int(head))
    if kind == b"*":
        return _array(data, end, int(head))
    if kind == b":":
        return int(head), end
    if kind == b"+":
        return head, end
    if kind == b"-":
        return ResponseError(head.decode(errors="replace")), end
    raise ValueError("no answer begins like this")


def _bulk(data: bytes, at: int, size: int) -> tuple[bytes | None, int] | None:
    if size < 0:
        return None, at
    end = at + size
    if len(data) < end + 2:
        return None
    if data[end : end + 2] != b"\r\n":
        raise ValueError("an answer is longer than it said")
    return data[at:end], end + 2


def _array(data: bytes, at: int, count: int) -> tuple[list[Any] | None, int] | None:
    if count < 0:
        return None, at
    found = []
    for _ in range(count):
        one = _answer(data, at)
        if one is None:
            return None
        found.append(one[0])
        at = one[1]
    return found, at
