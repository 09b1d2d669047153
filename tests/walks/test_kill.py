"""The proxy dies at every step of every kind of write: what was acknowledged is there, the rest whole or not at all."""

import pytest

from s3shunt.model import State
from s3shunt.testing.faults import Fuse, Killed
from s3shunt.testing.house import House

OLD, NEW = b"old" * 1000, b"new" * 2000
PARTS = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{}</ETag></Part></CompleteMultipartUpload>"


def put(house):
    return house.put("/films/a", NEW)


def put_with_class(house):
    return house.put("/films/a", NEW, x_amz_storage_class="GLACIER")


def put_the_same(house):
    return house.put("/films/a", OLD)


def copy(house):
    return house.put("/films/a", x_amz_copy_source="/films/source")


def delete(house):
    return house.delete("/films/a")


def delete_many(house):
    return house.editor.post("/films?delete", b"<Delete><Object><Key>a</Key></Object><Object><Key>b</Key></Object></Delete>")


def complete(house):
    return house.editor.post(f"/films/a?uploadId={house.upload}", PARTS.format(house.part).encode())


WRITES = {put: NEW, put_with_class: NEW, put_the_same: OLD, copy: NEW, delete: None, delete_many: None, complete: NEW}


def unknown(house):
    """The key was never written."""
    return


def online(house):
    house.put("/films/a", OLD)
    return OLD


def archived(house):
    house.archive("/films/a", OLD)
    return OLD


def restored(house):
    house.archive("/films/a", OLD)
    house.restore("/films/a", days=30)
    house.work()
    return OLD


def recalling(house):
    house.archive("/films/a", OLD)
    house.restore("/films/a")
    house.runner.run_due()
    return OLD


BEFORE = [unknown, online, archived, restored, recalling]


def scene(tmp_path, before, versioned=""):
    fuse = Fuse()
    house = House(tmp_path, wrap=fuse.around, versioned=versioned)
    house.put("/films/source", NEW)
    house.put("/films/b", OLD)
    started = house.editor.post("/films/a?uploads", x_amz_storage_class="GLACIER")
    house.upload = started.xml.findtext("{*}UploadId")
    old = before(house)
    house.part = house.put(f"/films/a?partNumber=1&uploadId={house.upload}", NEW).headers["etag"]
    return house, fuse, old


def read(house):
    """What a patient client gets in the end; None for an absent object."""
    house.later(hours=3).work()
    answer = house.get("/films/a")
    if answer.code == "InvalidObjectState":
        assert house.restore("/films/a").status in (200, 202, 409)
        house.work()
        answer = house.get("/films/a")
    assert answer.status == 200 or answer.code == "NoSuchKey", answer
    return answer.body if answer.status == 200 else None


def settled(house):
    rows = house.catalog.select()
    assert all(row.state not in (State.DELETED, State.EVICTING, State.EXPIRING, State.ARCHIVING) for row in rows), rows
    assert not any(row.writers for row in rows), rows
    assert not house.catalog.lapsed(house.clock.now() + 10**9)
    places = {row.place.name for row in rows if row.place}
    assert {key for key, _ in house.landing.list("")} <= places


def test_19_a_proxy_may_die_at_any_step_of_a_restore_and_nobody_is_told_409_for_ever(tmp_path):
    """The client saw no 202; whether it counted or not, the next one is accepted or finds it running, and the film comes."""
    house, fuse, old = scene(tmp_path / "whole", archived)
    fuse.mend()
    assert house.restore("/films/a").status == 202
    steps = len(fuse.calls)
    assert steps
    for step in range(steps):
        for after in (False, True):
            house, fuse, old = scene(tmp_path / f"{step}{after}", archived)
            fuse.blow(step, after=after)
            with pytest.raises(Killed):
                house.restore("/films/a")
            fuse.mend()
            begun = bool(house.catalog.recalls())
            assert house.restore("/films/a").status == (409 if begun else 202), f"killed {'after' if after else 'before'} step {step}"
            house.later(hours=3).work()
            assert house.get("/films/a").body == old
            assert house.restore("/films/a").status == 200
            assert len(house.catalog.recalls(active=False)) == 1
            settled(house)


@pytest.mark.parametrize("versioned", ["", "films"], ids=["plain", "versions"])
@pytest.mark.parametrize("before", BEFORE, ids=lambda before: before.__name__)
@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__)
def test_a_proxy_may_die_at_any_step_of_a_write(tmp_path, write, before, versioned):
    house, fuse, _ = scene(tmp_path / "whole", before, versioned)
    fuse.mend()
    assert write(house).status < 300
    steps = len(fuse.calls)
    assert steps
    assert read(house) == WRITES[write]
    for step in range(steps):
        for after in (False, True):
            house, fuse, old = scene(tmp_path / f"{step}{after}", before, versioned)
            fuse.blow(step, after=after)
            with pytest.raises(Killed):
                write(house)
            fuse.mend()
            assert read(house) in (old, WRITES[write]), f"killed {'after' if after else 'before'} step {step}"
            settled(house)
