"""The house of the walks: doors by name, and those that stand between them."""

import gc
import sys

import pytest

from s3shunt.testing.client import call, environ
from s3shunt.testing.house import House, validated


def test_doors_stand_in_the_order_they_are_named(tmp_path):
    house = House(tmp_path, walk=("errors", "sigv4", "grants"))
    assert house.put("/films/a", b"x").status == 200
    assert (house.get("/films/a").body, house.stranger.get("/films/a").status) == (b"x", 404)
    assert house.get("/-/live").status != 200


def test_what_stands_between_them_sees_every_request(tmp_path):
    house = House(tmp_path, walk=("errors", "foreign", "sigv4", "validate", "grants", "foreign"))
    assert house.put("/films/a", b"x", content_type="text/x").status == 200
    assert house.get("/films/a").headers["content-type"] == "text/x"
    assert "content-type" not in house.delete("/films/a").headers


def test_time_passes_when_it_is_told_to(tmp_path):
    house = House(tmp_path)
    before = house.clock.now()
    house.later(seconds=1, hours=1, days=1)
    assert house.clock.now() - before == 1000 + 3_600_000 + 86_400_000


def unfinished(environ, start_response):
    start_response("200 OK", [])
    return ["text"]


def headless(environ, start_response):
    return [b""]


@pytest.mark.parametrize("app", [unfinished, headless])
def test_the_judge_judges(app):
    with pytest.raises(AssertionError):
        call(validated(app), environ("GET", "/"))


def test_the_judge_sees_an_answer_that_nobody_closes(monkeypatch):
    found = []
    monkeypatch.setattr(sys, "unraisablehook", lambda event: found.append(event.exc_value))

    def fine(environ, start_response):
        start_response("200 OK", [])
        return [b"x"]

    validated(fine)(environ("GET", "/"), lambda *_: None)
    gc.collect()
    assert len(found) == 1
