"""An S3 client that calls a WSGI application in this process: signs, sends, reads to the end, closes.

    client = Client(app, "AK", "secret")
    client.put("/films/a", b"bytes", x_amz_meta_title="A").status
    client.get("/films/a", range="bytes=0-9").body

Header names are written with ``_`` for ``-``. An access key of "" asks as nobody.
"""

import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from typing import Any
from urllib.parse import unquote_to_bytes

from lxml import etree

from s3shunt import clock as clocks
from s3shunt.protocol import addressing, sigv4
from s3shunt.protocol.errors import S3Error


@dataclass
class Answer:
    """``headers`` by lower-case name; ``broken`` is what the body raised instead of ending."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    broken: Exception | None = None
    reason: str = field(default="", repr=False)

    @cached_property
    def xml(self) -> Any:
        return etree.fromstring(self.body)

    @property
    def code(self) -> str | None:
        """S3's error code; None for a success, '' where an error has no document (HEAD)."""
        if self.status < 400:
            return None
        return self.xml.findtext("Code") if self.body else ""


class Client:
    def __init__(
        self, app: Any, access_key: str = "", secret_key: str = "", *, token: str = "", clock: Any = None,
        host: str = "s3.test", region: str = "us-east-1",
    ) -> None:  # fmt: skip
        self.app = app
        self.access_key, self.secret_key, self.token = access_key, secret_key, token
        self.clock = clock or clocks.wall
        self.host, self.region = host, region

    def get(self, target: str, **headers: str) -> Answer:
        return self.request("GET", target, **headers)

    def head(self, target: str, **headers: str) -> Answer:
        return self.request("HEAD", target, **headers)

    def put(self, target: str, body: bytes = b"", **headers: str) -> Answer:
        return self.request("PUT", target, body, **headers)

    def post(self, target: str, body: bytes = b"", **headers: str) -> Answer:
        return self.request("POST", target, body, **headers)

    def delete(self, target: str, **headers: str) -> Answer:
        return self.request("DELETE", target, **headers)

    def request(self, method: str, target: str, body: bytes = b"", **headers: str) -> Answer:
        fields = {name.replace("_", "-"): wire(value) for name, value in headers.items()}
        return call(self.app, self.environ(method, target, body, fields))

    def environ(self, method: str, target: str, body: bytes, fields: dict[str, str]) -> dict[str, Any]:
        """The environ of a signed request, as a server that hands on the raw target would make it."""
        sent = {"host": self.host, **{name.lower(): value for name, value in fields.items()}}
        length = sent.pop("content-length", str(len(body)))
        if self.access_key and "authorization" not in sent:
            sent = self._signed(method, target, body, sent)
        return environ(method, target, body, {**sent, "content-length": length})

    def _signed(self, method: str, target: str, body: bytes, sent: dict[str, str]) -> dict[str, str]:
        path, _, query = target.partition("?")
        timestamp = datetime.fromtimestamp(self.clock.now() // 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
        payload = sent.get("x-amz-content-sha256") or sha256(body).hexdigest()
        sent = {**sent, "x-amz-date": timestamp, "x-amz-content-sha256": payload}
        if self.token:
            sent["x-amz-security-token"] = self.token
        sent["authorization"] = sigv4.authorization(
            method, sigv4.canonical_path(path), addressing.query(query), sent, payload,
            access_key=self.access_key, secret_key=self.secret_key, timestamp=timestamp, region=self.region,
        )  # fmt: skip
        return sent


def environ(method: str, target: str, body: bytes = b"", fields: dict[str, str] | None = None) -> dict[str, Any]:
    """What a WSGI server makes of a request. ``fields`` have lower-case names and wire values."""
    sent = {"host": "s3.test", "content-length": str(len(body)), **(fields or {})}
    path, _, query = target.partition("?")
    made = {
        "REQUEST_METHOD": method, "SCRIPT_NAME": "", "QUERY_STRING": query, "RAW_PATH_INFO": path,
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8080", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": sent.pop("content-length"), "wsgi.version": (1, 0), "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body), "wsgi.errors": io.StringIO(), "wsgi.multithread": True,
        "wsgi.multiprocess": False, "wsgi.run_once": False,
    }  # fmt: skip
    if "content-type" in sent:
        made["CONTENT_TYPE"] = sent.pop("content-type")
    if "transfer-encoding" in sent:
        del made["CONTENT_LENGTH"]
    made.update({f"HTTP_{name.upper().replace('-', '_')}": value for name, value in sent.items()})
    return made


def call(app: Any, environ: dict[str, Any]) -> Answer:
    """One request through an application. An exception of the body is kept in ``broken``, never lost."""
    begun: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        begun[:] = [(status, headers)]
        return lambda data: None

    result: Iterable[bytes] = app(environ, start_response)
    pieces, broken = [], None
    try:
        for data in result:
            pieces.append(data)  # noqa: PERF402  # what came before the break counts
    except (OSError, ValueError, S3Error) as error:
        broken = error
    finally:
        if hasattr(result, "close"):
            result.close()
    status, _, reason = begun[0][0].partition(" ")
    return Answer(int(status), {name.lower(): value for name, value in begun[0][1]}, b"".join(pieces), broken, reason)


def wire(value: str) -> str:
    """Text as PEP 3333 has it: the bytes of its UTF-8, one character each."""
    return value.encode("utf-8").decode("latin-1")
