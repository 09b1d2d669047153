"""A private PostgreSQL cluster in a temporary directory, for a test or a demonstration.

It listens on a unix socket and on a free port of 127.0.0.1, trusts whoever
reaches it, is as durable as a real one, and is stopped by its pid. PostgreSQL
refuses to run as root; then it runs as the user ``postgres``.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from s3shunt import clock

BINARIES = ("/usr/lib/postgresql/17/bin", "/usr/lib/postgresql/16/bin", "/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/14/bin")


def binary(name: str) -> str | None:
    """Where ``initdb`` or ``postgres`` is; Debian keeps them off the PATH."""
    return shutil.which(name, path=os.pathsep.join((*BINARIES, os.environ.get("PATH", ""))))


def installed() -> bool:
    return binary("initdb") is not None and binary("postgres") is not None


@contextmanager
def postgres(*settings: str) -> Iterator[str]:
    """The URL of a fresh, empty database. ``settings`` are ``name=value`` lines of its configuration."""
    open_to_all = "/tmp" if os.getuid() == 0 else None  # the user postgres has to walk to it, wherever TMPDIR is
    with tempfile.TemporaryDirectory(prefix="s3shunt-postgres-", dir=open_to_all) as directory:
        home, user = Path(directory), _user()
        if os.getuid() == 0:
            shutil.chown(home, user)
        data = home / "data"
        _run(user, binary("initdb"), "-D", data, "-U", user, "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        given = [f"-c{setting}" for setting in (f"port={port}", f"unix_socket_directories={home}", "listen_addresses=127.0.0.1", *settings)]
        with (home / "log").open("wb") as log:
            server = subprocess.Popen([*_as(user), str(binary("postgres")), "-D", str(data), *given], stdout=log, stderr=log)
        try:
            _await(server, home, port)
            yield f"postgresql://{user}@/postgres?host={quote(str(home))}&port={port}"
        finally:
            _stop(server)


def _user() -> str:
    return "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name


def _as(user: str) -> list[str]:
    if os.getuid() != 0:
        return []
    return ["setpriv", f"--reuid={user}", f"--regid={pwd.getpwnam(user).pw_gid}", "--clear-groups"]


def _run(user: str, *command: object) -> None:
    subprocess.run([*_as(user), *map(str, command)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def _await(server: subprocess.Popen[bytes], home: Path, port: int) -> None:
    deadline = clock.wall.monotonic() + 30
    while clock.wall.monotonic() < deadline and server.poll() is None:
        ready = subprocess.run([str(binary("pg_isready")), "-h", str(home), "-p", str(port)], stdout=subprocess.DEVNULL, check=False)
        if ready.returncode == 0:
            return
        clock.wall.sleep(0.05)
    raise RuntimeError((home / "log").read_text(errors="replace"))


def _stop(server: subprocess.Popen[bytes]) -> None:
    """At once and without a last checkpoint: the data goes with the directory."""
    server.send_signal(signal.SIGQUIT)
    server.wait(20)
