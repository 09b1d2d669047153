from types import SimpleNamespace

import pytest

from s3shunt.model import NULL, ObjectRef
from s3shunt.stores.memory import MemoryStore, Options
from s3shunt.testing.clock import HandClock
from s3shunt.testing.contracts.store import StoreContract, VersionedStoreContract

REF = ObjectRef("films", "a")


def made(**given):
    return MemoryStore(Options(**given), SimpleNamespace(clock=HandClock()))


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self):
        return made()


class TestVersionedMemoryStore(VersionedStoreContract):
    @pytest.fixture
    def store(self):
        return made(versioned=("vers*",))


def test_age_is_told_by_the_clock_of_the_house():
    clock = HandClock()
    store = MemoryStore(house=SimpleNamespace(clock=clock))
    clock.later(1234)
    assert store.write(REF, [b"x"], size=1).last_modified == clock.now()


def test_a_delete_marker_is_a_version_without_bytes():
    store = made(versioned=("films",))
    written = store.write(REF, [b"x"], size=1)
    store.delete(REF)
    assert [(held.version, held.body) for held in store.versions(REF)][1:] == [(written.stamp, b"x")]
    assert store.versions(REF)[0].body is None


def test_two_accounts_may_have_a_bucket_of_one_name():
    store = made()
    store.write(REF, [b"x"], size=1)
    assert store.head(ObjectRef("films", "a", account="other")) is None
    assert store.list("films", account="other") == []


def test_the_null_version_is_replaced_not_kept():
    store = made()
    for body in (b"one", b"two"):
        store.write(REF, [body], size=3)
    assert [held.version for held in store.versions(REF)] == [NULL]


def test_use_is_counted_against_the_capacity_given():
    store = made(capacity=1000)
    store.write(REF, [b"12345"], size=5)
    assert store.usage() == (5, 1000)
    assert made().usage() is None
