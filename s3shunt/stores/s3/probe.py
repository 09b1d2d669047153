"""What a store's conditional delete is worth, and how it takes keys: found out on scratch objects, in a bucket of their own."""

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from s3shunt.ports import Evict

ROUNDS = 25
_OLD, _NEW = b"old", b"new, and acknowledged"


@dataclass(frozen=True)
class Manners:
    """What ``[filter:listing] order`` and ``[store:NAME] keys`` have to be for a store; and whether ``a`` hides ``a/b`` in its listings."""

    order: str = "bytes"
    keys: str = "exact"
    hides: bool = False


def bucket(client: Any) -> Evict:
    """IF_MATCH where that holds; else VERSION: only versions can be deleted exactly."""
    with _scratch(client) as name:
        return Evict.IF_MATCH if conditional(client, name) else Evict.VERSION


def manners(client: Any) -> Manners:
    """How it lists ``a-b`` beside ``a/b``, and whether a key with ``//`` in it is another key's name."""
    with _scratch(client) as name:
        for key in ("a-b", "a/b", "a/b/c"):
            client.put_object(Bucket=name, Key=key, Body=b"")
        listed = [item["Key"] for item in client.list_objects_v2(Bucket=name).get("Contents", ())]
        order = "directory" if listed.index("a/b") < listed.index("a-b") else "bytes"
        folds = any(_is_another(client, name, key) for key in ("a//b", "/a/b", "a/./b"))
        return Manners(order, "paths" if folds else "exact", "a/b/c" not in listed)


def _is_another(client: Any, name: str, key: str) -> bool:
    """Whether ``a/b`` is there under this name, too; one that is refused is nobody's."""
    try:
        client.head_object(Bucket=name, Key=key)
    except ClientError:
        return False
    return True


@contextmanager
def _scratch(client: Any) -> Iterator[str]:
    """A bucket that is gone afterwards, with all that was put into it."""
    name = f"s3shunt-probe-{secrets.token_hex(6)}"
    client.create_bucket(Bucket=name)
    try:
        yield name
    finally:
        with suppress(ClientError):
            for key in ("probe", "a/b/c", "a/b", "a-b"):
                client.delete_object(Bucket=name, Key=key)
            client.delete_bucket(Bucket=name)


def conditional(client: Any, name: str) -> bool:
    """Whether a DELETE with If-Match refuses another ETag, and never takes a write that overtakes it.

    Swift is told by its transaction id and never believed: it compares and
    deletes in two steps, and the second takes whatever is there.
    """
    at = {"Bucket": name, "Key": "probe"}
    put = client.put_object(**at, Body=_OLD)
    if "x-trans-id" in put["ResponseMetadata"]["HTTPHeaders"] or not _refuses(client, at):
        return False
    with ThreadPoolExecutor(2) as two:
        return all(_survives(client, at, two) for _ in range(ROUNDS))


def _refuses(client: Any, at: dict[str, str]) -> bool:
    try:
        client.delete_object(**at, IfMatch='"00000000000000000000000000000000"')
    except ClientError as error:
        return bool(error.response["ResponseMetadata"]["HTTPStatusCode"] == 412)
    return False


def _survives(client: Any, at: dict[str, str], two: ThreadPoolExecutor) -> bool:
    """An overwrite and a delete of what it replaces, at the same time: the overwrite must be there afterwards."""
    old = client.put_object(**at, Body=_OLD)["ETag"]
    deleting = two.submit(_delete, client, at, old)
    writing = two.submit(client.put_object, **at, Body=_NEW)
    writing.result()
    deleting.result()
    try:
        return bool(client.get_object(**at)["Body"].read() == _NEW)
    except ClientError:
        return False


def _delete(client: Any, at: dict[str, str], etag: str) -> None:
    with suppress(ClientError):
        client.delete_object(**at, IfMatch=etag)
