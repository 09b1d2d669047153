"""Connections to Redis: right for whoever calls, never waited for longer than the deadline, left alone when they fail."""

import json
import os
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

from redis.connection import AbstractConnection, Connection, UnixDomainSocketConnection
from redis.exceptions import RedisError

from s3shunt import green
from s3shunt.catalog.redis.options import Options
from s3shunt.clock import Clock
from s3shunt.policy.recent import Name
from s3shunt.protocol.errors import ServiceUnavailable


class GreenSocket:
    """A redis-py connection whose socket is right for its caller: green for a green thread, plain within a thread pool."""

    run_id = ""

    def _connect(self: Any) -> Any:
        module = green.socket_module() if green.on_hub() else socket
        if isinstance(self, UnixDomainSocketConnection):
            made = module.socket(module.AF_UNIX, module.SOCK_STREAM)
            made.settimeout(self.socket_connect_timeout)
            try:
                made.connect(self.path)
            except OSError:
                made.close()
                raise
        else:
            made = module.create_connection((self.host, self.port), self.socket_connect_timeout)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.settimeout(self.socket_timeout)
        return made


class TcpLink(GreenSocket, Connection):
    pass


class UnixLink(GreenSocket, UnixDomainSocketConnection):
    pass


class Links:
    """As many as there may be calls at the same time."""

    def __init__(self, options: Options, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._idle: dict[tuple[int, bool], deque[Any]] = {}
        self._permits = deque(range(options.connections))  # a semaphore that never waits, for threads of any kind
        self._retry_at = 0.0

    @property
    def down(self) -> bool:
        """It failed a moment ago, and is left alone."""
        return self._clock.monotonic() < self._retry_at

    def close(self) -> None:
        for idle in self._idle.values():
            while idle:
                idle.pop().disconnect()

    def mine(self) -> deque[Any]:
        """Idle connections that the caller may use: of this process, and with its kind of socket."""
        return self._idle.setdefault((os.getpid(), green.on_hub()), deque())

    @contextmanager
    def one(self) -> Iterator[Any]:
        """A connection for one call; what failed is not used again, and the server left alone for a while."""
        if self.down or not self._permits:
            raise ServiceUnavailable("The index is not available.", retry_after=1)
        idle = self.mine()
        permit = self._permits.pop()
        link = idle.pop() if idle else self.fresh()
        try:
            with border():
                if not link.run_id:
                    link.connect()
                    link.run_id = run_id_of(link)
                yield link
        except ServiceUnavailable:
            self._retry_at = self._clock.monotonic() + self._options.pause / 1000
            link.disconnect()
            raise
        finally:
            self._permits.append(permit)
        idle.append(link)

    def fresh(self) -> AbstractConnection:
        address, seconds = urlsplit(self._options.url), self._options.deadline / 1000
        given = {"password": self._password(), "protocol": 2, "socket_timeout": seconds, "socket_connect_timeout": seconds}
        if address.username:
            given["username"] = unquote(address.username)
        if address.scheme == "redis+unix":
            return UnixLink(path=unquote(address.path), **given)
        given["db"] = int(address.path.strip("/") or 0)
        return TcpLink(host=address.hostname or "127.0.0.1", port=address.port or 6379, **given)

    def _password(self) -> str | None:
        if self._options.password_file is not None:
            return self._options.password_file.read_text(encoding="utf-8").strip()
        return os.environ.get("REDIS_PASSWORD") or None


class Link:
    """The one connection on which a process hears of changes, in their order."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.run_id = connection.run_id

    def heard(self) -> list[Name]:
        """All changes published before this call, and perhaps some later ones. Raises ServiceUnavailable when they cannot be known."""
        names: list[Name] = []
        with border():
            self._connection.send_command("PING")
            while True:
                kind, *rest = self._connection.read_response()
                if kind == b"pong":
                    return names
                if kind == b"message":
                    names += [(account, bucket, key, version) for account, bucket, key, version in json.loads(rest[1])]


def call(link: Any, *command: Any) -> Any:
    link.send_command(*command)
    return link.read_response()


def run_id_of(link: Any) -> str:
    said = call(link, "INFO", "server").decode()
    return next(line.partition(":")[2].strip() for line in said.splitlines() if line.startswith("run_id:"))


@contextmanager
def border() -> Iterator[None]:
    """Foreign errors end here."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise ServiceUnavailable("The index is not available.", retry_after=1) from error
