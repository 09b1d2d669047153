"""The only room, with ``server`` and ``relay``, that knows eventlet.

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
from collections.abc import Callable, Iterator
from functools import partial
from http.client import HTTPConnection, HTTPSConnection
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

from s3shunt.green.shared import Shared

__all__ = [
    "Shared", "here", "http_connection", "hub", "lock", "native_lock", "offload", "offload_for", "on_hub", "patched", "sleep",
    "socket_module", "spawn", "tries", "use_eventlet",
]  # fmt: skip

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
