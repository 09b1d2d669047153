"""What was counted, by all workers, in Prometheus' own words."""

import json
import os
import socket

import pytest
from prometheus_client.parser import text_string_to_metric_families

from s3shunt import config, connect
from s3shunt.apps.metrics import Metrics, Options
from s3shunt.catalog.memory import MemoryCatalog
from s3shunt.config import Ini
from s3shunt.model import Job
from s3shunt.policy.tally import Tally
from s3shunt.protocol.errors import ServiceUnavailable
from s3shunt.testing.client import call, environ
from s3shunt.testing.clock import HandClock
from s3shunt.wsgi import Application

GONE = 2**22 + 1  # no process has such a number


class Site:
    def __init__(self, tmp):
        (tmp / "ini").write_text(f"[DEFAULT]\nstate = {tmp}\n")
        self.clock = HandClock()
        self.house = connect.House(Ini(tmp / "ini", {}), self.clock)
        self.truth = MemoryCatalog(MemoryCatalog.Options(url="memory://"), self.house)
        self.house.put("catalog", "main", self.truth)
        self.app = Application(Metrics(config.read(Options, "app:metrics", {}), self.house))
        self.folder = tmp / "metrics"
        self.folder.mkdir()

    def get(self, path="/metrics", method="GET"):
        return call(self.app, environ(method, path))

    def samples(self):
        said = self.get().body.decode()
        return {
            (sample.name, *[value for _, value in sorted(sample.labels.items())]): sample.value
            for family in text_string_to_metric_families(said)
            for sample in family.samples
        }

    def sibling(self, process, *requests, running=0, host=None):
        tally = Tally()
        for request in requests:
            tally.request(*request)
        document = {**tally.written(), "gauges": {"running": running, "late": 0.5}}
        path = self.folder / f"{host or socket.gethostname()}-{process}.json"
        path.write_text(json.dumps(document))
        return path


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


ONE = ("GetObject", 200, 3, 5, 0.03)


def test_requests_are_told_by_operation_and_status(site):
    site.house.numbers.tally.request(*ONE)
    site.house.numbers.tally.request("GetObject", 404, 0, 0, 0.0001)
    said = site.samples()
    assert said["s3shunt_requests_total", "GetObject", "200"] == 1
    assert said["s3shunt_requests_total", "GetObject", "404"] == 1
    assert said["s3shunt_request_bytes_total", "in", "GetObject"] == 3
    assert said["s3shunt_request_bytes_total", "out", "GetObject"] == 5
    assert said["s3shunt_request_seconds_count", "GetObject"] == 2
    assert said["s3shunt_request_seconds_bucket", "0.025", "GetObject"] == 1
    assert said["s3shunt_request_seconds_bucket", "0.05", "GetObject"] == 2
    assert said["s3shunt_request_seconds_bucket", "+Inf", "GetObject"] == 2


def test_whatever_was_counted_by_name_is_told(site):
    counts = site.house.numbers.tally.counts
    counts["lookup", "memory"], counts["upstream", "503"], counts["retries", ""], counts["error", "SlowDown"] = 4, 3, 2, 1
    said = site.samples()
    assert said["s3shunt_lookups_total", "memory"] == 4
    assert said["s3shunt_upstream_answers_total", "503"] == 3
    assert said["s3shunt_upstream_retries_total",] == 2
    assert said["s3shunt_errors_total", "SlowDown"] == 1


def test_living_workers_are_added_up(site):
    site.house.numbers.tally.request(*ONE)
    site.house.numbers.gauges["running"] = 1
    site.sibling(os.getppid(), ONE, ONE, running=4)
    said = site.samples()
    assert said["s3shunt_requests_total", "GetObject", "200"] == 3
    assert said["s3shunt_requests_running",] == 5
    assert said["s3shunt_workers",] == 2
    assert said["s3shunt_hub_late_seconds",] == 0.5
    assert site.samples()["s3shunt_requests_total", "GetObject", "200"] == 3


def test_what_an_ended_worker_counted_is_never_lost_and_never_told_twice(site):
    path = site.sibling(GONE, ONE, ONE, running=9)
    for _ in range(2):
        said = site.samples()
        assert said["s3shunt_requests_total", "GetObject", "200"] == 2
        assert said["s3shunt_requests_running",] == 0
    assert not path.exists()


def test_this_process_is_not_counted_from_its_own_file(site):
    site.house.numbers.tally.request(*ONE)
    site.sibling(os.getpid(), ONE)
    assert site.samples()["s3shunt_requests_total", "GetObject", "200"] == 1


def test_other_machines_tell_their_own(site):
    site.sibling(os.getppid(), ONE, host="elsewhere")
    assert ("s3shunt_requests_total", "GetObject", "200") not in site.samples()


def test_a_file_of_another_release_is_passed_over(site):
    site.sibling(os.getppid()).write_text('{"requests": 7}')
    site.sibling(GONE).write_text("not even that")
    assert site.samples()["s3shunt_workers",] == 1


def test_jobs_are_told_with_how_long_they_have_been_due(site):
    now = site.clock.now()
    site.truth.enqueue(Job(kind="recall", dedupe="a", due=now - 90_000), Job(kind="evict", dedupe="b", due=now + 5))
    said = site.samples()
    assert said["s3shunt_jobs", "recall", "waiting"] == 1
    assert said["s3shunt_job_overdue_seconds", "recall"] == 90
    assert said["s3shunt_job_overdue_seconds", "evict"] == 0
    assert said["s3shunt_catalog_up",] == 1


def test_without_its_database_it_tells_the_rest(site):
    def away():
        raise ServiceUnavailable

    site.truth.backlog = away
    site.house.numbers.tally.request(*ONE)
    said = site.samples()
    assert said["s3shunt_catalog_up",] == 0
    assert said["s3shunt_requests_total", "GetObject", "200"] == 1


def test_a_site_without_a_catalog_has_no_jobs(tmp_path):
    (tmp_path / "ini").write_text(f"[DEFAULT]\nstate = {tmp_path}\n")
    house = connect.House(Ini(tmp_path / "ini", {}), HandClock())
    app = Application(Metrics(config.read(Options, "app:metrics", {}), house))
    assert b"s3shunt_catalog_up 1.0" in call(app, environ("GET", "/metrics")).body


def test_it_answers_one_path_and_only_readers(site):
    assert site.get("/").status == 404
    assert site.get("/metrics/x").status == 404
    assert site.get(method="POST").status == 405
    assert site.get().headers["content-type"].startswith("text/plain; version=")
