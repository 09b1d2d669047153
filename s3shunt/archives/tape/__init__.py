"""``tape:///directory``: a tape library, simulated. The bytes, the waiting and the faults are real; only the robot is not.

Cartridges are directories, copies are files, the book is a SQLite file: any
number of processes share them, and any of them may be killed at any time.
A recall waits for a drive, a mount and a seek on the clock of the house.
Writing goes through the library's own buffer and waits for no drive.
``faults.json`` beside the book makes things go wrong (see ``faults``).
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from s3shunt import config
from s3shunt.archives.tape import answers
from s3shunt.archives.tape.drives import Drive, Times, Waiting, run
from s3shunt.archives.tape.faults import Faults, struck
from s3shunt.archives.tape.library import Library
from s3shunt.archives.tape.shelf import Shelf
from s3shunt.config import option
from s3shunt.model import Facts, ObjectRef, Recall
from s3shunt.policy.notation import facts_read, facts_written
from s3shunt.ports import Archive, Copy, Progress, Shredder, Status
from s3shunt.protocol.errors import NoSuchKey, ServiceUnavailable


@dataclass(frozen=True)
class Options:
    url: str = option(config.url, help="tape:///DIRECTORY")
    cartridges: int = option(config.number, "8", help="How many cartridges the library has.")
    capacity: int = option(config.size, "1T", help="Bytes on one cartridge.")
    drives: int = option(config.number, "2", help="How many cartridges can be read at once.")
    mount: int = option(config.duration, "3s", help="How long it takes to fetch a cartridge and thread it.")
    seek: int = option(config.duration, "100ms", help="How long it takes to wind to an object.")
    rate: int | None = option(config.size, "", help="Bytes a drive reads per second; empty: no time at all.")
    copies: int = option(config.number, "1", help="On how many cartridges each object is written.")


class TapeArchive:
    Options = Options
    readback = "tag"

    def __init__(self, options: Options, house: Any) -> None:
        if not 1 <= options.copies <= options.cartridges or not options.drives:
            raise ValueError("expected at least one drive, and as many cartridges as copies")
        self.options = options
        self._clock = house.clock
        self.root = Path(options.url.removeprefix("tape://"))
        self.root.mkdir(parents=True, exist_ok=True)
        self._shelf = Shelf(self.root / "cartridges", options.cartridges)
        self._library = Library(self.root / "library.db", options.drives)
        self._faults = Faults(self.root / "faults.json")

    # Taking

    def write(self, tag: str, chunks: Iterable[bytes], *, size: int, ref: ObjectRef, facts: Facts) -> str:
        fault = self._faults.now().get("write")
        if fault == "fail":
            raise ServiceUnavailable("The tape library does not write.")
        archive_id = sha256(tag.encode()).hexdigest()[:32]
        with self._library.transaction() as db:
            known = answers.one(db, "SELECT * FROM object WHERE archive_id = ?", archive_id)
            cartridges = _kept(db, archive_id) if known else self._room(db, size)
        if known is None or not self._holds(known, cartridges):
            digest = self._shelf.write(archive_id, cartridges, chunks, size)
            name = (ref.account, ref.bucket, answers.key_bytes(ref.key), ref.version)
            self._book((archive_id, tag, *name, size, digest, json.dumps(facts_written(facts))), cartridges)
        if fault == "lost answer":
            raise ServiceUnavailable("The tape library's answer was lost.")
        return archive_id

    def _holds(self, known: sqlite3.Row, cartridges: Sequence[str]) -> bool:
        return all(self._shelf.sound(known["archive_id"], name, known["size"], known["sha256"]) for name in cartridges)

    def _room(self, db: sqlite3.Connection, size: int) -> list[str]:
        used = dict(db.execute("SELECT cartridge, max(position + size) FROM copy GROUP BY cartridge").fetchall())
        free = [name for name in self._shelf.cartridges if used.get(name, 0) + size <= self.options.capacity]
        if len(free) < self.options.copies:
            raise ServiceUnavailable("The tape library is full.")
        return free[: self.options.copies]

    def _book(self, row: tuple[Any, ...], cartridges: Sequence[str]) -> None:
        with self._library.transaction() as db:
            db.execute("INSERT OR REPLACE INTO object VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, self._clock.now()))
            for cartridge in cartridges:
                db.execute(
                    "INSERT OR IGNORE INTO copy SELECT ?1, ?2, coalesce(max(position + size), 0), ?3 FROM copy WHERE cartridge = ?2",
                    (row[0], cartridge, row[6]),
                )

    # Knowing

    def find(self, *, tag: str = "", archive_id: str = "", ref: ObjectRef | None = None) -> Copy | None:
        faults = self._faults.now()
        with self._library.transaction() as db:
            known = answers.known(db, tag, archive_id, ref)
            cartridges = _kept(db, known["archive_id"]) if known else []
        return self._verified(known, cartridges, faults) if known else None

    def _verified(self, known: sqlite3.Row, cartridges: Sequence[str], faults: Mapping[str, Any]) -> Copy | None:
        """None when no copy is left at all; what is left and wrong is told with its own checksum, and not counted."""
        names = answers.names(known)
        there = [c for c in cartridges if self._shelf.has(known["archive_id"], c)] if not struck(faults, "lose", *names) else []
        if not there:
            return None
        read = {c: self._shelf.hash(known["archive_id"], c) for c in there}
        spoilt = struck(faults, "corrupt", *names) or struck(faults, "truncate", *names)
        sound = [c for c in there if read[c] == (known["size"], known["sha256"]) and not spoilt]
        size, digest = read[(sound or there)[0]]
        digest = digest if not spoilt else sha256(digest.encode()).hexdigest()
        return Copy(
            archive_id=known["archive_id"],
            size=size,
            checksum=f"sha256:{digest}",
            copies=len(sound),
            tape=(sound or there)[0],
            position=self._position(known["archive_id"], (sound or there)[0]),
            facts=facts_read(json.loads(known["facts"])),
        )

    def _position(self, archive_id: str, cartridge: str) -> int | None:
        with self._library.transaction() as db:
            row = answers.one(db, "SELECT position FROM copy WHERE archive_id = ? AND cartridge = ?", archive_id, cartridge)
        return row["position"] if row else None

    def listing(self) -> Iterator[tuple[ObjectRef, Copy]]:
        """Everything the book holds, in order of writing, without reading the bytes: ``copies`` are those written, not verified."""
        with self._library.transaction() as db:
            rows = db.execute("SELECT * FROM object ORDER BY written, rowid").fetchall()
            copies = {row["archive_id"]: answers.copies(db, row["archive_id"]) for row in rows}
        for row in rows:
            at = copies[row["archive_id"]]
            copy = Copy(
                archive_id=row["archive_id"], size=row["size"], checksum=f"sha256:{row['sha256']}", copies=len(at),
                tape=at[0]["cartridge"] if at else None, position=at[0]["position"] if at else None,
                facts=facts_read(json.loads(row["facts"])),
            )  # fmt: skip
            yield ObjectRef(row["bucket"], answers.key_text(row["key"]), row["version"], row["account"]), copy

    # Giving back

    def request(self, recall: Recall) -> str:
        fault = self._faults.now().get("request")
        if fault == "fail":
            raise ServiceUnavailable("The tape library takes no requests.")
        with self._library.transaction() as db:
            known = answers.one(db, "SELECT failed FROM request WHERE id = ?", recall.id)
            if known is None or known["failed"] is not None:
                self._ask(db, recall)
        if fault == "lost answer":
            raise ServiceUnavailable("The tape library's answer was lost.")
        return recall.id

    def _ask(self, db: sqlite3.Connection, recall: Recall) -> None:
        copies = [row for row in answers.copies(db, recall.archive_id) if self._shelf.has(recall.archive_id, row["cartridge"])]
        chosen = copies[recall.attempts % len(copies)] if copies else None
        at = (chosen["cartridge"], chosen["position"], chosen["size"]) if chosen else (None, None, None)
        failed = None if chosen else answers.NO_COPY
        db.execute(
            "INSERT OR REPLACE INTO request VALUES (?, ?, ?, ?, ?, ?, ?, NULL, NULL, ?)",
            (recall.id, recall.archive_id, *at, recall.tier, self._clock.now(), failed),
        )

    def status(self, requests: Sequence[str]) -> dict[str, Status]:
        faults, now = self._faults.now(), self._clock.now()
        with self._library.transaction() as db:
            self._turn(db, faults, now)
            rows = db.execute(
                "SELECT r.*, o.bucket, o.key FROM request r LEFT JOIN object o USING (archive_id)"
                " WHERE id IN (SELECT value FROM json_each(?))", (json.dumps([*requests]),),
            ).fetchall()  # fmt: skip
            found = {row["id"]: answers.status(row, faults, now) for row in rows}
            failed = [(told.reason, id_) for id_, told in found.items() if told.progress is Progress.FAILED]
            db.executemany("UPDATE request SET failed = coalesce(failed, ?) WHERE id = ?", failed)
        return {id_: found.get(id_, Status(progress=Progress.GONE)) for id_ in requests}

    def _turn(self, db: sqlite3.Connection, faults: Mapping[str, Any], now: int) -> None:
        """Let the robot do what it had the time for."""
        slow = faults.get("slow", 1)
        times = Times(int(self.options.mount * slow), int(self.options.seek * slow), self.options.rate and int(self.options.rate / slow))
        waiting = db.execute(
            "SELECT id, cartridge, position, size, tier, asked FROM request WHERE begun IS NULL AND failed IS NULL"
        ).fetchall()
        drives = [Drive(*row) for row in db.execute("SELECT number, cartridge, head, free_at FROM drive")]
        pool, taken = run(drives, [Waiting(*row) for row in waiting], times, now)
        db.executemany("UPDATE drive SET cartridge = ?, head = ?, free_at = ? WHERE number = ?", [
            (d.cartridge, d.head, d.free_at, d.number) for d in pool
        ])  # fmt: skip
        db.executemany("UPDATE request SET begun = ?, ready_at = ? WHERE id = ?", [(t.begun, t.ready_at, t.id) for t in taken])

    def read(self, request_id: str) -> Iterator[bytes]:
        faults = self._faults.now()
        progress = self.status([request_id])[request_id].progress
        if progress is Progress.WAITING:
            raise ServiceUnavailable(f"The request {request_id} is not ready.")
        if progress is not Progress.READY:
            raise NoSuchKey(f"The request {request_id} has nothing to give.")
        with self._library.transaction() as db:
            row = answers.one(db, "SELECT r.*, o.bucket, o.key FROM request r JOIN object o USING (archive_id) WHERE id = ?", request_id)
        if row is None:
            raise NoSuchKey(f"The object of request {request_id} was shredded.")
        names = answers.names(row)
        chunks = self._shelf.read(row["archive_id"], row["cartridge"])
        if struck(faults, "truncate", *names):
            return answers.truncated(chunks, row["size"] // 2)
        return answers.turned(chunks) if struck(faults, "corrupt", *names) else answers.whole(chunks, row["size"])

    def cancel(self, request_id: str) -> None:
        self.release(request_id)

    def release(self, request_id: str) -> None:
        self._faults.now()
        with self._library.transaction() as db:
            db.execute("DELETE FROM request WHERE id = ?", (request_id,))

    def shredder(self) -> "TapeShredder":
        return TapeShredder(self._library, self._shelf)


class TapeShredder:
    def __init__(self, library: Library, shelf: Shelf) -> None:
        self._library = library
        self._shelf = shelf

    def shred(self, archive_id: str) -> None:
        """The copies first, then the book: killed between, it is done again."""
        with self._library.transaction() as db:
            cartridges = _kept(db, archive_id)
        for cartridge in cartridges:
            self._shelf.drop(archive_id, cartridge)
        with self._library.transaction() as db:
            db.execute("DELETE FROM copy WHERE archive_id = ?", (archive_id,))
            db.execute("DELETE FROM object WHERE archive_id = ?", (archive_id,))


def _kept(db: sqlite3.Connection, archive_id: str) -> list[str]:
    return [row["cartridge"] for row in answers.copies(db, archive_id)]


_archive: type[Archive] = TapeArchive
_shredder: type[Shredder] = TapeShredder
