"""One connection that all green threads of a hub ask on."""

import os
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from s3shunt.clock import wall


class Shared:
    """One connection for all green threads of a hub: what they ask within a tick of it is sent at once, and answered in that order.

    ``answers(data)`` takes what came and tells the answers that are complete. Whatever goes wrong, an answer later than
    ``seconds`` too, ends the connection for all: who waits and who asks from then on get OSError. The hub itself reads, and wakes those
    who wait: a green thread that woke another would not be heard of again.
    """

    def __init__(self, link: socket.socket, answers: Callable[[bytes], list[Any]], seconds: float) -> None:
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
