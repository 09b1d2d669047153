"""What load balancers are told, without anyone being waited for."""

import json

import pytest

from s3shunt import config, connect
from s3shunt.catalog.memory import MemoryCatalog
from s3shunt.config import Ini
from s3shunt.filters.health import Health, Options, Probes, verdict
from s3shunt.protocol.errors import ServiceUnavailable
from s3shunt.testing.client import Client
from s3shunt.testing.clock import HandClock
from s3shunt.testing.origin import HttpOrigin, Origin
from s3shunt.wsgi import Application


class Away(MemoryCatalog):
    def find(self, ref):
        raise ServiceUnavailable


class Store:
    def __init__(self, *endpoints):
        if endpoints:
            self.endpoint, self.endpoints = endpoints[0], endpoints


@pytest.fixture
def house(tmp_path):
    path = tmp_path / "ini"
    path.write_text("[DEFAULT]\n")
    made = connect.House(Ini(path, {}), HandClock())
    made.put("catalog", "main", MemoryCatalog())
    made.put("store", "main", Store())
    return made


@pytest.fixture
def door(house):
    """With probes that never run by themselves."""
    made = Health(Origin(), config.read(Options, "filter:health", {}), house)
    made.probes.start = lambda: None
    return made


def ask(door, path, method="GET"):
    return Client(Application(door)).request(method, path)


@pytest.mark.parametrize(
    ("down", "draining", "told"),
    [
        ((), False, (200, {"status": "up"})),
        (("catalog",), False, (200, {"status": "degraded", "down": ["catalog"]})),
        (("store",), False, (200, {"status": "degraded", "down": ["store"]})),
        (("store", "catalog"), False, (503, {"status": "degraded", "down": ["catalog", "store"]})),
        ((), True, (503, {"status": "draining"})),
        (("store", "catalog"), True, (503, {"status": "draining"})),
    ],
)
def test_readiness_is_told_by_what_was_last_known(house, door, down, draining, told):
    assert verdict(frozenset(down), draining=draining) == told
    door.probes.down, house.draining = frozenset(down), draining
    answer = ask(door, "/-/ready")
    assert (answer.status, json.loads(answer.body)) == told
    assert answer.headers["content-type"] == "application/json"


def test_live_is_live_even_when_draining(house, door):
    house.draining, door.probes.down = True, frozenset({"catalog", "store"})
    assert (ask(door, "/-/live").status, ask(door, "/-/live", "HEAD").body) == (200, b"")


@pytest.mark.parametrize(("path", "status"), [("/-/metrics", 404), ("/-/", 404), ("/-/live/x", 404)])
def test_nothing_else_is_under_that_path(door, path, status):
    assert ask(door, path).status == status
    assert not door.forward.requests


@pytest.mark.parametrize(("method", "path"), [("GET", "/films/-/live"), ("GET", "/-"), ("PUT", "/-/live"), ("GET", "/--/live")])
def test_everything_else_goes_on(door, method, path):
    ask(door, path, method)
    assert len(door.forward.requests) == 1


def test_what_does_not_answer_is_down(house):
    probes = Probes(house, config.read(Options, "filter:health", {}))
    probes.ask()
    assert probes.down == frozenset()
    house.put("catalog", "main", Away())
    with HttpOrigin() as store:
        house.put("store", "main", Store(store.endpoint))
        probes.ask()
        assert probes.down == {"catalog"}
    probes.ask()
    assert probes.down == {"catalog", "store"}
    house.put("catalog", "main", MemoryCatalog())
    house.put("store", "main", Store())
    probes.ask()
    assert probes.down == frozenset()


def test_of_several_endpoints_one_that_is_away_is_told_and_one_that_is_there_is_enough(house):
    probes = Probes(house, config.read(Options, "filter:health", {}))
    with HttpOrigin() as away, HttpOrigin() as store:
        house.put("store", "main", Store(away.endpoint, store.endpoint))
        probes.ask()
        assert probes.down == frozenset()
        away.__exit__()
        probes.ask()
        assert probes.down == {"endpoint"}
        assert verdict(probes.down, draining=False) == (200, {"status": "degraded", "down": ["endpoint"]})
    probes.ask()
    assert {"endpoint", "store"} == probes.down


def test_the_first_question_is_not_made_to_wait(house):
    door = Health(Origin(), config.read(Options, "filter:health", {"every": "1h"}), house)
    house.put("catalog", "main", Away())
    assert ask(door, "/-/ready").status == 200


def test_an_index_that_is_not_read_is_down(house):
    class Tiered(MemoryCatalog):
        indexed = False

    probes = Probes(house, config.read(Options, "filter:health", {}))
    house.put("catalog", "main", Tiered())
    probes.ask()
    assert probes.down == {"index"}
    Tiered.indexed = True
    probes.ask()
    assert probes.down == frozenset()


def test_an_archive_with_an_address_is_asked_for_it(tmp_path, house):
    with HttpOrigin() as there:
        house.ini.path.write_text(f"[DEFAULT]\n[archive:tape]\nurl = tape://{tmp_path}\n[archive:far]\nurl = mediahaven+{there.endpoint}\n")
        house.ini = Ini(house.ini.path, {})
        probes = Probes(house, config.read(Options, "filter:health", {}))
        probes.ask()
        assert probes.down == frozenset()
    probes.ask()
    assert probes.down == {"archive"}
