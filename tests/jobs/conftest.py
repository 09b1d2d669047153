"""A house with memory stores, a tape library and workers, and a client that writes as the record door does."""

from uuid import uuid4

import pytest

from s3shunt import connect
from s3shunt.archives.tape import TapeArchive
from s3shunt.catalog.memory import MemoryCatalog
from s3shunt.config import Ini
from s3shunt.jobs.runner import Runner
from s3shunt.model import NULL, Intent, ObjectRef, State
from s3shunt.policy import record, restore, shunt
from s3shunt.ports import Evict
from s3shunt.protocol.errors import InvalidObjectState, NoSuchKey
from s3shunt.stores.memory import MemoryStore, Options
from s3shunt.testing.clock import HandClock

INI = """
[DEFAULT]
state = {state}
[policy:films]
buckets = films
archive = tape
[policy:aged]
buckets = aged
archive = tape
after = 30d
min_size = 2
evict = after 1d
[policy:full]
buckets = full
archive = tape
evict = high 80 low 40
{more}
"""
FILM = b"frames" * 1000


class Works:
    """``put``, ``restore``, ``get`` and ``delete`` are what a client does; ``work`` is what workers do."""

    def __init__(self, tmp, *, catalog=None, versioned="", capacity=None, more="", archive=None, wrap=lambda port, name: port):
        path = tmp / "works.ini"
        path.write_text(INI.format(state=tmp, more=more))
        self.clock = HandClock()
        self.house = connect.House(Ini(path, {}), self.clock)
        self.catalog = catalog or MemoryCatalog(house=self.house)
        self.store = MemoryStore(Options(versioned=tuple(versioned.split()), capacity=capacity), self.house)
        self.landing = MemoryStore(Options(), self.house)
        self.tape = archive or TapeArchive(TapeArchive.Options(url=f"tape://{tmp}/tape"), self.house)
        for kind, name, port in (
            ("catalog", "main", self.catalog), ("store", "main", self.store), ("store", "landing", self.landing),
            ("archive", "tape", self.tape),
        ):  # fmt: skip
            self.house.put(kind, name, wrap(port, name))
        self.runner = Runner(self.house, owner="worker")

    def put(self, key, body=FILM, *, bucket="films", storage_class="GLACIER", metadata=None):
        """PUT: intent, store, entry. Returns the ref of what was written."""
        from s3shunt.model import Facts

        ref = ObjectRef(bucket, key)
        row = self.catalog.find(ref)
        intent = Intent(id=uuid4().hex, ref=ref, operation="PutObject", started=self.clock.now(), lease=self.clock.now() + 60_000)
        begun = record.begin(row, intent)
        assert self.catalog.commit(begun)
        given = Facts(size=0, etag="", last_modified=0, metadata=metadata or {})
        facts = self.store.write(ref, [body] if body else [], size=len(body), facts=given)
        version = facts.stamp if self.store.versioned(bucket) else NULL
        opened = begun.opened[0]
        written = record.Written(
            ref=ObjectRef(bucket, key, version), facts=facts, storage_class=storage_class, now=self.clock.now()
        )
        step = record.finish(
            self.catalog.find(opened.ref), opened, written, self.house.policies,
            recall=next(iter(self.catalog.recalls(ref=opened.ref)), None), current=self.catalog.find(ref),
        )  # fmt: skip
        assert self.catalog.commit(step)
        return written.ref

    def delete(self, key, bucket="films"):
        row = self.catalog.find(ObjectRef(bucket, key))
        intent = Intent(id=uuid4().hex, ref=row.ref, operation="DeleteObject", started=self.clock.now(), lease=self.clock.now() + 60_000)
        step = record.tombstone(row, intent)
        assert self.catalog.commit(step)
        self.store.delete(ObjectRef(bucket, key))
        recall = next(iter(self.catalog.recalls(ref=row.ref)), None)
        done = record.forget(self.catalog.find(row.ref), step.opened[0], self.house.policies, self.clock.now(), recall)
        assert self.catalog.commit(done)

    def restore(self, key, days=1, bucket="films", identity="desk", tier="Standard"):
        row = self.catalog.find(ObjectRef(bucket, key))
        wish = restore.Wish(
            days=days, tier=tier, identity=identity, now=self.clock.now(), day=self.house.day, recall_id=uuid4().hex
        )
        granted = restore.decide(row, wish, next(iter(self.catalog.recalls(ref=row.ref)), None))
        assert self.catalog.commit(granted.step)
        return granted.status

    def get(self, key, bucket="films"):
        ref = ObjectRef(bucket, key)
        row = self.catalog.find(ref)
        match shunt.decide(row, self.clock.now()):
            case shunt.Forward():
                return b"".join(self.store.read(ref))
            case shunt.Serve(place):
                store, name = self.house.place(place)
                return b"".join(store.read(name))
            case shunt.Absent():
                raise NoSuchKey
            case _:
                raise InvalidObjectState

    def row(self, key, bucket="films"):
        return self.catalog.find(ObjectRef(bucket, key))

    def work(self, rounds=30, step=10_000, runner=None):
        for _ in range(rounds):
            (runner or self.runner).run_due()
            self.clock.later(step)
        return self

    def archived(self, key, body=FILM, **given):
        """PUT, and wait until the bytes are on tape and nowhere else."""
        self.put(key, body, **given)
        self.work()
        assert self.row(key, given.get("bucket", "films")).state is State.ARCHIVED
        return self.row(key, given.get("bucket", "films"))

    def copies(self):
        return [copy.archive_id for _, copy in self.tape.listing()]

    def landed(self):
        return [key for key, _ in self.landing.list("")]

    def live(self):
        """Jobs that still have something to do; the periodic ones always do."""
        return [(job.kind, job.dedupe) for job in self.catalog.jobs() if job.payload]

    def job(self, kind):
        return self.runner.tasks[kind]


@pytest.fixture
def make(tmp_path):
    return lambda **given: Works(tmp_path, **given)


@pytest.fixture
def works(make):
    return make()


def guarded(store, evict: Evict):
    store.evict = evict
    return store
