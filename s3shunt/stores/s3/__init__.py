"""``s3+http://`` and ``s3+https://``: a store that speaks S3; what the proxy forwards to, and what workers read, land and evict in.

The worker's own client is boto's: path style, these endpoints and no others, no
environment. ``bucket`` makes it a place to land: a ref without a bucket lies
there under its key.
"""

import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import Any

from s3shunt.model import NULL, Facts, Fingerprint, ObjectRef
from s3shunt.ports import Evict, ObjectStore, Upstream
from s3shunt.protocol.errors import InvalidRequest, NoSuchKey, PreconditionFailed, SlowDown
from s3shunt.stores.s3 import download, look, probe, upload
from s3shunt.stores.s3 import facts as told
from s3shunt.stores.s3.asking import Asking
from s3shunt.stores.s3.options import Options
from s3shunt.stores.s3.probe import Manners
from s3shunt.stores.s3.session import translated

__all__ = ["Options", "S3Store"]

STAMP_TRIES = 5


class S3Store:
    Options = Options

    def __init__(self, options: Options, house: Any) -> None:
        if options.evict == "swift" and not options.swift:
            raise ValueError("evict = swift needs swift: expected the URL of Swift's own API")
        self.options = options
        self.endpoint = options.url.removeprefix("s3+").rstrip("/")
        self.endpoints = (self.endpoint, *(options.also or ()))
        self.region = options.region
        self.per_account = options.buckets
        self.paths = options.keys
        self._house = house
        self._asking = Asking(options, self.endpoints)
        self._probed: Evict | None = None
        self._lock = threading.RLock()

    def credential(self, account: str) -> tuple[str, str]:
        return self._asking.credential(account)

    # Reading

    def head(self, ref: ObjectRef) -> Facts | None:
        """On Swift the stamp is looked at before and after: it is that of what was answered in between."""
        for _ in range(STAMP_TRIES if self._evictor else 1):
            before = self._stamp(ref)
            found = look.head(self._asking, ref, acl=self.options.acl)
            if found is None or not before or before == self._stamp(ref):
                return replace(found, stamp=found.stamp or before) if found else None
        raise SlowDown("The object is being overwritten all the time.")

    def _stamp(self, ref: ObjectRef) -> str:
        if self._evictor is None or ref.version not in (None, NULL):
            return ""
        return str(self._evictor.stamp(self._asking.placed(ref), self._asking.key_for(ref)))

    def read(self, ref: ObjectRef, *, start: int = 0, end: int | None = None, etag: str | None = None) -> Iterator[bytes]:
        how: dict[str, str] = {}
        if start or end is not None:
            how["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        if etag is not None:
            how["IfMatch"] = etag
        try:
            with translated(ref.key):
                answer = self._asking.client(ref).get_object(**self._asking.name(ref), **how)
        except InvalidRequest:
            raise NoSuchKey(Key=ref.key) if ref.version is not None else InvalidRequest from None
        if ref.version not in (None, NULL, answer.get("VersionId")):
            answer["Body"].close()
            raise NoSuchKey(Key=ref.key)
        return download.Reading(answer["Body"])

    # Writing

    def write(self, ref: ObjectRef, chunks: Iterable[bytes], *, size: int, facts: Facts | None = None) -> Facts:
        with translated(ref.key):
            self._asking.ensure()
            name = self._asking.name(replace(ref, version=None))
            done = upload.put(self._asking.client(ref), name, chunks, size, upload.described(facts))
        version = done.get("VersionId")
        found = self.head(replace(ref, version=version if version != "null" else None))
        if found is None or found.etag.strip('"') != done["ETag"].strip('"'):
            raise PreconditionFailed("What was written was overwritten or deleted at once.")
        return found

    def delete(self, ref: ObjectRef) -> None:
        with suppress(NoSuchKey), translated(ref.key):
            self._asking.client(ref).delete_object(**self._asking.name(ref))

    # Deleting exactly one version

    @property
    def evict(self) -> Evict:
        if self.options.evict != "probe":
            return Evict(self.options.evict)
        with self._lock:
            if self._probed is None:
                with translated():
                    self._probed = probe.bucket(self._asking.any_client())
            return self._probed

    def probe(self, bucket: str, account: str = "") -> Evict:
        """How versions of this bucket can be deleted exactly; NONE where they cannot."""
        at = ObjectRef(bucket, account=account)
        if self._asking.perhaps(lambda: self._asking.client(at).get_bucket_versioning(Bucket=bucket)).get("Status") == "Enabled":
            return Evict.VERSION
        return self.evict if self.evict is not Evict.VERSION else Evict.NONE

    def manners(self) -> Manners:
        """How it takes keys, found out on scratch objects; AccessDenied where no bucket may be made for them."""
        with translated():
            return probe.manners(self._asking.any_client())

    def delete_exact(self, ref: ObjectRef, fingerprint: Fingerprint) -> None:
        if ref.version not in (None, NULL, fingerprint.stamp):
            return
        if ref.version not in (None, NULL) or (fingerprint.stamp and self._evictor is None):
            self.delete(replace(ref, version=fingerprint.stamp))
            return
        way = self.evict
        if way is Evict.SWIFT and self._evictor is not None:
            self._evictor.delete_exact(self._asking.placed(ref), fingerprint, self._asking.key_for(ref))
            return
        if way not in (Evict.IF_MATCH, Evict.UNSAFE):
            raise InvalidRequest("This store cannot delete exactly one version of an object whose bucket keeps none.")
        found = self.head(ref)
        if found is None or found.fingerprint != fingerprint:
            return
        how = {"IfMatch": fingerprint.etag} if way is Evict.IF_MATCH else {}
        with suppress(NoSuchKey, PreconditionFailed), translated(ref.key):
            self._asking.client(ref).delete_object(**self._asking.name(ref), **how)

    @cached_property
    def _evictor(self) -> Any:
        if self.options.evict != "swift":
            return None
        return self._house.evictor("swift", "store")(self.options.swift, self.options.connect_timeout, self.options.read_timeout)

    # All of a bucket, all of the store

    def usage(self) -> tuple[int, int] | None:
        """No S3 store says, and to list one of ten million objects takes an hour: the catalog counts for it."""
        return None

    def list(
        self, bucket: str, *, prefix: str = "", after: str = "", limit: int = 1000, account: str = ""
    ) -> list[tuple[str, Facts]]:
        at = self._asking.placed(ObjectRef(bucket, account=account))
        if at.bucket == self.options.bucket:
            self._asking.ensure()
        found: list[tuple[str, Facts]] = []
        with translated():
            while len(found) < limit:
                page = self._asking.client(at).list_objects_v2(
                    Bucket=at.bucket, Prefix=prefix, StartAfter=after, MaxKeys=min(1000, limit - len(found))
                )
                found += [(item["Key"], told.listed(item)) for item in page.get("Contents", ())]
                if not page.get("IsTruncated") or not page.get("Contents"):
                    break
                after = found[-1][0]
        return found


_: type[ObjectStore] = S3Store
_upstream: type[Upstream] = S3Store
