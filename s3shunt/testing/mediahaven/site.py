"""An adapter that talks to the stand-in, with what a house gives it; for tests of both."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from s3shunt.archives.mediahaven import MediaHavenArchive, Options
from s3shunt.clock import Clock
from s3shunt.config import read
from s3shunt.stores.memory import MemoryStore
from s3shunt.stores.memory import Options as MemoryOptions
from s3shunt.testing.mediahaven import MediaHaven


def secret(home: Path, name: str, text: str) -> Path:
    path = home / name
    if not path.exists():
        path.write_text(f"{text}\n")
        path.chmod(0o600)
    return path


def house(home: Path, clock: Clock, store: MemoryStore | None = None) -> Any:
    kept = store or MemoryStore(MemoryOptions(url="memory://"), SimpleNamespace(clock=clock))
    return SimpleNamespace(clock=clock, state=home, store=lambda name: kept)


def section(home: Path, server: MediaHaven, **given: str) -> dict[str, str]:
    """The options of an ``[archive:x]`` that leads to the stand-in."""
    knobs = server.api.knobs
    told = {
        "url": f"mediahaven+{server.url}", "username": knobs.username, "password_file": str(secret(home, "password", knobs.password)),
        "client_id": knobs.client_id, "client_secret_file": str(secret(home, "client", knobs.client_secret)),
        "location": "1188", "location_expedited": "1189", "location_bulk": "1190", "destination": "exports/in", "tag_field": "s3shunt_tag",
    }  # fmt: skip
    return told | given


def archive(home: Path, server: MediaHaven, house: Any, kind: type[MediaHavenArchive] = MediaHavenArchive, **given: str) -> Any:
    return kind(read(Options, "archive:tape", section(home, server, **given)), house)
