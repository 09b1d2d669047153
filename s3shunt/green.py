"""The only file, with ``server`` and ``relay``, that knows eventlet.

One process runs in one of two ways. Under *threads* (``s3shunt work``, gunicorn
gthread, tests) everything here is the standard library. Under *eventlet*
(``s3shunt serve``, a Swift proxy) blocking calls go to a thread pool and
sockets are green. ``use_eventlet`` is called once, by the server, before the
pipeline is loaded; a host that monkey-patched is recognised by itself.
"""

import os
import random
import socket as _socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from http.client import HTTPConnection, HTTPSConnection
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

from s3shunt.clock import wall

P = ParamSpec("P")
R = TypeVar("R")

_eventlet = False


def use_eventlet() -> None:
    """From here on this process is a hub: never block it."""
    global _eventlet  # noqa: PLW0603  # a fact about the process, set once before it serves
    _eventlet = True
    os.environ.setdefault("EVENTLET_NO_GREENDNS", "yes")  # a tenth of the time to start, for a resolver that reads no nsswitch.conf


def patched() -> bool:
    """Whether a host (Swift) monkey-patched the standard library's sockets and threads."""
    return _socket.socket.__module__.startswith("eventlet")


def hub() -> bool:
    """Whether green threads run here."""
    return _eventlet or patched()


def on_hub() -> bool:
    """Whether the caller is a green thread, so that what blocks it blocks all; False within ``offload``."""
    if not hub():
        return False
    from eventlet import tpool

    return tpool.threading.current_thread() not in tpool._threads  # noqa: SLF001  # as tpool itself tells


def offload(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call what blocks (SQL, files, boto3) without blocking others; its exceptions come back as they are."""
    if not hub():
        return function(*args, **kwargs)
    from eventlet import tpool

    return tpool.execute(function, *args, **kwargs)  # type: ignore[no-any-return]


def offload_for(seconds: float, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """As ``offload``, waited for no longer than that. Raises TimeoutError; the call goes on, for nobody. Threads wait to its end."""
    if not hub():
        return function(*args, **kwargs)
    from eventlet.timeout import Timeout

    with Timeout(max(seconds, 0.0), TimeoutError("a call that blocks took too long")):
        return offload(function, *args, **kwargs)


def spawn(function: Callable[..., Any], *args: Any) -> None:
    """Run in the background; the process does not wait for it."""
    if not hub():
        threading.Thread(target=function, args=args, daemon=True).start()
        return
    import eventlet

    eventlet.spawn_n(function, *args)


def sleep(seconds: float) -> None:
    """Wait, and let others run."""
    if not hub():
        threading.Event().wait(seconds)
        return
    import eventlet

    eventlet.sleep(seconds)


def tries(count: int, pause: float = 0.002, longest: float = 0.1) -> Iterator[int]:
    """Numbers of attempts. Between them a pause that grows to ``longest`` seconds and is never the same for two who contend."""
    for number in range(count):
        if number:
            sleep(min(pause * number, longest) * random.uniform(0.5, 1.5))
        yield number


def socket_module() -> ModuleType:
    """``socket``, or its green twin."""
    if not hub():
        return _socket
    from eventlet.green import socket

    if socket.getaddrinfo is _socket.getaddrinfo and not patched():  # nobody made it green: a name is looked up beside the hub
        socket.getaddrinfo = partial(offload, _socket.getaddrinfo)
    return socket  # type: ignore[no-any-return]


def lock() -> Any:
    """A lock for this kind of process, as a context manager."""
    if not hub():
        return threading.Lock()
    from eventlet.semaphore import Semaphore

    return Semaphore(1)


class Shared:
    """One connection for all green threads of a hub: what they ask within a tick of it is sent at once, and answered in that order.

    ``answers(data)`` takes what came and tells the answers that are complete. Whatever goes wrong, an answer later than
    ``seconds`` too, ends the connection for all: who waits and who asks from then on get OSError. The hub itself reads, and wakes those
    who wait: a green thread that woke another would not be heard of again.
    """

    def __init__(self, link: _socket.socket, answers: Callable[[bytes], list[Any]], seconds: float) -> None:
        from eventlet import hubs
        from greenlet import getcurrent

        self.hub, self.getcurrent, self.process = hubs.get_hub(), getcurrent, os.getpid()
        self.link, self.answers, self.seconds = link, answers, seconds
        self.error: OSError | None = None
        self._asked: list[bytes] = []
        self._unsent = b""
        self._waiting: deque[list[Any]] = deque()  # a green thread, or None if it gave up, and when its answer is late
        self._watched = False
        link.settimeout(0)
        self._reader = self.hub.add("read", link.fileno(), self._read, self._fail, self._gone)
        self._writer: Any = None

    @property
    def mine(self) -> bool:
        """Whether the caller is a green thread of this hub, and may ask; of those that were not spawned on it ``here`` tells."""
        return self.getcurrent().parent is self.hub.greenlet and self.process == os.getpid() and self.error is None

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def ask(self, question: bytes) -> Any:
        """Its answer. Raises OSError."""
        if self.error is not None:
            raise ConnectionError("the connection has ended") from self.error
        if not self._asked:
            self.hub.schedule_call_global(0, self._send)
        self._asked.append(question)
        waiter = [self.getcurrent(), wall.monotonic() + self.seconds]
        self._waiting.append(waiter)
        self._watch()
        try:
            return self.hub.switch()
        finally:
            waiter[0] = None

    def end(self, error: OSError) -> None:
        """Nobody asks here again; those who wait are told by the hub."""
        if self.error is not None:
            return
        self.error = error
        self._unlisten()
        self.link.close()
        for waiter in self._waiting:
            self.hub.schedule_call_global(0, _wake, waiter, ConnectionError(str(error)))
        self._waiting.clear()
        self._asked.clear()

    def _unlisten(self) -> None:
        for listener in (self._reader, self._writer):
            if listener is not None:
                self.hub.remove(listener)
        self._reader = self._writer = None

    # what the hub calls

    def _send(self) -> None:
        self._unsent += b"".join(self._asked)
        self._asked.clear()
        if self._writer is None and self.error is None:
            self._write(0)

    def _write(self, _: int) -> None:
        try:
            self._unsent = self._unsent[self.link.send(self._unsent):]
        except BlockingIOError:
            pass
        except OSError as error:
            self.end(error)
            return
        if self._unsent and self._writer is None:
            self._writer = self.hub.add("write", self.link.fileno(), self._write, self._fail, self._gone)
        elif self._writer is not None and not self._unsent:
            self.hub.remove(self._writer)
            self._writer = None

    def _read(self, _: int) -> None:
        try:
            data = self.link.recv(1 << 16)
            answers = self.answers(data)
        except BlockingIOError:
            return
        except (OSError, ValueError) as error:
            self._fail(error)
            return
        if not data or len(answers) > len(self._waiting):
            self.end(ConnectionError("the other side has ended it, or speaks without being asked"))
            return
        self._give(deque([(self._waiting.popleft(), answer) for answer in answers]))

    def _give(self, given: deque[tuple[list[Any], Any]]) -> None:
        """Wake each with its answer. One that ends in an error ends here, too, and for that the hub would hear us no more."""
        woken = False
        try:
            while given:
                waiter, answer = given.popleft()
                if waiter[0] is not None:
                    waiter[0].switch(answer)
            woken = True
        finally:
            if not woken:
                self._unlisten()
                self.hub.schedule_call_global(0, self._go_on, given)

    def _go_on(self, given: deque[tuple[list[Any], Any]]) -> None:
        """The others get their answers all the same."""
        if self.error is None:
            self._reader = self.hub.add("read", self.link.fileno(), self._read, self._fail, self._gone)
            self._write(0)
        self._give(given)

    def _watch(self) -> None:
        if not self._watched and self._waiting:
            self._watched = True
            self.hub.schedule_call_global(max(self._waiting[0][1] - wall.monotonic(), 0.001), self._look)

    def _look(self) -> None:
        self._watched = False
        if self._late():
            self._read(0)  # the hub may have been busy: what came meanwhile is not late
        if self._late():
            self.end(TimeoutError("waited too long for an answer"))
        self._watch()

    def _late(self) -> bool:
        return bool(self._waiting) and self._waiting[0][1] <= wall.monotonic()

    def _fail(self, error: BaseException) -> None:
        self.end(error if isinstance(error, OSError) else ConnectionError(str(error)))

    def _gone(self) -> None:
        """Its number was closed elsewhere."""
        self._reader = self._writer = None
        self.end(ConnectionError("the connection was closed"))


def _wake(waiter: list[Any], error: OSError) -> None:
    if waiter[0] is not None:
        waiter[0].throw(error)


def here() -> tuple[int, int]:
    """Process and hub of a green thread: what another one made belongs to others."""
    from eventlet import hubs

    return os.getpid(), id(hubs.get_hub())


def native_lock() -> threading.Lock:
    """A lock between what runs in ``offload``, whatever a host has patched. Never to be waited for by a green thread."""
    if not patched():
        return threading.Lock()
    from eventlet.patcher import original

    return original("threading").Lock()  # type: ignore[no-any-return]


def http_connection(host: str, port: int, *, timeout: float, tls: Any = None) -> HTTPConnection:
    """An unconnected ``http.client`` connection on the right kind of socket. ``tls`` is an SSLContext or None.

    Every read and write on it has ``timeout`` seconds.
    """
    connection: HTTPConnection
    if tls is not None:
        connection = HTTPSConnection(host, port, timeout=timeout, context=tls)
    else:
        connection = HTTPConnection(host, port, timeout=timeout)
    if hub():
        connection._create_connection = socket_module().create_connection  # type: ignore[attr-defined]  # noqa: SLF001  # its one seam
    return connection
