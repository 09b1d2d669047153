"""Writes one line of JSON for each request, when its answer has been sent or given up.

The fields: ``time`` (UTC), ``id``, ``peer``, ``identity`` (access key), ``operation``, ``bucket``,
``key``, ``version``, ``method``, ``query`` (only parameters without secrets), ``status``, ``error``,
``in`` and ``out`` (body bytes), ``ms``, ``upstream`` and ``attempts`` (what the store answered,
after how many tries), ``agent``, and whatever doors further in noted. ``cut`` stands
where the answer was not sent to its end. Signatures, tokens, policies and other header
or query values never appear: what is logged is an allow-list.

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
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from s3shunt import green, wsgi
from s3shunt.config import duration, option, text
from s3shunt.connect import House
from s3shunt.protocol import operations
from s3shunt.protocol.errors import S3Error
from s3shunt.protocol.names import Known
from s3shunt.wsgi import Handler, Request, Response, watch_close

TOGETHER = 200
"""Lines that are not waited with any longer."""
SHOWN = (operations.SUBRESOURCES | operations.PARAMETERS) - {"continuation-token"}


@dataclass(frozen=True)
class Options:
    path: str = option(text, "-", help="File to append to, or '-' for standard error.")
    flush: int = option(duration, "1s", help="How long a line may wait to be written.")


class AccessLog:
    def __init__(self, forward: Handler, options: Options, house: House) -> None:
        self.forward = forward
        self.clock = house.clock
        self.lines = Lines(options.path, options.flush)
        atexit.register(self.lines.write)

    def __call__(self, request: Request) -> Response:
        context = request.context
        context.started = self.clock.monotonic()
        response = self.forward(request)
        declared = None if request.method == "HEAD" else response.field("content-length")

        def closed(sent: int) -> None:
            context.bytes_out = sent
            cut = declared is not None and declared.isdigit() and sent < int(declared)
            self.lines.add(self._line(request, response.status_int, cut=cut))

        watch_close(response, closed)
        return response

    def _line(self, request: Request, status: int, *, cut: bool) -> dict[str, Any]:
        context = request.context
        line = {
            "time": timestamp(self.clock.now()),
            "id": context.request_id,
            "peer": request.environ.get("REMOTE_ADDR", ""),
            "identity": context.identity.access_key if context.identity else "",
            "method": request.method,
            **_target(request),
            "status": status,
            "error": context.error_code,
            "in": request.taken,
            "out": context.bytes_out,
            "ms": round((self.clock.monotonic() - context.started) * 1000),
            "upstream": context.upstream_status,
            "attempts": context.upstream_attempts,
            "agent": request.environ.get("HTTP_USER_AGENT", "")[:200],
            "cut": cut,
        }
        if context.notes:
            line |= context.notes
        return line


def _target(request: Request) -> dict[str, Any]:
    """What the request is about; of one that could not even be read, its path."""
    try:
        ref, parameters = request.ref, request.parameters
    except S3Error:
        return {"path": request.environ.get("PATH_INFO", "")[:1024]}
    query = {name: value for name, value in parameters.items() if name in SHOWN} if parameters else None
    return {"operation": _operation(request), "bucket": ref.bucket, "key": ref.key, "version": ref.version, "query": query}


def _operation(request: Request) -> str:
    try:
        return request.operation.name
    except S3Error:
        return ""


_QUOTED = Known(quoted)


def timestamp(now: int) -> str:
    return f"{_second(now // 1000)}.{now % 1000:03d}Z"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def written(line: dict[str, Any]) -> bytes:
    """One line of JSON, in ASCII: texts, numbers, truths, and flat objects of them. What is empty is left out."""
    fields = [f"{_QUOTED[name]}:{quoted(each) if type(each) is str else _value(each)}" for name, each in line.items() if each]
    return f"{{{','.join(fields)}}}\n".encode("ascii")


def _value(value: Any) -> str:
    if type(value) is int:
        return str(value)
    if type(value) is dict:
        fields = [f"{quoted(name)}:{quoted(each) if type(each) is str else _value(each)}" for name, each in value.items()]
        return f"{{{','.join(fields)}}}"
    return quoted(value) if type(value) is str else ("false", "true")[value] if type(value) is bool else str(int(value))


class Lines:
    """Lines on their way to a file: collected, written in one piece, never waited for."""

    def __init__(self, path: str, flush: int) -> None:
        self.path = path
        self.flush_after = flush / 1000
        self.dropped = 0
        self._pending: list[dict[str, Any]] = []
        self._due = False
        self._lock = threading.Lock()  # never held over I/O

    def add(self, line: dict[str, Any]) -> None:
        with self._lock:
            self._pending.append(line)
            start, self._due = not self._due, True
            full = len(self._pending) >= TOGETHER
        if full or self.flush_after == 0:
            self.flush()
        elif start:
            green.spawn(self._later)

    def _later(self) -> None:
        green.sleep(self.flush_after)
        self.flush()

    def flush(self) -> None:
        """Write what has come together."""
        green.offload(self.write)

    def write(self) -> None:
        with self._lock:
            pending, self._pending, self._due = self._pending, [], False
            lost = self.dropped
        if not pending:
            return
        told = [b'{"dropped":%d}\n' % lost] if lost else []
        try:
            self._append(b"".join([*told, *map(written, pending)]))
        except OSError:
            lost = -len(pending)
        with self._lock:
            self.dropped -= lost

    def _append(self, data: bytes) -> None:
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
