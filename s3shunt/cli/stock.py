"""``s3shunt up --store``: the same ini on another store, MinIO or SeaweedFS started here, or an endpoint that exists.

The ini stays as it is: a copy in a state folder of its own has the sections that
speak of the store rewritten. So what one store holds is never looked for in another.
"""

import json
import os
import re
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from s3shunt import clock
from s3shunt.cli import children, provision, say
from s3shunt.cli.children import Child, ChildFailed, Family
from s3shunt.config import ConfigError, Ini
from s3shunt.protocol.errors import S3Error
from s3shunt.stores.s3 import probe, session
from s3shunt.stores.s3.probe import Manners
from s3shunt.testing import services
from s3shunt.testing.services import Service, minio, seaweedfs

Sections = dict[str, dict[str, str]]
Blocks = list[tuple[str, list[str]]]
WAITS = (5.0, 20.0)
HASTE = 1.0
"""Seconds. A clean stop of SeaweedFS takes fifteen, for a cluster's sake; what it acknowledged is written by then."""

# The ini


def another(ini: Ini, store: str, credentials: Path | None = None) -> Ini:
    """The ini's copy for this store, in a state of its own. Raises ConfigError where the store cannot be reached or is none."""
    name = ini.names("store")[0] if ini.names("store") else "main"
    state = ini.state / f"on-{re.sub('[^A-Za-z0-9.]+', '-', urlsplit(store).netloc or store)}"
    state.mkdir(parents=True, exist_ok=True)
    path = state / "proxy.ini"
    changes = _reached(ini, name, store, credentials) if "://" in store else _started(ini, name, store, _port(path, name, store))
    os.environ.pop("S3SHUNT_STATE", None)  # the copy says where its state is, for all that are started with it
    changes["DEFAULT"] = {"state": str(state)}
    text = rewritten(ini.path.read_text(encoding="utf-8").replace("${here}", str(ini.path.parent.absolute())), changes)
    provision.write(path, text)
    say.err.print(f"the ini of this installation is {path}", markup=False)
    return Ini(path)


def _started(ini: Ini, name: str, kind: str, port: int) -> Sections:
    here = {"url": f"s3+http://127.0.0.1:{port}", "credentials": "${state}/store.json", "acl": "no"}
    kinds = {
        "swift": {**here, "buckets": "per account", "evict": "swift", "swift": f"http://127.0.0.1:{port}"},
        "minio": {**here, "evict": "version", "keys": "paths"},
        "weed": {**here, "evict": "if-match", "keys": "paths"},
    }
    if kind not in kinds:
        raise ConfigError(f"--store {kind}: expected minio, weed, swift, or a URL such as http://127.0.0.1:9000")
    changes = {f"store:{name}": kinds[kind], "up": {"children": " ".join([kind, *_others(ini)])}}
    changes |= _listing(ini, "directory" if kind == "weed" else "bytes")
    return changes | _doors(ini, "grants", {"ownership": "store" if kind == "swift" else "catalog"})


def _reached(ini: Ini, name: str, url: str, credentials: Path | None) -> Sections:
    endpoint, parts = url.removeprefix("s3+").rstrip("/"), urlsplit(url.removeprefix("s3+"))
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ConfigError(f"--store {parts.scheme}://...: expected http(s)://HOST:PORT, and no name or secret in it")
    if credentials is None:
        raise ConfigError("--store URL needs --store-credentials or S3SHUNT_STORE_CREDENTIALS: expected a file of the store's keys")
    if not credentials.exists():
        raise ConfigError(f"--store-credentials {credentials}: expected a file of the store's keys, there is none")
    found = _asked(endpoint, credentials)
    given = {"url": f"s3+{endpoint}", "credentials": str(credentials.absolute()), "keys": found.keys}
    changes: Sections = {f"store:{name}": given, "up": {"children": " ".join(_others(ini))}}
    return changes | _listing(ini, found.order)


def _asked(endpoint: str, credentials: Path) -> Manners:
    """How the store takes keys, found out in a scratch bucket; as S3 does where none may be made."""
    pair = session.Credentials(credentials, per_account=False).all()[0]
    try:
        with session.translated():
            return probe.manners(session.client(endpoint, "us-east-1", pair, *WAITS))
    except S3Error as error:
        if error.status >= 500:
            raise ConfigError(f"--store {endpoint}: expected a store that answers: {error}") from None
        say.err.print(f"could not find out how {endpoint} takes keys ({error}); taken for exact", markup=False)
        return Manners()


def _others(ini: Ini) -> list[str]:
    """The children that are no store."""
    given = ini.section("up", "").get("children", "") if "up" in ini.sections() else ""
    return [child for child in re.split(r"[\s,]+", given) if child and child not in ("swift", *STORES)]


def _listing(ini: Ini, order: str) -> Sections:
    return _doors(ini, "listing", {"order": order})


def _doors(ini: Ini, door: str, options: Mapping[str, str]) -> Sections:
    """These options in every section that makes such a door."""
    named = [name for name in ini.names("filter") if ini.section("filter", name).get("use") == f"egg:s3shunt#{door}"]
    return {f"filter:{name}": dict(options) for name in named}


def _port(path: Path, name: str, kind: str) -> int:
    """That of the last start while it is free."""
    known = urlsplit(Ini(path, {}).section("store", name).get("url", "")).port if path.exists() else None
    if known and _free(known):
        return known
    return seaweedfs.free_ports(1)[0] if kind == "weed" else services.free_port()


def _free(port: int) -> bool:
    with socket.socket() as asking:
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            asking.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def rewritten(source: str, changes: Mapping[str, Mapping[str, str]]) -> str:
    """The text with a store's section replaced as a whole, and options of the others set; everything else as it was."""
    blocks, left = _blocks(source), dict(changes)
    out = []
    for title, lines in blocks:
        given = left.pop(title, None)
        out += lines if given is None else _section(title, given) if title.startswith("store:") else _set(lines, given)
    for title, given in left.items():
        out += ["", *_section(title, given)]
    return "\n".join(out) + "\n"


def _blocks(source: str) -> Blocks:
    """Each section with the comment right above it; the first block is what stands before all."""
    blocks: Blocks = [("", [])]
    for line in source.splitlines():
        if found := re.match(r"\[([^\]]+)\]", line):
            above = blocks[-1][1]
            start = len(above)
            while start and above[start - 1].startswith("# "):
                start -= 1
            blocks.append((found[1], above[start:]))
            del above[start:]
        blocks[-1][1].append(line)
    return blocks


def _section(title: str, given: Mapping[str, str]) -> list[str]:
    return [f"[{title}]", *(f"{name} = {value}" for name, value in given.items()), ""]


def _set(lines: list[str], given: Mapping[str, str]) -> list[str]:
    out, header = list(lines), next(number for number, line in enumerate(lines) if line.startswith("["))
    for name, value in given.items():
        places = [number for number, line in enumerate(out) if re.match(rf"#?{re.escape(name)}\s*=", line)]
        if places:
            out[places[0]] = f"{name} = {value}"
        else:
            out.insert(header + 1, f"{name} = {value}")
    return out


# The child


def start(ini: Ini, kind: str, family: Family, stop: threading.Event, patience: int) -> None:
    """The store where the first store's section says that one is; returns when it answers. Raises ChildFailed, ConfigError."""
    name = ini.names("store")[0]
    url, files = urlsplit(ini.section("store", name).get("url", "")), provision.credential_files(ini)
    if url.port is None or not files:
        raise ConfigError(f"[store:{name}] url: expected s3+http://127.0.0.1:PORT and credentials, so that {kind} can be started there")
    pair, home = json.loads(files[0].read_text())[""], ini.state / kind
    home.mkdir(exist_ok=True, mode=0o700)
    service = STORES[kind](home, url.port, pair["access_key"], pair["secret_key"])
    say.err.print(f"starting {service.name} on 127.0.0.1:{url.port}, its data in {home}")
    grace = HASTE if kind == "weed" else None
    child = family.start(Child(kind, service.command, children.log(ini.state, kind), service.environ, grace))
    until = clock.wall.monotonic() + patience / 1000
    while not stop.wait(0.1) and not service.up():
        if child.dead or clock.wall.monotonic() > until:
            raise ChildFailed(f"{service.name} did not come up{child.last_words()}")


def tidy(ini: Ini) -> None:
    """After the end of all: what SeaweedFS leaves beside its folder."""
    ports = ini.state / "weed/ports.json"
    if ports.exists():
        url = urlsplit(ini.section("store", ini.names("store")[0]).get("url", ""))
        seaweedfs.forget_sockets([*json.loads(ports.read_text()), *([url.port] if url.port else [])])


def _minio(home: Path, port: int, access_key: str, secret_key: str) -> Service:
    program = minio.program()
    if program is None:
        say.err.print("building MinIO from its Go module, once: this takes some minutes and 2.5 GB for the time of it")
        try:
            program = str(minio.fetch())
        except (RuntimeError, OSError) as error:
            raise ConfigError(f"[up] children = minio: expected a minio program, or that one can be built: {error}") from None
    return minio.service(program, home, port, access_key, secret_key)


def _weed(home: Path, port: int, access_key: str, secret_key: str) -> Service:
    program = seaweedfs.program()
    if program is None:
        raise ConfigError(f"[up] children = weed: {seaweedfs.WHY_NOT}")
    known = home / "ports.json"
    if not known.exists():  # its parts remember where the others are
        found = [other for other in seaweedfs.free_ports(len(seaweedfs.NAMES)) if other != port]
        known.write_text(json.dumps(found[: len(seaweedfs.NAMES) - 1]))
    return seaweedfs.service(program, home, [port, *json.loads(known.read_text())], access_key, secret_key)


STORES: dict[str, Callable[[Path, int, str, str], Service]] = {"minio": _minio, "weed": _weed}
