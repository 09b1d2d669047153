"""Bytes on their way out of the store."""

from typing import Any

from botocore.exceptions import BotoCoreError

from s3shunt.protocol.errors import IncompleteBody

CHUNK = 1 << 20


class Reading:
    """The bytes of one answer. One that is dropped half-way closes its connection."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def __iter__(self) -> "Reading":
        return self

    def __next__(self) -> bytes:
        try:
            chunk: bytes = self._body.read(CHUNK)
        except BotoCoreError as error:
            self.close()
            raise IncompleteBody(f"The store's answer ended early: {type(error).__name__}") from None
        if not chunk:
            self.close()
            raise StopIteration
        return chunk

    def close(self) -> None:
        self._body.close()

    def __del__(self) -> None:
        self.close()
