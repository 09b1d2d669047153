"""Ports that kill their caller at the nth call, before or after the effect: what a power cut does to a worker.

``Fuse`` counts the calls of all ports it is laid around. With ``blow(n)`` the nth
raises ``Killed``, which no handler of ours catches; without, a run only counts.
"""

from collections.abc import Callable, Iterator
from typing import Any

SILENT = frozenset({"jobs", "usage", "check", "options", "evict", "readback"})
"""Attributes that are no effects and no reads a job depends on."""


class Killed(BaseException):
    """The process is gone. Not an Exception: nothing that goes on afterwards may see it."""


class Fuse:
    def __init__(self) -> None:
        self.calls: list[str] = []
        self._at: int | None = None
        self._after = False

    def blow(self, at: int, *, after: bool = False) -> None:
        """Kill at the ``at``th call from now on, counted from 0; ``after`` its effect, or before."""
        self.calls = []
        self._at, self._after = at, after

    def mend(self) -> None:
        """From now on only count."""
        self.calls = []
        self._at = None

    @property
    def blown(self) -> bool:
        return self._at is not None and len(self.calls) > self._at

    def around(self, port: Any, name: str) -> Any:
        """The same port, with this fuse in the wire."""
        return Wired(port, name, self)

    def call(self, title: str, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        here = self._at == len(self.calls)
        self.calls.append(title)
        if here and not self._after:
            raise Killed(f"before {title}")
        answer = method(*args, **kwargs)
        if here:
            raise Killed(f"after {title}")
        return self._stream(title, answer) if isinstance(answer, Iterator) else answer

    def _stream(self, title: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Every chunk is a step of its own: a worker may die in the middle of a copy."""
        for chunk in chunks:
            yield self.call(f"{title} chunk", lambda chunk=chunk: chunk)


class Wired:
    """Any port; the methods that read or do something go through the fuse."""

    def __init__(self, port: Any, name: str, fuse: Fuse) -> None:
        self._port, self._name, self._fuse = port, name, fuse

    def __call__(self, *args: Any) -> Any:
        """A port that is a function: where a pipeline ends."""
        return self._fuse.call(self._name, self._port, *args)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if name in SILENT or name.startswith("_") or not callable(found):
            return found
        if name == "shredder":
            return lambda: Wired(found(), f"{self._name}.shredder", self._fuse)
        return lambda *args, **kwargs: self._fuse.call(f"{self._name}.{name}", found, *args, **kwargs)
