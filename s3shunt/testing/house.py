"""A whole house in one process: the real doors in any order, memory adapters, a hand-set clock, a signing client.

``House(tmp_path)`` is a site with one account, bucket ``films`` and a tape
library; ``house.get``, ``put``, ``head`` ... speak S3 to it, ``house.later`` lets
time pass and ``house.work`` lets the workers do what has become due. ``wrap`` is laid around
every port the doors are given, by name.
"""

import json
from collections.abc import Callable, Sequence
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

from s3shunt import config, connect
from s3shunt.catalog.memory import MemoryCatalog
from s3shunt.config import DAY, Ini
from s3shunt.jobs.runner import Runner
from s3shunt.stores.memory import MemoryStore, Options
from s3shunt.testing.client import Answer, Client
from s3shunt.testing.clock import HandClock
from s3shunt.testing.storefront import Storefront
from s3shunt.wsgi import Application, Handler, direct, handler_of

WALK = ("access_log", "errors", "health", "virtual_host", "sigv4", "grants", "lookup", "restore", "listing", "record", "shunt")

INI = """
[DEFAULT]
state = {state}
day = 24h
[catalog:main]
url = memory://
[keys:main]
url = file://{state}/keys.json
[store:main]
url = memory://
[store:landing]
url = memory://
[archive:tape]
url = tape://{state}/tape
mount = 3s
[policy:films]
buckets = films films-*
archive = tape
evict = at once
[policy:aged]
buckets = aged
archive = tape
after = 30d
evict = after 1d
[filter:access_log]
path = {state}/access.log
"""

KEYS = [
    {"access_key": "AKEDITOR", "secret_key": "editor-secret", "account": "main"},
    {"access_key": "AKSTRANGER", "secret_key": "stranger-secret", "account": "other"},
    {
        "access_key": "AKDESK",
        "secret_key": "desk-secret",
        "account": "main",
        "grants": [{"buckets": ["films"], "prefixes": [""], "allow": ["restore", "list"]}],
    },
]


class FrontedStore(MemoryStore):
    """The store as the proxy would see it, though nothing listens there."""

    endpoint = "http://store.invalid"
    endpoints = (endpoint,)
    region = "us-east-1"
    per_account = True

    def credential(self, account: str) -> tuple[str, str]:
        return account, "store-secret"


class House:
    def __init__(
        self,
        tmp: Path,
        *,
        walk: Sequence[str] = WALK,
        options: dict[str, dict[str, str]] | None = None,
        catalog: Any = None,
        versioned: str = "",
        ini: str = INI,
        wrap: Callable[[Any, str], Any] = lambda port, _: port,
    ) -> None:
        self.clock = HandClock()
        tmp.mkdir(parents=True, exist_ok=True)
        path = tmp / "house.ini"
        path.write_text(ini.format(state=tmp))
        keys = tmp / "keys.json"
        keys.touch(mode=0o600)
        keys.write_text(json.dumps(KEYS))
        keys.chmod(0o600)
        self.house = connect.House(Ini(path, {}), self.clock)
        self.catalog = catalog or MemoryCatalog(house=self.house)
        self.store = FrontedStore(Options(versioned=tuple(versioned.split())), self.house)
        self.landing = MemoryStore(Options(), self.house)
        for kind, name, port in (("catalog", "main", self.catalog), ("store", "main", self.store), ("store", "landing", self.landing)):
            self.house.put(kind, name, wrap(port, name if kind == "store" else kind))
        self.front = Storefront(self.store)
        self.app = Application(pipeline(self.house, walk, wrap(self.front, "front"), options or {}))
        self.editor = Client(self.app, "AKEDITOR", "editor-secret", clock=self.clock)
        self.desk = Client(self.app, "AKDESK", "desk-secret", clock=self.clock)
        self.stranger = Client(self.app, "AKSTRANGER", "stranger-secret", clock=self.clock)
        self.editor.put("/films")

    @cached_property
    def runner(self) -> Runner:
        return Runner(self.house, owner="worker")

    def get(self, target: str, **headers: str) -> Answer:
        return self.editor.get(target, **headers)

    def head(self, target: str, **headers: str) -> Answer:
        return self.editor.head(target, **headers)

    def put(self, target: str, body: bytes = b"", **headers: str) -> Answer:
        return self.editor.put(target, body, **headers)

    def delete(self, target: str, **headers: str) -> Answer:
        return self.editor.delete(target, **headers)

    def restore(self, target: str, *, days: int = 1, tier: str = "Standard", client: Client | None = None) -> Answer:
        document = f"<RestoreRequest><Days>{days}</Days><GlacierJobParameters><Tier>{tier}</Tier></GlacierJobParameters></RestoreRequest>"
        return (client or self.editor).post(f"{target}{'&' if '?' in target else '?'}restore", document.encode())

    def later(self, *, seconds: float = 0, hours: float = 0, days: float = 0) -> "House":
        """Let time pass; nobody works meanwhile."""
        self.clock.later(int(seconds * 1000 + hours * 3_600_000 + days * DAY))
        return self

    def work(self, *, rounds: int = 40, step: float = 10.0) -> "House":
        """Let the workers run until nothing more becomes due within the next minutes."""
        for _ in range(rounds):
            self.runner.run_due()
            self.later(seconds=step)
        return self

    def archive(self, target: str, body: bytes, **headers: str) -> "House":
        """PUT with class GLACIER, and wait until the bytes are on tape and nowhere else."""
        answer = self.put(target, body, x_amz_storage_class="GLACIER", **headers)
        assert answer.status == 200, answer
        return self.work()


def foreign(app: Any) -> Any:
    """A WSGI filter of another house: it knows nothing of ours, copies the environ and passes all on lazily."""

    def passing(environ: dict[str, Any], start_response: Any) -> Any:
        yield from app({**environ, "foreign.was.here": "1"}, start_response)

    return passing


NOTHING = ("Content-Type", "application/x-none")


def validated(app: Any) -> Any:
    """The standard library's validator around ``app``, which raises AssertionError for what PEP 3333 forbids.

    It asks each answer but 204 and 304 for a Content-Type, which S3's may do
    without, and those two for none: what is said for its sake goes no further.
    """

    def typed(environ: dict[str, Any], start_response: Any) -> Any:
        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            bare = status[:3] in ("204", "304")
            kept = [(name, value) for name, value in headers if not (bare and name.lower() == "content-type")]
            said = bare or "content-type" in {name.lower() for name, _ in headers}
            return start_response(status, kept if said else [*kept, NOTHING], exc_info)

        return app(environ, start)

    judged = validator(typed)

    def untyped(environ: dict[str, Any], start_response: Any) -> Any:
        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, [field for field in headers if field != NOTHING], exc_info)

        return judged(environ, start)

    return untyped


BETWEEN = {"foreign": foreign, "validate": validated}


def pipeline(house: connect.House, walk: Sequence[str], end: Handler, options: dict[str, dict[str, str]]) -> Handler:
    """Doors by name, outermost first, around ``end``; ``foreign`` is somebody else's WSGI filter, ``validate`` a judge of both sides."""
    ours = [point for point in entry_points(group="paste.filter_factory") if point.value.startswith("s3shunt.")]
    points = {point.name: point for point in ours}  # Swift has a ratelimit, too
    handler = end
    for name in reversed(walk):
        if name in BETWEEN:
            handler = handler_of(BETWEEN[name](Application(handler)))
            continue
        factory = points[name].load()
        given = {**(house.ini.section("filter", name) if name in house.ini.names("filter") else {}), **options.get(name, {})}
        handler = factory.make(direct(handler), config.read(factory.options, f"filter:{name}", given), house)
    return handler
