"""``evict = swift``: deletes exactly one version through Swift's own API, which no later write can fall victim to.

Swift orders writes and deletes of a name by their timestamps. A DELETE that
carries the timestamp of the version it means, plus the least that Swift can
count, removes that version and loses against every later one, however late it
arrives. The Swift proxy must let a client's X-Timestamp pass
(``[filter:gatekeeper] shunt_inbound_x_timestamp = false``).

Of a multipart object the manifest is deleted, alone; only when that was this
version are the segments that it named deleted too.
"""

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from decimal import Decimal
from http.client import HTTPException
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from s3shunt import green
from s3shunt.model import Fingerprint, ObjectRef
from s3shunt.protocol.errors import AccessDenied, InvalidRequest, ServiceUnavailable

LEAST = Decimal("0.00001")
LARGEST = 64 << 20


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


class SwiftEvictor:
    def __init__(self, url: str, connect_timeout: int, read_timeout: int) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._timeout = max(connect_timeout, read_timeout) / 1000
        self._tokens: dict[tuple[str, str], tuple[str, str]] = {}
        self._lock = threading.Lock()

    def stamp(self, ref: ObjectRef, credential: tuple[str, str]) -> str:
        """The X-Timestamp of the object as it is now; empty when there is none."""
        answer = self._ask("HEAD", f"{_path(ref.bucket, ref.key)}?multipart-manifest=get", credential)
        return "" if answer.status == 404 else _stamp(answer)

    def delete_exact(self, ref: ObjectRef, fingerprint: Fingerprint, credential: tuple[str, str]) -> None:
        """A no-op when another version is there, now or by the time this arrives."""
        if not fingerprint.stamp:
            raise InvalidRequest("The version to delete has no X-Timestamp.")
        manifest = self._ask("GET", f"{_path(ref.bucket, ref.key)}?multipart-manifest=get&format=raw", credential, most=LARGEST)
        if manifest.status == 404 or _stamp(manifest) != fingerprint.stamp:
            return
        moment = {"X-Timestamp": f"{Decimal(fingerprint.stamp) + LEAST:016.5f}"}
        answer = self._ask("DELETE", _path(ref.bucket, ref.key), credential, moment)
        if answer.status in (404, 409):  # gone, or a later write survives
            return
        for segment in _segments(ref.bucket, manifest):
            self._ask("DELETE", segment, credential)

    def _ask(self, method: str, path: str, credential: tuple[str, str], headers: Mapping[str, str] | None = None, most: int = 0) -> Answer:
        """``path`` within the account; a token that lapsed is asked for once more."""
        for fresh in (False, True):
            root, token = self._token(credential, fresh=fresh)
            answer = self._send(method, root + path, {**(headers or {}), "X-Auth-Token": token}, most)
            if answer.status != 401:
                break
        if answer.status in (401, 403):
            raise AccessDenied("Swift does not let the store's credential do this.")
        if answer.status >= 300 and answer.status not in (404, 409):
            raise ServiceUnavailable(f"Swift answered {method} with {answer.status}.")
        return answer

    def _token(self, credential: tuple[str, str], *, fresh: bool) -> tuple[str, str]:
        """The account's path and a token for it."""
        with self._lock:
            kept = self._tokens.get(credential)
        if kept is not None and not fresh:
            return kept
        answer = self._send("GET", "/auth/v1.0", {"X-Auth-User": credential[0], "X-Auth-Key": credential[1]}, 0)
        if answer.status in (401, 403):
            raise AccessDenied("Swift does not know the store's credential.")
        if "x-auth-token" not in answer.headers or "x-storage-url" not in answer.headers:
            raise ServiceUnavailable(f"Swift gave no token: {answer.status}.")
        made = urlsplit(answer.headers["x-storage-url"]).path.rstrip("/"), answer.headers["x-auth-token"]
        with self._lock:
            self._tokens[credential] = made
        return made

    def _send(self, method: str, target: str, headers: Mapping[str, str], most: int) -> Answer:
        """The target goes out as it is: a client that tidies ``..`` would delete another object."""
        try:
            with closing(green.http_connection(self._host, self._port, timeout=self._timeout, tls=self._tls)) as connection:
                connection.request(method, target, headers={**headers, "Content-Length": "0"})
                response = connection.getresponse()
                told = {name.lower(): value for name, value in response.getheaders()}
                wanted = most and told.get("x-static-large-object", "").lower() == "true"
                return Answer(response.status, told, response.read(most) if wanted else b"")
        except (OSError, HTTPException) as error:
            raise ServiceUnavailable(f"Swift does not answer: {type(error).__name__}") from None


def _path(container: str, name: str) -> str:
    return f"/{quote(container, safe='')}/{quote(name, safe='/')}"


def _stamp(answer: Answer) -> str:
    """Without the offset that Swift counts internal changes by."""
    return answer.headers.get("x-timestamp", "").partition("_")[0]


def _segments(bucket: str, manifest: Answer) -> Iterator[str]:
    """Those of the S3 API's own segment container; what a Swift client composed from elsewhere is not ours to delete."""
    own = f"/{bucket}+segments/"
    for segment in json.loads(manifest.body or b"[]"):
        if segment.get("path", "").startswith(own):
            yield _path(bucket + "+segments", segment["path"].removeprefix(own))
