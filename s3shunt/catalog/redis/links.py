"""Connections to Redis: right for whoever calls, never waited for longer than the deadline, left alone when they fail.

Green threads share one: what they ask within a tick of the hub travels together. Others have each their own for a call.
"""

import json
import os
import socket
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

from redis.connection import AbstractConnection, Connection, UnixDomainSocketConnection
from redis.exceptions import RedisError

from s3shunt import green
from s3shunt.catalog.redis.options import Options
from s3shunt.catalog.redis.wire import Answers, packed
from s3shunt.clock import Clock
from s3shunt.policy.recent import Name
from s3shunt.protocol.errors import ServiceUnavailable

FOREIGN = (RedisError, OSError)


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

    def call(self: Any, *command: Any) -> Any:
        self.send_command(*command)
        return self.read_response()


class TcpLink(GreenSocket, Connection):
    pass


class UnixLink(GreenSocket, UnixDomainSocketConnection):
    pass


class SharedLink:
    """As a link, of all green threads of a hub. What fails for one of them ends it for all."""

    def __init__(self, link: Any, seconds: float, failed: Callable[[], None]) -> None:
        self.run_id = link.run_id
        self.shared = green.Shared(link._sock.fd, Answers(), seconds)  # noqa: SLF001
        self._link = link  # it made the connection and greeted the server; when it goes it closes it
        self._failed = failed

    def __enter__(self) -> "SharedLink":
        return self

    def __exit__(self, _kind: Any, error: BaseException | None, _traceback: Any) -> None:
        if isinstance(error, FOREIGN):
            self._failed()
            self.disconnect()
            raise ServiceUnavailable("The index is not available.", retry_after=1) from error

    def call(self, *command: Any) -> Any:
        answer = self.shared.ask(packed(*command))
        if isinstance(answer, RedisError):
            raise answer
        return answer

    def disconnect(self) -> None:
        self.shared.end(ConnectionError("the connection is given up"))


class Links:
    """At most ``connections`` calls at the same time."""

    def __init__(self, options: Options, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._idle: dict[tuple[int, bool], deque[Any]] = {}
        self._permits = deque(range(options.connections))  # a semaphore that never waits, for threads of any kind
        self._retry_at = 0.0
        self._shared: dict[tuple[int, int], SharedLink] = {}
        self._common: SharedLink | None = None  # the one that was made last, as a rule everybody's
        self._making: dict[tuple[int, int], Any] = {}

    @property
    def down(self) -> bool:
        """It failed a moment ago, and is left alone."""
        return self._clock.monotonic() < self._retry_at

    def close(self) -> None:
        for idle in self._idle.values():
            while idle:
                idle.pop().disconnect()
        if green.on_hub() and (link := self._shared.pop(green.here(), None)) is not None:
            link.disconnect()

    def mine(self) -> deque[Any]:
        """Idle connections that the caller may use: of this process, and with its kind of socket."""
        return self._idle.setdefault((os.getpid(), green.on_hub()), deque())

    def one(self) -> AbstractContextManager[Any]:
        """A connection for a call; what failed is not used again, and the server left alone for a while. Raises ServiceUnavailable."""
        link = self._common
        if link is None or not link.shared.mine:
            if not green.on_hub():
                return self._own()
            link = self._common = self._of_this_hub()
        if self.down or len(link.shared) >= self._options.connections:
            raise ServiceUnavailable("The index is not available.", retry_after=1)
        return link

    @contextmanager
    def _own(self) -> Iterator[Any]:
        """A connection that nobody else has, as long as the call takes."""
        if self.down or not self._permits:
            raise ServiceUnavailable("The index is not available.", retry_after=1)
        permit, idle, link = self._permits.pop(), self.mine(), None
        try:
            with border():
                link = idle.pop() if idle else self._greeted()
                yield link
        except ServiceUnavailable:
            self._failed()
            if link is not None:
                link.disconnect()
            raise
        finally:
            self._permits.append(permit)
        idle.append(link)

    def _of_this_hub(self) -> SharedLink:
        """The one of all. Whoever comes while it is made waits for it. Raises ServiceUnavailable."""
        place = green.here()
        with self._making.setdefault(place, green.lock()):
            link = self._shared.get(place)
            if link is not None and link.shared.error is None:
                return link
            if self.down:
                raise ServiceUnavailable("The index is not available.", retry_after=1)
            try:
                with border():
                    link = self._shared[place] = SharedLink(self._greeted(), self._options.deadline / 1000, self._failed)
            except ServiceUnavailable:
                self._failed()
                raise
        return link

    def _failed(self) -> None:
        self._retry_at = self._clock.monotonic() + self._options.pause / 1000

    def _greeted(self) -> Any:
        """A new one that is ready. Raises RedisError or OSError."""
        link = self.fresh()
        try:
            link.connect()
            link.run_id = run_id_of(link)
        except (RedisError, OSError):
            link.disconnect()
            raise
        return link

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


def run_id_of(link: Any) -> str:
    said = link.call("INFO", "server").decode()
    return next(line.partition(":")[2].strip() for line in said.splitlines() if line.startswith("run_id:"))


@contextmanager
def border() -> Iterator[None]:
    """Foreign errors end here."""
    try:
        yield
    except FOREIGN as error:
        raise ServiceUnavailable("The index is not available.", retry_after=1) from error
