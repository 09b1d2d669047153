"""Every request is counted once, by what it was and what came of it."""

import os
import socket

import pytest

from s3shunt import config, connect
from s3shunt.config import Ini
from s3shunt.filters.metrics import Metrics, Options, Ticking
from s3shunt.policy.tally import CLASSES, IN, OUT, SECONDS
from s3shunt.testing.client import call, environ
from s3shunt.testing.clock import HandClock
from s3shunt.testing.origin import Origin
from s3shunt.wsgi import Application, Response


class Site:
    def __init__(self, tmp, forward):
        (tmp / "ini").write_text(f"[DEFAULT]\nstate = {tmp}/state\n")
        self.clock = HandClock()
        self.house = connect.House(Ini(tmp / "ini", {}), self.clock)
        self.metrics = Metrics(forward, config.read(Options, "filter:metrics", {}), self.house)
        self.metrics.ticking.process = os.getpid()  # nothing in the background
        self.app = Application(self.metrics)
        self.file = tmp / "state" / "metrics" / f"{socket.gethostname()}-{os.getpid()}.json"


@pytest.fixture
def make(tmp_path):
    return lambda forward: Site(tmp_path, forward)


def test_a_request_is_counted_by_operation_and_status_with_its_bytes_and_its_time(make):
    def answer(request):
        request.input.read()
        site.clock.later(30)
        request.context.upstream_status, request.context.upstream_attempts = 200, 3
        return Response(status=200, headerlist=[("Content-Length", "5")], app_iter=[b"hello"])

    site = make(answer)
    call(site.app, environ("PUT", "/films/a", b"abc"))
    assert site.house.numbers.tally.requests.keys() == {("PutObject", 200)}
    row = site.house.numbers.tally.requests["PutObject", 200]
    assert (row[IN], row[OUT], sum(row[CLASSES:])) == (3, 5, 1)
    assert row[SECONDS] == pytest.approx(0.03)
    assert site.house.numbers.tally.counts == {("upstream", "200"): 1, ("retries", ""): 2}


def test_a_request_runs_until_its_body_was_closed(make):
    site = make(Origin(Response(status=200, app_iter=[b"a"])))
    body = site.app(environ("GET", "/films/a"), lambda status, headers: None)
    assert site.house.numbers.gauges["running"] == 1
    assert not site.house.numbers.tally.requests
    body.close()
    assert site.house.numbers.gauges["running"] == 0
    assert site.house.numbers.tally.requests


def test_what_breaks_does_not_run_for_ever(make):
    def broken(request):
        raise RuntimeError

    site = make(broken)
    with pytest.raises(RuntimeError):
        call(site.app, environ("GET", "/films/a"))
    assert site.house.numbers.gauges["running"] == 0


def test_refusals_are_counted_by_their_code(make):
    def refuse(request):
        request.context.error_code = "AccessDenied"
        return Response(status=403, app_iter=[b""])

    site = make(refuse)
    call(site.app, environ("GET", "/films/a"))
    assert site.house.numbers.tally.counts["error", "AccessDenied"] == 1


def test_names_that_clients_invent_make_no_numbers_of_their_own(make):
    site = make(Origin(Response(status=200, app_iter=[b""])))
    for name in ("one", "two"):
        call(site.app, environ("BREW", f"/films/{name}?{name}"))
    assert site.house.numbers.tally.requests.keys() == {("unknown", 200)}


def test_each_process_looks_for_itself_from_its_first_request_on(make, monkeypatch):
    site, begun = make(Origin(*[Response(status=200, app_iter=[b""])] * 4)), []
    monkeypatch.setattr("s3shunt.green.spawn", begun.append)
    call(site.app, environ("GET", "/films/a"))
    assert begun == []
    monkeypatch.setattr(Ticking, "this", site.metrics.ticking.process + 1)  # as after a fork
    for _ in range(2):
        call(site.app, environ("GET", "/films/a"))
    assert len(begun) == 1


def test_a_forked_process_knows_that_it_is_one():
    said, says = os.pipe()
    child = os.fork()
    if not child:
        os.write(says, b"%d" % (Ticking.this == os.getpid()))
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(said, 1) == b"1"
    os.close(said)
    os.close(says)


def test_how_late_the_hub_is_is_looked_at_in_the_background(tmp_path, monkeypatch):
    site = Site(tmp_path, Origin(Response(status=200, app_iter=[b""])))

    class Over(Exception):
        pass

    def late(seconds):
        site.clock.later(1000)
        if site.file.exists():
            raise Over

    monkeypatch.setattr("s3shunt.green.sleep", late)
    with pytest.raises(Over):
        site.metrics.ticking._run()
    assert site.house.numbers.gauges["late"] == pytest.approx(0.75)
