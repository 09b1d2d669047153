"""Reads through the whole corridor, and what they mean for the cache."""

import pytest

from s3shunt.model import ObjectRef, State
from s3shunt.policy.reads import HOUR
from s3shunt.testing.house import INI, House

FILM = b"frames" * 5_000
CACHE = INI + """
[policy:cache]
buckets = cache
archive = tape
after = 0s
evict = high 85 low 75
[policy:once]
buckets = once
archive = tape
after = 0s
evict = never
after_read = evict
"""
RESTORED = INI.replace("evict = at once\n", "evict = at once\nafter_read = evict\n")


def ref(key, bucket="cache"):
    return ObjectRef(bucket, key, "null", "main")


@pytest.fixture
def cache(tmp_path):
    house = House(tmp_path, ini=CACHE)
    for bucket in ("cache", "once"):
        house.put(f"/{bucket}")
        for key in "ab":
            house.put(f"/{bucket}/{key}", FILM)
    house.work()
    assert house.catalog.find(ref("a")).state is State.VERIFIED
    return house


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """What is spawned is done before the next line."""
    monkeypatch.setattr("s3shunt.green.spawn", lambda function, *args: function(*args))


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=0-3"}])
def test_45_a_get_and_a_get_of_a_range_are_reads(cache, headers):
    before = cache.catalog.last_use(ref("a"))
    assert cache.get("/cache/a", **headers).status in (200, 206)
    read = cache.clock.now()
    cache.later(seconds=40).get("/cache/b")
    assert before < cache.catalog.last_use(ref("a")) == read


def test_45_a_head_is_no_read_and_neither_is_what_was_not_given(cache):
    before = cache.catalog.last_use(ref("a"))
    cache.head("/cache/a")
    cache.get("/cache/a", If_None_Match="*")
    cache.get("/cache/a", Range="bytes=9999999-")
    cache.stranger.get("/cache/a")
    cache.later(seconds=40).get("/cache/b")
    assert cache.catalog.last_use(ref("a")) == before


def test_an_object_is_noted_once_an_hour_and_its_row_is_not_changed(cache):
    row = cache.catalog.find(ref("a"))
    cache.get("/cache/a")
    cache.later(seconds=40).get("/cache/b")
    first = cache.catalog.last_use(ref("a"))
    cache.later(seconds=40).get("/cache/a")
    cache.later(seconds=40).get("/cache/c")
    assert cache.catalog.last_use(ref("a")) == first
    cache.clock.later(HOUR)
    cache.get("/cache/a")
    cache.later(seconds=40).get("/cache/b")
    assert cache.catalog.last_use(ref("a")) > first
    assert cache.catalog.find(ref("a")) == row


def test_where_no_policy_goes_by_reads_none_are_noted(tmp_path):
    house = House(tmp_path)
    house.put("/films/a", FILM, x_amz_storage_class="GLACIER")
    house.restore("/films/a")
    before = house.catalog.last_use(ref("a", "films"))
    for _ in range(3):
        house.get("/films/a")
        house.later(seconds=40)
    assert house.catalog.last_use(ref("a", "films")) == before


def test_45_a_cache_copy_leaves_after_its_first_full_read(cache):
    assert cache.get("/once/a").body == FILM
    cache.work()
    assert cache.catalog.find(ref("a", "once")).state is State.ARCHIVED
    assert cache.catalog.find(ref("b", "once")).state is State.VERIFIED


def test_45_a_range_is_not_a_full_read(cache):
    for headers in ({"Range": "bytes=0-"}, {"Range": "bytes=0-3"}, {"Range": f"bytes=0-{len(FILM) - 1}"}):
        assert cache.get("/once/a", **headers).status == 206
    cache.head("/once/a")
    cache.work()
    assert cache.catalog.find(ref("a", "once")).state is State.VERIFIED


def test_45_a_read_that_was_broken_off_is_not_a_full_one(cache):
    begun = []
    body = cache.app(cache.editor.environ("GET", "/once/a", b"", {}), lambda status, *_: begun.append(status))
    body.close()
    cache.work()
    assert begun == ["200 OK"]
    assert cache.catalog.find(ref("a", "once")).state is State.VERIFIED


def test_45_a_restored_copy_leaves_after_its_first_full_read(tmp_path):
    house = House(tmp_path, ini=RESTORED)
    house.archive("/films/a", FILM)
    house.restore("/films/a", days=5)
    house.work()
    assert house.get("/films/a", Range="bytes=0-3").status == 206
    house.work()
    assert house.get("/films/a").body == FILM
    assert house.get("/films/a").code == "InvalidObjectState"
    house.work()
    assert not house.landing.list("")
    assert house.restore("/films/a").status == 202
    house.work()
    assert house.get("/films/a").body == FILM
