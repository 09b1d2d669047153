import os
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from s3shunt import clock
from s3shunt.catalog.memory import MemoryCatalog
from s3shunt.catalog.redis import RedisIndex
from s3shunt.catalog.sql import SqlCatalog
from s3shunt.catalog.tiered import TieredCatalog
from s3shunt.model import Bucket, ObjectRef, State, Step, Swap
from s3shunt.numbers import Numbers
from s3shunt.ports import Hit, Miss
from s3shunt.protocol.errors import ServiceUnavailable
from s3shunt.testing.clock import HandClock
from s3shunt.testing.contracts.catalog import CatalogContract, an_entry
from s3shunt.testing.services import redis as service

ROW = an_entry()
CURRENT = replace(ROW.ref, version=None)


class Truth(MemoryCatalog):
    """Counts who asks it, and is away when told."""

    asked = 0
    away = False

    def find(self, ref):
        if self.away:
            raise ServiceUnavailable
        self.asked += 1
        return super().find(ref)


class Index:
    """An index of one process that does as it is told; its link hears what it publishes."""

    def __init__(self):
        self.kept, self.tickets, self.news, self.published = {}, {}, [], []
        self.away = False
        self.asked = 0

    def get(self, ref):
        self.asked += 1
        if self.away:
            return Miss()
        if ref in self.kept:
            return Hit(self.kept[ref])
        self.tickets[ref] = "ticket"
        return Miss("ticket")

    def fill(self, ref, entry, ticket):
        if self.tickets.pop(ref, None) == ticket and entry is not None:
            self.kept[ref] = entry

    def publish(self, *changed):
        if self.away:
            raise ServiceUnavailable
        self.published.append(changed)
        for ref in changed:
            for name in (ref, replace(ref, version=None)):
                self.kept.pop(name, None)
                self.tickets.pop(name, None)
                self.news.append((ref.account, ref.bucket, ref.key, name.version or ""))

    def heard(self):
        if self.away:
            raise ServiceUnavailable
        news, self.news = self.news, []
        return news


@pytest.fixture
def house():
    return SimpleNamespace(clock=HandClock(), numbers=Numbers(Path()))


@pytest.fixture
def catalog(house):
    """Its link stands, and goes on only when a test says so."""
    catalog = TieredCatalog(Truth(), Index(), house)
    catalog._followers[os.getpid()] = None
    catalog._hear(catalog._index)
    catalog._open = True
    return catalog


def put(catalog, *entries):
    assert catalog.commit(Step(swaps=tuple(Swap(None, entry) for entry in entries)))


def change(catalog, **new):
    old = catalog.find_truth(ROW.ref)
    assert catalog.commit(Step(swaps=(Swap(old, replace(old, **new)),)))


class TestTieredCatalog(CatalogContract):
    @pytest.fixture
    def catalog(self, catalog):
        return catalog


def test_memory_is_asked_first_then_the_index_then_the_database(catalog):
    put(catalog, ROW)
    asked = catalog._truth.asked
    assert [catalog.find(CURRENT).ref for _ in range(3)] == [ROW.ref] * 3
    assert catalog._truth.asked == asked + 1
    assert catalog._index.asked == 1
    catalog.recent.lose()
    catalog._hear(catalog._index)
    assert catalog.find(CURRENT).ref == ROW.ref
    assert (catalog._truth.asked, catalog._index.asked) == (asked + 1, 2)


def test_memory_is_not_believed_when_the_link_has_not_answered_for_half_a_second(catalog, house):
    put(catalog, ROW)
    catalog.find(CURRENT)
    house.clock.later(499)
    assert catalog.find(CURRENT)
    assert catalog._index.asked == 1
    house.clock.later(1)
    assert catalog.find(CURRENT)
    assert catalog._index.asked == 2


def test_the_truth_is_read_past_memory_and_index(catalog):
    put(catalog, ROW)
    stale = catalog.find(CURRENT)
    catalog._truth.commit(Step(swaps=(Swap(stale, replace(stale, due=7)),)))
    assert catalog.find(CURRENT).due is None
    assert catalog.find_truth(CURRENT).due == 7


def test_ones_own_write_is_read_at_once(catalog):
    put(catalog, ROW)
    for due in range(3):
        catalog.find(CURRENT)
        catalog.find(ROW.ref)
        change(catalog, due=due)
        assert catalog.find(CURRENT).due == due
        assert catalog.find(ROW.ref).due == due


def test_the_write_of_another_process_is_read_when_it_was_heard(catalog, house):
    put(catalog, ROW)
    other = TieredCatalog(catalog._truth, catalog._index, house)
    catalog._hear(catalog._index)
    catalog.find(CURRENT)
    change(other, due=3)
    catalog._hear(catalog._index)
    assert catalog.find(CURRENT).due == 3


def test_nothing_is_remembered_that_was_read_before_a_change(catalog):
    put(catalog, ROW)

    def late(ref):
        found = MemoryCatalog.find(catalog._truth, ref)
        del catalog._truth.find
        change(catalog, due=3)
        return found

    catalog._truth.find = late
    assert catalog.find(CURRENT).due is None, "who asked before the change may see what was"
    assert catalog.find(CURRENT).due == 3


def test_what_is_not_there_is_remembered_by_this_process_only_for_a_second(catalog, house):
    absent = replace(CURRENT, key="absent")
    for _ in range(3):
        assert catalog.find(absent) is None
    assert catalog._truth.asked == 1
    assert catalog._index.kept == {}
    house.clock.later(1000)
    catalog._hear(catalog._index)
    catalog.find(absent)
    assert catalog._truth.asked == 2


def test_a_new_row_ends_what_was_not_there(catalog):
    assert catalog.find(CURRENT) is None
    put(catalog, ROW)
    assert catalog.find(CURRENT).ref == ROW.ref


def test_a_change_that_cannot_be_published_delays_its_answer_by_a_second_and_stays_in_the_outbox(catalog, house):
    catalog._index.away = True
    began = house.clock.now()
    put(catalog, ROW)
    assert house.clock.now() - began == 1000
    assert len(catalog.publishes(10**15)) == 1
    catalog._index.away = False
    assert catalog.drain(house.clock.now()) == 1
    assert catalog._index.published == [(ROW.ref,)]
    assert catalog.publishes(10**15) == []


def test_a_step_that_changes_no_row_publishes_nothing(catalog, house):
    catalog._index.away = True
    began = house.clock.now()
    assert catalog.commit(Step())
    assert house.clock.now() == began


def test_a_step_that_failed_publishes_nothing(catalog):
    put(catalog, ROW)
    published = len(catalog._index.published)
    assert not catalog.commit(Step(swaps=(Swap(None, ROW),)))
    assert len(catalog._index.published) == published


def test_a_drain_that_fails_leaves_the_row(catalog, house):
    put(catalog, ROW)
    catalog._index.away = True
    assert catalog.drain(house.clock.now()) == 0
    assert len(catalog.publishes(10**15)) == 1
    catalog._index.away = False
    assert catalog.drain(house.clock.now()) == 1
    assert catalog.publishes(10**15) == []


def test_the_index_is_not_read_while_the_link_is_down_or_the_outbox_not_drained(catalog):
    put(catalog, ROW)
    catalog._let_go()
    catalog.find(CURRENT)
    assert catalog._index.asked == 0
    catalog._index.away = True
    with pytest.raises(ServiceUnavailable):
        catalog._stand(catalog._index)
    assert not catalog._open
    assert catalog.publishes(10**15)


def test_a_known_row_is_answered_while_the_database_is_away(catalog):
    put(catalog, ROW)
    catalog.find(CURRENT)
    catalog._truth.away = True
    assert catalog.find(CURRENT).ref == ROW.ref
    with pytest.raises(ServiceUnavailable):
        catalog.find(ObjectRef("films", "unknown"))
    assert catalog.recent._reading == {}


def test_what_is_not_of_the_index_is_the_databases_own(catalog):
    catalog.save_bucket(Bucket(name="films"))
    assert catalog.bucket("", "films").generation == 1
    assert "memory" in catalog.check()[0]
    with pytest.raises(AttributeError):
        _ = catalog.nonsense


def test_a_closed_catalog_asks_the_database(catalog):
    put(catalog, ROW)
    catalog.close()
    catalog._followers.clear()
    catalog._for_ever()
    catalog._stand(catalog._index)
    catalog._let_go()
    assert catalog.find(CURRENT).ref == ROW.ref
    assert catalog._index.asked == 0


def test_a_process_has_one_link(catalog):
    catalog.close()
    catalog._for_ever()
    assert catalog._open, "a second follower touches nothing"
    assert catalog._followers == {os.getpid(): None}


# With a real server and a real database

needs_redis = pytest.mark.skipif(not service.installed(), reason="redis-server is not installed")


@contextmanager
def proxies(tmp_path, url, count=2):
    """Several processes' views of one catalog, in this one."""
    house = SimpleNamespace(clock=clock.wall, state=tmp_path, numbers=Numbers(Path()))
    truths = [SqlCatalog(SqlCatalog.Options(url=f"sqlite:///{tmp_path}/catalog.db", index=url), house) for _ in range(count)]
    truths[0].upgrade()
    tiers = [TieredCatalog(truth, RedisIndex(RedisIndex.Options(url=url), house), house) for truth in truths]
    yield tiers
    for tier, truth in zip(tiers, truths, strict=True):
        tier.close()
        truth.close()


def until(fact, seconds=5.0):
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


@needs_redis
def test_after_a_writes_answer_nobody_gives_the_old_one_later_than_a_second(tmp_path):
    with service.redis() as running, proxies(tmp_path, running.url) as (one, other):
        put(one, ROW)
        until(lambda: other.find(CURRENT) and other._open and other.recent.look(("", "films", "a/b.mxf", ""), time.monotonic()))
        for due in range(5):
            change(one, due=due)
            answered = time.monotonic()
            until(lambda due=due: other.find(CURRENT).due == due)
            assert time.monotonic() - answered < 1.0
        running.kill()


@needs_redis
def test_flushall_never_gives_a_wrong_answer(tmp_path):
    with service.redis() as running, proxies(tmp_path, running.url) as (one, other):
        put(one, ROW)
        until(lambda: other.find(CURRENT) and other._open)
        for due in range(20):
            with one._index._links.one() as link:
                link.send_command("FLUSHALL")
                link.read_response()
            assert other.find_truth(CURRENT).due == one.find(CURRENT).due
            change(one, due=due)
            until(lambda due=due: other.find(CURRENT).due == due, 1.0)


@needs_redis
def test_a_change_whose_writer_died_before_publishing_is_published_by_another(tmp_path):
    with service.redis() as running, proxies(tmp_path, running.url) as (one, other):
        put(one, ROW)
        until(lambda: other.find(CURRENT) and other._open)
        old = one._truth.find(ROW.ref)
        assert one._truth.commit(Step(swaps=(Swap(old, replace(old, state=State.ARCHIVING)),)))  # and dies
        until(lambda: other.find(CURRENT).state is State.ARCHIVING, 1.0)
        until(lambda: one._truth.publishes(10**15) == [])


@needs_redis
def test_without_the_server_everything_is_asked_of_the_database_and_it_is_found_again(tmp_path):
    with service.redis() as running, proxies(tmp_path, running.url) as (one, other):
        put(one, ROW)
        until(lambda: one.find(CURRENT) and other.find(CURRENT) and one._open and other._open)
        running.kill()
        until(lambda: not (one._open or other._open))
        began = time.monotonic()
        change(one, due=5)
        assert 1.0 <= time.monotonic() - began < 2.0
        assert other.find(CURRENT).due == 5
        running.start()
        until(lambda: other.find(CURRENT).due == 5 and other._open)
        until(lambda: one._truth.publishes(10**15) == [])


HUBS = {"a hub of our own": "from s3shunt import green; green.use_eventlet()", "a patched host": "import eventlet; eventlet.monkey_patch()"}


@needs_redis
@pytest.mark.parametrize("host", HUBS.values(), ids=HUBS)
def test_in_a_hub_nothing_blocks_and_memory_serves(tmp_path, host):
    with service.redis() as running:
        script = f"""
            {host}
            from pathlib import Path
            from types import SimpleNamespace
            from s3shunt.numbers import Numbers
            from s3shunt import clock, green
            import eventlet, time
            from s3shunt.catalog.redis import RedisIndex
            from s3shunt.catalog.sql import SqlCatalog
            from s3shunt.catalog.tiered import TieredCatalog
            from s3shunt.model import Entry, ObjectRef, Step, Swap
            house = SimpleNamespace(clock=clock.wall, state=Path({str(tmp_path)!r}), numbers=Numbers(Path()))
            truth = SqlCatalog(SqlCatalog.Options(url="sqlite:///{tmp_path}/catalog.db", index={running.url!r}), house)
            truth.upgrade()
            catalog = TieredCatalog(truth, RedisIndex(RedisIndex.Options(url={running.url!r}), house), house)
            ref = ObjectRef("films", "a", "null")
            longest, last = 0, time.monotonic()
            def tick():
                global longest, last
                while True:
                    eventlet.sleep(0.01)
                    longest, last = max(longest, time.monotonic() - last), time.monotonic()
            eventlet.spawn_n(tick)
            assert catalog.commit(Step(swaps=(Swap(None, Entry(ref=ref)),)))
            assert green.offload(catalog.find, ref)
            eventlet.sleep(0.5)
            assert catalog._open, "the link was made although nobody called from the hub"
            green.offload(catalog.find, ref)
            catalog.find(ref)
            asked = []
            truth.find = asked.append
            assert catalog.find(ref) and catalog._open
            import os, signal
            longest = 0
            os.kill({running.pid}, signal.SIGSTOP)
            eventlet.sleep(0.6)
            catalog.find(ref)
            eventlet.sleep(0.3)
            os.kill({running.pid}, signal.SIGCONT)
            print(len(asked), longest)
        """
        ran = subprocess.run([sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
    asked, longest = ran.stdout.split()
    assert asked == "1", "memory served while it was believed, the database after"
    assert float(longest) < 0.24, "a call that blocks would have taken its deadline"
