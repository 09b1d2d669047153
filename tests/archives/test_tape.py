import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3shunt.archives import tape
from s3shunt.archives.tape import Options, TapeArchive
from s3shunt.archives.tape.drives import Drive, Times, Waiting, run
from s3shunt.model import Facts, ObjectRef, Recall
from s3shunt.ports import Progress
from s3shunt.protocol.errors import ServiceUnavailable
from s3shunt.testing import killed
from s3shunt.testing.clock import HandClock
from s3shunt.testing.contracts.archive import ArchiveContract

REF = ObjectRef("films", "a.mxf")
FACTS = Facts(size=5, etag='"x"', last_modified=1)
MOUNT, SEEK = 3000, 100


def opened(root, clock=None, **given):
    return TapeArchive(Options(url=f"tape://{root}", **given), SimpleNamespace(clock=clock or HandClock()))


def put(archive, tag="t", body=b"hello", ref=REF):
    return archive.write(tag, [body], size=len(body), ref=ref, facts=FACTS)


def ask(archive, archive_id, id_="r1", **more):
    return archive.request(Recall(id=id_, ref=REF, generation=1, archive="tape", archive_id=archive_id, **more))


def told(archive, request):
    return archive.status([request])[request]


def faults(archive, **given):
    (archive.root / "faults.json").write_text(json.dumps(given))


def files(archive, archive_id):
    return sorted(archive.root.glob(f"cartridges/*/{archive_id}"))


class TestTapeArchive(ArchiveContract):
    @pytest.fixture
    def archive(self, tmp_path):
        return opened(tmp_path / "tape")

    def pass_time(self, archive):
        archive._clock.later(60_000)

    def reopen(self, archive):
        return opened(archive.root, archive._clock)

    def corrupt(self, archive, archive_id):
        for path in files(archive, archive_id):
            path.write_bytes(b"jello")

    def truncate(self, archive, archive_id):
        for path in files(archive, archive_id):
            os.truncate(path, 3)


class TestTwoCopies(TestTapeArchive):
    @pytest.fixture
    def archive(self, tmp_path):
        return opened(tmp_path / "tape", copies=2)

    def test_each_copy_is_on_a_cartridge_of_its_own(self, archive):
        archive_id = put(archive)
        assert len({path.parent for path in files(archive, archive_id)}) == 2
        assert archive.find(archive_id=archive_id).copies == 2

    def test_a_rotten_copy_is_not_counted_and_written_anew_by_the_same_tag(self, archive):
        archive_id = put(archive)
        files(archive, archive_id)[0].write_bytes(b"jello")
        assert archive.find(archive_id=archive_id).copies == 1
        put(archive)
        assert archive.find(archive_id=archive_id).copies == 2

    def test_the_second_attempt_reads_the_other_copy(self, archive):
        archive_id = put(archive)
        files(archive, archive_id)[0].write_bytes(b"jello")
        request = ask(archive, archive_id, attempts=1)
        archive.status([request])
        archive._clock.later(60_000)
        assert b"".join(archive.read(request)) == b"hello"


# The robot takes its time


def test_a_recall_waits_for_mount_and_seek(tmp_path):
    clock = HandClock()
    archive = opened(tmp_path, clock)
    request = ask(archive, put(archive))
    assert told(archive, request).progress is Progress.WAITING
    clock.later(MOUNT + SEEK - 1)
    assert told(archive, request).percent == 99
    clock.later(1)
    assert told(archive, request).progress is Progress.READY


def test_nothing_is_read_before_it_is_ready(tmp_path):
    archive = opened(tmp_path)
    request = ask(archive, put(archive))
    with pytest.raises(ServiceUnavailable):
        archive.read(request)


def test_recalls_from_one_tape_share_a_mount(tmp_path):
    clock = HandClock()
    archive = opened(tmp_path, clock)
    requests = [ask(archive, put(archive, f"t{n}"), f"r{n}") for n in range(3)]
    archive.status(requests)
    clock.later(MOUNT + 3 * SEEK)
    assert all(one.progress is Progress.READY for one in archive.status(requests).values())


def test_streaming_takes_its_time(tmp_path):
    clock = HandClock()
    archive = opened(tmp_path, clock, rate=1000)
    request = ask(archive, put(archive, body=b"x" * 5000))
    archive.status([request])
    clock.later(MOUNT + SEEK + 4999)
    assert told(archive, request).progress is Progress.WAITING
    clock.later(1)
    assert told(archive, request).progress is Progress.READY


def test_a_full_cartridge_is_followed_by_the_next_and_a_full_library_refuses(tmp_path):
    archive = opened(tmp_path, capacity=10, cartridges=2)
    tapes = [archive.find(archive_id=put(archive, f"t{n}")).tape for n in range(4)]
    assert tapes == ["T00001", "T00001", "T00002", "T00002"]
    with pytest.raises(ServiceUnavailable, match="full"):
        put(archive, "t5")


WAITING = st.lists(
    st.builds(
        Waiting, id=st.uuids().map(str), cartridge=st.sampled_from(["A", "B", "C"]), position=st.integers(0, 99), size=st.integers(0, 9),
        tier=st.sampled_from(["Expedited", "Standard", "Bulk"]), asked=st.integers(0, 9000),
    ), max_size=8, unique_by=lambda one: one.id,
)  # fmt: skip


@given(WAITING, st.integers(1, 3))
def test_a_drive_does_one_thing_at_a_time_and_a_cartridge_is_in_one_drive(waiting, drives):
    _, taken = run([Drive(number) for number in range(drives)], waiting, Times(3000, 100, 1000), 10**9)
    assert {one.id for one in taken} == {one.id for one in waiting}
    for one in taken:
        assert one.begun >= one.asked
        overlapping = [o for o in taken if o.begun < one.ready_at and one.begun < o.ready_at]
        assert [o.id for o in overlapping if o.cartridge == one.cartridge] == [one.id]
        assert len([o for o in taken if o.begun <= one.begun < o.ready_at]) <= drives


@given(WAITING, st.lists(st.integers(0, 20_000), max_size=5))
def test_how_often_one_looks_does_not_change_who_is_served(waiting, looks):
    times, drives = Times(3000, 100), [Drive(0), Drive(1)]
    asked = sorted(waiting, key=lambda one: one.asked)
    rest, taken = list(asked), []
    for now in [*sorted(looks), 10**9]:
        present = [one for one in rest if one.asked <= now]
        drives, began = run(drives, present, times, now)
        taken += began
        rest = [one for one in rest if one.id not in {b.id for b in began}]
    assert {one.id: one.ready_at for one in taken} == {o.id: o.ready_at for o in run([Drive(0), Drive(1)], asked, times, 10**9)[1]}


def test_expedited_goes_before_bulk():
    one = Waiting("bulk", "A", 0, 1, "Bulk", 0)
    two = Waiting("expedited", "B", 0, 1, "Expedited", 0)
    _, taken = run([Drive(0)], [one, two], Times(10, 1), 10**6)
    assert [t.id for t in taken] == ["expedited", "bulk"]


# What goes wrong


@pytest.mark.parametrize("act", [lambda a: a.find(tag="t"), lambda a: a.status([]), put, lambda a: ask(a, "x"), lambda a: a.read("r")])
def test_a_library_that_is_offline_does_not_answer(tmp_path, act):
    archive = opened(tmp_path)
    faults(archive, offline=True)
    with pytest.raises(ServiceUnavailable):
        act(archive)
    (archive.root / "faults.json").unlink()
    assert archive.find(tag="t") is None


def test_a_lost_answer_to_a_write_leaves_one_copy(tmp_path):
    archive = opened(tmp_path)
    faults(archive, write="lost answer")
    with pytest.raises(ServiceUnavailable):
        put(archive)
    faults(archive)
    assert archive.find(tag="t").archive_id == put(archive)
    assert len(list(archive.listing())) == 1


def test_a_failed_write_leaves_nothing(tmp_path):
    archive = opened(tmp_path)
    faults(archive, write="fail")
    with pytest.raises(ServiceUnavailable):
        put(archive)
    assert archive.find(tag="t") is None


def test_a_lost_answer_to_a_request_is_found_by_asking_again(tmp_path):
    archive = opened(tmp_path)
    archive_id = put(archive)
    faults(archive, request="lost answer")
    with pytest.raises(ServiceUnavailable):
        ask(archive, archive_id)
    faults(archive)
    assert told(archive, ask(archive, archive_id)).progress is Progress.WAITING


@pytest.mark.parametrize("name", ["films/a.mxf", "*"])
def test_a_recall_that_fails_may_be_asked_again(tmp_path, name):
    archive = opened(tmp_path)
    archive_id = put(archive)
    request = ask(archive, archive_id)
    faults(archive, recall=[name])
    assert (told(archive, request).progress, told(archive, request).retry) == (Progress.FAILED, True)
    faults(archive)
    assert told(archive, request).progress is Progress.FAILED
    assert told(archive, ask(archive, archive_id)).progress is Progress.WAITING


def test_a_lost_object_is_told_as_lost(tmp_path):
    archive = opened(tmp_path)
    archive_id = put(archive)
    request = ask(archive, archive_id)
    faults(archive, lose=["films/a.mxf"])
    assert archive.find(archive_id=archive_id) is None
    assert (told(archive, request).progress, told(archive, request).retry) == (Progress.FAILED, False)


@pytest.mark.parametrize(("fault", "expected"), [("corrupt", b"iello"), ("truncate", b"he")])
def test_what_comes_back_wrong_is_wrong_and_find_says_so(tmp_path, fault, expected):
    archive = opened(tmp_path)
    archive_id = put(archive)
    request = ask(archive, archive_id)
    archive.status([request])
    archive._clock.later(60_000)
    faults(archive, **{fault: [archive_id]})
    assert b"".join(archive.read(request)) == expected
    assert archive.find(archive_id=archive_id).copies == 0


def test_a_slow_library_is_slow(tmp_path):
    archive = opened(tmp_path)
    faults(archive, slow=10)
    request = ask(archive, put(archive))
    archive.status([request])
    archive._clock.later(MOUNT + SEEK)
    assert told(archive, request).percent == 10


def test_the_whole_library_can_be_walked(tmp_path):
    archive = opened(tmp_path)
    put(archive, "one", ref=ObjectRef("films", "a", "v1", "alice"))
    put(archive, "two", ref=ObjectRef("films", "b"))
    assert [(ref, copy.size, copy.copies) for ref, copy in archive.listing()] == [
        (ObjectRef("films", "a", "v1", "alice"), 5, 1), (ObjectRef("films", "b"), 5, 1),
    ]  # fmt: skip


def test_a_writer_killed_half_way_leaves_nothing_and_the_next_one_sweeps(tmp_path):
    script = f"""
import sys
sys.path[:0] = {sys.path!r}
from types import SimpleNamespace
from s3shunt.archives.tape import *
archive = TapeArchive(Options(url="tape://{tmp_path}"), SimpleNamespace(clock=SimpleNamespace(now=lambda: 1)))
def chunks():
    yield b"hello"
    yield b"hello"
    print("half", flush=True)
    sys.stdin.read()
archive.write("t", chunks(), size=15, ref=ObjectRef("films", "a"), facts=Facts(size=15, etag="", last_modified=0))
"""
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    with child:
        assert child.stdout.readline() == b"half\n"
        child.send_signal(signal.SIGKILL)
    archive = opened(tmp_path)
    assert archive.find(tag="t") is None
    assert len(list(tmp_path.glob("cartridges/*/.*"))) == 1
    put(archive)
    assert list(tmp_path.glob("cartridges/*/.*")) == []
    assert archive.find(tag="t").copies == 1


@pytest.mark.parametrize("given", [{"copies": 3, "cartridges": 2}, {"copies": 0}, {"drives": 0}])
def test_a_library_that_cannot_be_is_refused(tmp_path, given):
    with pytest.raises(ValueError):
        opened(tmp_path, **given)


HERE = Path(tape.__file__).parent


def test_a_writer_killed_at_any_line_left_nothing_that_the_next_one_cannot_finish(tmp_path):
    archive, number = opened(tmp_path, copies=2), 0
    for number in killed.at_every_line(lambda: put(archive, f"t{number + 1}"), HERE):
        tag = f"t{number}"
        found = archive.find(tag=tag)
        assert found is None or found.copies == 2
        assert archive.find(archive_id=put(archive, tag)).copies == 2
        assert list(tmp_path.glob("cartridges/*/.*")) == []
    assert number > 50


def test_a_shredder_killed_at_any_line_can_be_called_again(tmp_path):
    archive = opened(tmp_path, copies=2)
    archive_id = put(archive)
    for _ in killed.at_every_line(lambda: archive.shredder().shred(archive_id), HERE):
        archive.shredder().shred(archive_id)
        assert archive.find(archive_id=archive_id) is None
        assert files(archive, archive_id) == []
        put(archive)


def test_a_recall_is_not_forgotten_whenever_its_worker_is_killed(tmp_path):
    clock = HandClock()
    archive = opened(tmp_path, clock)
    archive_id, number = put(archive), 0

    def act():
        archive.status([ask(archive, archive_id, f"r{number + 1}")])

    for number in killed.at_every_line(act, HERE):
        request = ask(archive, archive_id, f"r{number}")
        archive.status([request])
        clock.later(60_000)
        assert b"".join(archive.read(request)) == b"hello"
        archive.release(request)
    assert number > 50
