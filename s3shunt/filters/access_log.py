"""Writes one line of JSON for each request, when its answer has been sent or given up.

The fields, in this order: ``time`` (UTC), ``id``, ``peer``, ``identity`` (access key), ``agent``, ``method``,
``status``, ``error``, ``upstream`` and ``attempts`` (what the store answered, after how many tries), ``operation``,
``bucket``, ``key``, ``version``, ``query`` (only parameters without secrets), whatever doors further in noted, ``cut``
where the answer was not sent to its end, ``in`` and ``out`` (body bytes), ``ms``. Signatures, tokens, policies and other
header or query values never appear: what is logged is an allow-list.

Lines are collected and written every ``flush``, or when 200 have come together; a log that
cannot be written never stops a request: the lines are dropped, and how many is told in a line of
its own (``dropped``) once it can. The file is opened for each write, so it may be moved away at any time (logrotate).

It stands outermost. It refuses nothing.

    [filter:access_log]
    use = egg:s3shunt#access_log
    path = -
"""

import atexit
import os
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from itertools import starmap
from json.encoder import JSONEncoder
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from s3shunt import green, wsgi
from s3shunt.config import duration, option, text
from s3shunt.connect import House
from s3shunt.protocol import operations
from s3shunt.protocol.errors import S3Error
from s3shunt.wsgi import Handler, Request, Response

TOGETHER = 200
"""Lines that are not waited with any longer."""
SHOWN = (operations.SUBRESOURCES | operations.PARAMETERS) - {"continuation-token"}

_NOTHING: dict[str, Any] = {}
_json = JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True)
class Options:
    path: str = option(text, "-", help="File to append to, or '-' for standard error.")
    flush: int = option(duration, "1s", help="How long a line may wait to be written.")


class AccessLog:
    def __init__(self, forward: Handler, options: Options, house: House) -> None:
        self.forward = forward
        self.now, self.monotonic = house.clock.now, house.clock.monotonic
        self.lines = Lines(options.path, options.flush, partial(starmap, _line))
        atexit.register(self.lines.write)

    def __call__(self, request: Request) -> Response:
        request.context.started = self.monotonic()
        response = self.forward(request)
        response.watch(request, self._closed)
        return response

    def _closed(self, request: Request, response: Response, sent: int) -> None:
        """What the line will say is kept, and nothing that would hold the request."""
        context, environ, out = request.context, request.environ, str(sent)
        operation, bucket, key, more = _asked(request)
        if context.notes:
            more = more | context.notes
        if ("Content-Length", out) not in response.headerlist and request.method != "HEAD" and _cut(response, sent):
            more = more | {"cut": True}
        self.lines.add((
            self.now(), self.monotonic() - context.started, context.request_id, environ.get("REMOTE_ADDR", ""),
            context.identity.access_key if context.identity else "", environ.get("HTTP_USER_AGENT", ""), request.method,
            response.status_int, context.error_code, context.upstream_status, context.upstream_attempts, operation, bucket, key,
            more, request.taken, out,
        ))  # fmt: skip


def _asked(request: Request) -> tuple[str, str, str, dict[str, Any]]:
    """Operation, bucket, key, and what few requests have; of one that could not even be read, its path."""
    try:
        ref, parameters = request.ref, request.parameters
    except S3Error:
        return "", "", "", {"path": request.environ.get("PATH_INFO", "")[:1024]}
    try:
        operation = request.operation.name
    except S3Error:
        operation = ""
    if not parameters and not ref.version:
        return operation, ref.bucket, ref.key, _NOTHING
    query = {name: value for name, value in parameters.items() if name in SHOWN}
    return operation, ref.bucket, ref.key, {"version": ref.version, "query": query}


def _line(  # noqa: PLR0917  # as they were kept
    now: int, seconds: float, request_id: str, peer: str, identity: str, agent: str, method: str, status: int, error: str, upstream: int,
    attempts: int, operation: str, bucket: str, key: str, more: dict[str, Any], taken: int, out: str,
) -> str:  # fmt: skip
    alike = _alike(peer, identity, agent[:200], method, status, error, upstream, attempts, operation, bucket)
    named = f'"key":{quoted(key)},' if key else ""
    return (
        f'{{"time":"{timestamp(now)}","id":"{request_id}",{alike}{named}{fields(more) if more else ""}'
        f'"in":{taken},"out":{out},"ms":{round(seconds * 1000)}}}\n'
    )


def _cut(response: Response, sent: int) -> bool:
    """Whether more was announced."""
    declared = response.field("content-length")
    return declared is not None and declared.isdigit() and sent < int(declared)


@lru_cache(maxsize=1024)
def _alike(  # noqa: PLR0917  # the fields that many lines have alike, and what they are known by
    peer: str, identity: str, agent: str, method: str, status: int, error: str, upstream: int, attempts: int, operation: str, bucket: str
) -> str:
    return fields({
        "peer": peer, "identity": identity, "agent": agent, "method": method, "status": status, "error": error,
        "upstream": upstream, "attempts": attempts, "operation": operation, "bucket": bucket,
    })  # fmt: skip


@lru_cache(maxsize=8)
def timestamp(now: int) -> str:
    return f"{_second(now // 1000)}.{now % 1000:03d}Z"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def fields(facts: dict[str, Any]) -> str:
    """As they stand in a line of JSON, in ASCII, with a comma behind each. What is empty is left out."""
    return "".join([f"{quoted(name)}:{_json(value)}," for name, value in facts.items() if value])


class Lines:
    """Lines on their way to a file: collected, written in one piece, never waited for.

    What is added is made into lines when they are written, ``formed`` many at a time: that is quicker than one by one.
    """

    def __init__(self, path: str, flush: int, formed: Callable[[list[Any]], Iterable[str]]) -> None:
        self.path = path
        self.formed = formed
        self.flush_after = flush / 1000
        self.dropped = 0
        self._together = TOGETHER if flush else 1
        self._pending: list[Any] = []
        self._due = False
        self._lock = threading.Lock()  # never held over I/O

    def add(self, seen: Any) -> None:
        self._pending.append(seen)
        if len(self._pending) >= self._together:
            self.flush()
        elif not self._due:
            self._wait()

    def _wait(self) -> None:
        with self._lock:
            start, self._due = not self._due, True
        if start:
            green.spawn(self._later)

    def _later(self) -> None:
        green.sleep(self.flush_after)
        self._due = False
        self.flush()

    def flush(self) -> None:
        """Write what has come together."""
        if seen := self._taken():
            green.offload(self._append, seen)

    def write(self) -> None:
        """The same at once, at the end of the process."""
        if seen := self._taken():
            self._append(seen)

    def _taken(self) -> list[Any]:
        with self._lock:
            seen = self._pending[:]
            del self._pending[: len(seen)]  # others may have added to them meanwhile
        return seen

    def _append(self, seen: list[Any]) -> None:
        with self._lock:
            lost, self.dropped = self.dropped, 0
        told = f'{{"dropped":{lost}}}\n' if lost else ""
        try:
            self._write(f"{told}{''.join(self.formed(seen))}".encode("ascii"))
        except OSError:
            with self._lock:
                self.dropped += lost + len(seen)

    def _write(self, data: bytes) -> None:
        if self.path == "-":
            sys.stderr.buffer.write(data)
            sys.stderr.buffer.flush()
            return
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)


factory = wsgi.filter_factory(AccessLog, Options, "filter:access_log")
