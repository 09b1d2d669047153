"""HTTP with MediaHaven: deadlines, caps, careful repetition; what goes wrong is told in S3's words, in this file alone.

What is read may be asked again, a few times and with jitter, when nobody
answered or the answer was 429 or 503. What orders an export is sent once, but
for a 401, which is answered before anything is done.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import random
from typing import Any

import requests
import urllib3

from s3shunt.archives.mediahaven.credentials import Credential
from s3shunt.clock import Clock
from s3shunt.protocol import errors
from s3shunt.protocol.errors import S3Error, ServiceUnavailable, SlowDown

JSON = "application/json"
SECTIONS = "application/vnd.mediahaven.v2+json"


class NotThis(ServiceUnavailable):
    """What MediaHaven says of one object, or of one way to ask for it; it may well answer about others."""

    code = ServiceUnavailable.__name__


class NotTaken(Exception):
    """An order that MediaHaven certainly did not carry out; ``error`` says why."""

    def __init__(self, error: S3Error) -> None:
        super().__init__(str(error))
        self.error = error


class NotSent(Exception):
    """No connection was made."""


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds: for a connection, for a silence, for a call with all its repetitions."""

    connect: int
    silence: int
    deadline: int


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            raise ServiceUnavailable("MediaHaven's answer is not JSON.") from None

    @property
    def retry_after(self) -> int | None:
        told = self.headers.get("Retry-After", "")
        return int(told) if told.isdecimal() else None


class Wire:
    """One HTTP exchange at a time and thread. Knows no proxies, follows no redirects, believes no unknown certificate."""

    cap = 32 << 20
    """Bytes of an answer."""

    def __init__(self, times: Times, clock: Clock, ca_file: str | None) -> None:
        self.times, self.clock = times, clock
        self._ca_file = ca_file
        self._threads = threading.local()

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._threads, "session", None)
        if session is None:
            session = self._threads.session = requests.Session()
            session.trust_env = False
            session.verify = self._ca_file or True
        return session

    def exchange(self, method: str, url: str, headers: Mapping[str, str], body: Any = None, *, left: float | None = None) -> Answer:
        """``left`` seconds at most. Raises NotSent, or ServiceUnavailable when it was sent and nothing is known of it."""
        left = self.times.deadline / 1000 if left is None else left
        end = self.clock.monotonic() + left
        timeout = (min(left, self.times.connect / 1000), min(left, self.times.silence / 1000))
        try:
            with self._session().request(
                method, url, headers=dict(headers), data=body, timeout=timeout, allow_redirects=False, stream=True
            ) as response:
                return Answer(response.status_code, response.headers, self._read(response.raw, end))
        except (requests.exceptions.ConnectTimeout, requests.exceptions.SSLError) as error:
            raise NotSent(type(error).__name__) from None
        except requests.exceptions.ConnectionError as error:
            if _refused(error):
                raise NotSent(type(error).__name__) from None
            raise ServiceUnavailable("MediaHaven broke the connection.") from None
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise ServiceUnavailable(f"MediaHaven does not answer: {type(error).__name__}") from None

    def once(self, method: str, url: str, headers: Mapping[str, str], body: Any = None) -> Answer:
        """The same for who need not know whether it was sent."""
        try:
            return self.exchange(method, url, headers, body)
        except NotSent as error:
            raise ServiceUnavailable(f"MediaHaven cannot be reached: {error}") from None

    def _read(self, raw: Any, end: float) -> bytes:
        """As it comes, so that one who sends a byte now and then cannot hold us."""
        kept = bytearray()
        while chunk := raw.read1(1 << 16, decode_content=True):
            kept += chunk
            if len(kept) > self.cap or self.clock.monotonic() > end:
                raise ServiceUnavailable("MediaHaven's answer has no end.")
        return bytes(kept)


def _refused(error: requests.exceptions.ConnectionError) -> bool:
    """Whether it never came to a connection."""
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", cause)
    return isinstance(reason, (urllib3.exceptions.NewConnectionError, urllib3.exceptions.NameResolutionError))


class Link:
    def __init__(self, base: str, wire: Wire, credential: Credential, retries: int) -> None:
        self._base, self._wire, self._credential, self._retries = base, wire, credential, retries

    def get(self, target: str, *, accept: str = JSON) -> Any:
        """What a GET gives; None for a 404."""
        answer = self._asked("GET", target, {"Accept": accept})
        if answer.status == 404:
            return None
        if answer.status == 500:  # a record that it breaks on; nothing was asked for that may have been done
            raise NotThis("MediaHaven answered 500.")
        return _good(answer).json()

    def order(self, method: str, target: str, document: Any) -> Any:
        """Sent once. Raises NotTaken where nothing was done, ServiceUnavailable where nobody knows."""
        headers = {"Accept": JSON, "Content-Type": JSON}
        try:
            answer = self._signed(method, target, headers, json.dumps(document).encode(), self._wire.times.deadline / 1000)
        except NotSent as error:
            raise NotTaken(ServiceUnavailable(f"MediaHaven cannot be reached: {error}")) from None
        if answer.status < 500 or answer.status == 503:
            try:
                _good(answer)
            except S3Error as error:
                raise NotTaken(error) from None
        return _good(answer).json() if answer.body else None

    def _asked(self, method: str, target: str, headers: Mapping[str, str]) -> Answer:
        """Again and again, within the deadline of all of it together."""
        clock, end = self._wire.clock, self._wire.clock.monotonic() + self._wire.times.deadline / 1000
        for attempt in range(self._retries + 1):
            answer, problem = None, "cannot be reached"
            left = end - clock.monotonic()
            try:
                answer = self._signed(method, target, headers, None, max(left, 0.001))
            except NotSent as error:
                problem = f"cannot be reached: {error}"
            except NotTaken as refused:
                raise refused.error from None
            if answer is not None and answer.status not in (429, 503):
                return answer
            wait = max((answer.retry_after if answer else None) or 0, 0.25 * 2**attempt * (0.5 + random()))
            if attempt == self._retries or clock.monotonic() + wait > end:
                break
            clock.sleep(wait)
        return answer if answer is not None else _unreached(problem)

    def _signed(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None, left: float) -> Answer:
        """With our credential; a 401 is answered by a fresh one, once."""
        stale = None
        for _ in range(2):
            authorization = self._authorization(stale)
            answer = self._wire.exchange(method, self._base + target, {**headers, "Authorization": authorization}, body, left=left)
            if answer.status != 401:
                return answer
            stale = authorization
        return answer

    def _authorization(self, stale: str | None) -> str:
        try:
            return self._credential.header(stale)
        except S3Error as error:
            raise NotTaken(error) from None


def _unreached(problem: str) -> Answer:
    raise ServiceUnavailable(f"MediaHaven {problem}")


def _good(answer: Answer) -> Answer:
    """The one table from MediaHaven's refusals to ours."""
    status = answer.status
    if 200 <= status < 300:
        return answer
    if status == 404:
        raise errors.NoSuchKey("MediaHaven does not know it.")
    if status == 429:
        raise SlowDown("MediaHaven asks for patience.", retry_after=answer.retry_after)
    if status in (401, 403):
        raise ServiceUnavailable(f"MediaHaven does not accept our credential ({status}).")
    if status in (400, 405, 406, 409, 412, 413, 422):
        raise NotThis(f"MediaHaven answered {status}.")
    if status == 503:
        raise ServiceUnavailable("MediaHaven is not available.", retry_after=answer.retry_after)
    raise ServiceUnavailable(f"MediaHaven answered {status}.")
