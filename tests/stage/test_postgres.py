"""The catalog on a real PostgreSQL: the contract, and pairs of transitions in two open transactions."""

from contextlib import contextmanager
from dataclasses import replace
from threading import Thread

import pytest
from sqlalchemy import text

from s3shunt.catalog.sql import SqlCatalog, SqlKeys, schema
from s3shunt.model import Job, ObjectRef, State, Step, Swap
from s3shunt.protocol.errors import ServiceUnavailable
from s3shunt.testing.contracts.catalog import CatalogContract, an_entry
from s3shunt.testing.contracts.keys import KeysContract
from s3shunt.testing.services import postgres as service

pytestmark = [pytest.mark.stage, pytest.mark.skipif(not service.installed(), reason="PostgreSQL is not installed")]
TABLES = ", ".join(schema.metadata.tables)


@pytest.fixture(scope="module")
def url():
    with service.postgres() as url:
        yield url


def connect(url, **more):
    return SqlCatalog(SqlCatalog.Options(url=url, **{"index": "redis://unused", **more}))


@pytest.fixture
def catalog(url):
    catalog = connect(url)
    catalog.upgrade()
    yield catalog
    with catalog._database.write() as connection:
        connection.execute(text(f"TRUNCATE {TABLES}"))
    catalog.close()


class TestPostgresCatalog(CatalogContract):
    contenders = 300

    @pytest.fixture
    def catalog(self, catalog):
        return catalog


class TestPostgresKeys(KeysContract):
    @pytest.fixture
    def keys(self, url, catalog, tmp_path):
        keys = SqlKeys(SqlKeys.Options(url=url, secret_file=tmp_path / "secret"))
        yield keys
        keys.close()


@contextmanager
def two(url):
    one, other = connect(url, deadline=5_000), connect(url, deadline=5_000)
    yield one, other
    one.close()
    other.close()


def in_two_open_transactions(url, first, second):
    """``second`` begins while ``first`` has changed its row and not yet committed. Who was told that it had succeeded?"""
    with two(url) as (one, other):
        told = []
        thread = Thread(target=lambda: told.append(other.commit(second)))
        with one._database.write() as connection:
            one._commit(connection, first)
            thread.start()
            thread.join(0.3)
            assert thread.is_alive() or told == [True], "the second neither waits for the first nor goes by it"
        thread.join()
        return told[0]


ROW = an_entry(state=State.VERIFIED, archive="tape", archive_id="a", copies=1)
EVICT = {"state": State.EVICTING, "token": "t"}
PAIRS = {
    "evict and write": (EVICT, {"writers": 1}),
    "write and evict": ({"writers": 1}, EVICT),
    "evict and interest": (EVICT, {"due": 9}),
    "two evictors": (EVICT, EVICT | {"token": "u"}),
    "overwrite and evict": ({"state": State.ONLINE, "generation": 1}, EVICT),
}


@pytest.mark.parametrize(("first", "second"), PAIRS.values(), ids=PAIRS)
def test_of_two_open_changes_of_a_row_only_the_first_holds(url, catalog, first, second):
    assert catalog.commit(Step(swaps=(Swap(None, ROW),)))
    old = catalog.find(ROW.ref)
    swaps = [Step(swaps=(Swap(old, replace(old, **change)),)) for change in (first, second)]
    assert in_two_open_transactions(url, *swaps) is False
    kept = catalog.find(ROW.ref)
    assert kept == replace(old, revision=old.revision + 1, **first)


def test_a_delete_and_a_change_of_a_row_exclude_each_other(url, catalog):
    assert catalog.commit(Step(swaps=(Swap(None, ROW),)))
    old = catalog.find(ROW.ref)
    remove, change = Step(swaps=(Swap(old, None),)), Step(swaps=(Swap(old, replace(old, due=1)),))
    assert in_two_open_transactions(url, remove, change) is False
    assert catalog.find(ROW.ref) is None


def test_two_open_inserts_of_a_current_row_leave_one(url, catalog):
    rows = [an_entry(version=version) for version in ("v1", "v2")]
    assert in_two_open_transactions(url, *[Step(swaps=(Swap(None, row),)) for row in rows]) is False
    assert [row.ref.version for row in catalog.history(ROW.ref)] == ["v1"]


def test_changes_of_two_rows_do_not_wait_for_each_other(url, catalog):
    rows = [an_entry(key) for key in ("a", "b")]
    assert in_two_open_transactions(url, *[Step(swaps=(Swap(None, row),)) for row in rows]) is True


def test_a_deadlock_is_a_step_that_came_second(url, catalog):
    """The order of rows within a step is ours, so two steps of swaps never meet crosswise; jobs of two steps may."""
    with two(url) as (one, other):
        jobs = [Job(kind="k", dedupe=name) for name in "ab"]
        told = []
        with one._database.write() as connection:
            one._commit(connection, Step(jobs=(jobs[0],)))
            thread = Thread(target=lambda: told.append(other.commit(Step(jobs=(jobs[1], jobs[0])))))
            thread.start()
            thread.join(0.3)
            try:
                one._commit(connection, Step(jobs=(jobs[1],)))
                first = True
            except BaseException:
                first = False
                connection.rollback()
        thread.join()
    assert sorted([first, *told]) == [False, True]


def test_a_row_that_is_claimed_is_passed_over(url, catalog):
    catalog.enqueue(Job(kind="k", dedupe="a", due=1), Job(kind="k", dedupe="b", due=2))
    with two(url) as (one, other), one._database.write() as connection:
        connection.execute(text("SELECT 1 FROM job WHERE dedupe = 'a' FOR UPDATE"))
        assert [job.dedupe for job in other.claim(["k"], now=5, lease=9, owner="me", limit=5)] == ["b"]


def test_many_workers_claim_each_job_once(url, catalog):
    catalog.enqueue(*[Job(kind="k", dedupe=str(number)) for number in range(60)])
    claimed = []

    def work(owner):
        while jobs := catalog.claim(["k"], now=0, lease=100, owner=owner, limit=3):
            claimed.extend(jobs)

    threads = [Thread(target=work, args=(str(number),)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len({job.id for job in claimed}) == len({job.token for job in claimed}) == 60


def test_a_locked_row_is_given_up_within_the_deadline(url, catalog):
    assert catalog.commit(Step(swaps=(Swap(None, ROW),)))
    old = catalog.find(ROW.ref)
    hasty = connect(url, deadline=200)
    with catalog._database.write() as connection:
        catalog._commit(connection, Step(swaps=(Swap(old, replace(old, due=1)),)))
        with pytest.raises(ServiceUnavailable) as refused:
            hasty.commit(Step(swaps=(Swap(old, replace(old, due=2)),)))
    assert refused.value.retry_after
    hasty.close()


def test_check_refuses_an_old_schema_and_low_durability(url, catalog):
    assert catalog.check() == []
    with catalog._database.write() as connection:
        head = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        connection.execute(text("ALTER DATABASE postgres SET synchronous_commit = 'off'"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    try:
        catalog.close()
        assert [line.split(",")[0] for line in catalog.check()] == [
            f"{url}: the schema is at 0000", "PostgreSQL has synchronous_commit = off",
        ]  # fmt: skip
    finally:
        with catalog._database.write() as connection:
            connection.execute(text("ALTER DATABASE postgres RESET synchronous_commit"))
            connection.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": head})
        catalog.close()


def test_nobody_there_is_service_unavailable(tmp_path):
    absent = connect(f"postgresql://me@/db?host={tmp_path}")
    with pytest.raises(ServiceUnavailable):
        absent.find(ObjectRef("b", "k"))


def test_two_hosts_upgrade_at_once(url, catalog):
    told = []

    def upgrade():
        other = connect(url)
        other.upgrade()
        told.append(other.check())
        other.close()

    with catalog._database.write() as connection:
        connection.execute(text(f"DROP TABLE alembic_version, {TABLES}"))
    threads = [Thread(target=upgrade) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == [[], [], []]
