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

    def ended(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Exports that were cancelled or whose bytes were taken."""
        for path in sorted(self._root.glob("*.json")) if self._root.is_dir() else ():
            page = self.get(path.stem)
            if "ended" in page:
                yield path.stem, page


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
