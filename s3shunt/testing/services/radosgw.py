"""A private Ceph RADOS Gateway on the loopback, from Debian's packages: one monitor, one OSD in memory, one gateway.

Optional: ``radosgw ceph-mon ceph-osd ceph-common`` are installed by hand. It takes
about fifteen seconds to start, and memory for all that is stored in it.
"""

import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from s3shunt.testing import services
from s3shunt.testing.services import NotUp, Service

ACCESS_KEY, SECRET_KEY = "worker", "workers-own-secret"
PROGRAMS = ("radosgw", "radosgw-admin", "ceph", "ceph-mon", "ceph-osd", "ceph-authtool", "monmaptool")
WHY_NOT = "no 'radosgw': apt-get install radosgw ceph-mon ceph-osd ceph-common"
CAPS = {
    "mon.": ("mon", "allow *"),
    "client.admin": ("mon", "allow *", "osd", "allow *", "mgr", "allow *"),
    "client.rgw.a": ("mon", "allow rw", "osd", "allow rwx"),
    "osd.0": ("mon", "allow profile osd", "osd", "allow *"),
}
CONFIG = """\
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon}/0]
public network = 127.0.0.0/8
run dir = {home}
admin socket = {home}/$name.asok
pid file = {home}/$name.pid
log file = {home}/$name.log
keyring = {home}/keyring
mon data = {home}/mon
osd data = {home}/osd
osd objectstore = memstore
memstore device bytes = {room}
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail warn = 1
mon data avail crit = 0
[client.rgw.a]
rgw frontends = beast endpoint=127.0.0.1:{port}
"""


@dataclass(frozen=True)
class RadosGW:
    endpoint: str
    credentials: Path
    pids: tuple[int, ...]


def program() -> str | None:
    """The gateway's, when everything beside it is there too."""
    found = [shutil.which(name) for name in PROGRAMS]
    return found[0] if all(found) else None


@contextmanager
def radosgw(patience: float = 90.0, *, log: Path | None = None, keep: bool = False, room: int = 4 << 30) -> Iterator[RadosGW]:
    """Ready when entered; gone with its data when left, unless to ``keep``. RuntimeError with a log when it does not come up."""
    if program() is None:
        raise RuntimeError(WHY_NOT)
    home, ports = services.new_home("radosgw"), [services.free_port() for _ in range(2)]
    fsid, given = str(uuid.uuid4()), {"home": home, "patience": patience, "keep": keep}
    (home / "ceph.conf").write_text(CONFIG.format(fsid=fsid, mon=ports[0], port=ports[1], home=home, room=room))
    said = log or home / "log"
    with ExitStack() as stack:
        if not keep:
            stack.callback(shutil.rmtree, home, ignore_errors=True)
        start = lambda service, log: stack.enter_context(services.running(service, log=log, **given)).pid  # type: ignore[arg-type]
        _keys(home, fsid, ports[0])
        mon = start(_daemon(home, "ceph-mon", "-i", "a", up=lambda: _ceph(home, "mon", "stat", tries=1)), home / "mon.out")
        _ceph(home, "osd", "new", fsid, tries=50)
        _run(home, "ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", fsid)
        osd = start(_daemon(home, "ceph-osd", "-i", "0", up=lambda: b"1 up" in _asked(home, "osd", "stat")), home / "osd.out")
        port = f"http://127.0.0.1:{ports[1]}"
        rgw = start(_daemon(home, "radosgw", "-n", "client.rgw.a", up=lambda: services.answers(f"{port}/", 200)), said)
        keys = ("--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY)
        _run(home, "radosgw-admin", "user", "create", "--uid", ACCESS_KEY, "--display-name", ACCESS_KEY, *keys)
        yield RadosGW(port, services.credentials(home / "store.json", ACCESS_KEY, SECRET_KEY), (mon, osd, rgw))


def _keys(home: Path, fsid: str, port: int) -> None:
    """A keyring with everybody's keys, and the monitor's first map."""
    ring = str(home / "keyring")
    for number, (name, caps) in enumerate(CAPS.items()):
        pairs = [word for kind, what in zip(caps[::2], caps[1::2], strict=True) for word in ("--cap", kind, what)]
        _run(home, "ceph-authtool", *(["--create-keyring"] if number == 0 else []), ring, "--gen-key", "-n", name, *pairs)
    for folder in ("mon", "osd"):
        (home / folder).mkdir()
    at = f"[v2:127.0.0.1:{port}/0]"
    _run(home, "monmaptool", "--create", "--fsid", fsid, "--addv", "a", at, str(home / "monmap"))
    _run(home, "ceph-mon", "--mkfs", "-i", "a", "--monmap", str(home / "monmap"), "--keyring", ring)


def _daemon(home: Path, name: str, *words: str, up: Callable[[], bool]) -> Service:
    return Service(name, [name, "-f", "-c", str(home / "ceph.conf"), *words], dict(os.environ), up)


def _run(home: Path, *command: str) -> bytes:
    environ = {**os.environ, "CEPH_CONF": str(home / "ceph.conf")}
    done = subprocess.run(command, env=environ, capture_output=True, timeout=60, check=False)
    if done.returncode:
        raise NotUp(f"{' '.join(command[:3])}: {done.stderr.decode(errors='replace')[-2000:]}")
    return done.stdout


def _asked(home: Path, *words: str) -> bytes:
    try:
        return _run(home, "ceph", "--connect-timeout", "2", *words)
    except NotUp:
        return b""


def _ceph(home: Path, *words: str, tries: int) -> bool:
    for _ in range(tries):
        if _asked(home, *words):
            return True
        time.sleep(0.2)
    return False
