"""Answers ``/-/live`` and ``/-/ready`` for load balancers and people; ``-`` can be no bucket.

``/-/live`` is 200 while the process answers at all. ``/-/ready`` is a JSON document:
``{"status": "up"}``, ``{"status": "degraded", "down": ["catalog"]}`` while something of what it stands on
(``catalog``, ``index``, ``store``, an ``endpoint`` of several, ``archive``) does not answer,
``{"status": "draining"}`` while the process finishes its last
requests. It is 200, but 503 while draining and while both the catalog and the store
are down: with one of them much still works.

No request waits for that: they are asked in the background, ``every`` few
seconds from the first question on, and what is told is what was last known. The
answer names what is down and nothing else: no addresses, no versions. Other paths under ``/-/`` are 404.

It stands behind ``errors`` and in front of ``virtual_host`` and ``sigv4``: who asks for health signs nothing.

    [filter:health]
    use = egg:s3shunt#health
    every = 5s
"""

import json
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from s3shunt import green, wsgi
from s3shunt.config import ConfigError, duration, option, word
from s3shunt.connect import House
from s3shunt.model import ObjectRef
from s3shunt.protocol.errors import S3Error, ServiceUnavailable
from s3shunt.wsgi import Handler, Request, Response

NOBODY = ObjectRef("-", "-")
"""Names no object: what the catalog is asked for, to see whether it answers."""

BROKEN = (S3Error, OSError, ConfigError)


@dataclass(frozen=True)
class Options:
    every: int = option(duration, "5s", help="How often catalog, index, store and archives are asked whether they are there.")
    catalog: str = option(word, "main", help="The [catalog:NAME] to ask, and its index.")
    store: str = option(word, "main", help="The [store:NAME] to ask.")


class Health:
    def __init__(self, forward: Handler, options: Options, house: House) -> None:
        self.forward = forward
        self.house = house
        self.probes = Probes(house, options)

    def __call__(self, request: Request) -> Response:
        path = request.environ.get("PATH_INFO", "")
        if not path.startswith("/-/") or request.method not in ("GET", "HEAD"):
            return self.forward(request)
        if path == "/-/live":
            return _json(200, {"status": "up"})
        if path == "/-/ready":
            self.probes.start()
            return _json(*verdict(self.probes.down, draining=self.house.draining))
        return _json(404, {"status": "unknown"})


def verdict(down: frozenset[str], *, draining: bool) -> tuple[int, dict[str, Any]]:
    """Status and document."""
    if draining:
        return 503, {"status": "draining"}
    if not down:
        return 200, {"status": "up"}
    return (503 if {"catalog", "store"} <= down else 200), {"status": "degraded", "down": sorted(down)}


class Probes:
    """Asks what we stand on in the background; ``down`` is what did not answer the last time."""

    def __init__(self, house: House, options: Options) -> None:
        self.house = house
        self.options = options
        self.down: frozenset[str] = frozenset()
        self._lock = threading.Lock()
        self._started = False

    def start(self) -> None:
        """From the first question on, until the process ends."""
        with self._lock:
            started, self._started = self._started, True
        if not started:
            green.spawn(self._run)

    def _run(self) -> None:
        while True:
            self.ask()
            green.sleep(self.options.every / 1000)

    def ask(self) -> None:
        asked: dict[str, Callable[[], Any]] = {
            "catalog": self._catalog, "index": self._index, "store": self._store, "endpoint": self._endpoints, "archive": self._archives,
        }  # fmt: skip
        self.down = frozenset(name for name, probe in asked.items() if not _answers(probe))

    def _catalog(self) -> None:
        if not self.house.has("catalog", self.options.catalog):
            return  # a site without archive needs none
        green.offload(self.house.truth(self.options.catalog).find, NOBODY)

    def _index(self) -> None:
        """Whether it is read: after it came back not before what it missed was told to it."""
        if self.house.has("catalog", self.options.catalog) and not getattr(self.house.catalog(self.options.catalog), "indexed", True):
            raise ServiceUnavailable("the index is not read")

    def _store(self) -> None:
        """A store without an address is in this process or on this disk; of several endpoints one will do."""
        endpoints = self._addresses()
        if endpoints and not any(_answers(partial(_listens, each)) for each in endpoints):
            raise ConnectionError("no endpoint listens")

    def _endpoints(self) -> None:
        """Where there are several, all should listen."""
        endpoints = self._addresses()
        for each in endpoints if len(endpoints) > 1 else ():
            _listens(each)

    def _addresses(self) -> Sequence[str]:
        return getattr(self.house.store(self.options.store), "endpoints", ())

    def _archives(self) -> None:
        """Those with an address of their own."""
        for name in self.house.ini.names("archive"):
            url = self.house.ini.section("archive", name).get("url", "")
            if "+http" in url.partition("://")[0]:
                _listens(url.partition("+")[2])


def _listens(url: str) -> None:
    """Raises OSError when nobody does."""
    parts = urlsplit(url)
    address = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
    module: Any = green.socket_module()
    with module.create_connection(address, timeout=2) as connection:
        connection.shutdown(socket.SHUT_RDWR)


def _answers(probe: Callable[[], Any]) -> bool:
    try:
        probe()
    except BROKEN:
        return False
    return True


def _json(status: int, facts: dict[str, Any]) -> Response:
    document = json.dumps(facts).encode() + b"\n"
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(document))), ("Cache-Control", "no-store")]
    return Response(status=status, headerlist=headers, app_iter=[document])


factory = wsgi.filter_factory(Health, Options, "filter:health")
