"""Which of a store's endpoints the worker's client asks: the one that answered last, and after a failure the next."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from botocore.exceptions import ConnectionError as NotReached
from botocore.exceptions import HTTPClientError


class Turns:
    """Shared by all clients of one store. What was signed stays as it was, the Host of the first endpoint with it."""

    def __init__(self, endpoints: Sequence[str]) -> None:
        self._endpoints = [urlsplit(endpoint) for endpoint in endpoints]
        self._at = 0

    def follow(self, client: Any) -> None:
        """Let a client of the first endpoint take turns."""
        if len(self._endpoints) > 1:
            client.meta.events.register("before-send.s3", self._send)
            client.meta.events.register("needs-retry.s3", self._failed)

    def _send(self, request: Any, **_: Any) -> None:
        signed = urlsplit(request.url)
        usual = {"http": 80, "https": 443}[signed.scheme]
        request.headers["Host"] = signed.netloc if signed.port != usual else str(signed.hostname)
        there = self._endpoints[self._at % len(self._endpoints)]
        request.url = urlunsplit((there.scheme, there.netloc, *signed[2:]))

    def _failed(self, caught_exception: Exception | None = None, **_: Any) -> None:
        """Several may fail there together: then a turn may be skipped, or taken twice."""
        if isinstance(caught_exception, (NotReached, HTTPClientError)):
            self._at += 1
