"""``file:///path/keys.json``: the access keys of clients in one JSON file, read again whenever it changes.

A list of objects with the fields of ``model.Key``; only the owner may read the
file. A change that cannot be read leaves the keys as they were and is logged.
"""

import fcntl
import json
import logging
import os
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from s3shunt.config import ConfigError, option
from s3shunt.model import Grant, Key
from s3shunt.ports import Keys
from s3shunt.protocol.errors import ServiceUnavailable
from s3shunt.protocol.operations import Right

log = logging.getLogger(__name__)

LIMIT = 16 << 20
Stamp = tuple[int, int, int, int]


def file_url(value: str) -> str:
    if not value.startswith("file:///") or value.endswith("/"):
        raise ValueError("expected file:/// and an absolute path")
    return value


@dataclass(frozen=True)
class Options:
    url: str = option(file_url, help="file:///path/keys.json: a JSON list of keys, mode 0600.")


class KeyFile:
    """A file that is not there yet holds no keys; ``save`` makes it."""

    Options = Options

    def __init__(self, options: Options, house: Any = None) -> None:  # noqa: ARG002  # every adapter is made alike
        self.path = Path(options.url.removeprefix("file://"))
        self._lock = threading.Lock()
        self._keys: dict[str, Key] = {}
        self._stamp: Stamp | None = None
        if self.path.exists():
            self._keys, self._stamp = self._load()
        else:
            log.warning("no keys yet: %s does not exist", self.path)

    def find(self, access_key: str) -> Key | None:
        self._refresh()
        return self._keys.get(access_key)

    def all(self) -> list[Key]:
        self._refresh()
        return list(self._keys.values())

    def save(self, key: Key) -> None:
        """Insert or replace. Raises ConfigError when the file there now cannot be read: it is not overwritten."""
        self._change(lambda keys: keys | {key.access_key: key})

    def drop(self, access_key: str) -> None:
        self._change(lambda keys: {name: key for name, key in keys.items() if name != access_key})

    def _refresh(self) -> None:
        """Read the file again when it is another than last time."""
        seen = _seen(self.path)
        if seen == self._stamp:
            return
        try:
            keys, stamp = self._load()
        except ConfigError as error:
            log.error("the keys stay as they were: %s", error)  # noqa: TRY400  # the line says it all
            self._stamp = seen
            return
        with self._lock:
            self._keys, self._stamp = keys, stamp

    def _load(self) -> tuple[dict[str, Key], Stamp]:
        """What the file holds now. Raises ConfigError naming the file and what is wrong."""
        try:
            with self.path.open("rb") as file:
                found = os.fstat(file.fileno())
                mode = stat.S_IMODE(found.st_mode)
                if mode & 0o077:
                    raise ConfigError(f"{self.path}: has mode {mode:04o}: expected 0600, for it holds secrets")
                text = file.read(LIMIT + 1)
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be read: {error.strerror}") from None
        if len(text) > LIMIT:
            raise ConfigError(f"{self.path}: is too large: expected at most {LIMIT} bytes")
        try:
            return read(text), _stamp(found)
        except ValueError as error:
            raise ConfigError(f"{self.path}: {error}") from None

    def _change(self, change: Callable[[dict[str, Key]], dict[str, Key]]) -> None:
        """Replace the file whole, one writer at a time on this machine."""
        with self._lock, _alone(self.path.parent):
            keys = change(self._load()[0] if self.path.exists() else {})
            try:
                _replace(self.path, written(keys))
            except OSError as error:
                raise ServiceUnavailable(f"The key file cannot be written: {error.strerror}") from error
            self._keys, self._stamp = keys, _stamp(self.path.stat())


def _stamp(found: os.stat_result) -> Stamp:
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode)


def _seen(path: Path) -> Stamp | None:
    try:
        return _stamp(path.stat())
    except OSError:
        return None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        os.fsync(descriptor)  # the rename is durable before anybody hears of it
    finally:
        os.close(descriptor)


def _replace(path: Path, text: bytes) -> None:
    """mkstemp makes a file that only its owner reads."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).rename(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


# The form of the file


def read(text: bytes) -> dict[str, Key]:
    """Keys by access key. Raises ValueError naming the record and what was expected; never shows a secret."""
    try:
        records = json.loads(text, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError("expected JSON that is not nested so deep") from None
    if not isinstance(records, list):
        raise ValueError("expected a JSON list of keys")  # noqa: TRY004  # one kind of error for what an operator wrote
    keys: dict[str, Key] = {}
    for number, record in enumerate(records, 1):
        try:
            key = _key(record)
        except ValueError as error:
            raise ValueError(f"key {number}: {error}") from None
        if key.access_key in keys:
            raise ValueError(f"key {number}: {key.access_key} is there twice")
        keys[key.access_key] = key
    return keys


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field is given twice")
    return found


def _key(record: Any) -> Key:
    given = _fields(record, Key)
    for name in ("access_key", "secret_key", "account"):
        if not given.get(name):
            raise ValueError(f"needs {name}")
    for name in given.keys() - {"expires", "grants", "disabled"}:
        if given[name] is not None and not isinstance(given[name], str):
            raise ValueError(f"{name}: expected a string")
        if not _is_text(given[name] or ""):
            raise ValueError(f"{name}: expected text, not half of a UTF-16 pair")
    if not isinstance(given.get("disabled", False), bool):
        raise ValueError("disabled: expected true or false")  # noqa: TRY004
    if given.get("grants") is not None:
        given["grants"] = tuple(_grant(grant) for grant in _list(given, "grants"))
    given["expires"] = _expires(given.get("expires"))
    return Key(**given)


def _is_text(value: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _grant(record: Any) -> Grant:
    given = {name: tuple(_list({name: value}, name)) for name, value in _fields(record, Grant).items()}
    for name, values in given.items():
        if not all(isinstance(value, str) for value in values):
            raise ValueError(f"{name}: expected strings")
    if unknown := set(given.get("allow", ())) - set(Right):
        raise ValueError(f"allow: {min(unknown)}: expected some of {', '.join(Right)}")
    return Grant(**given)


def _fields(record: Any, kind: type) -> dict[str, Any]:
    known = [field.name for field in fields(kind)]
    if not isinstance(record, dict):
        raise ValueError(f"expected an object with {', '.join(known)}")  # noqa: TRY004
    if unknown := record.keys() - set(known):
        raise ValueError(f"{min(unknown)} is no field: expected some of {', '.join(known)}")
    return dict(record)


def _list(record: dict[str, Any], name: str) -> list[Any]:
    if not isinstance(record[name], list):
        raise ValueError(f"{name}: expected a list")  # noqa: TRY004
    return record[name]


def _expires(value: Any) -> int | None:
    """Milliseconds, from a number of them or from ISO 8601 with a zone."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError("expires: expected milliseconds since the epoch, or a time such as 2026-01-05T10:30:00Z")
    return round(moment.astimezone(UTC).timestamp() * 1000)


def written(keys: dict[str, Key]) -> bytes:
    """The file's text: what is not set is left out, so that no grants and empty grants stay apart."""
    records = [{name: value for name, value in asdict(key).items() if value is not None} for key in keys.values()]
    return json.dumps(records, indent=2, ensure_ascii=False).encode() + b"\n"


_: type[Keys] = KeyFile
