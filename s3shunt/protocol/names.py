"""What is worked out of a name once, and remembered: what clients send is mostly what they sent before."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

Found = TypeVar("Found")

LONGEST = 512
"""Letters of a text that is ``remembered``."""


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


def remembered(work_out: Callable[[str], Found]) -> Callable[[str], Found]:
    """As ``lru_cache``, for whatever strangers may write: what is long is worked out each time, so that nobody can fill the memory."""
    kept = lru_cache(maxsize=1024)(work_out)

    @wraps(work_out)
    def known(text: str) -> Found:
        return kept(text) if len(text) <= LONGEST else work_out(text)

    return known
