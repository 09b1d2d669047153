"""What a first start makes and a later one finds: keys, store credentials, the secret, each file 0600.

Nothing here has a default that anybody could know: every secret is drawn.
"""

import json
import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from s3shunt.cli import walk
from s3shunt.config import Ini

ACCOUNT = "main"
USER = "s3shunt"
WORKER = "s3shunt-worker"
"""The store account of the workers, where recalled copies land; no client key may name it."""
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


def write(path: Path, content: str) -> None:
    """All or nothing, and readable by nobody else at any moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def access_key() -> str:
    return "S3" + "".join(secrets.choice(ALPHABET) for _ in range(18))


def secret_key() -> str:
    return secrets.token_urlsafe(30)


def state(ini: Ini) -> None:
    """The state folder and every secret the ini names that is not there yet."""
    ini.state.mkdir(parents=True, exist_ok=True)
    ini.state.chmod(0o700)
    for path in key_files(ini):
        if not path.exists():
            first = {"access_key": access_key(), "secret_key": secret_key(), "account": ACCOUNT}
            write(path, json.dumps([first], indent=2) + "\n")
    for path in secret_files(ini):
        if not path.exists():
            write(path, secrets.token_hex(32) + "\n")
    shared = _one_for_all(ini)
    for path in credential_files(ini):
        if path not in shared:
            credentials(path, accounts(ini))
        elif not path.exists():
            write(path, json.dumps({"": {"access_key": access_key(), "secret_key": secret_key()}}, indent=2) + "\n")


def key_files(ini: Ini) -> list[Path]:
    urls = [urlsplit(section.values.url) for section in walk.sections(ini) if section.kind == "keys"]
    return [Path(unquote(url.netloc + url.path)) for url in urls if url.scheme == "file"]


def secret_files(ini: Ini) -> list[Path]:
    found = [getattr(section.values, "secret_file", None) for section in walk.sections(ini) if section.kind == "catalog"]
    return [Path(path) for path in found if path]


def credential_files(ini: Ini) -> list[Path]:
    found = [getattr(section.values, "credentials", None) for section in walk.sections(ini) if section.kind == "store"]
    return sorted({Path(path) for path in found if path})


def _one_for_all(ini: Ini) -> set[Path]:
    """The credential files of stores that know no accounts: they hold one pair, and a file that is there is its owner's."""
    stores = [section.values for section in walk.sections(ini) if section.kind == "store" and hasattr(section.values, "credentials")]
    return {Path(values.credentials) for values in stores if not values.buckets}


def accounts(ini: Ini) -> set[str]:
    """The accounts of all client keys; '' is the workers' own."""
    records = [record for path in key_files(ini) if path.exists() for record in json.loads(path.read_text())]
    return {record["account"] for record in records} | {"", ACCOUNT}


def credentials(path: Path, names: set[str]) -> dict[str, Any]:
    """A credential for each account, those already there kept."""
    known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    fresh = {name: {"access_key": f"{name or WORKER}:{USER}", "secret_key": secret_key()} for name in sorted(names - known.keys())}
    if fresh:
        write(path, json.dumps(known | fresh, indent=2) + "\n")
    return known | fresh
