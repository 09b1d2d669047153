"""Who we are to the store, and how its refusals become ours."""

import json
import os
import re
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from s3shunt.config import ConfigError
from s3shunt.protocol import errors

ATTEMPTS = 3
_making = threading.Lock()
_NOT_FROM_THE_ENVIRONMENT = {"profile": None, "config_file": os.devnull, "credentials_file": os.devnull}

_BY_CODE = {
    "NoSuchKey": errors.NoSuchKey,
    "NoSuchVersion": errors.NoSuchKey,
    "NoSuchBucket": errors.NoSuchBucket,
    "NoSuchUpload": errors.NoSuchUpload,
    "BucketAlreadyExists": errors.BucketAlreadyExists,
    "BucketAlreadyOwnedByYou": errors.BucketAlreadyOwnedByYou,
    "BucketNotEmpty": errors.BucketNotEmpty,
    "EntityTooLarge": errors.EntityTooLarge,
    "InvalidRange": errors.InvalidRange,
    "KeyTooLongError": errors.KeyTooLongError,
    "MetadataTooLarge": errors.MetadataTooLarge,
    "NotImplemented": errors.NotImplemented,
    "PreconditionFailed": errors.PreconditionFailed,
    "SlowDown": errors.SlowDown,
}
_BY_STATUS = {
    401: errors.AccessDenied,
    403: errors.AccessDenied,
    404: errors.NoSuchKey,
    405: errors.NoSuchKey,  # a version that is a delete marker
    412: errors.PreconditionFailed,
    416: errors.InvalidRange,
    501: errors.NotImplemented,
    507: errors.MetadataTooLarge,  # an object server whose file system has no room for more attributes
}


def refusal(error: ClientError, key: str = "") -> errors.S3Error:
    """What the store said, in our words; what we have no word for is ServiceUnavailable."""
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status)
    if kind is None and 400 <= status < 500:
        return errors.InvalidRequest(f"The store refuses: {status} {code}")
    if kind is None:
        return errors.ServiceUnavailable(f"The store answered {status} {code}")
    return kind(Key=key) if key and kind is errors.NoSuchKey else kind()


@contextmanager
def translated(key: str = "") -> Iterator[None]:
    """Nothing of botocore's leaves this block."""
    try:
        yield
    except ClientError as error:
        raise refusal(error, key) from None
    except ParamValidationError as error:
        raise errors.InvalidRequest(f"The store cannot be asked for this: {error}") from None
    except BotoCoreError as error:
        raise errors.ServiceUnavailable(f"The store does not answer: {type(error).__name__}") from None


class Credentials:
    """A JSON file ``{"account": {"access_key": ..., "secret_key": ...}}``, for its owner's eyes only (0600).

    ``""`` is the worker's credential. ``"*"`` is the worker's too, and that of
    every account that is not named. A file with nothing but the worker's is a
    site with one credential for all, where bucket names are global.
    """

    def __init__(self, path: Path, *, per_account: bool) -> None:
        self._path = path
        self._per_account = per_account
        self._read_at = -1
        self._known: dict[str, tuple[str, str]] = {}
        if path.exists():  # one that may not be read so stops the start, not the first request
            self._reread()

    def find(self, account: str) -> tuple[str, str]:
        """Raises AccessDenied for an account the store does not know. A file that changed is read again before that."""
        found = self._find(account)
        if found is None:
            self._reread()
            found = self._find(account)  # also when another thread has just read it
        if found is None:
            raise errors.AccessDenied(f"No credential of the store belongs to account '{account}'.")
        return found

    def all(self) -> list[tuple[str, str]]:
        """Every credential once, the worker's first."""
        self._reread()
        return list(dict.fromkeys(key for _, key in sorted(self._known.items(), key=lambda item: (item[0] not in ("", "*"), item[0]))))

    def _find(self, account: str) -> tuple[str, str] | None:
        known = self._known
        if account == "" or (not self._per_account and known.keys() <= {"", "*"}):
            return known.get("") or known.get("*")
        return known.get(account) or known.get("*")

    def _reread(self) -> None:
        try:
            status = self._path.stat()
            if status.st_mtime_ns == self._read_at:
                return
            if stat.S_IMODE(status.st_mode) & 0o077:
                raise ConfigError(f"{self._path}: others may read it: expected mode 0600")
            given = json.loads(self._path.read_text(encoding="utf-8"))
            self._known = {account: _pair(keys) for account, keys in given.items()}
            self._read_at = status.st_mtime_ns
        except OSError as error:
            raise ConfigError(f"{self._path}: cannot be read: {error.strerror}") from None
        except (ValueError, AttributeError, KeyError, TypeError):
            raise ConfigError(f'{self._path}: expected JSON such as {{"": {{"access_key": ..., "secret_key": ...}}}}') from None


def _pair(keys: Mapping[str, Any]) -> tuple[str, str]:
    return str(keys["access_key"]), str(keys["secret_key"])


@cache
def _session() -> Any:
    import botocore.session  # heavy, and a proxy in front of buckets that hold nothing archived never needs it

    return botocore.session.Session(session_vars={n: (None, None, default, None) for n, default in _NOT_FROM_THE_ENVIRONMENT.items()})


def client(endpoint: str, region: str, key: tuple[str, str], connect: float, read: float) -> Any:
    """A client that asks this endpoint and nothing else: no environment, profile, proxy, metadata service or redirect."""
    from botocore.config import Config

    config = Config(
        region_name=region,
        signature_version="s3v4",
        connect_timeout=connect,
        read_timeout=read,
        proxies={},
        max_pool_connections=32,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path", "payload_signing_enabled": False, "us_east_1_regional_endpoint": "regional"},
    )
    with _making:
        made = _session().create_client("s3", endpoint_url=endpoint, config=config, aws_access_key_id=key[0], aws_secret_access_key=key[1])
    made.meta.events.register("before-call.s3", _stay)
    made.meta.events.register("before-parse.s3.GetObjectAcl", _keep_document)
    return made


def _stay(context: dict[str, Any], **_: Any) -> None:
    """botocore follows a store's redirects to other regions; it has been there already, it believes."""
    context.setdefault("s3_redirect", {})["redirected"] = True


def _keep_document(response_dict: Mapping[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    customized_response_dict["Document"] = response_dict["body"]


def line(text: str) -> str:
    """A metadata value for a header line: as it is when ASCII, else as RFC 2047 writes it (S3 API, User-defined metadata)."""
    if re.fullmatch(r"[\t\x20-\x7e]*", text):
        return text
    from email.header import Header

    raw = text.encode("latin-1") if all(ord(char) < 256 for char in text) else text.encode("utf-8", "surrogateescape")
    try:
        return Header(raw.decode("utf-8"), "utf-8", maxlinelen=10**6).encode()
    except UnicodeDecodeError:
        return Header(raw.decode("latin-1"), "iso-8859-1", maxlinelen=10**6).encode()
