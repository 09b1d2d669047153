"""One process that serves: it loads its pipelines, answers, and ends when told, its requests first."""

import logging
import os
import signal
import socket
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paste.deploy import loadapp

from s3shunt import connect, green
from s3shunt.server import descriptors, grammar, memory, stock, tls

if TYPE_CHECKING:
    from s3shunt.server.front import Front
    from s3shunt.server.listen import Options

log = logging.getLogger(__name__)

READY, LEAVING = b"+", b"-"


@dataclass(frozen=True)
class Task:
    """What a worker answers on."""

    options: "Options"
    sockets: Sequence[socket.socket]


@dataclass(frozen=True)
class Parent:
    """Descriptors that tie a worker to its parent: where it says how it stands, and what ends when the parent does."""

    says: int
    alive: int

    def hear(self, word: bytes) -> None:
        with suppress(BrokenPipeError):  # there is new code in the parent's place, or nobody
            os.write(self.says, word)


def work(path: Path, tasks: Sequence[Task], parent: Parent | None = None) -> None:
    """Serve in this process until SIGTERM, SIGINT, or the end of the parent."""
    green.use_eventlet()
    warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")  # known, and written down in docs/decisions
    descriptors.prepare(sum(task.options.connections for task in tasks))
    signals = Signals()
    house = connect.house(path)
    serving = [_serving(path, task, shared=parent is not None) for task in tasks]
    memory.keep_buffers()
    memory.calm_collector()
    if parent is not None:
        signals.end_with(parent.alive)
        parent.hear(READY)
    while signals.next() == signal.SIGHUP:
        if parent is None:
            _reload_certificates(serving)
    house.draining = True
    log.info("draining")
    if parent is not None:
        parent.hear(LEAVING)
    _drain(serving)


class Serving:
    """One listener of this process, on our own front or on eventlet's."""

    def __init__(self, options: "Options", front: "Front | None", stock_servers: list[Any], sockets: Sequence[socket.socket]) -> None:
        self.options, self.front, self.stock_servers, self.sockets = options, front, stock_servers, sockets

    def drain(self) -> None:
        import eventlet

        if self.front is not None and not self.front.drain(self.options.drain / 1000):
            log.warning("requests were still running after drain = %d ms", self.options.drain)
        for sock in self.sockets:
            sock.close()
        for server in self.stock_servers:
            eventlet.spawn_n(server.kill, SystemExit)
        with eventlet.Timeout(self.options.drain / 1000, False):  # noqa: FBT003  # eventlet's word for "quietly"
            for server in self.stock_servers:
                server.wait()


def _serving(path: Path, task: Task, *, shared: bool) -> Serving:
    options = task.options
    app = loadapp(f"config:{path}", name=options.app)
    made = _front(app, options, shared=shared) if options.front == "strict" else None
    servers = []
    if made is not None:
        made.listen(task.sockets)
    else:
        servers = [_stock(app, sock, options) for sock in task.sockets]
    for sock in task.sockets:
        log.info("listening on %s for %s", sock.getsockname(), options.app)
    return Serving(options, made, servers, task.sockets)


def _front(app: Any, options: "Options", *, shared: bool) -> "Front":
    from s3shunt.server.front import Front, Limits

    limits = Limits(
        header=options.header / 1000, keep_alive=options.keep_alive / 1000, patience=options.patience / 1000, rate=options.rate,
        connections=options.connections, head=grammar.Limits(options.line, options.fields, options.head),
    )  # fmt: skip
    return Front(app, limits, tls=_context(options), trusted=options.proxies or (), multiprocess=shared)


def _context(options: "Options") -> Any:
    return tls.context(options.certificate, options.key) if options.certificate else None


def _stock(app: Any, sock: socket.socket, options: "Options") -> Any:
    import eventlet

    server = eventlet.spawn(
        stock.run, app, sock, keep_alive=options.keep_alive / 1000, patience=options.patience / 1000,
        connections=options.connections, line=options.line,
    )  # fmt: skip
    server.link(_gone)
    return server


def _gone(_: Any) -> None:
    """A listener ended, as asked or by itself: a process that does not listen does not stay."""
    os.kill(os.getpid(), signal.SIGTERM)


def _reload_certificates(serving: Sequence[Serving]) -> None:
    """For connections from now on; what cannot be read leaves things as they are."""
    for one in serving:
        if one.front is not None and one.options.certificate:
            try:
                one.front.tls = _context(one.options)
            except OSError as error:
                log.error("the certificate stays as it was: %s", error)  # noqa: TRY400  # where it happened says nothing


def _drain(serving: Sequence[Serving]) -> None:
    import eventlet

    ending = [eventlet.spawn(one.drain) for one in serving]
    for one in ending:
        one.wait()


class Signals:
    """SIGTERM, SIGINT and SIGHUP, one after the other. A signal alone does not wake the hub: a byte on a socket does."""

    def __init__(self) -> None:
        from eventlet.greenio import GreenSocket

        ours, theirs = socket.socketpair()
        theirs.settimeout(0)
        self._waiting, self._theirs = GreenSocket(ours), theirs
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())  # a parent lets nothing come before

    def next(self) -> int:
        while (number := self._waiting.recv(1)[0]) not in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            pass
        return int(number)

    def end_with(self, alive: int) -> None:
        """The end of the parent counts as SIGTERM."""
        from eventlet import hubs
        from eventlet.hubs.hub import READ

        def ended(_: Any) -> None:
            hubs.get_hub().remove(watched)
            self._theirs.send(bytes([signal.SIGTERM]))

        watched = hubs.get_hub().add(READ, alive, ended, ended, None)
