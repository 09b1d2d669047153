"""What a store keeps that an archive has too: when it was read, what is pinned, how much there is."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from s3shunt.catalog.memory.kept import primary
from s3shunt.catalog.memory.steps import Steps
from s3shunt.model import Entry, ObjectRef, Pin, Room, State, Swap
from s3shunt.policy import space


class Cache(Steps):
    def coldest(
        self, store: str, *, buckets: Sequence[str] = (), after: tuple[int, ObjectRef] | None = None, limit: int = 1000  # noqa: ARG002
    ) -> list[tuple[int, Entry]]:
        with self._lock:
            kept = [(self._uses[pk], pk) for pk, row in self._rows.items() if _cold(row, store)]
            behind = [(at, pk) for at, pk in sorted(kept) if after is None or (at, pk) > (after[0], primary(after[1]))]
            return [(at, self._rows[pk]) for at, pk in behind[:limit]]

    def note_reads(self, reads: Mapping[ObjectRef, int]) -> None:
        with self._lock:
            self._uses |= {primary(ref): at for ref, at in reads.items() if self._uses.get(primary(ref), at) < at}

    def last_use(self, ref: ObjectRef) -> int | None:
        with self._lock:
            row = self.find(ref)
            return self._uses[primary(row.ref)] if row else None

    def room(self, store: str) -> Room:
        with self._lock:
            taken = space.moved(Swap(None, row) for row in self._rows.values())
        return Room(*(taken.get((where, kind), (0, 0))[0] for kind in space.Kind for where in (_where(kind, store),)))

    def settle(self) -> None:
        """There is nothing to keep quick."""

    def recount(self) -> None:
        """``room`` always counts."""

    def expired(self, now: int, limit: int = 1000) -> list[Entry]:
        with self._lock:
            past = [row for row in self._rows.values() if row.state is State.RESTORED and (row.restored_until or 0) <= now]
        return sorted(past, key=lambda row: row.restored_until or 0)[:limit]

    def pin(self, pin: Pin) -> int:
        with self._lock:
            self._pins[pin.account, pin.bucket, pin.prefix.encode("utf-8", "surrogateescape")] = pin
            return self._mark(pin, pin.until)

    def unpin(self, pin: Pin) -> int:
        with self._lock:
            self._pins.pop((pin.account, pin.bucket, pin.prefix.encode("utf-8", "surrogateescape")), None)
            return self._mark(pin, 0)

    def unpin_past(self, now: int) -> int:
        with self._lock:
            self._pins = {name: pin for name, pin in self._pins.items() if pin.until > now}
            return self._set([row for row in self._rows.values() if 0 < row.pinned <= now], 0)

    def _mark(self, pin: Pin, until: int) -> int:
        below = [row for row in self._rows.values() if space.covered([replace(pin, until=1)], row.ref, 0)]
        return self._set([row for row in below if row.pinned != until], until)

    def _set(self, rows: list[Entry], until: int) -> int:
        for row in rows:
            self._replace(Swap(row, replace(row, pinned=until)))
        return len(rows)

    def pins(self) -> list[Pin]:
        with self._lock:
            return [pin for _, pin in sorted(self._pins.items())]

    def pinned(self, *, after: ObjectRef | None = None, limit: int = 1000) -> list[Entry]:
        with self._lock:
            rows = sorted(self._rows.items())
        return [row for pk, row in rows if row.pinned and (after is None or pk > primary(after))][:limit]

    def remember(self, name: str, value: int) -> None:
        self._numbers[name] = value

    def remembered(self, name: str) -> int:
        return self._numbers.get(name, 0)


def _cold(row: Entry, store: str) -> bool:
    return row.state is State.VERIFIED and not row.pinned and row.store == store


def _where(kind: space.Kind, store: str) -> str:
    return "" if kind is space.Kind.COMING else store
