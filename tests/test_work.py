from hashlib import md5, sha256

import pytest

from s3shunt.catalog.memory import MemoryCatalog
from s3shunt.model import Entry, Job, ObjectRef, State, Step, Swap
from s3shunt.protocol.errors import SlowDown
from s3shunt.testing.clock import HandClock
from s3shunt.work import JobOptions, Measured, Overtaken, Reach, Task, backoff, heart, outage

REF = ObjectRef("b", "k", "null")
OPTIONS = JobOptions(retry=1000, patience=60_000, attempts=5, lease=300)


class House:
    def __init__(self):
        self.clock, self.catalog_ = HandClock(), MemoryCatalog()

    def truth(self):
        return self.catalog_

    catalog = truth


@pytest.fixture
def task():
    return Task(OPTIONS, House())


def test_waits_double_up_to_the_patience_and_are_jittered():
    assert [backoff(OPTIONS, n, 1.0) for n in (0, 1, 2, 50)] == [1000, 2000, 4000, 60_000]
    assert backoff(OPTIONS, 1, 0.0) == 1000


def test_an_outage_never_uses_up_the_attempts():
    job = Job(kind="k", dedupe="d")
    failed = 0
    for _ in range(100):
        later = outage(OPTIONS, Job(kind="k", dedupe="d", attempts=failed), 0, "down", 1.0)
        failed += later.failed
    assert job.attempts == 0
    assert failed < OPTIONS.attempts - 1


def test_a_job_sees_no_more_of_the_house_than_it_says():
    reach = Reach(House(), ["clock"])
    assert hasattr(reach, "clock")
    assert not hasattr(reach, "truth")


def test_a_change_is_decided_anew_when_the_row_moved(task):
    task.catalog.commit(Step(swaps=(Swap(None, Entry(ref=REF)),)))
    seen = []

    def decide(row):
        if not seen:
            task.catalog.commit(Step(swaps=(Swap(row, row),)))
        seen.append(row.revision)
        return Step(swaps=(Swap(row, row),))

    assert task.change(REF, decide)
    assert len(seen) == 2
    assert not task.change(REF, lambda row: None)


def test_a_row_that_never_stands_still_is_left_for_later(task):
    task.catalog.commit(Step(swaps=(Swap(None, Entry(ref=REF)),)))

    def decide(row):
        task.catalog.commit(Step(swaps=(Swap(row, row),)))
        return Step(swaps=(Swap(row, row),))

    with pytest.raises(SlowDown):
        task.change(REF, decide)


@pytest.mark.parametrize(
    ("size", "checksum", "agrees"),
    [
        (6, f"sha256:{sha256(b'frames').hexdigest()}", True),
        (6, f"md5:{md5(b'frames').hexdigest().upper()}", True),
        (5, f"sha256:{sha256(b'frames').hexdigest()}", False),
        (6, f"sha256:{sha256(b'Frames').hexdigest()}", False),
        (6, "crc32:0", False),
        (6, "", False),
    ],
)
def test_what_went_by_agrees_with_size_and_checksum_or_does_not(size, checksum, agrees):
    assert Measured([b"fra", b"mes"]).drain().agrees(size, checksum) is agrees


def test_a_sign_of_life_is_given_now_and_then_and_tells_who_was_overtaken(task):
    row = Entry(ref=REF, state=State.ARCHIVING, token="me", lease=1)
    task.catalog.commit(Step(swaps=(Swap(None, row),)))
    signs = []

    def renewed(row, hold):
        signs.append(hold.lease)
        return Step(swaps=(Swap(row, row),)) if row.token == "me" else None

    beat = heart(task, REF, "me", renewed)
    beat()
    assert signs == []
    task.clock.later(100)
    beat()
    beat()
    assert signs == [task.clock.now() + 300]
    held = task.truth.find(REF)
    task.catalog.commit(Step(swaps=(Swap(held, Entry(ref=REF, state=State.ONLINE)),)))
    task.clock.later(100)
    with pytest.raises(Overtaken):
        beat()
