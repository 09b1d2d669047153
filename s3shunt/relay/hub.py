"""Where a connection waits: on the hub under green threads, in a ``poll`` of its own under threads.

On the hub a socket is made known once, when it is first waited for, and stays so: an exchange
costs no ``epoll_ctl`` and no timer. Deadlines (``clock.wall.monotonic``) are kept by one watch that looks at all connections a few
times a second, while any waits.
"""

import select
from typing import Any, ClassVar

from greenlet import getcurrent

from s3shunt import clock

TICK = 0.1
LATE = "waited too long for a store"


class Place:
    """A connection's place among threads: whoever waits blocks."""

    mine = True
    """Whether the caller's thread may use the connection."""

    def __init__(self, poll: Any, fileno: int) -> None:
        self._poll = poll
        self.fileno = fileno

    def readable(self, deadline: float) -> None:
        """Wait until there are bytes, or the end. Raises TimeoutError."""
        self._wait(select.POLLIN, deadline)

    def writable(self, deadline: float, *, hearing: bool = False) -> None:
        """Wait until there is room, or, ``hearing``, the store says something first. Raises TimeoutError."""
        self._wait(select.POLLOUT | select.POLLIN if hearing else select.POLLOUT, deadline)

    def _wait(self, what: int, deadline: float) -> None:
        poll = self._poll()
        poll.register(self.fileno, what)
        if not poll.poll(max(0, deadline - clock.wall.monotonic()) * 1000):
            raise TimeoutError(LATE)

    def forget(self) -> None:
        """The connection ends."""


class Hub:
    """A connection's place on the hub of the thread that made it."""

    __slots__ = ("_current", "_listener", "_watch", "deadline", "fileno", "hub", "waiter")

    def __init__(self, hub: Any, fileno: int) -> None:
        from eventlet import hubs

        self.hub, self.fileno = hub, fileno
        self.deadline = 0.0
        self.waiter: Any = None
        self._listener: Any = None
        self._current = hubs.get_hub
        self._watch = Watch.of(hub)
        self._watch.places.add(self)

    @classmethod
    def here(cls, fileno: int) -> "Hub":
        from eventlet import hubs

        return cls(hubs.get_hub(), fileno)

    @property
    def mine(self) -> bool:
        return getcurrent().parent is self.hub.greenlet or self._current() is self.hub

    def readable(self, deadline: float) -> None:
        if self._listener is None:
            self._listener = self._listen("read")
        self.deadline, self.waiter, loop = deadline, getcurrent(), self.hub.greenlet
        if not self._watch.looks:
            self._watch.begin()
        try:
            if loop and self.waiter.parent is loop:
                loop.switch()  # a thread that the hub started needs no more: it ends into it
            else:
                self.hub.switch()
        finally:
            self.waiter = None

    def writable(self, deadline: float, *, hearing: bool = False) -> None:
        if not hearing:
            self._pause()  # or what the store sends meanwhile would wake the writer
        elif self._listener is None:
            self._listener = self._listen("read")
        listener = self._listen("write")
        self.deadline, self.waiter = deadline, getcurrent()
        if not self._watch.looks:
            self._watch.begin()
        try:
            self.hub.switch()
        finally:
            self.waiter = None
            self.hub.remove(listener)

    def _listen(self, kind: str) -> Any:
        return self.hub.add(kind, self.fileno, self._wake, self.expire, self._gone)

    def _wake(self, _: int) -> None:
        waiter = self.waiter
        if waiter is not None:
            self.waiter = None
            waiter.switch()
        else:  # nobody wants what came: not to be told again until somebody does
            self._pause()

    def expire(self, error: BaseException) -> None:
        """Wake the one who waits with an error. Called on the hub."""
        waiter, self.waiter = self.waiter, None
        if waiter is not None:
            waiter.throw(error)

    def _gone(self) -> None:
        self._listener = None

    def _pause(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            self.hub.remove(listener)

    def forget(self) -> None:
        self._watch.places.discard(self)
        self._pause()


class Watch:
    """Looks at the connections of one hub for as long as any of them waits."""

    _all: ClassVar["dict[int, Watch]"] = {}

    def __init__(self, hub: Any) -> None:
        self.hub = hub
        self.places: set[Hub] = set()
        self.looks = False

    @classmethod
    def of(cls, hub: Any) -> "Watch":
        found = cls._all.get(id(hub))
        if found is None or found.hub is not hub:
            found = cls._all[id(hub)] = cls(hub)
        return found

    def begin(self) -> None:
        self.looks = True
        self.hub.schedule_call_global(TICK, self._look)

    def _look(self) -> None:
        now = clock.wall.monotonic()
        waiting = [place for place in self.places if place.waiter is not None]
        self.looks = False
        if waiting:
            self.begin()
        for place in waiting:
            if place.deadline <= now:
                place.expire(TimeoutError(LATE))
