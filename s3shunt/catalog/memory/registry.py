"""Buckets, uploads and recalls."""

from collections.abc import Collection
from dataclasses import replace

from s3shunt.catalog.memory.kept import Kept, primary
from s3shunt.model import Bucket, ObjectRef, Recall, Upload


class Registry(Kept):
    def bucket(self, account: str, name: str) -> Bucket | None:
        return self._buckets.get((account, name))

    def save_bucket(self, bucket: Bucket) -> None:
        with self._lock:
            old = self._buckets.get((bucket.account, bucket.name))
            self._buckets[(bucket.account, bucket.name)] = replace(bucket, generation=(old.generation if old else 0) + 1)

    def drop_bucket(self, account: str, name: str) -> None:
        with self._lock:
            self._buckets.pop((account, name), None)

    def buckets(self) -> list[Bucket]:
        with self._lock:
            return [bucket for _, bucket in sorted(self._buckets.items())]

    def upload(self, id: str) -> Upload | None:  # noqa: A002
        return self._uploads.get(id)

    def save_upload(self, upload: Upload) -> None:
        with self._lock:
            self._uploads[upload.id] = upload

    def drop_upload(self, id: str) -> None:  # noqa: A002
        with self._lock:
            self._uploads.pop(id, None)

    def recall(self, id: str) -> Recall | None:  # noqa: A002
        return self._recalls.get(id)

    def recalls(
        self, *, ref: ObjectRef | None = None, archive: str | None = None, archive_ids: Collection[str] | None = None,
        unasked: bool = False, active: bool = True, limit: int = 1000,
    ) -> list[Recall]:
        with self._lock:
            rows = sorted(self._recalls.values(), key=lambda r: (r.created, r.id))
        return [
            r
            for r in rows
            if (ref is None or primary(r.ref) == primary(ref))
            and (archive is None or r.archive == archive)
            and (archive_ids is None or r.archive_id in archive_ids)
            and not (unasked and r.request_id)
            and (r.active or not active)
        ][:limit]
