"""From a section of the ini to an adapter: by URL scheme and entry point, once per process.

An adapter is a class with an ``Options`` dataclass (declared with
``config.option``, ``url`` first) and ``__init__(self, options, house)``. It is
registered under its URL scheme in ``setup.py``; a new adapter is a new file and
one line there.
"""

import sys
import threading
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeVar

from s3shunt import clock, config
from s3shunt.config import ConfigError, Ini
from s3shunt.model import ObjectRef, Place, Policy
from s3shunt.numbers import Numbers
from s3shunt.ports import Archive, Catalog, Keys, Meter, ObjectStore, Shredder, Truth, Upstream

T = TypeVar("T")

GROUPS = {
    "catalog": "s3shunt.catalogs",
    "index": "s3shunt.indexes",
    "store": "s3shunt.stores",
    "evictor": "s3shunt.evictors",
    "archive": "s3shunt.archives",
    "keys": "s3shunt.keys",
}


class House:
    """What all pipelines and workers of one ini share. Adapters are made when first asked for."""

    def __init__(self, ini: Ini, timer: clock.Clock = clock.wall) -> None:
        self.ini = ini
        self.clock = timer
        self.draining = False
        """Set by the server when the process finishes its last requests."""
        self.doors: list[str] = []
        """Those that were loaded from the ini."""
        self.numbers = Numbers(ini.state)
        self._made: dict[tuple[str, str], Any] = {}
        self._lock = threading.RLock()

    @property
    def state(self) -> Path:
        return self.ini.state

    @property
    def day(self) -> int:
        return self.ini.day

    @cached_property
    def policies(self) -> tuple[Policy, ...]:
        return self.ini.policies()

    def truth(self, name: str = "main") -> Truth:
        """The database behind ``[catalog:name]``."""
        return self._adapter("catalog", name)  # type: ignore[no-any-return]

    def catalog(self, name: str = "main") -> Catalog:
        """The catalog as doors read it: the database, behind its index when the section names one."""
        truth = self.truth(name)
        index = getattr(truth.options, "index", None)  # type: ignore[attr-defined]
        if not index:
            return truth
        tiered = _load("catalog", "tiered", f"catalog:{name}")
        return self._once("tiered", name, lambda: tiered(truth, self._index(truth, name, index), self))

    def meter(self, name: str = "main") -> Meter | None:
        """Token buckets shared through the index of ``[catalog:name]``; None when it has no index."""
        truth = self.truth(name)
        index = getattr(getattr(truth, "options", None), "index", None)
        return self._index(truth, name, index) if index else None  # type: ignore[no-any-return]

    def _index(self, truth: Truth, name: str, url: str) -> Any:
        made = index_class(name, url)
        options: Any = truth.options  # type: ignore[attr-defined]
        given = made.Options(url=url, secret_file=options.secret_file, view=options.view, view_keep=options.view_keep)
        return self._once("index", name, lambda: made(given, self))

    def store(self, name: str = "main") -> ObjectStore:
        return self._adapter("store", name)  # type: ignore[no-any-return]

    def place(self, place: Place) -> tuple[ObjectStore, ObjectRef]:
        """Where a landed copy lies: the store, and the name it has there."""
        store = self.store(place.store)
        bucket = getattr(getattr(store, "options", None), "bucket", None) or ""
        return store, ObjectRef(bucket, place.name)

    def archive(self, name: str) -> Archive:
        return self._adapter("archive", name)  # type: ignore[no-any-return]

    def shredder(self, name: str) -> Shredder:
        """Only for the job that discards copies nobody can ask for any more."""
        archive = self._adapter("archive", name)
        return archive.shredder()  # type: ignore[no-any-return]

    def keys(self, name: str = "main") -> Keys:
        return self._adapter("keys", name)  # type: ignore[no-any-return]

    def upstream(self, name: str = "main") -> Upstream:
        """The same store as ``apps/proxy`` sees it; ConfigError when it does not speak S3 over HTTP."""
        store = self._adapter("store", name)
        if not hasattr(store, "endpoint"):
            raise ConfigError(f"[store:{name}]: the proxy needs a store that speaks S3: expected an s3+http(s):// url")
        return store  # type: ignore[no-any-return]

    def evictor(self, kind: str, store: str) -> Any:
        """The class of a store's own way to delete one version exactly."""
        return _load("evictor", kind, f"store:{store}")

    def announce(self, door: str) -> bool:
        """A door was loaded. Whether this process is another house's, a Swift proxy, which is told then."""
        if door not in self.doors:
            self.doors.append(door)
        if "swift.common.registry" not in sys.modules:
            return False
        for host in entry_points(group="s3shunt.hosts", name="swift"):
            host.load()(doors=sorted(self.doors))
        return True

    def has(self, kind: str, name: str) -> bool:
        """Whether there is a ``[kind:name]``; a site without archive, say, needs no catalog."""
        return (kind, name) in self._made or name in self.ini.names(kind)

    def put(self, kind: str, name: str, adapter: Any) -> None:
        """Let ``adapter`` stand where ``[kind:name]`` would be connected; for tests and embedding."""
        self._made[(kind, name)] = adapter

    def _adapter(self, kind: str, name: str) -> Any:
        return self._once(kind, name, lambda: self._connect(kind, name))

    def _once(self, kind: str, name: str, make: Any) -> Any:
        with self._lock:
            if (kind, name) not in self._made:
                self._made[(kind, name)] = make()
            return self._made[(kind, name)]

    def _connect(self, kind: str, name: str) -> Any:
        section = f"{kind}:{name}"
        given = self.ini.section(kind, name)
        if like := given.pop("like", None):
            given = {**self.ini.section(kind, like), **given}
        if "url" not in given:
            raise ConfigError(f"[{section}] needs url: expected a URL whose scheme names the adapter")
        adapter = _load(kind, _scheme(section, "url", given["url"]), section)
        try:
            return adapter(config.read(adapter.Options, section, given), self)
        except ValueError as error:
            raise ConfigError(f"[{section}]: {error}") from None


def adapter_class(ini: Ini, kind: str, name: str) -> Any:
    """The class that ``[kind:name]`` would connect to, without connecting."""
    given = ini.section(kind, name)
    if like := given.get("like"):
        given = {**ini.section(kind, like), **given}
    return _load(kind, _scheme(f"{kind}:{name}", "url", given.get("url", "")), f"{kind}:{name}")


def index_class(name: str, url: str) -> Any:
    """The class that the index of ``[catalog:name]`` would connect to, without connecting."""
    return _load("index", _scheme(f"catalog:{name}", "index", url), f"catalog:{name}", "index")


def _scheme(section: str, option: str, url: str) -> str:
    scheme, separator, _ = url.partition("://")
    if not separator:
        raise ConfigError(f"[{section}] {option} = {url}: expected a URL whose scheme names the adapter")
    return scheme


def _load(kind: str, scheme: str, section: str, option: str = "url") -> Any:
    group = entry_points(group=GROUPS[kind])
    found = [point for point in group if point.name == scheme]
    if not found:
        known = ", ".join(sorted({point.name for point in group}))
        raise ConfigError(f"[{section}] {option} = {scheme}://...: no {kind} adapter of that name, expected one of {known}")
    return found[0].load()


_houses: dict[Path, House] = {}


def house(path: str | Path) -> House:
    """The house of an ini file, one per process."""
    resolved = Path(path).absolute()
    if resolved not in _houses:
        _houses[resolved] = House(Ini(resolved))
    return _houses[resolved]
