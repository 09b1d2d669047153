"""The cache keeps what memcached would keep, as memcached would give it back."""

import pytest

from s3shunt.swift import cache


@pytest.fixture
def kept(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(cache, "_now", lambda: now[0])
    made = cache.Cache()
    made.later = lambda seconds: now.__setitem__(0, now[0] + seconds)
    return made


def test_a_value_comes_back_as_json_would_bring_it(kept):
    kept.set("a", ("x", 1))
    assert kept.get("a") == ["x", 1]
    assert kept.get("b") is None


def test_a_value_with_a_time_ends_with_it(kept):
    kept.set("a", 1, time=60)
    kept.set("b", 2)
    kept.later(61)
    assert kept.get_multi(["a", "b"], "server") == [None, 2]


def test_counters_stop_at_zero(kept):
    assert kept.incr("n", 3) == 3
    assert kept.decr("n", 5) == 0
    assert kept.get("n") == 0


def test_many_are_set_and_one_is_deleted(kept):
    kept.set_multi({"a": 1, "b": 2}, "server")
    kept.delete("a")
    kept.delete("never there")
    assert kept.get_multi(("a", "b"), "server") == [None, 2]


def test_it_cannot_grow_for_ever(kept):
    kept.CAP = 10
    for number in range(25):
        kept.set(str(number), number)
    assert len(kept._kept) <= 10


def test_the_filter_puts_one_cache_into_every_request():
    app = cache.factory({})(lambda environ, start_response: environ["swift.cache"])
    assert app({}, None) is app({}, None)
