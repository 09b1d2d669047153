"""The house of ``etc/vrt.ini`` on this machine: nginx, two proxies, two workers, PostgreSQL, Redis, a store and MediaHaven's stand-in.

    with vrt.house(Path("etc/vrt.ini"), "seaweedfs") as house:
        house.s3().put_object(Bucket="films", Key="a.mxf", Body=b"...")
        house.kill("postgres"); house.revive("postgres")

Every part is a process of its own, by the names ``postgres redis store mediahaven serve-1 serve-2 work-1 work-2 nginx``. A proxy and
a worker of one number are one machine: they share a state directory with each other and nothing with the other two. What the ini
says holds, but for addresses, the names of secrets' files, and the waits of ``QUICK``.
"""

import json
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Iterator, Mapping
from configparser import RawConfigParser
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from s3shunt import connect
from s3shunt.config import Ini
from s3shunt.jobs.audit import Finding, audit
from s3shunt.model import Entry, ObjectRef, State
from s3shunt.policy import view
from s3shunt.testing.services import free_port, private
from s3shunt.testing.stage import ini, kept, logs, machines
from s3shunt.testing.stage.machines import REDIS_PASSWORD, Placed
from s3shunt.testing.stage.process import ME, NotInTime, Process, until

MACHINES = (1, 2)
EXPORTS = "s3shunt-exports"
JOBS = ("archive", "evict", "recall", "expire", "discard", "sweep")
QUICK = {
    **{f"job:{job}": {"every": "300ms", "retry": "300ms", "patience": "2s", "lease": "5s"} for job in JOBS},
    "filter:record": {"lease": "5s"}, "filter:lookup": {"negative": "1s"}, "filter:shunt": {"retry_after": "1s", "restore_days": "50"},
    "policy:films": {"evict": "at once", "after": "0s"},
}  # fmt: skip
"""Waits that let a story end in a minute; a day is ten seconds, and everything leaves the cache at once."""
GRACES = {"failed_grace": "6s", "gone_grace": "3s", "delivery_grace": "6s"}
ROBOT = {"mount": 200, "seek": 10, "threads": 4, "username": "s3shunt", "client_id": "s3shunt"}

More = Mapping[str, Mapping[str, str | None]]


@dataclass
class House:
    home: Path
    logs: Path
    parts: dict[str, Placed]
    processes: dict[str, Process] = field(default_factory=dict)
    key: dict[str, str] = field(default_factory=dict)
    notices: dict[int, str] = field(default_factory=dict)
    _reader: dict[str, str] = field(default_factory=dict)

    @property
    def endpoint(self) -> str:
        """What clients speak to."""
        return self.parts["nginx"].endpoint

    @property
    def certificate(self) -> str:
        """What to verify nginx with."""
        return str(self.parts["nginx"].credentials)

    def ini(self, machine: int = 1) -> Path:
        return self.home / f"vrt-{machine}.ini"

    @cached_property
    def inside(self) -> connect.House:
        """What the processes share, seen from the test."""
        return connect.House(Ini(self.ini(), {}))

    def leave(self) -> None:
        """Let go of the database."""
        if "inside" in vars(self):
            self.inside.truth().close()  # type: ignore[attr-defined]

    def stop(self, name: str) -> None:
        self.processes[name].stop()

    def kill(self, name: str) -> None:
        """SIGKILL, and it is gone when this returns."""
        self.processes[name].kill()

    def revive(self, name: str) -> None:
        """Up again when this returns, as its supervisor would have it."""
        self.processes[name].revive()

    def s3(self, endpoint: str = "", **settings: Any) -> Any:
        """boto3 through nginx, or at ``endpoint``."""
        return client(endpoint or self.endpoint, self.key["access_key"], self.key["secret_key"], self.certificate, **settings)

    def reader(self) -> Any:
        """boto3 through nginx with a key that may read and not restore."""
        if not self._reader:
            line = ("keys", "add", "vrt", "--bucket", "*", "--allow", "read list", "-c", str(self.ini()), "--json")
            self._reader = json.loads(self.command(*line))
        return client(self.endpoint, self._reader["access_key"], self._reader["secret_key"], self.certificate)

    def make(self, bucket: str) -> None:
        """A bucket that objects can be evicted from."""
        self.s3().create_bucket(Bucket=bucket)
        if self.parts["store"].settings["evict"] == "version":
            self.s3().put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})

    def ready(self, machine: int) -> dict[str, Any]:
        """What a proxy says of itself."""
        found: dict[str, Any] = json.loads(machines.asked(f"{self.parts[f'serve-{machine}'].endpoint}/-/ready")[1] or "{}")
        return found

    def behind(self) -> Any:
        """boto3 on the store itself, past all doors."""
        store = self.parts["store"]
        assert store.credentials is not None
        pair = json.loads(store.credentials.read_text())[""]
        return client(store.endpoint, pair["access_key"], pair["secret_key"], self.certificate)

    def command(self, *words: str) -> str:
        """What ``s3shunt WORDS`` prints. Raises CalledProcessError."""
        done = subprocess.run([*ME, *words], check=True, capture_output=True, text=True, env=environ())
        return done.stdout

    # MediaHaven

    def turn(self, **knobs: Any) -> None:
        self.tapes("knobs", **knobs)

    def tapes(self, word: str, **document: Any) -> dict[str, Any]:
        """The stand-in's control: ``state`` without a document, else posted."""
        status, body = machines.asked(f"{self.parts['mediahaven'].endpoint}/-/{word}", document if word != "state" else None)
        assert status == 200, (word, status, body)
        found: dict[str, Any] = json.loads(body)
        return found

    def exports(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.tapes("state")["exports"]
        return found

    # What the catalog says

    def row(self, bucket: str, key: str) -> Entry | None:
        return self.inside.truth().find(ObjectRef(bucket, key))

    def shown(self, bucket: str, key: str) -> dict[str, str]:
        """What somebody sees who looks with redis-cli."""
        import redis

        with redis.Redis.from_url(self.parts["redis"].endpoint, password=REDIS_PASSWORD, decode_responses=True) as link:
            found: dict[str, str] = link.hgetall(view.label(ObjectRef(bucket, key)))
        return found

    def reach(self, state: State | Collection[State], bucket: str, *keys: str, seconds: float = 60) -> None:
        """Return when all of the keys are in ``state``, or one of several. Raises NotInTime with the states they are in."""
        wanted = {state} if isinstance(state, State) else set(state)

        def others() -> list[str]:
            rows = [(key, self.row(bucket, key)) for key in keys]
            return [f"{key}: {row.state} {row.reason}" if row else key for key, row in rows if row is None or row.state not in wanted]

        try:
            until(" or ".join(sorted(wanted)), lambda: not others(), seconds)
        except NotInTime as error:
            raise NotInTime(f"{error}, but {others()[:5]}") from None

    def disagreements(self) -> list[Finding]:
        """What an audit finds."""
        return list(audit(self.inside))


def client(endpoint: str, access_key: str, secret_key: str, certificate: str, **settings: Any) -> Any:
    import boto3
    from botocore.config import Config

    given = {"retries": {"max_attempts": 4, "mode": "standard"}, "connect_timeout": 5, "read_timeout": 60, "max_pool_connections": 60}
    return boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=access_key, aws_secret_access_key=secret_key,
        verify=certificate, config=Config(**{**given, **settings}, signature_version="s3v4", s3={"addressing_style": "path"}),
    )  # fmt: skip


def environ() -> dict[str, str]:
    import os

    return {**{name: value for name, value in os.environ.items() if name != "S3SHUNT_STATE"}, "REDIS_PASSWORD": REDIS_PASSWORD}


@contextmanager
def house(source: Path, kind: str, *, arrival: str = "s3", more: More | None = None, quick: bool = True) -> Iterator[House]:
    """Everything up when entered, schema and first key made by the command. ``kind`` is the store's, ``more`` goes over all."""
    open_to_all = "/tmp" if os.getuid() == 0 else None  # the user postgres has to walk to it, wherever TMPDIR is
    home = Path(tempfile.mkdtemp(prefix="s3shunt-vrt-", dir=open_to_all))
    made = House(home, logs(f"vrt-{kind}-{secrets.token_hex(3)}"), {})
    try:
        _place(made, kind, arrival, (source.parent.parent / "containers/nginx/tls.conf").read_text())
        for machine in MACHINES:
            _write(made, source, machine, arrival, [QUICK if quick else {}, more or {}])
        _begin(made)
        yield made
    finally:
        if kept():
            print(f"{made.endpoint} ini {made.ini()} logs {made.logs}")
        else:
            made.leave()
            for process in reversed(made.processes.values()):
                process.kill()
            shutil.rmtree(home, ignore_errors=True)


def _place(made: House, kind: str, arrival: str, front: str) -> None:
    """The services, of which none runs yet, and the secrets' files."""
    home = made.home
    parts = {
        "postgres": machines.postgres(home / "postgres", made.logs), "redis": machines.redis(home / "redis", made.logs),
        "store": machines.store(kind, home / "store", made.logs),
    }  # fmt: skip
    made.notices = {machine: f"127.0.0.1:{free_port()}" for machine in MACHINES}
    proxies = {machine: free_port() for machine in MACHINES}
    parts["nginx"] = machines.nginx(home / "nginx", made.logs, front, [f"127.0.0.1:{port}" for port in proxies.values()])
    secret = {name: secrets.token_urlsafe(20) for name in ("mediahaven.password", "mediahaven.client", "notices.secret")}
    for name, value in secret.items():
        private(home / name, f"{value}\n")
    private(home / "secret", secrets.token_hex(32) + "\n")
    webhook = {"url": f"http://{made.notices[1]}/", "user": "mediahaven", "password": secret["notices.secret"]}
    known = {"password": secret["mediahaven.password"], "client_secret": secret["mediahaven.client"]}
    knobs = {**ROBOT, **known, "webhook": webhook, "destination": _destination(parts, home, arrival)}
    parts["mediahaven"] = machines.standin(home / "mediahaven", made.logs, knobs, ["films"])
    parts |= {f"serve-{machine}": _ours(made, "serve", machine, port) for machine, port in proxies.items()}
    parts |= {f"work-{machine}": _ours(made, "work", machine) for machine in MACHINES}
    made.parts = parts
    made.processes = {name: part.process for name, part in parts.items()}


def _destination(parts: Mapping[str, Placed], home: Path, arrival: str) -> dict[str, str]:
    store = parts["store"]
    assert store.credentials is not None
    pair = json.loads(store.credentials.read_text())[""]
    told = {"endpoint": store.endpoint, **pair}
    if arrival != "path":
        return told
    (home / "cache" / EXPORTS).mkdir(parents=True)  # a disk that is mounted
    return {**told, "directory": str(home / "cache")}


def _ours(made: House, word: str, machine: int, port: int = 0) -> Placed:
    endpoint = f"http://127.0.0.1:{port}" if port else ""
    ready = (lambda: machines.asked(f"{endpoint}/-/live")[0] == 200) if port else (lambda: True)
    name = f"{word}-{machine}"
    return Placed(Process(name, [*ME, word, str(made.ini(machine))], made.logs / f"{name}.log", ready, environ=environ()), endpoint)


def _write(made: House, source: Path, machine: int, arrival: str, more: list[More]) -> None:
    """The shipped ini with the addresses of this house."""
    parser = RawConfigParser(delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(source)
    given = {"DEFAULT": dict(parser.defaults()), **{name: dict(parser._sections[name]) for name in parser.sections()}}  # type: ignore[attr-defined]
    for title in (one for one in given if one.startswith("listen:")):
        given[title]["address"] = made.notices[machine] if title == "listen:notices" else f"127.0.0.1:{free_port()}"
    for over in [_addresses(made, machine, arrival), *more]:
        for title, options in over.items():
            merged = {**given.get(title, {}), **options}
            given[title] = {name: value for name, value in merged.items() if value is not None}
    made.ini(machine).write_text(ini.text(given, {}))


def _addresses(made: House, machine: int, arrival: str) -> dict[str, dict[str, str | None]]:
    home, parts = made.home, made.parts
    store, database = parts["store"], {"url": parts["postgres"].endpoint, "password_file": "", "secret_file": f"{home}/secret"}
    on_disk = arrival == "path"
    delivery = {"arrival": "path", "delivery_path": f"{home}/cache/{EXPORTS}"} if on_disk else {}
    landing = {"like": None, "bucket": None, "url": f"posix://{home}/cache/landed"} if on_disk else {}
    return {
        "DEFAULT": {"state": f"{home}/state-{machine}", "day": "10s"},
        "listen:main": {"address": parts[f"serve-{machine}"].endpoint.removeprefix("http://"), "workers": "1", "parent": "no"},
        "app:notices": {"secret_file": f"{home}/notices.secret"},
        "filter:virtual_host": {"trusted": "127.0.0.1"},
        "filter:listing": {"order": store.order},
        "catalog:main": {**database, "index": parts["redis"].endpoint},
        "keys:main": database,
        "store:main": {"url": f"s3+{store.endpoint}", "credentials": str(store.credentials), **store.settings},
        "store:landing": landing,
        "archive:tape": {
            "url": f"mediahaven+{parts['mediahaven'].endpoint}", "password_file": f"{home}/mediahaven.password",
            "client_secret_file": f"{home}/mediahaven.client", **GRACES, **delivery,
        },
    }  # fmt: skip


def _begin(made: House) -> None:
    """As docs/vrt.md has it: services, schema, proxies and workers, a first key, nginx."""
    before = [name for name in made.processes if not name.startswith(("serve", "work", "nginx"))]
    for name in before:
        made.processes[name].start()
    made.command("catalog", "upgrade", "-c", str(made.ini()))
    made.key = json.loads(made.command("keys", "add", "vrt", "-c", str(made.ini()), "--json"))
    for name in made.processes:
        if name not in before:
            made.processes[name].start()
