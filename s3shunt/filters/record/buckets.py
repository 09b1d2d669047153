"""What is remembered of a bucket, and that it cannot go while the archive holds something of it."""

from collections.abc import Iterator
from dataclasses import replace

from s3shunt import green
from s3shunt.filters.record.keeper import Keeper
from s3shunt.model import Bucket, Entry, ObjectRef, State, Step, Swap
from s3shunt.policy.record import live
from s3shunt.protocol import xml
from s3shunt.protocol.errors import BucketNotEmpty
from s3shunt.wsgi import Handler, Request, Response, document

PAGE = 1000


class Buckets:
    def __init__(self, forward: Handler, keeper: Keeper) -> None:
        self.forward = forward
        self.keeper = keeper

    def create(self, request: Request) -> Response:
        """Creating one's own bucket again changes nothing."""
        ref, decision = request.ref, request.context.decision
        known = self._bucket(ref)
        response = self.forward(request)
        if response.status_int < 300 and known is None:
            owner = decision.identity.account if decision else ""
            locked = request.fields.get("x-amz-bucket-object-lock-enabled", "").lower() == "true"
            self._save(Bucket(name=ref.bucket, account=ref.account, owner=owner, versioned=locked))
        return response

    def versioning(self, request: Request) -> Response:
        """A bucket that ever kept versions may have some."""
        status = xml.value(xml.read(document(request), "VersioningConfiguration"), "Status", "")
        known = self._bucket(request.ref) or Bucket(name=request.ref.bucket, account=request.ref.account)
        response = self.forward(request)
        if response.status_int < 300 and status in ("Enabled", "Suspended"):
            self._save(replace(known, versioned=True))
        return response

    def delete(self, request: Request) -> Response:
        """Whatever the store says of being empty: entries count."""
        ref = request.ref
        if green.offload(lambda: any(live(row) for row in self._rows(ref))):
            raise BucketNotEmpty(BucketName=ref.bucket)
        response = self.forward(request)
        if response.status_int < 300:
            green.offload(self._forget, ref)
        return response

    def _forget(self, ref: ObjectRef) -> None:
        """Hints about what the store no longer has. A row that moves meanwhile is somebody's, and stays."""
        for row in list(self._rows(ref)):
            if row.state is not State.EVICTING and not row.writers:
                self.keeper.catalog.commit(Step(swaps=(Swap(row, None),)))
        self.keeper.truth.drop_bucket(ref.account, ref.bucket)

    def _rows(self, ref: ObjectRef) -> Iterator[Entry]:
        after = None
        while page := self.keeper.catalog.scan(ref.account, ref.bucket, after=after, limit=PAGE, versions=True):
            yield from page
            after = page[-1].ref

    def _bucket(self, ref: ObjectRef) -> Bucket | None:
        return green.offload(self.keeper.truth.bucket, ref.account, ref.bucket)

    def _save(self, bucket: Bucket) -> None:
        green.offload(self.keeper.truth.save_bucket, bucket)
