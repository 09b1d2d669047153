"""Where a connection waits under green threads.

A socket is made known to the hub once, when it is first waited for, and stays so: an exchange
costs no ``epoll_ctl`` and no timer. Deadlines are kept by one watch that looks at all waiting
links a few times a second.
"""

from typing import Any, ClassVar, Protocol

from greenlet import getcurrent

from s3shunt import clock

TICK = 0.1


class Waiting(Protocol):
    """What waits: until its deadline, in its place."""

    deadline: float
    hub: "Hub | None"


class Hub:
    """A link's place on the hub."""

    def __init__(self, hub: Any, fileno: int) -> None:
        from eventlet import hubs

        self.hub, self.fileno = hub, fileno
        self.waiter: Any = None
        self._listener: Any = None
        self._watch = Watch.of(hub)
        self._current = hubs.get_hub

    @classmethod
    def here(cls, fileno: int) -> "Hub":
        from eventlet import hubs

        return cls(hubs.get_hub(), fileno)

    @property
    def mine(self) -> bool:
        return self._current() is self.hub

    def wait(self, link: Waiting, *, writing: bool) -> None:
        watch = self._watch
        if writing:
            self._pause()  # or what the store sends meanwhile would wake the writer
            listener = self._listen("write")
        elif self._listener is None:
            self._listener = self._listen("read")
        self.waiter = getcurrent()
        watch.add(link)
        try:
            self.hub.switch()
        finally:
            self.waiter = None
            watch.waiting.discard(link)
            if writing:
                self.hub.remove(listener)

    def _listen(self, kind: str) -> Any:
        return self.hub.add(kind, self.fileno, self._wake, self.expire, self._gone)

    def _wake(self, _: int) -> None:
        waiter, self.waiter = self.waiter, None
        if waiter is not None:
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

    forget = _pause


class Watch:
    """Looks at the waiting links of one hub for as long as there are any."""

    _all: ClassVar["dict[int, Watch]"] = {}

    def __init__(self, hub: Any) -> None:
        self.hub = hub
        self.waiting: set[Waiting] = set()
        self._ticking = False

    @classmethod
    def of(cls, hub: Any) -> "Watch":
        found = cls._all.get(id(hub))
        if found is None or found.hub is not hub:
            found = cls._all[id(hub)] = cls(hub)
        return found

    def add(self, link: Waiting) -> None:
        self.waiting.add(link)
        if not self._ticking:
            self._ticking = True
            self.hub.schedule_call_global(TICK, self._look)

    def _look(self) -> None:
        now = clock.wall.monotonic()
        self._ticking = bool(self.waiting)
        if self._ticking:
            self.hub.schedule_call_global(TICK, self._look)
        for link in [link for link in self.waiting if link.deadline <= now]:
            assert link.hub is not None
            link.hub.expire(TimeoutError("waited too long for a store"))
