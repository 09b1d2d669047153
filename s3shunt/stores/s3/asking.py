"""Who asks the store, and by which names: boto's clients, one for each credential."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError

from s3shunt.model import ObjectRef
from s3shunt.protocol.errors import BucketAlreadyExists, BucketAlreadyOwnedByYou, InvalidRequest, NoSuchKey, NotImplemented
from s3shunt.stores.s3.options import Options
from s3shunt.stores.s3.session import Credentials, client, translated
from s3shunt.stores.s3.turns import Turns


class Asking:
    def __init__(self, options: Options, endpoints: Sequence[str]) -> None:
        self._options = options
        self._endpoint = endpoints[0]
        self._turns = Turns(endpoints)
        self._keys = Credentials(options.credentials, per_account=options.buckets)
        self._clients: dict[tuple[str, str], Any] = {}
        self._ensured = False
        self._lock = threading.Lock()

    def credential(self, account: str) -> tuple[str, str]:
        return self._keys.find(account)

    def ensure(self) -> None:
        """Make the bucket to land in, once."""
        if self._options.bucket is None or self._ensured:
            return
        asking = self.client(ObjectRef())
        with translated():
            try:
                asking.head_bucket(Bucket=self._options.bucket)
            except ClientError:
                with suppress(BucketAlreadyOwnedByYou, BucketAlreadyExists), translated():
                    asking.create_bucket(Bucket=self._options.bucket)
        self._ensured = True

    def placed(self, ref: ObjectRef) -> ObjectRef:
        return ref if ref.bucket else replace(ref, bucket=self._options.bucket or "")

    def name(self, ref: ObjectRef) -> dict[str, str]:
        at = self.placed(ref)
        name = {"Bucket": at.bucket, "Key": at.key}
        return {**name, "VersionId": ref.version} if ref.version is not None else name

    def key_for(self, ref: ObjectRef) -> tuple[str, str]:
        return self._keys.find(ref.account if self._options.buckets else "")

    def client(self, ref: ObjectRef) -> Any:
        return self._made(self.key_for(ref))

    def any_client(self) -> Any:
        """For what every account may ask."""
        return self._made(self._keys.all()[0])

    def _made(self, key: tuple[str, str]) -> Any:
        with self._lock:
            if key not in self._clients:
                waits = self._options.connect_timeout / 1000, self._options.read_timeout / 1000
                made = self._clients[key] = client(self._endpoint, self._options.region, key, *waits)
                self._turns.follow(made)
            return self._clients[key]

    def perhaps(self, ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The answer, or nothing where the store does not know the question."""
        with suppress(NotImplemented, NoSuchKey, InvalidRequest), translated():
            return ask()
        return {}
