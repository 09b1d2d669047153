"""The stores of the stage: a whole Swift in one process, SeaweedFS, MinIO, and radosgw where it is installed.

Each serves any number of sites.
"""

import json
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from s3shunt.testing.services import minio, radosgw, seaweedfs
from s3shunt.testing.stage.process import Process

ACCOUNT, WORKER = "main", "s3shunt-worker"
"""The account of clients, and that of workers, where a store has accounts."""


@dataclass(frozen=True)
class Store:
    """A running store: what goes into ``[store:main]``, how it lists, and whether buckets need ``versions`` to evict from."""

    kind: str
    endpoint: str
    credentials: Path
    settings: dict[str, str] = field(default_factory=dict)
    order: str = "bytes"
    versions: bool = False

    def keys(self, account: str = ACCOUNT) -> tuple[str, str]:
        """The store's own credential, past all doors."""
        known = json.loads(self.credentials.read_text())
        pair = known.get(account) or known[""]
        return pair["access_key"], pair["secret_key"]


@contextmanager
def store(kind: str, home: Path, logs: Path, *, kept: bool = False) -> Iterator[Store]:
    """``swift``, ``seaweedfs``, ``minio`` or ``radosgw``, its data in ``home``, gone when left unless ``kept``."""
    with STORES[kind](home, logs, kept=kept) as running:
        yield running


@contextmanager
def _swift(home: Path, logs: Path, *, kept: bool) -> Iterator[Store]:
    home.mkdir(parents=True, exist_ok=True)
    accounts, log = home / "store.json", logs / "swift.log"
    names = {ACCOUNT: ACCOUNT, "": WORKER}
    private(accounts, {name: {"access_key": f"{own}:stage", "secret_key": secrets.token_urlsafe(20)} for name, own in names.items()})
    command = [sys.executable, "-m", "s3shunt.swift.allinone", "--home", str(home / "swift"), "--port", "0", "--accounts", str(accounts)]
    if kept:  # it ends with its parent: so that is a shell, which stays
        command = ["sh", "-c", '"$@" & wait', "sh", *command]
    process = Process("swift", command, log, lambda: bool(_ready(log)), kept=kept)
    process.start()
    try:
        endpoint = _ready(log)
        yield Store("swift", endpoint, accounts, {"buckets": "per account", "evict": "swift", "swift": endpoint, "acl": "no"})
    finally:
        if not kept:
            process.stop()


def _ready(log: Path) -> str:
    """The endpoint, once it was said."""
    whole = [line for line in log.read_text(errors="replace").split("\n")[:-1] if line.startswith('{"endpoint"')]
    return json.loads(whole[-1])["endpoint"] if whole else ""


@contextmanager
def _seaweedfs(home: Path, logs: Path, *, kept: bool) -> Iterator[Store]:  # it has a home of its own
    with seaweedfs.seaweedfs(keep=kept, log=logs / "seaweedfs.log") as running:
        yield Store("seaweedfs", running.endpoint, running.credentials, {"evict": "if-match", "keys": "paths"}, order="directory")


@contextmanager
def _minio(_home: Path, logs: Path, *, kept: bool) -> Iterator[Store]:
    with minio.minio(keep=kept, log=logs / "minio.log") as running:
        yield Store("minio", running.endpoint, running.credentials, {"evict": "version", "keys": "paths"}, versions=True)


@contextmanager
def _radosgw(_home: Path, logs: Path, *, kept: bool) -> Iterator[Store]:
    with radosgw.radosgw(keep=kept, log=logs / "radosgw.log") as running:
        yield Store("radosgw", running.endpoint, running.credentials, {"evict": "version"}, versions=True)


STORES = {"swift": _swift, "seaweedfs": _seaweedfs, "minio": _minio, "radosgw": _radosgw}
NEEDED = {
    "minio": (minio.program, minio.WHY_NOT),
    "seaweedfs": (seaweedfs.program, seaweedfs.WHY_NOT),
    "radosgw": (radosgw.program, radosgw.WHY_NOT),
}


def missing(kind: str) -> str:
    """Why this store cannot be started here; empty when it can."""
    found, why = NEEDED.get(kind, (lambda: "always", ""))
    return "" if found() else why


def private(path: Path, content: object) -> Path:
    """A JSON file that nobody else may read."""
    path.touch(mode=0o600)
    path.write_text(json.dumps(content))
    return path
