"""A whole site on this machine, of real programs: a store, Redis, proxies and workers, each a process of its own.

    with stores.store("swift", home, logs) as running, stage.site("films", running, proxies=2) as site:
        site.s3().create_bucket(Bucket="films")
        site.kill("work-1")
        site.start("work-1")

What the processes say is in one folder (``S3SHUNT_STAGE_LOGS``, else a new one).
``S3SHUNT_NO_TEARDOWN=1`` leaves everything running and prints where it is.
"""

import os
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from s3shunt import connect
from s3shunt.config import Ini
from s3shunt.jobs.audit import Finding, audit
from s3shunt.model import Entry, ObjectRef, State
from s3shunt.testing.stage import ini as inis
from s3shunt.testing.stage.process import ME, NotInTime, Process, until
from s3shunt.testing.stage.stores import ACCOUNT, Store, private

OPENER = build_opener(ProxyHandler({}))


def kept() -> bool:
    """Whether everything is to stay up after the tests."""
    return "1" in (os.environ.get("S3SHUNT_NO_TEARDOWN"), os.environ.get("NO_TEARDOWN"))


def logs(name: str) -> Path:
    """The folder for what the processes of ``name`` say."""
    folder = Path(os.environ.get("S3SHUNT_STAGE_LOGS") or _own_logs()) / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@cache
def _own_logs() -> str:
    return tempfile.mkdtemp(prefix="s3shunt-stage-logs-")


@dataclass
class Site:
    """``processes`` are called ``redis``, ``serve-1`` ..., ``work-1`` ..."""

    name: str
    home: Path
    logs: Path
    store: Store
    key: dict[str, str]
    processes: dict[str, Process] = field(default_factory=dict)
    endpoints: list[str] = field(default_factory=list)

    @property
    def ini(self) -> Path:
        return self.home / "site.ini"

    @cached_property
    def house(self) -> connect.House:
        """What the processes of the site share, seen from the test."""
        return connect.House(Ini(self.ini, {}))

    def start(self, name: str) -> None:
        self.processes[name].start()

    def kill(self, name: str) -> None:
        """SIGKILL, and it is gone when this returns."""
        self.processes[name].kill()

    def stop(self, name: str) -> None:
        self.processes[name].stop()

    def restart(self, name: str) -> None:
        """Killed, and ready again when this returns."""
        self.kill(name)
        self.start(name)

    def s3(self, number: int = 0, **settings: Any) -> Any:
        """boto3 through a proxy of the site."""
        return client(self.endpoints[number], self.key["access_key"], self.key["secret_key"], **settings)

    def make(self, bucket: str) -> None:
        """A bucket that objects can be evicted from."""
        self.s3().create_bucket(Bucket=bucket)
        if self.store.versions:
            self.s3().put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})

    def behind(self) -> Any:
        """boto3 on the store itself, past all doors, with the store's own credential for the clients' account."""
        return client(self.store.endpoint, *self.store.keys())

    # What the site's catalog says

    def ref(self, bucket: str, key: str) -> ObjectRef:
        return ObjectRef(bucket, key, account=ACCOUNT if "buckets" in self.store.settings else "")

    def row(self, bucket: str, key: str) -> Entry | None:
        return self.house.truth().find(self.ref(bucket, key))

    def reach(self, state: State | Collection[State], bucket: str, *keys: str, seconds: float = 60) -> None:
        """Return when all of the keys are in ``state``, or one of several. Raises NotInTime with the states they are in."""
        wanted = {state} if isinstance(state, State) else set(state)

        def others() -> list[str]:
            rows = [(key, self.row(bucket, key)) for key in keys]
            return [f"{key}: {row.state} {row.reason}" if row else key for key, row in rows if row is None or row.state not in wanted]

        try:
            until(f"{' or '.join(sorted(wanted))}", lambda: not others(), seconds)
        except NotInTime as error:
            raise NotInTime(f"{error}, but {others()}") from None

    def disagreements(self) -> list[Finding]:
        """What an audit finds."""
        return list(audit(self.house))

    def print_where(self) -> None:
        keys = self.home / "state/keys.json"
        print(f"{self.name}: {' '.join(self.endpoints)} keys {keys} ini {self.ini} logs {self.logs}", file=sys.stderr)


def client(endpoint: str, access_key: str, secret_key: str, **settings: Any) -> Any:
    import boto3
    from botocore.config import Config

    given = {"retries": {"max_attempts": 4, "mode": "standard"}, "connect_timeout": 5, "read_timeout": 60, "max_pool_connections": 50}
    return boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=access_key, aws_secret_access_key=secret_key,
        config=Config(**{**given, **settings}, s3={"addressing_style": "path"}),
    )  # fmt: skip


@contextmanager
def site(
    name: str, store: Store, *, proxies: int = 1, workers: int = 1, index: bool = True, posix: bool = False, day: str = "24h",
    more: Mapping[str, Mapping[str, str]] | None = None,
) -> Iterator[Site]:  # fmt: skip
    """A site before this store, ready when entered. ``posix`` lands in a directory; ``more`` are further options by section."""
    unique = f"{name}-{secrets.token_hex(3)}"
    home = Path(tempfile.mkdtemp(prefix=f"s3shunt-{name}-"))
    made = Site(unique, home, logs(unique), store, _state(home))
    _declare(made, proxies, workers, index=index, posix=posix, day=day, more=more or {})
    try:
        for process in made.processes.values():
            process.start()
        yield made
    finally:
        if kept():
            made.print_where()
        else:
            for process in reversed(made.processes.values()):
                process.kill()
            shutil.rmtree(home, ignore_errors=True)


def _state(home: Path) -> dict[str, str]:
    """The secrets of a new site; returns its clients' key."""
    state = home / "state"
    state.mkdir(mode=0o700)
    key = {"access_key": f"STAGE{secrets.token_hex(8).upper()}", "secret_key": secrets.token_urlsafe(30), "account": ACCOUNT}
    private(state / "keys.json", [key])
    secret = state / "secret"
    secret.touch(mode=0o600)
    secret.write_text(secrets.token_hex(32) + "\n")
    return key


def _declare(made: Site, proxies: int, workers: int, *, index: bool, posix: bool, day: str, more: Mapping[str, Any]) -> None:
    """The inis, one for each proxy, and the processes in the order of their start; the catalog's schema is made."""
    ports = [_free_port() for _ in range(max(proxies, 1))]
    for number, port in enumerate(ports):
        given = inis.sections(made.home, made.store, name=made.name, port=port, index=index, posix=posix, day=day)
        path = made.ini if number == 0 else made.home / f"site-{number + 1}.ini"
        path.write_text(inis.text(given, more))
        if number < proxies:
            made.endpoints.append(f"http://127.0.0.1:{port}")
            _add(made, f"serve-{number + 1}", [*ME, "serve", str(path)], port)
    for number in range(workers):
        _add(made, f"work-{number + 1}", [*ME, "work", str(made.ini)])
    if index:
        redis = _redis(made)
        made.processes = {"redis": redis, **made.processes}
    made.house.truth().upgrade()


def _add(made: Site, name: str, command: list[str], port: int | None = None) -> None:
    ready = (lambda: True) if port is None else (lambda: _answers(port))
    made.processes[name] = Process(name, command, made.logs / f"{name}.log", ready, kept=kept())


def _redis(made: Site) -> Process:
    path = made.home / "redis.sock"
    command = ["redis-server", "--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700", "--save", "", "--appendonly", "no"]
    return Process("redis", [*command, "--dir", str(made.home)], made.logs / "redis.log", lambda: _listens(path), kept=kept())


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(1)
        try:
            link.connect(str(path))
            link.sendall(b"PING\r\n")
            return link.recv(7) == b"+PONG\r\n"
        except OSError:
            return False


def _answers(port: int) -> bool:
    try:
        with OPENER.open(f"http://127.0.0.1:{port}/-/live", timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
