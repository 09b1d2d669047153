"""Uploads whose length is known only at their end."""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from s3shunt import green, wsgi
from s3shunt.apps.proxy.options import Options
from s3shunt.protocol.errors import MissingContentLength, SlowDown


class Spool:
    """Uploads of unknown length, each kept until it is whole and verified, all of them within one limit."""

    def __init__(self, options: Options, folder: Path) -> None:
        self.options = options
        self.folder = folder
        self.total = 0
        self._lock = threading.Lock()  # never held over I/O

    def keep(self, body: wsgi.Body, kept: ExitStack) -> tuple[int, Iterator[bytes]]:
        """Its length and its bytes, which are there until ``kept`` is closed. Raises MissingContentLength, SlowDown."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = kept.enter_context(tempfile.SpooledTemporaryFile(max_size=self.options.spool, dir=str(self.folder)))  # noqa: SIM115
        length = 0
        for data in body:
            length += len(data)
            if length > self.options.spool_limit:
                raise MissingContentLength
            self._take(len(data))
            kept.callback(self._take, -len(data))
            green.offload(_write, file, data)
        file.seek(0)
        return length, _unspooled(file)

    def _take(self, size: int) -> None:
        with self._lock:
            if self.total + size > self.options.spool_total:
                raise SlowDown(retry_after=5)
            self.total += size


def _write(file: IO[bytes], data: bytes) -> None:
    try:
        file.write(data)
    except OSError as error:  # the disk is full
        raise SlowDown(retry_after=5) from error


def _unspooled(file: IO[bytes]) -> Iterator[bytes]:
    while data := green.offload(file.read, wsgi.Body.CHUNK):
        yield data
