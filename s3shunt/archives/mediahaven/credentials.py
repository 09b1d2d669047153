"""Who we are to MediaHaven: Basic, a v1 token, or a v2 token whose refresh token changes with every use.

Tokens are kept in one file of the state directory and got under a lock on the
file beside it: of any number of threads and processes one asks, the others take
what it got. Who died between asking and writing costs one login.
"""

import base64
import fcntl
import json
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

from s3shunt.archives.mediahaven.book import disk, write
from s3shunt.clock import wall
from s3shunt.config import ConfigError
from s3shunt.protocol.errors import ServiceUnavailable

MARGIN = 10_000
"""A token that ends within these milliseconds is as good as none."""


class Credential(Protocol):
    def header(self, stale: str | None = None) -> str:
        """The value of Authorization; another than ``stale``, which was refused, where there can be one."""


def password(path: Path) -> str:
    """The first line of a file that only its owner may read."""
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ConfigError(f"{path}: others may read it: expected mode 0600")
        return path.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None


class Basic:
    def __init__(self, user: str, secret: str) -> None:
        self._value = "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode("ascii")

    def header(self, stale: str | None = None) -> str:  # noqa: ARG002  # there is no other
        return self._value


@dataclass(frozen=True, slots=True)
class Token:
    access: str = field(repr=False)
    expires: int
    refresh: str = field(default="", repr=False)

    @property
    def header(self) -> str:
        return f"Bearer {self.access}"


class Grant(Protocol):
    """How tokens are got; each answers None when MediaHaven refuses."""

    def login(self) -> Mapping[str, Any] | None: ...

    def refresh(self, token: str) -> Mapping[str, Any] | None: ...


class Tokens:
    """``header`` costs a look at a dictionary while the token lives."""

    def __init__(self, path: Path, grant: Grant, clock: Any, patience: int) -> None:
        self._path, self._grant, self._clock, self._patience = path, grant, clock, patience
        self._known: Token | None = None
        self._lock = threading.Lock()

    def header(self, stale: str | None = None) -> str:
        known = self._known
        if not self._lives(known, stale):
            with self._lock:
                known = self._known if self._lives(self._known, stale) else self._fresh(stale)
                self._known = known
        assert known is not None
        return known.header

    def _lives(self, token: Token | None, stale: str | None) -> bool:
        return token is not None and token.header != stale and token.expires - MARGIN > self._clock.now()

    def _fresh(self, stale: str | None) -> Token:
        """What another process got meanwhile, or what we get now and leave for the others."""
        kept = self._read()
        if kept is not None and self._lives(kept, stale):
            return kept
        with _locked(self._path.with_suffix(".lock"), self._patience):
            kept = self._read()
            if kept is not None and self._lives(kept, stale):
                return kept
            fresh = self._get(kept.refresh if kept else "")
            write(self._path, json.dumps({"access": fresh.access, "expires": fresh.expires, "refresh": fresh.refresh}))
        return fresh

    def _get(self, refresh: str) -> Token:
        asked = self._clock.now()
        told = (self._grant.refresh(refresh) if refresh else None) or self._grant.login()
        if not told or not isinstance(told.get("access_token"), str):
            raise ServiceUnavailable("MediaHaven gives us no token: user, password or client are refused.")
        lives = told.get("expires_in")
        expires = asked + 1000 * (lives if isinstance(lives, int) else 300)
        return Token(told["access_token"], max(expires, asked + MARGIN + 1000), str(told.get("refresh_token") or ""))

    def _read(self) -> Token | None:
        try:
            told = json.loads(self._path.read_text(encoding="utf-8"))
            return Token(str(told["access"]), int(told["expires"]), str(told["refresh"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None


@contextmanager
def _locked(path: Path, patience: int) -> Iterator[None]:
    """Alone among threads and processes; a holder that was stopped is waited for in real time, and not for ever."""
    with disk():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = path.open("a")
    with file:
        end = wall.monotonic() + patience / 1000
        while not _lock(file):
            if wall.monotonic() > end:
                raise ServiceUnavailable("Another process holds the lock of MediaHaven's token.")
            wall.sleep(0.02)
        yield


def _lock(file: Any) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class V1Grant:
    """Basic and a form; there is nothing to refresh."""

    def __init__(self, wire: Any, base: str, user: str, secret: str) -> None:
        self._post = _poster(wire, {"Authorization": Basic(user, secret).header()})
        self._url = f"{base}/oauth/access_token"

    def login(self) -> Mapping[str, Any] | None:
        return self._post(self._url, {"grant_type": "password"})

    def refresh(self, token: str) -> Mapping[str, Any] | None:  # noqa: ARG002
        return None


class V2Grant:
    def __init__(self, wire: Any, host: str, user: str, secret: str, client: tuple[str, str]) -> None:
        self._post = _poster(wire, {})
        self._host = host
        self._client = {"client_id": client[0], "client_secret": client[1]}
        self._owner = {"username": user, "password": secret}

    def login(self) -> Mapping[str, Any] | None:
        return self._post(f"{self._host}/auth/ropc.php", {"grant_type": "password", **self._client, **self._owner})

    def refresh(self, token: str) -> Mapping[str, Any] | None:
        return self._post(f"{self._host}/auth/oauth2/token", {"grant_type": "refresh_token", "refresh_token": token, **self._client})


def _poster(wire: Any, headers: Mapping[str, str]) -> Any:
    """A form to a token endpoint; None when it is refused, ServiceUnavailable when that may change by itself."""
    headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded", **headers}

    def post(url: str, form: Mapping[str, str]) -> Mapping[str, Any] | None:
        answer = wire.once("POST", url, headers, urlencode(form))
        if answer.status in (400, 401, 403):
            return None
        if not 200 <= answer.status < 300:
            raise ServiceUnavailable(f"MediaHaven's token endpoint answered {answer.status}.")
        told = answer.json()
        return told if isinstance(told, Mapping) else None

    return post
