"""``redis://`` and ``redis+unix://``: a fast, forgetful copy of the catalog that all processes share.

A record is believed when its MAC fits; anything else is a miss. A reader who
misses leaves a placeholder and may fill only while it stands. A writer does not
write, it makes forget: that commutes, so neither a late writer nor two of them
can leave something old behind. Names carry the server's run id: what a
restarted server loads from its disk, or a replica that takes over, is not asked.

Nothing waits longer than ``deadline`` here, and no green thread ever blocks the hub.
"""

import hmac
import json
import os
import socket
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import unquote, urlsplit

from redis.connection import AbstractConnection, Connection, UnixDomainSocketConnection
from redis.exceptions import RedisError

from s3shunt import config, green
from s3shunt.config import option
from s3shunt.model import Entry, ObjectRef
from s3shunt.policy import notation, recent, view
from s3shunt.policy.recent import Name
from s3shunt.ports import Hit, Index, Meter, Miss
from s3shunt.protocol.errors import ServiceUnavailable

RECORD, PLACEHOLDER = b"=", b"?"
MAC = 32
GONE = 60_000
"""For so long it is shown that a key is gone: whoever is late with what it was before comes too late."""

READ = """
local found = redis.call('GET', KEYS[1])
if not found then redis.call('SET', KEYS[1], ARGV[1], 'PX', 1000) end
return found
"""
FILL = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
"""
FORGET = """
for _, name in ipairs(KEYS) do redis.call('DEL', name) end
redis.call('PUBLISH', ARGV[1], ARGV[2])
"""
SHOW = """
if redis.call('TYPE', KEYS[1]).ok == 'hash' then
  local shown = redis.call('HGET', KEYS[1], 'change')
  if shown and tonumber(shown) > tonumber(ARGV[2]) then return end
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
redis.call('HSET', KEYS[1], 'change', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
"""
SPEND = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local wanted, each, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local spent = math.min(math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now), now + each * burst)
local room = math.floor((now - spent) / each + burst + 1e-6)
if room < 1 then return {0, math.max(1, math.ceil(spent - now - each * (burst - 1)))} end
local granted = math.min(wanted, room)
spent = spent + granted * each
redis.call('SET', KEYS[1], string.format('%.3f', spent), 'PX', math.ceil(spent - now) + 1)
return {granted, 0}
"""


@dataclass(frozen=True)
class Options:
    url: str = option(config.url, help="redis://host:port/0 or redis+unix:///path/redis.sock (no password in it).")
    secret_file: Path | None = option(config.path, "", help="File with the secret that authenticates records; made when absent.")
    password_file: Path | None = option(config.path, "", help="File with the password; empty: REDIS_PASSWORD, or none.")
    deadline: int = option(config.duration, "250ms", help="How long one call may take.")
    pause: int = option(config.duration, "500ms", help="How long a server that failed is left alone.")
    connections: int = option(config.number, "64", help="Calls at the same time; one more is a miss.")
    max_record: int = option(config.size, "64K", help="Larger entries stay in the database.")
    keep: int = option(config.duration, "1d", help="How long a record is kept that nobody changed.")
    view: bool = option(config.flag, "no", help="Whether the state of each key that changes is also shown for people to read.")
    view_keep: int = option(config.duration, "30d", help="How long that of a key is shown which changes no more.")


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


class RedisIndex:
    Options = Options

    def __init__(self, options: Options, house: Any) -> None:
        self.options = options
        self._clock = house.clock
        secret = config.secret(options.secret_file or house.state / "secret")
        self._key = sha256(b"s3shunt index" + secret).digest()
        self._prefix = f"s3shunt:{sha256(self._key).hexdigest()[:8]}:"
        self._idle: dict[tuple[int, bool], deque[Any]] = {}
        self._permits = deque(range(options.connections))  # a semaphore that never waits, for threads of any kind
        self._retry_at = 0.0

    @property
    def down(self) -> bool:
        """It failed a moment ago, and is left alone."""
        return self._clock.monotonic() < self._retry_at

    def get(self, ref: ObjectRef) -> Hit | Miss:
        ticket = token_hex(16)
        asked = recent.name(ref)
        try:
            with self._link() as link:
                label = self._label(link.run_id, asked)
                found = _call(link, "EVAL", READ, 1, label, PLACEHOLDER + ticket.encode())
                ticket = f"{link.run_id}:{ticket}"
        except ServiceUnavailable:
            return Miss()
        if found is None:
            return Miss(ticket)
        entry = self._opened(label, found)
        return Miss() if entry is None else Hit(entry)

    def fill(self, ref: ObjectRef, entry: Entry | None, ticket: str) -> None:
        run_id, _, token = ticket.partition(":")
        if entry is None or not token:
            return
        label = self._label(run_id, recent.name(ref))
        record = self._sealed(label, entry)
        if len(record) > self.options.max_record:
            return
        try:
            with self._link() as link:
                _call(link, "EVAL", FILL, 1, label, PLACEHOLDER + token.encode(), record, self.options.keep)
        except ServiceUnavailable:
            return

    def publish(self, *changed: Entry | ObjectRef) -> None:
        refs = [one.ref if isinstance(one, Entry) else one for one in changed]
        names = list(dict.fromkeys(name for ref in refs for name in recent.touched(ref)))
        if not names:
            return
        with self._link() as link:
            labels = [self._label(link.run_id, name) for name in names]
            _call(link, "EVAL", FORGET, len(labels), *labels, self._channel, json.dumps(names))

    def show(self, changed: Iterable[tuple[int, ObjectRef, Entry | None]]) -> None:
        if not self.options.view:
            return
        now = self._clock.now()
        with self._link() as link:
            for number, ref, entry in changed:
                keep = self.options.view_keep if entry is not None else min(self.options.view_keep, GONE)
                told = [text for pair in view.fields(entry, now).items() for text in pair]
                _call(link, "EVAL", SHOW, 1, view.label(ref), keep, number, *told)

    def spend(self, subject: str, wanted: int, each: float, burst: int) -> tuple[int, int]:
        """``policy.ratelimit.take`` for all processes, by the server's clock. Raises ServiceUnavailable."""
        label = f"{self._prefix}spent:{sha256(self._key + subject.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}"
        with self._link() as link:
            granted, wait = _call(link, "EVAL", SPEND, 1, label, wanted, repr(each), burst)
        return granted, wait

    @contextmanager
    def listen(self) -> "Iterator[Link]":
        """Hear of every change from now on. Raises ServiceUnavailable when the link breaks."""
        link = self._fresh()
        try:
            with _border():
                link.connect()
                link.run_id = _run_id(link)
                _call(link, "SUBSCRIBE", self._channel)
            yield Link(link)
        finally:
            link.disconnect()

    def close(self) -> None:
        for idle in self._idle.values():
            while idle:
                idle.pop().disconnect()

    def _mine(self) -> deque[Any]:
        """Idle connections that the caller may use: of this process, and with its kind of socket."""
        return self._idle.setdefault((os.getpid(), green.on_hub()), deque())

    @property
    def _channel(self) -> str:
        return f"{self._prefix}changed"

    def _label(self, run_id: str, name: Name) -> str:
        return f"{self._prefix}{run_id[:16]}:{sha256(json.dumps(name).encode()).hexdigest()[:40]}"

    def _mac(self, label: str, body: bytes) -> bytes:
        return hmac.digest(self._key, f"{notation.SCHEMA}\n{label}\n".encode() + body, "sha256")

    def _sealed(self, label: str, entry: Entry) -> bytes:
        body = json.dumps(notation.entry_written(entry), separators=(",", ":")).encode()
        return RECORD + self._mac(label, body) + body

    def _opened(self, label: str, found: bytes) -> Entry | None:
        """None for a placeholder, a forgery, and what another release wrote."""
        body = found[1 + MAC :]
        if found[:1] != RECORD or not hmac.compare_digest(found[1 : 1 + MAC], self._mac(label, body)):
            return None
        return notation.entry_read(json.loads(body))

    @contextmanager
    def _link(self) -> Iterator[Any]:
        """A connection for one call; what failed is not used again, and the server left alone for a while."""
        if self.down or not self._permits:
            raise ServiceUnavailable("The index is not available.", retry_after=1)
        idle = self._mine()
        permit = self._permits.pop()
        link = idle.pop() if idle else self._fresh()
        try:
            with _border():
                if not link.run_id:
                    link.connect()
                    link.run_id = _run_id(link)
                yield link
        except ServiceUnavailable:
            self._retry_at = self._clock.monotonic() + self.options.pause / 1000
            link.disconnect()
            raise
        finally:
            self._permits.append(permit)
        idle.append(link)

    def _fresh(self) -> AbstractConnection:
        address, seconds = urlsplit(self.options.url), self.options.deadline / 1000
        given = {"password": self._password(), "protocol": 2, "socket_timeout": seconds, "socket_connect_timeout": seconds}
        if address.username:
            given["username"] = unquote(address.username)
        if address.scheme == "redis+unix":
            return UnixLink(path=unquote(address.path), **given)
        given["db"] = int(address.path.strip("/") or 0)
        return TcpLink(host=address.hostname or "127.0.0.1", port=address.port or 6379, **given)

    def _password(self) -> str | None:
        if self.options.password_file is not None:
            return self.options.password_file.read_text(encoding="utf-8").strip()
        return os.environ.get("REDIS_PASSWORD") or None


class Link:
    """The one connection on which a process hears of changes, in their order."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.run_id = connection.run_id

    def heard(self) -> list[Name]:
        """All changes published before this call, and perhaps some later ones. Raises ServiceUnavailable when they cannot be known."""
        names: list[Name] = []
        with _border():
            self._connection.send_command("PING")
            while True:
                kind, *rest = self._connection.read_response()
                if kind == b"pong":
                    return names
                if kind == b"message":
                    names += [(account, bucket, key, version) for account, bucket, key, version in json.loads(rest[1])]


def _call(link: Any, *command: Any) -> Any:
    link.send_command(*command)
    return link.read_response()


def _run_id(link: Any) -> str:
    said = _call(link, "INFO", "server").decode()
    return next(line.partition(":")[2].strip() for line in said.splitlines() if line.startswith("run_id:"))


@contextmanager
def _border() -> Iterator[None]:
    """Foreign errors end here."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise ServiceUnavailable("The index is not available.", retry_after=1) from error


_: type[Index] = RedisIndex
_meter: type[Meter] = RedisIndex
