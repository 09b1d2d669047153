"""``s3+http://`` and ``s3+https://``: a store that speaks S3; what the proxy forwards to, and what workers read, land and evict in.

The worker's own client is boto's: path style, this endpoint and no other, no
environment. ``bucket`` makes it a place to land: a ref without a bucket lies
there under its key.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from s3shunt import config
from s3shunt.config import option
from s3shunt.model import NULL, Facts, Fingerprint, ObjectRef
from s3shunt.ports import Evict, ObjectStore, Upstream
from s3shunt.protocol.errors import (
    BucketAlreadyExists,
    BucketAlreadyOwnedByYou,
    InvalidRequest,
    NoSuchBucket,
    NoSuchKey,
    NotImplemented,
    PreconditionFailed,
    SlowDown,
)
from s3shunt.stores.s3 import download, probe, upload
from s3shunt.stores.s3 import facts as told
from s3shunt.stores.s3.probe import Manners
from s3shunt.stores.s3.session import Credentials, client, translated

ASK_EVERY_PART = 200
STAMP_TRIES = 5

def _bucket_names(value: str) -> bool:
    return config.choice("global", "per account")(value) == "per account"


def _as_paths(value: str) -> bool:
    return config.choice("exact", "paths")(value) == "paths"


@dataclass(frozen=True)
class Options:
    url: str = option(config.url, help="s3+http://HOST:PORT or s3+https://HOST[:PORT]")
    credentials: Path = option(config.path, help='JSON file (mode 0600): {"": {"access_key", "secret_key"}}, or one such pair per account.')
    buckets: bool = option(_bucket_names, "global", help="'global', or 'per account' where each account has bucket names of its own.")
    keys: bool = option(_as_paths, "exact", help="'exact', or 'paths' where keys are paths of files, so that a//b is a/b (SeaweedFS).")
    bucket: str | None = option(config.word, "", help="The one bucket of a store that recalled copies land in.")
    region: str = option(config.word, "us-east-1", help="Region that requests to the store are signed for.")
    evict: str = option(
        config.choice("probe", "version", "if-match", "swift", "unsafe", "none"), "probe",
        help="How exactly one version is deleted; 'probe' tries whether If-Match is atomic.",
    )  # fmt: skip
    swift: str | None = option(config.url, "", help="URL of Swift's own API, for evict = swift.")
    capacity: int | None = option(config.size, "", help="How many bytes the store takes for full; for eviction by watermark.")
    reserve: int | None = option(config.size, "", help="How many bytes recalled copies may take here; empty: any number.")
    acl: bool = option(config.flag, "yes", help="Whether facts include the ACL.")
    connect_timeout: int = option(config.duration, "5s", help="How long a connection may take.")
    read_timeout: int = option(config.duration, "60s", help="How long the store may be silent.")


class S3Store:
    Options = Options

    def __init__(self, options: Options, house: Any) -> None:
        if options.evict == "swift" and not options.swift:
            raise ValueError("evict = swift needs swift: expected the URL of Swift's own API")
        self.options = options
        self.endpoint = options.url.removeprefix("s3+").rstrip("/")
        self.region = options.region
        self.per_account = options.buckets
        self.paths = options.keys
        self._house = house
        self._keys = Credentials(options.credentials, per_account=options.buckets)
        self._clients: dict[tuple[str, str], Any] = {}
        self._probed: Evict | None = None
        self._ensured = False
        self._lock = threading.RLock()

    def credential(self, account: str) -> tuple[str, str]:
        return self._keys.find(account)

    # Reading

    def head(self, ref: ObjectRef) -> Facts | None:
        """On Swift the stamp is looked at before and after: it is that of what was answered in between."""
        for _ in range(STAMP_TRIES if self._evictor else 1):
            before = self._stamp(ref)
            found = self._head(ref)
            if found is None or not before or before == self._stamp(ref):
                return replace(found, stamp=found.stamp or before) if found else None
        raise SlowDown("The object is being overwritten all the time.")

    def _stamp(self, ref: ObjectRef) -> str:
        if self._evictor is None or ref.version not in (None, NULL):
            return ""
        return str(self._evictor.stamp(self._placed(ref), self._credential(ref)))

    def _head(self, ref: ObjectRef) -> Facts | None:
        try:
            with translated(ref.key):
                answer = self._client(ref).head_object(**self._name(ref), ChecksumMode="ENABLED")
        except (NoSuchKey, NoSuchBucket):
            return None
        except InvalidRequest:
            if ref.version is None:
                raise
            return None  # what is no version id of this store names nothing
        found = told.facts(answer["ResponseMetadata"]["HTTPHeaders"])
        if ref.version not in (None, NULL, found.stamp):
            return None  # some stores answer with the current version where a bucket keeps none
        seen = replace(ref, version=found.stamp) if found.stamp else ref
        return replace(found, parts=self._parts(seen, found), tags=self._tags(seen), **self._acl(seen))

    def _tags(self, ref: ObjectRef) -> dict[str, str]:
        answer = self._perhaps(lambda: self._client(ref).get_object_tagging(**self._name(ref)))
        return {tag["Key"]: tag["Value"] for tag in answer.get("TagSet", ())}

    def _acl(self, ref: ObjectRef) -> dict[str, str]:
        answer = self._perhaps(lambda: self._client(ref).get_object_acl(**self._name(ref))) if self.options.acl else {}
        document = answer.get("Document", b"")
        return {"acl": document.decode("utf-8", "replace"), "owner": answer.get("Owner", {}).get("ID", "")}

    def _parts(self, ref: ObjectRef, found: Facts) -> tuple[int, ...]:
        """Sizes of a multipart object's parts, as the store answers for each; empty where they do not add up."""
        count = told.part_count(found.etag)
        asked = range(1, count + 1) if count <= ASK_EVERY_PART else (1, count)
        sizes = []
        for number in asked:
            answer = self._perhaps(lambda n=number: self._client(ref).head_object(**self._name(ref), PartNumber=n))
            sizes.append(answer.get("ContentLength", -1))
        if count > ASK_EVERY_PART:  # all but the last of a large upload are of one size, or nothing is said
            sizes = [sizes[0]] * (count - 1) + [sizes[1]]
        return tuple(sizes) if sum(sizes) == found.size and min(sizes, default=0) >= 0 else ()

    def _perhaps(self, ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The answer, or nothing where the store does not know the question."""
        with suppress(NotImplemented, NoSuchKey, InvalidRequest), translated():
            return ask()
        return {}

    def read(self, ref: ObjectRef, *, start: int = 0, end: int | None = None, etag: str | None = None) -> Iterator[bytes]:
        how: dict[str, str] = {}
        if start or end is not None:
            how["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        if etag is not None:
            how["IfMatch"] = etag
        try:
            with translated(ref.key):
                answer = self._client(ref).get_object(**self._name(ref), **how)
        except InvalidRequest:
            raise NoSuchKey(Key=ref.key) if ref.version is not None else InvalidRequest from None
        if ref.version not in (None, NULL, answer.get("VersionId")):
            answer["Body"].close()
            raise NoSuchKey(Key=ref.key)
        return download.Reading(answer["Body"])

    # Writing

    def write(self, ref: ObjectRef, chunks: Iterable[bytes], *, size: int, facts: Facts | None = None) -> Facts:
        with translated(ref.key):
            self._ensure()
            done = upload.put(self._client(ref), self._name(replace(ref, version=None)), chunks, size, upload.described(facts))
        version = done.get("VersionId")
        found = self.head(replace(ref, version=version if version != "null" else None))
        if found is None or found.etag.strip('"') != done["ETag"].strip('"'):
            raise PreconditionFailed("What was written was overwritten or deleted at once.")
        return found

    def delete(self, ref: ObjectRef) -> None:
        with suppress(NoSuchKey), translated(ref.key):
            self._client(ref).delete_object(**self._name(ref))

    # Deleting exactly one version

    @property
    def evict(self) -> Evict:
        if self.options.evict != "probe":
            return Evict(self.options.evict)
        with self._lock:
            if self._probed is None:
                with translated():
                    self._probed = probe.bucket(self._made(self._keys.all()[0]))
            return self._probed

    def probe(self, bucket: str, account: str = "") -> Evict:
        """How versions of this bucket can be deleted exactly; NONE where they cannot."""
        at = ObjectRef(bucket, account=account)
        if self._perhaps(lambda: self._client(at).get_bucket_versioning(Bucket=bucket)).get("Status") == "Enabled":
            return Evict.VERSION
        return self.evict if self.evict is not Evict.VERSION else Evict.NONE

    def manners(self) -> Manners:
        """How it takes keys, found out on scratch objects; AccessDenied where no bucket may be made for them."""
        with translated():
            return probe.manners(self._made(self._keys.all()[0]))

    def delete_exact(self, ref: ObjectRef, fingerprint: Fingerprint) -> None:
        if ref.version not in (None, NULL, fingerprint.stamp):
            return
        if ref.version not in (None, NULL) or (fingerprint.stamp and self._evictor is None):
            self.delete(replace(ref, version=fingerprint.stamp))
            return
        way = self.evict
        if way is Evict.SWIFT and self._evictor is not None:
            self._evictor.delete_exact(self._placed(ref), fingerprint, self._credential(ref))
            return
        if way not in (Evict.IF_MATCH, Evict.UNSAFE):
            raise InvalidRequest("This store cannot delete exactly one version of an object whose bucket keeps none.")
        found = self.head(ref)
        if found is None or found.fingerprint != fingerprint:
            return
        how = {"IfMatch": fingerprint.etag} if way is Evict.IF_MATCH else {}
        with suppress(NoSuchKey, PreconditionFailed), translated(ref.key):
            self._client(ref).delete_object(**self._name(ref), **how)

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
        at = self._placed(ObjectRef(bucket, account=account))
        if at.bucket == self.options.bucket:
            self._ensure()
        found: list[tuple[str, Facts]] = []
        with translated():
            while len(found) < limit:
                page = self._client(at).list_objects_v2(
                    Bucket=at.bucket, Prefix=prefix, StartAfter=after, MaxKeys=min(1000, limit - len(found))
                )
                found += [(item["Key"], told.listed(item)) for item in page.get("Contents", ())]
                if not page.get("IsTruncated") or not page.get("Contents"):
                    break
                after = found[-1][0]
        return found

    # Who asks for what

    def _ensure(self) -> None:
        """Make the bucket to land in, once."""
        if self.options.bucket is None or self._ensured:
            return
        asking = self._client(ObjectRef())
        with translated():
            try:
                asking.head_bucket(Bucket=self.options.bucket)
            except ClientError:
                with suppress(BucketAlreadyOwnedByYou, BucketAlreadyExists), translated():
                    asking.create_bucket(Bucket=self.options.bucket)
        self._ensured = True

    def _placed(self, ref: ObjectRef) -> ObjectRef:
        return ref if ref.bucket else replace(ref, bucket=self.options.bucket or "")

    def _name(self, ref: ObjectRef) -> dict[str, str]:
        at = self._placed(ref)
        name = {"Bucket": at.bucket, "Key": at.key}
        return {**name, "VersionId": ref.version} if ref.version is not None else name

    def _credential(self, ref: ObjectRef) -> tuple[str, str]:
        return self.credential(ref.account if self.per_account else "")

    def _client(self, ref: ObjectRef) -> Any:
        return self._made(self._credential(ref))

    def _made(self, key: tuple[str, str]) -> Any:
        with self._lock:
            if key not in self._clients:
                waits = self.options.connect_timeout / 1000, self.options.read_timeout / 1000
                self._clients[key] = client(self.endpoint, self.region, key, *waits)
            return self._clients[key]


_: type[ObjectStore] = S3Store
_upstream: type[Upstream] = S3Store
