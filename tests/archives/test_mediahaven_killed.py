"""Workers that die at any line of the adapter: whoever comes next finds what there is, and asks for nothing twice."""

from dataclasses import replace
from pathlib import Path

import pytest

from s3shunt.archives import mediahaven
from s3shunt.model import ObjectRef, Recall
from s3shunt.ports import Progress
from s3shunt.stores.posix import Options, PosixStore
from s3shunt.testing import killed
from s3shunt.testing.clock import HandClock
from s3shunt.testing.mediahaven import MediaHaven, site
from s3shunt.testing.mediahaven.deliver import ToStore

HERE = Path(mediahaven.__file__)
"""The steps themselves; what they are made of is held elsewhere, and would take minutes."""
REF = ObjectRef("films", "a")
HOUR = 3_600_000


class Place:
    """What outlives a worker: the archive, the state directory and the store."""

    def __init__(self, home, api):
        self.home, self.api, self.clock = home, api, HandClock()
        self.store = PosixStore(Options(url=f"posix://{home}/store", fsync=False), self)
        self.server = MediaHaven(self.clock, destination=ToStore(self.store))
        self.record = self.server.ingest("films", "a", b"hello").id

    def worker(self):
        return site.archive(self.home, self.server, site.house(self.home, self.clock, self.store), api=self.api)

    def recall(self, number, attempts=0):
        told = {"archive": "tape", "archive_id": self.record, "created": self.clock.now(), "attempts": attempts}
        return Recall(id=f"r{number}", ref=REF, generation=1, **told)

    def count(self):
        return len(self.server.exports)

    def forget(self):
        """What the book holds of requests that are over is walked through by each new worker, and would be a line more for each."""
        for page in self.home.glob("mediahaven/*/exports/*"):
            page.unlink()

    def later(self, milliseconds=60_000):
        self.clock.later(milliseconds)
        self.server.api.turn()


@pytest.fixture(params=["1", "2"])
def place(request, tmp_path):
    made = Place(tmp_path, request.param)
    made.server.start()
    made.worker().find(ref=REF)
    yield made
    made.server.stop()


def test_18_a_worker_killed_while_it_asks_has_asked_at_most_once(place):
    number, before, never = 0, 0, 0
    for number in killed.at_every_line(lambda: place.worker().request(place.recall(number + 1)), HERE):
        worker = place.worker()
        place.clock.later(3000)
        request = worker.request(place.recall(number))
        assert place.count() - before <= 1
        place.later()
        if worker.status([request])[request].progress is not Progress.READY:
            assert place.api == "1"  # it died with the order on its lips: the destination is watched, then it is asked for once more
            never += 1
            place.later(HOUR)
            assert worker.status([request])[request].progress is Progress.GONE
            request = worker.request(place.recall(number, attempts=1))
            place.later()
        assert place.count() - before == 1
        assert b"".join(worker.read(request)) == b"hello"
        worker.release(request)
        place.forget()
        before = place.count()
    assert number > 40
    assert never < number / 3


@pytest.mark.parametrize("place", ["2"], indirect=True)
def test_a_worker_killed_while_it_asks_for_many_has_asked_once_for_each(place):
    number, before = 0, 0

    def wave(number):
        return [replace(place.recall(f"{number}-{one}"), tier=tier) for one, tier in enumerate(["Standard", "Bulk"])]

    for number in killed.at_every_line(lambda: place.worker().request_many(wave(number + 1)), HERE):
        worker = place.worker()
        place.clock.later(3000)
        requests = worker.request_many(wave(number))
        assert place.count() - before == 2
        place.later()
        assert {told.progress for told in worker.status(list(requests.values())).values()} == {Progress.READY}
        for request in requests.values():
            assert b"".join(worker.read(request)) == b"hello"
            worker.release(request)
        place.forget()
        before = place.count()
    assert number > 60


def test_a_worker_killed_while_it_looks_reads_or_releases_is_followed_by_another(place):
    request = place.worker().request(place.recall("x"))
    place.later()

    def act():
        worker = place.worker()
        worker.status([request])
        b"".join(worker.read(request))

    number = 0
    for number in killed.at_every_line(act, HERE):
        if number % 5 == 0:
            act()
    for _ in killed.at_every_line(lambda: place.worker().release(request), HERE):
        place.worker().release(request)
        assert place.store.list("exports") == []
    assert number > 30
    assert place.count() == 1
