"""``[listen:NAME]``: an address, the pipeline behind it, and the processes that serve it.

``serve`` opens every listener of an ini and answers until SIGTERM or SIGINT: then it accepts
nothing more, lets running requests end for at most ``drain``, and returns. A parent stands above
the processes that serve: one that dies is replaced, SIGHUP reads the ini and the certificates
anew, SIGUSR2 hands over to new code; no request is lost. Only ``parent = no`` with one worker goes
without: there SIGHUP reads the certificates. Each process reads the ini and connects to catalog, index and store by itself.

    [listen:main]
    address = 0.0.0.0:8080
    app = main
    workers = 2
"""

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from s3shunt import config
from s3shunt.config import Ini, choice, duration, flag, number, option, path, size, word
from s3shunt.server import peer, sockets
from s3shunt.server.sockets import Address, Inherited, Opened


def processes(value: str) -> int:
    """A number of processes, or 'auto' for one per core."""
    if value.strip() == "auto":
        return os.cpu_count() or 1
    if not value.strip().isdecimal() or int(value) == 0:
        raise ValueError("expected auto or a number from 1")
    return int(value)


def place(value: str) -> Address:
    """Where to listen."""
    if value.strip().startswith("unix:/"):
        return Path(value.strip().removeprefix("unix:"))
    return config.address(value)


def octal(value: str) -> int:
    try:
        return int(value, 8)
    except ValueError:
        raise ValueError("expected an octal mode, such as 660") from None


def positive(value: str) -> int:
    if not (found := size(value)):
        raise ValueError("expected more than 0")
    return found


@dataclass(frozen=True)
class Options:
    address: Address = option(place, help="HOST:PORT to listen on; port 0 takes a free one. Or unix:/PATH.")
    app: str = option(word, help="The [pipeline:NAME] or [app:NAME] behind it.")
    workers: int = option(processes, "1", help="Processes that share the address; auto: one per core. The most of any listener counts.")
    parent: bool = option(flag, "yes", help="Whether a single worker, too, has a parent that replaces, reloads and hands over.")
    front: str = option(choice("strict", "stock"), "strict", help="'strict': our own server; 'stock': eventlet's, with our checks in it.")
    connections: int = option(number, "1000", help="Clients connected at a time, in each process.")
    keep_alive: int = option(duration, "75s", help="How long a connection may stay idle between two requests.")
    header: int = option(duration, "10s", help="How long the head of a request may take in all.")
    patience: int = option(duration, "60s", help="How long a client may stand still within a request.")
    rate: int = option(positive, "1K", help="Bytes per second that a client must send or take, over that time.")
    drain: int = option(duration, "60s", help="How long running requests may take to end after SIGTERM.")
    line: int = option(size, "8K", help="Longest request line, and longest header.")
    fields: int = option(number, "100", help="Most headers.")
    head: int = option(size, "64K", help="Largest head, all lines together.")
    certificate: Path | None = option(path, "", help="PEM file with a certificate and its chain: makes the listener TLS.")
    key: Path | None = option(path, "", help="PEM file with its key; empty: in the same file.")
    proxies: peer.Networks | None = option(peer.networks, "", help="Networks whose connections begin with a PROXY header.")
    mode: int = option(octal, "660", help="Who may connect to a unix socket.")


def serve(ini: Path | str, opened_before: Sequence[tuple[Options, socket.socket]] = ()) -> None:
    """All listeners of an ini, until SIGTERM. ``opened_before``: what ``opened`` gave."""
    from s3shunt.server.family import Family
    from s3shunt.server.worker import Task, work

    source = Path(ini).absolute()
    declared = listeners(source)
    found = {name: Opened([sock]) for name, (_, sock) in zip(declared, opened_before, strict=False)} or open_all(declared)
    if not supervised(declared.values()):
        work(source, [Task(options, found[name].sockets) for name, options in declared.items()])
        return
    Family(source, declared, found).run()


def supervised(options: Sequence[Options] | object) -> bool:
    return any(one.workers > 1 or one.parent for one in options)  # type: ignore[attr-defined]


def listeners(source: Path) -> dict[str, Options]:
    """Every ``[listen:NAME]``. Raises ConfigError."""
    ini = Ini(source)
    if not ini.names("listen"):
        ini.section("listen", "main")
    return {name: config.read(Options, f"listen:{name}", ini.section("listen", name)) for name in ini.names("listen")}


def opened(source: Path) -> list[tuple[Options, socket.socket]]:
    """A listening socket for each ``[listen:NAME]``. Raises ConfigError, OSError."""
    declared = listeners(source)
    found = open_all(declared)
    return [(options, found[name].sockets[0]) for name, options in declared.items()]


def open_all(declared: dict[str, Options]) -> dict[str, Opened]:
    """The sockets of listeners: those this process was given, else new ones."""
    inherited = Inherited.of(os.environ, os.getpid())
    found = {name: inherited.take(name, options.address) or fresh(options) for name, options in declared.items()}
    inherited.close()
    return found


def fresh(options: Options) -> Opened:
    return Opened([listen(options)])


def listen(options: Options) -> socket.socket:
    """A listening socket, closed in programs we start."""
    if isinstance(options.address, Path):
        return sockets.unix(options.address, options.mode)
    return sockets.tcp(options.address)
