"""A whole house on MediaHaven: what was ingested by the site leaves the store, comes back, and is found by name."""

import threading

import pytest

from s3shunt.archives.mediahaven import exports as requests
from s3shunt.model import Entry, Facts, Job, ObjectRef, Recall, RecallState, State
from s3shunt.protocol.errors import MalformedXML
from s3shunt.testing import house as houses
from s3shunt.testing.house import House
from s3shunt.testing.mediahaven import MediaHaven, events, site
from s3shunt.testing.mediahaven.deliver import ToStore
from s3shunt.testing.mediahaven.robot import Export
from s3shunt.work import Later

FILM = bytes(range(256)) * 40
TAPE = "[archive:tape]\nurl = tape://{state}/tape\nmount = 3s\n"
LOOKUP = {"lookup": {"discover": "miss"}}


@pytest.fixture(params=["1", "2"])
def hall(request, tmp_path):
    with MediaHaven() as server:
        given = site.section(tmp_path, server, api=request.param, failed_grace="2m", delivery_grace="2m", gone_grace="1m")
        section = "[archive:tape]\n" + "".join(f"{name} = {value}\n" for name, value in given.items())
        house = House(tmp_path, ini=houses.INI.replace(TAPE, section), options=LOOKUP)
        server.api.clock = house.clock
        server.api.destination = ToStore(house.store)
        house.server = server
        yield house


def put(house, key="a"):
    assert house.put(f"/films/{key}", FILM, x_amz_storage_class="GLACIER").status == 200
    return house


def state(house, key="a"):
    return next(row.state for row in house.catalog.scan("main", "films") if row.ref.key == key)


def archived(house, key="a"):
    put(house, key).server.ingest("films", key, FILM)
    return house.work()


def exports(house):
    return house.server.exports


def test_nothing_leaves_the_store_before_the_site_ingested_it_and_it_is_on_tape(hall):
    put(hall).work()
    assert (state(hall), hall.store.list("films", account="main") != []) == (State.ONLINE, True)
    record = hall.server.ingest("films", "a", FILM, status="in_progress")
    hall.work(step=60)
    assert state(hall) is State.VERIFIED
    record.status = "on_tape"
    hall.work(step=60)
    assert state(hall) is State.ARCHIVED
    assert hall.store.list("films", account="main") == []


def test_a_film_comes_back(hall):
    archived(hall)
    assert hall.get("/films/a").code == "InvalidObjectState"
    assert hall.restore("/films/a").status == 202
    hall.work()
    assert hall.get("/films/a").body == FILM
    assert hall.store.list("exports") == []
    assert len(exports(hall)) == 1
    hall.later(days=3).work()
    assert hall.get("/films/a").code == "InvalidObjectState"
    assert hall.restore("/films/a").status == 202
    assert hall.work().get("/films/a").body == FILM


@pytest.mark.parametrize("how", ["truncated", "wrong", "empty", "none"])
def test_36_37_what_is_delivered_wrong_short_or_empty_is_never_served_and_asked_for_again(hall, how):
    archived(hall)
    hall.server.set(delivery={"*": how})
    hall.restore("/films/a")
    for _ in range(8):  # fewer than it would take to give up
        hall.work(rounds=1, step=20)
        assert hall.get("/films/a").status == 403
    hall.server.set(delivery={})
    hall.work(rounds=80, step=20)
    assert hall.get("/films/a").body == FILM
    assert hall.store.list("exports") == []


def test_a_failed_export_that_an_operator_restarts_is_no_second_export(hall):
    archived(hall)
    hall.server.set(outcome={"*": "failed"}, flip={"*": 60_000})
    hall.restore("/films/a")
    assert hall.work().get("/films/a").body == FILM
    assert len(exports(hall)) == 1


def test_25_a_job_that_vanishes_then_fails_and_is_completed_by_an_operator_is_one_export(hall):
    archived(hall)
    hall.server.set(outcome={"*": "failed"}, flip={"*": 90_000}, vanish={"*": [1_000, 40_000]})
    hall.restore("/films/a")
    seen = set()
    for _ in range(60):
        hall.work(rounds=1, step=5)
        seen.add(hall.get("/films/a").status)
        assert len(exports(hall)) == 1
    assert seen == {403, 200}
    assert hall.get("/films/a").body == FILM


def test_a_cancelled_export_ends_the_restore(hall):
    archived(hall)
    hall.server.set(outcome={"*": "cancelled"})
    hall.restore("/films/a")
    hall.work()
    assert state(hall) is State.ARCHIVED
    assert "x-amz-restore" not in hall.head("/films/a").headers


@pytest.mark.parametrize("kind", ["lose", "hang"])
def test_a_lost_answer_is_one_export(hall, kind):
    archived(hall)
    hall.server.set(**{kind: [{"on": "POST /exports", "wait": 20}]})
    hall.restore("/films/a")
    hall.work(rounds=500 if kind == "hang" else 60)
    assert hall.get("/films/a").body == FILM
    assert len(exports(hall)) == 1


def test_an_archive_that_is_away_keeps_its_restores(hall):
    archived(hall)
    hall.server.set(refuse=[{"on": "", "status": 503, "count": 10**6}])
    assert hall.restore("/films/a").status == 202
    hall.work(step=60)
    hall.server.set(refuse=[])
    assert hall.work(rounds=60, step=60).get("/films/a").body == FILM
    assert len(exports(hall)) == 1


def test_26_an_object_overwritten_meanwhile_keeps_its_new_bytes(hall):
    archived(hall)
    hall.restore("/films/a")
    hall.work(rounds=1, step=1)
    assert len(exports(hall)) == 1
    hall.put("/films/a", b"newer")
    hall.work(rounds=80, step=20)
    assert hall.get("/films/a").body == b"newer"
    archived(hall, "b").restore("/films/b")
    assert hall.work().get("/films/b").body == FILM
    assert hall.store.list("exports") == []
    assert not [recall for recall in hall.catalog.recalls() if recall.state is RecallState.READY]


@pytest.mark.parametrize("version", [2, 3])
def test_a_webhook_names_the_records_whose_exports_ended(hall, version):
    archived(hall)
    hall.restore("/films/a")
    hall.work(rounds=1, step=4)
    archive = hall.house.archive("tape")
    export = next(iter(hall.server.api.robot.exports.values()))
    for good in (True, False):
        assert archive.noticed(events.premis(export, good=good, version=version)) == {export.held.id}
    assert archive.noticed(events.premis(export, good=True).replace(b"EXPORTED", b"INGESTED")) == frozenset()
    assert archive.noticed(b"<premis/>") == frozenset()
    with pytest.raises(MalformedXML):
        archive.noticed(b"<html/>")


def test_what_only_mediahaven_knows_is_found_by_name(hall):
    hall.server.ingest("films", 'old "film" + 100%', FILM, mime="video/mxf")
    target = "/films/old%20%22film%22%20%2B%20100%25"
    found = hall.head(target)
    assert (found.status, found.headers["content-length"], found.headers["content-type"]) == (200, str(len(FILM)), "video/mxf")
    assert found.headers["x-amz-storage-class"] == "GLACIER"
    assert hall.restore(target).status == 202
    assert hall.work().get(target).body == FILM


@pytest.mark.parametrize("many", [5000])
def test_35_of_five_thousand_outstanding_restores_a_cycle_costs_a_call_for_each_page(tmp_path, many):
    """Version 2: whoever is due first in a cycle asks for all, a hundred on a page; nobody else asks."""
    with MediaHaven(threads=0) as server:
        given = site.section(tmp_path, server)
        section = "[archive:tape]\n" + "".join(f"{name} = {value}\n" for name, value in given.items())
        house = House(tmp_path, ini=houses.INI.replace(TAPE, section))
        server.api.clock = house.clock
        jobs = [outstanding(house, server, number) for number in range(many)]
        task, threads = house.runner.tasks["recall"], threading.active_count()
        for cycle in range(3):
            before = len(server.api.calls)
            house.later(seconds=5)
            for job in jobs:
                assert isinstance(task.run(job), Later)
            asked = [call for call in server.api.calls[before:] if "/exports" in call]
            assert len(asked) <= many // 100, f"cycle {cycle}: {len(asked)} calls"
        assert threading.active_count() - threads <= 2


def outstanding(house, server, number):
    """An object whose export MediaHaven has been asked for."""
    ref, id_, now = ObjectRef("films", f"{number}", "null", "main"), f"r{number}", house.clock.now()
    tag = requests.tag("s3shunt", Recall(id=id_, ref=ref, generation=0, archive="tape", archive_id="", created=now))
    name = requests.file_name("s3shunt", id_, 0)
    held = server.ingest("films", ref.key, b"")
    server.api.robot.exports[f"job{number}"] = Export(f"job{number}", held, "exports/in", name, "1188", tag, now)
    recall = Recall(
        id=id_, ref=ref, generation=0, archive="tape", archive_id=held.id, created=now, state=RecallState.ASKED,
        request_id=str(requests.Asked(name, held.id, tag, f"job{number}")),
    )  # fmt: skip
    house.catalog._recalls[id_] = recall
    house.catalog._rows[("main", "films", ref.key.encode(), "null")] = Entry(
        ref=ref, state=State.RECALLING, facts=Facts(size=1, etag="", last_modified=0), token=id_, archive="tape", archive_id=held.id,
    )
    return Job(kind="recall", dedupe=id_, payload={"recall": id_}, due=now + 5000 - now % 5000)
