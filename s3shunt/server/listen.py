"""``[listen:NAME]``: an address, the pipeline behind it, and the processes that serve it.

``serve`` opens every listener of an ini and answers until SIGTERM or SIGINT: then it accepts
nothing more, lets running requests end for at most ``drain``, and returns. With ``workers`` above
one, that many processes share the sockets; one that dies is replaced. Each process reads
the ini and connects to catalog, index and store by itself.

    [listen:main]
    address = 0.0.0.0:8080
    app = main
    workers = 2
"""

import errno
import logging
import os
import signal
import socket
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from paste.deploy import loadapp

from s3shunt import clock, config, connect, green
from s3shunt.config import Ini, address, duration, number, option, size, word

log = logging.getLogger(__name__)

BACKLOG = 1024


def processes(value: str) -> int:
    """A number of processes, or 'auto' for one per core."""
    if value.strip() == "auto":
        return os.cpu_count() or 1
    if not value.strip().isdecimal() or int(value) == 0:
        raise ValueError("expected auto or a number from 1")
    return int(value)


@dataclass(frozen=True)
class Options:
    address: tuple[str, int] = option(address, help="HOST:PORT to listen on; port 0 takes a free one.")
    app: str = option(word, help="The [pipeline:NAME] or [app:NAME] behind it.")
    workers: int = option(processes, "1", help="Processes that share the address; auto: one per core. The largest of all listeners counts.")
    connections: int = option(number, "1000", help="Clients served at a time, in each process.")
    keep_alive: int = option(duration, "75s", help="How long a connection may stay idle between two requests.")
    patience: int = option(duration, "60s", help="How long a client may stand still within a request.")
    drain: int = option(duration, "60s", help="How long running requests may take to end after SIGTERM.")
    line: int = option(size, "16K", help="Longest request line.")


def serve(ini: Path | str, sockets: Sequence[tuple[Options, socket.socket]] = ()) -> None:
    """All listeners of an ini, until SIGTERM. ``sockets`` may be opened before, by ``opened``."""
    path = Path(ini).absolute()
    listeners = list(sockets) or opened(path)
    count = max(options.workers for options, _ in listeners)
    if count == 1:
        work(path, listeners)
    else:
        Family(path, listeners, count).run()


def opened(path: Path) -> list[tuple[Options, socket.socket]]:
    """A listening socket for each ``[listen:NAME]``. Raises ConfigError, OSError."""
    ini = Ini(path)
    if not ini.names("listen"):
        ini.section("listen", "main")
    declared = [config.read(Options, f"listen:{name}", ini.section("listen", name)) for name in ini.names("listen")]
    return [(options, listen(options)) for options in declared]


def listen(options: Options) -> socket.socket:
    """A listening socket, closed in programs we start."""
    host, port = options.address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.create_server((host, port), family=family, backlog=BACKLOG)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # handed down to what it accepts
    return sock


def work(path: Path, listeners: Sequence[tuple[Options, socket.socket]]) -> None:
    """Serve in this process until SIGTERM."""
    green.use_eventlet()
    warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")  # known, and written down in docs/decisions
    import eventlet

    house = connect.house(path)
    running = [eventlet.spawn(run, loadapp(f"config:{path}", name=options.app), sock, options) for options, sock in listeners]
    for server in running:
        server.link(_gone)
    for options, sock in listeners:
        log.info("listening on %s for %s", sock.getsockname(), options.app)
    _until_signal()
    house.draining = True
    log.info("draining")
    for _, sock in listeners:
        sock.close()
    for server in running:
        eventlet.spawn_n(server.kill, SystemExit)
    with eventlet.Timeout(max(options.drain for options, _ in listeners) / 1000, False):  # noqa: FBT003  # eventlet's word for "quietly"
        for server in running:
            server.wait()


def run(app: Any, sock: socket.socket, options: Options) -> None:
    """Answer on a socket with a WSGI application, on stock eventlet; ends when killed with SystemExit, drained."""
    import eventlet
    from eventlet import wsgi

    from s3shunt.server.protocol import Listener, Protocol

    while True:
        try:
            wsgi.server(
                Listener(sock.dup()), app, log=Quiet(), log_output=False, debug=False, protocol=Protocol,
                keepalive=options.keep_alive / 1000, socket_timeout=options.patience / 1000, max_size=options.connections,
                url_length_limit=options.line, capitalize_response_headers=False,
            )  # fmt: skip
            return
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            log.error("out of file descriptors: waiting")  # noqa: TRY400  # where it happened says nothing
            eventlet.sleep(0.2)


def _gone(_: Any) -> None:
    """A listener ended, as asked or by itself: a process that does not listen does not stay."""
    os.kill(os.getpid(), signal.SIGTERM)


def _until_signal() -> None:
    """Wait for SIGTERM or SIGINT. A signal alone does not wake the hub: a byte on a socket does."""
    from eventlet.greenio import GreenSocket

    ours, theirs = socket.socketpair()
    theirs.settimeout(0)
    signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    for number_ in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number_, lambda *_: None)
    waiting = GreenSocket(ours)
    while waiting.recv(1)[0] not in (signal.SIGTERM, signal.SIGINT):
        pass
    signal.set_wakeup_fd(-1)


class Quiet:
    """Where eventlet's own log goes: what it tells of broken connections is of interest when looking for one."""

    def write(self, text: str, *args: Any) -> None:
        log.debug(text.rstrip(), *args)

    info = debug = error = write


class Family:
    """Processes that share listening sockets. The parent opens nothing else and serves nothing."""

    def __init__(self, path: Path, listeners: Sequence[tuple[Options, socket.socket]], count: int) -> None:
        self.path, self.listeners, self.count = path, listeners, count
        self.children: set[int] = set()
        self.stopping = False

    def run(self) -> None:
        """Until SIGTERM or SIGINT, and until the last child has ended."""
        for number_ in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number_, self._stop)
        for _ in range(self.count):
            self._fork()
        while self.children:
            child, status = os.wait()
            self.children.discard(child)
            if not self.stopping:
                log.error("process %d ended with %d: another takes its place", child, os.waitstatus_to_exitcode(status))
                clock.wall.sleep(0.5)
                self._fork()

    def _fork(self) -> None:
        child = os.fork()
        if child:
            self.children.add(child)
            if self.stopping:
                os.kill(child, signal.SIGTERM)
            return
        for number_ in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number_, signal.SIG_DFL)
        work(self.path, self.listeners)
        raise SystemExit(0)

    def _stop(self, number_: int, frame: FrameType | None) -> None:  # noqa: ARG002  # as signals call
        self.stopping = True
        for child in self.children:
            os.kill(child, signal.SIGTERM)
