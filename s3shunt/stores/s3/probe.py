"""What a store's conditional delete is worth: found out on scratch objects, in a bucket of their own."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError

from s3shunt.ports import Evict

ROUNDS = 25
_OLD, _NEW = b"old", b"new, and acknowledged"


def bucket(client: Any) -> Evict:
    """Make a scratch bucket, try, and leave nothing. IF_MATCH where it holds; else VERSION: only versions can be deleted exactly."""
    name = f"s3shunt-probe-{secrets.token_hex(6)}"
    client.create_bucket(Bucket=name)
    try:
        return Evict.IF_MATCH if conditional(client, name) else Evict.VERSION
    finally:
        with suppress(ClientError):
            client.delete_object(Bucket=name, Key="probe")
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
