"""Where the stand-in puts what was exported: a directory, an S3 endpoint, or a store of this process."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from s3shunt.model import ObjectRef
from s3shunt.ports import ObjectStore


class Away(Exception):
    """The destination does not take anything now."""


@contextmanager
def reached() -> Iterator[None]:
    """Raises Away for what a store says or does not say."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise Away(str(error)) from error


class ToDirectory:
    def __init__(self, root: Path) -> None:
        self._root = root

    def there(self, path: str, name: str) -> bool:
        return (self._root / path / name).exists()

    def put(self, path: str, name: str, body: bytes, *, temporary: bool) -> None:
        """In two halves, so that one who looks early sees half a file."""
        directory = self._root / path
        directory.mkdir(parents=True, exist_ok=True)
        written = directory / (f".{name}.part" if temporary else name)
        with written.open("wb") as file:
            file.write(body[: len(body) // 2])
            file.flush()
            os.fsync(file.fileno())
            file.write(body[len(body) // 2 :])
        if temporary:
            written.rename(directory / name)


class ToStore:
    def __init__(self, store: ObjectStore) -> None:
        self.store = store

    def there(self, path: str, name: str) -> bool:
        return self.store.head(_ref(path, name)) is not None

    def put(self, path: str, name: str, body: bytes, *, temporary: bool) -> None:  # a store publishes whole objects
        self.store.write(_ref(path, name), [body], size=len(body))


def _ref(path: str, name: str) -> ObjectRef:
    bucket, _, prefix = path.strip("/").partition("/")
    return ObjectRef(bucket, f"{prefix}/{name}" if prefix else name)


class ToS3:
    """``{"endpoint": ..., "access_key": ..., "secret_key": ...}``; the bucket is made when it is not there."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        import boto3
        from botocore.config import Config

        self.client = boto3.client(
            "s3", endpoint_url=given["endpoint"], aws_access_key_id=given["access_key"], aws_secret_access_key=given["secret_key"],
            region_name=given.get("region", "us-east-1"),
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}, connect_timeout=5),
        )  # fmt: skip

    def there(self, path: str, name: str) -> bool:
        from botocore.exceptions import ClientError

        ref = _ref(path, name)
        try:
            self.client.head_object(Bucket=ref.bucket, Key=ref.key)
        except ClientError:
            return False
        return True

    def put(self, path: str, name: str, body: bytes, *, temporary: bool) -> None:
        """Raises Away."""
        ref = _ref(path, name)
        aside = f"{ref.key}.part"
        with reached():
            self._bucket(ref.bucket)
            self.client.put_object(Bucket=ref.bucket, Key=aside if temporary else ref.key, Body=body)
            if temporary:
                self.client.copy_object(Bucket=ref.bucket, Key=ref.key, CopySource={"Bucket": ref.bucket, "Key": aside})
                self.client.delete_object(Bucket=ref.bucket, Key=aside)

    def _bucket(self, name: str) -> None:
        from botocore.exceptions import ClientError

        with suppress(ClientError):  # it is there already
            self.client.create_bucket(Bucket=name)


def destination(given: Mapping[str, Any]) -> ToDirectory | ToS3 | None:
    if "directory" in given:
        return ToDirectory(Path(given["directory"]))
    return ToS3(given) if "endpoint" in given else None
