"""What is worked out of a name once, and remembered: header names are few, and come with every request."""

from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


class Known(dict[str, Found]):
    """``known[name]`` is ``work_out(name)``. What raises is not remembered, nor what comes when there is no more room."""

    MOST = 4096
    LONGEST = 256

    def __init__(self, work_out: Callable[[str], Found]) -> None:
        super().__init__()
        self.work_out = work_out

    def __missing__(self, name: str) -> Found:
        found = self.work_out(name)
        if len(self) < self.MOST and len(name) <= self.LONGEST:
            self[name] = found
        return found
