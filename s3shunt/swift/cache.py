"""Swift's cache in this process: for a Swift that is one process there is nobody to share it with."""

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any


class Cache:
    """What ``swift.common.memcached.MemcacheRing`` promises, on a dict. Values make the round trip through JSON."""

    CAP = 100_000

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, str]] = {}

    def set(self, key: str, value: Any, serialize: bool = True, time: float = 0, **_: Any) -> None:  # noqa: ARG002, FBT001, FBT002
        if len(self._kept) >= self.CAP:
            self._kept.clear()
        self._kept[key] = (_end(time), json.dumps(value))

    def get(self, key: str, raise_on_error: bool = False) -> Any:  # noqa: ARG002, FBT001, FBT002
        until, value = self._kept.get(key, (0.0, ""))
        if until < _now():
            self._kept.pop(key, None)
            return None
        return json.loads(value)

    def incr(self, key: str, delta: int = 1, time: float = 0) -> int:
        value = max(0, int(self.get(key) or 0) + int(delta))
        self.set(key, value, time=time)
        return value

    def decr(self, key: str, delta: int = 1, time: float = 0) -> int:
        return self.incr(key, -int(delta), time)

    def delete(self, key: str, server_key: str | None = None) -> None:  # noqa: ARG002
        self._kept.pop(key, None)

    def set_multi(self, mapping: Mapping[str, Any], server_key: str, serialize: bool = True, time: float = 0, **_: Any) -> None:  # noqa: ARG002, FBT001, FBT002
        for key, value in mapping.items():
            self.set(key, value, time=time)

    def get_multi(self, keys: Iterable[str], server_key: str) -> list[Any]:  # noqa: ARG002
        return [self.get(key) for key in keys]


def _now() -> float:
    return time.monotonic()


def _end(seconds: float) -> float:
    return _now() + seconds if seconds else float("inf")


def factory(global_conf: Mapping[str, str], **local: str) -> Any:  # noqa: ARG001  # PasteDeploy's signature
    cache = Cache()

    def filter_(app: Any) -> Any:
        def caching(environ: dict[str, Any], start_response: Any) -> Any:
            environ["swift.cache"] = cache
            return app(environ, start_response)

        return caching

    return filter_
