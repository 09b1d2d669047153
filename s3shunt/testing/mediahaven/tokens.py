"""The stand-in's doorkeeper: Basic for version 1, tokens that end for both."""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from s3shunt.testing.mediahaven.knobs import Knobs


@dataclass
class Doorkeeper:
    lives: dict[str, int] = field(default_factory=dict)  # access tokens, and when they end
    refreshes: set[str] = field(default_factory=set)
    logins: int = 0
    refreshed: int = 0

    def may(self, authorization: str, version: int, knobs: Knobs, now: int) -> bool:
        kind, _, value = authorization.partition(" ")
        if kind == "Basic" and version == 1:
            return _basic(value, knobs)
        return kind == "Bearer" and self.lives.get(value, 0) > now

    def login(self, form: Mapping[str, str], knobs: Knobs, now: int) -> tuple[int, dict[str, Any]]:
        """Version 2, with the password of the resource's owner."""
        client = (form.get("client_id"), form.get("client_secret")) == (knobs.client_id, knobs.client_secret)
        owner = (form.get("username"), form.get("password")) == (knobs.username, knobs.password)
        if not client or not owner or form.get("grant_type") != "password":
            return 401, {"error": "invalid_grant"}
        self.logins += 1
        return 200, self._issue(knobs, now)

    def refresh(self, form: Mapping[str, str], knobs: Knobs, now: int) -> tuple[int, dict[str, Any]]:
        token = form.get("refresh_token", "")
        if token not in self.refreshes or form.get("client_id") != knobs.client_id or form.get("client_secret") != knobs.client_secret:
            return 400, {"error": "invalid_grant"}
        if knobs.rotate:
            self.refreshes.discard(token)
        self.refreshed += 1
        return 200, self._issue(knobs, now)

    def v1(self, authorization: str, form: Mapping[str, str], knobs: Knobs, now: int) -> tuple[int, dict[str, Any]]:
        kind, _, value = authorization.partition(" ")
        if kind != "Basic" or not _basic(value, knobs) or form.get("grant_type") != "password":
            return 401, {"error": "invalid_grant"}
        self.logins += 1
        told = self._issue(knobs, now)
        return 201, {name: told[name] for name in ("token_type", "expires_in", "access_token")}

    def revoke(self) -> None:
        """Every access token at once; refresh tokens go on."""
        self.lives.clear()

    def _issue(self, knobs: Knobs, now: int) -> dict[str, Any]:
        access, refresh = secrets.token_hex(16), secrets.token_hex(16)
        self.lives[access] = now + knobs.token_lifetime
        self.refreshes.add(refresh)
        return {"token_type": "Bearer", "access_token": access, "refresh_token": refresh, "expires_in": knobs.token_lifetime // 1000}


def _basic(value: str, knobs: Knobs) -> bool:
    try:
        return base64.b64decode(value).decode() == f"{knobs.username}:{knobs.password}"
    except ValueError:
        return False
