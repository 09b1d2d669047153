"""Listening sockets: opened once, then handed down to every process that ever serves them.

A TCP address has one socket for each worker (SO_REUSEPORT), a unix socket one for all. None is closed
while somebody may still be in its queue: not when a worker ends, not at a reload, not when new code takes over.
"""

import os
import socket
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path

from s3shunt.server import systemd

BACKLOG = 1024
KEPT = "S3SHUNT_SOCKETS"

Address = tuple[str, int] | Path


@dataclass
class Opened:
    """The sockets of one listener. ``fixed``: opened by somebody else, so that there cannot be more of them."""

    sockets: list[socket.socket]
    fixed: bool = False

    def widen(self, count: int) -> None:
        """One for each of ``count`` workers, where the address allows it."""
        first = self.sockets[0]
        if self.fixed or first.family == socket.AF_UNIX:
            return
        while len(self.sockets) < count:
            self.sockets.append(tcp(first.getsockname()[:2]))

    def of(self, worker: int, count: int) -> list[socket.socket]:
        """Those that one of ``count`` workers answers on."""
        return [sock for number, sock in enumerate(self.sockets) if len(self.sockets) < count or number % count == worker]


@dataclass
class Inherited:
    """What was opened before this process began: by systemd, or by the code that it replaces."""

    by_name: dict[str, list[int]] = field(default_factory=dict)
    activated: dict[str, list[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, environ: MutableMapping[str, str], pid: int) -> "Inherited":
        kept = [part.partition("=") for part in environ.pop(KEPT, "").split(";") if part]
        return cls({name: [int(number) for number in numbers.split(",")] for name, _, numbers in kept}, systemd.sockets(environ, pid))

    def take(self, name: str, address: Address) -> Opened | None:
        if numbers := self.by_name.pop(key(name, address), None):
            return Opened([_adopted(number) for number in numbers])
        numbers = self.activated.pop(name, None) or self.activated.pop("", None)
        return Opened([_adopted(number) for number in numbers], fixed=True) if numbers else None

    def close(self) -> None:
        """What nobody took: left open, clients would wait in its queue for ever."""
        for number in (number for numbers in self.by_name.values() for number in numbers):
            os.close(number)
        self.by_name.clear()


def key(name: str, address: Address) -> str:
    return f"{name}@{address}" if isinstance(address, Path) else f"{name}@{address[0]}:{address[1]}"


def keep(opened: Iterable[tuple[str, Opened]]) -> str:
    """What a successor reads with ``Inherited.of``; the descriptors stay open across its start."""
    parts = []
    for name, listener in opened:
        for sock in listener.sockets:
            os.set_inheritable(sock.fileno(), True)  # noqa: FBT003  # the system's own words
        parts.append(f"{name}={','.join(str(sock.fileno()) for sock in listener.sockets)}")
    return ";".join(parts)


def _adopted(number: int) -> socket.socket:
    os.set_inheritable(number, False)  # noqa: FBT003
    return socket.socket(fileno=number)


def tcp(address: tuple[str, int]) -> socket.socket:
    host, port = address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG, reuse_port=True)


def unix(path: Path, mode: int) -> socket.socket:
    """A socket in the file system. One that a dead process left is replaced; raises OSError when somebody answers there."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if path.is_socket() and not _answers(path):
        path.unlink()
    before = os.umask(0o777 & ~mode)
    try:
        sock.bind(str(path))
    except OSError:
        sock.close()
        raise
    finally:
        os.umask(before)
    sock.listen(BACKLOG)
    return sock


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        except OSError:
            return True
        return True
