"""The services of a site as processes that can be killed and started again on what they kept."""

import json
import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

from s3shunt.testing import services
from s3shunt.testing.services import Service, free_port, minio, seaweedfs
from s3shunt.testing.services import nginx as front
from s3shunt.testing.services.postgres import binary
from s3shunt.testing.stage.process import ME, Process

OPENER = build_opener(ProxyHandler({}))
REDIS_PASSWORD = "of-the-index-alone"


@dataclass(frozen=True)
class Placed:
    """A process that is not started yet, and what others are told of it."""

    process: Process
    endpoint: str
    credentials: Path | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    order: str = "bytes"


def asked(url: str, document: Mapping[str, Any] | None = None) -> tuple[int, bytes]:
    """Status and body; 0 when nobody answers. A document is posted as JSON."""
    body = None if document is None else json.dumps(document).encode()
    try:
        with OPENER.open(Request(url, body, {"Content-Type": "application/json"} if body else {}), timeout=10) as answer:
            return int(answer.status), answer.read()
    except HTTPError as error:
        with error:
            return error.code, error.read()
    except (URLError, OSError):
        return 0, b""


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def postgres(home: Path, logs: Path) -> Placed:
    """A cluster of its own, made now. As root it runs as the user postgres."""
    port, user = free_port(), "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    home.mkdir()
    home.chmod(0o755)
    home.parent.chmod(0o755)
    own = ()
    if os.getuid() == 0:
        shutil.chown(home, user)
        own = ("setpriv", f"--reuid={user}", f"--regid={pwd.getpwnam(user).pw_gid}", "--clear-groups", "--pdeathsig", "QUIT")
    made = [*own, str(binary("initdb")), "-D", str(home / "data"), "-U", "s3shunt", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
    subprocess.run(made, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    settings = {"port": port, "unix_socket_directories": home, "listen_addresses": "127.0.0.1", "max_connections": 200}
    command = [*own, str(binary("postgres")), "-D", str(home / "data"), *(f"-c{name}={value}" for name, value in settings.items())]
    ready = [str(binary("pg_isready")), "-q", "-h", "127.0.0.1", "-p", str(port)]
    up = lambda: subprocess.run(ready, check=False).returncode == 0
    return Placed(Process("postgres", command, logs / "postgres.log", up), f"postgresql://s3shunt@127.0.0.1:{port}/postgres")


def redis(home: Path, logs: Path) -> Placed:
    """With a password, and nothing kept on disk."""
    port = free_port()
    home.mkdir()
    config = home / "redis.conf"
    config.touch(mode=0o600)
    config.write_text(f'bind 127.0.0.1\nport {port}\nrequirepass {REDIS_PASSWORD}\nsave ""\nappendonly no\ndir {home}\n')
    process = Process("redis", ["redis-server", str(config)], logs / "redis.log", lambda: listens(port))
    return Placed(process, f"redis://127.0.0.1:{port}/0")


def store(kind: str, home: Path, logs: Path) -> Placed:
    """``seaweedfs`` or ``minio``."""
    home.mkdir()
    return {"seaweedfs": _seaweedfs, "minio": _minio}[kind](home, logs)


def _seaweedfs(home: Path, logs: Path) -> Placed:
    program = seaweedfs.program()
    if program is None:
        raise RuntimeError(seaweedfs.WHY_NOT)
    ports = seaweedfs.free_ports(len(seaweedfs.NAMES))
    given = services.credentials(home / "store.json", seaweedfs.ACCESS_KEY, seaweedfs.SECRET_KEY)
    options = {"evict": "if-match", "keys": "paths"}
    process = _process("store", seaweedfs.service(program, home, ports), home, logs)
    return Placed(process, f"http://127.0.0.1:{ports[0]}", given, options, "directory")


def _minio(home: Path, logs: Path) -> Placed:
    program = minio.program()
    if program is None:
        raise RuntimeError(minio.WHY_NOT)
    port = free_port()
    given = services.credentials(home / "store.json", minio.ACCESS_KEY, minio.SECRET_KEY)
    process = _process("store", minio.service(program, home, port), home, logs)
    return Placed(process, f"http://127.0.0.1:{port}", given, {"evict": "version", "keys": "paths"})


def _process(name: str, service: Service, home: Path, logs: Path) -> Process:
    return Process(name, service.command, logs / f"{name}.log", service.up, environ=dict(service.environ), home=home)


def nginx(home: Path, logs: Path, configuration: str, peers: Sequence[str]) -> Placed:
    """With a shipped configuration, in front of these proxies. ``credentials`` is the certificate to verify it with."""
    port = free_port()
    home.mkdir()
    front.certify(home)
    user = "user root;" if os.getuid() == 0 else ""
    (home / "nginx.conf").write_text(front.AROUND.format(home=home, user=user, workers=1))
    told = {"LISTEN": f"127.0.0.1:{port}", "CERTIFICATE": home / "certificate.pem", "KEY": home / "key.pem"}
    (home / "site.conf").write_text(front.filled(configuration, PROXY=";\n    server ".join(peers), **told))
    command = [str(front.binary()), "-p", str(home), "-e", str(logs / "nginx-error.log"), "-c", str(home / "nginx.conf")]
    process = Process("nginx", command, logs / "nginx.log", lambda: listens(port))
    return Placed(process, f"https://localhost:{port}", home / "certificate.pem")


def standin(home: Path, logs: Path, knobs: Mapping[str, Any], watched: list[str]) -> Placed:
    """MediaHaven, with an ingest flow that reads the watched buckets."""
    port = free_port()
    home.mkdir()
    path = home / "knobs.json"
    path.write_text(json.dumps(dict(knobs)))
    command = [*ME, "stand-in", "mediahaven", "--port", str(port), "--knobs", str(path), "--state", str(home / "kept"), "--every", "0.3"]
    command += [word for bucket in watched for word in ("--watch", bucket)]
    up = lambda: asked(f"http://127.0.0.1:{port}/-/state")[0] == 200
    return Placed(Process("mediahaven", command, logs / "mediahaven.log", up), f"http://127.0.0.1:{port}")
