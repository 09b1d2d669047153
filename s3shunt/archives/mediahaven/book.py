"""What this machine asked for: one small JSON file for each export, written whole or not at all.

It closes the gap between an export that was asked for and the answer that told
its id, and remembers exports that nobody wants any more until their files are
gone. A book that is lost costs at most one more export.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkstemp
from typing import Any

from s3shunt.protocol.errors import ServiceUnavailable

DAY = 86_400_000
KEPT = 3 * DAY
"""How long the file of an export that nobody wants any more is looked for."""


class Book:
    def __init__(self, root: Path) -> None:
        self._root = root

    def get(self, name: str) -> dict[str, Any]:
        """Empty for what was never asked; so is a page that cannot be read."""
        try:
            told = json.loads((self._root / f"{name}.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return told if isinstance(told, dict) else {}

    def put(self, name: str, page: dict[str, Any]) -> None:
        write(self._root / f"{name}.json", json.dumps(page))

    def drop(self, name: str) -> None:
        with disk(), suppress(FileNotFoundError):
            (self._root / f"{name}.json").unlink()

    def pages(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for path in sorted(self._root.glob("*.json")) if self._root.is_dir() else ():
            yield path.stem, self.get(path.stem)


def doomed(page: dict[str, Any], now: int) -> tuple[bool, bool]:
    """Whether the file of an export is nobody's, and whether its page may be forgotten.

    One that was cancelled may yet deliver; one that failed may yet be restarted,
    and its file is then taken by the next attempt, if there is one.
    """
    ended, failed = page.get("ended"), page.get("failed")
    if ended is not None:
        return bool(page.get("late")), now - ended > KEPT
    old = failed is not None and now - failed > DAY
    return old, old or now - page.get("asked", now) > 10 * KEPT


@contextmanager
def disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ServiceUnavailable(f"The state directory cannot be used: {error.strerror}") from None


def write(path: Path, text: str) -> None:
    """On the disk and for its owner's eyes only, before it has its name."""
    with disk():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, aside = mkstemp(prefix=".", dir=path.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(aside).rename(path)
