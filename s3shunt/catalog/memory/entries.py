"""Rows: how they are found, and in which order."""

from collections.abc import Sequence

from s3shunt.catalog.memory.kept import Kept, primary
from s3shunt.model import Entry, ObjectRef, Search, State
from s3shunt.policy import media


class Entries(Kept):
    def find(self, ref: ObjectRef) -> Entry | None:
        with self._lock:
            if ref.version is not None:
                return self._rows.get(primary(ref))
            return next((row for row in self.history(ref) if row.current), None)

    def find_truth(self, ref: ObjectRef) -> Entry | None:
        return self.find(ref)

    def scan(
        self, account: str, bucket: str, *, prefix: str = "", after: ObjectRef | None = None, limit: int = 1000, versions: bool = False
    ) -> list[Entry]:
        with self._lock:
            rows = [
                row
                for pk, row in self._rows.items()
                if pk[:2] == (account, bucket) and pk[2].startswith(prefix.encode()) and (versions or row.current)
            ]
        rows.sort(key=_listing_order)
        return [row for row in rows if after is None or _behind(row, after, rows)][:limit]

    def select(
        self, *, state: State | None = None, due_before: int | None = None, bucket: str | None = None,
        external_id: str | None = None, after: Entry | None = None, limit: int = 1000,
    ) -> list[Entry]:
        with self._lock:
            rows = sorted(self._rows.items())
        return [
            row
            for pk, row in rows
            if (state is None or row.state is state)
            and (due_before is None or (row.due is not None and row.due <= due_before))
            and (bucket is None or row.ref.bucket == bucket)
            and (external_id is None or row.external_id == external_id)
            and (after is None or pk > primary(after.ref))
        ][:limit]

    def search(self, wanted: Search, *, after: Entry | None = None, limit: int = 1000) -> list[Entry]:
        with self._lock:
            rows = sorted(self._rows.items())
        return [row for pk, row in rows if media.fits(wanted, row) and (after is None or pk > primary(after.ref))][:limit]

    def holder(self, account: str, external_id: str) -> ObjectRef | None:
        with self._lock:
            return self._claims.holder(account, external_id)

    def history(self, ref: ObjectRef) -> list[Entry]:
        with self._lock:
            name = primary(ref)[:3]
            return sorted((row for pk, row in self._rows.items() if pk[:3] == name), key=_listing_order)

    def rows_of(self, refs: Sequence[ObjectRef]) -> list[Entry]:
        names = {primary(ref)[:3] for ref in refs}
        with self._lock:
            return [row for pk, row in self._rows.items() if pk[:3] in names]


def _listing_order(row: Entry) -> tuple[bytes, bool, int, str]:
    """By key; of a key the current version first, then the newest."""
    return (row.ref.key.encode(), not row.current, -(row.facts.last_modified if row.facts else 0), row.ref.version or "null")


def _behind(row: Entry, after: ObjectRef, rows: list[Entry]) -> bool:
    key, mark = row.ref.key.encode(), after.key.encode()
    if key != mark or after.version is None:
        return key > mark
    marked = next((other for other in rows if other.ref.key == after.key and other.ref.version == after.version), None)
    return marked is None or _listing_order(row) > _listing_order(marked)
