"""``memory://``: the whole catalog in this process. The plainest reading of the ports, and the tests' house.

Nothing survives the process; ``s3shunt check`` says so.
"""

from dataclasses import dataclass
from typing import Any

from s3shunt import config
from s3shunt.catalog.memory.cache import Cache
from s3shunt.catalog.memory.registry import Registry
from s3shunt.config import option
from s3shunt.ports import Truth

__all__ = ["MemoryCatalog", "Options"]


@dataclass(frozen=True)
class Options:
    url: str = option(config.url, "memory://", help="memory://")


class MemoryCatalog(Cache, Registry):
    Options = Options

    def __init__(self, options: Options | None = None, house: Any = None) -> None:  # noqa: ARG002  # every adapter is made alike
        super().__init__()
        self.options = options or Options()

    def check(self) -> list[str]:
        return ["the catalog is kept in memory: nothing survives this process"]

    def upgrade(self) -> None:
        """There is no schema."""


_: type[Truth] = MemoryCatalog
