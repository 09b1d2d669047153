import sqlite3
import subprocess
import sys
import textwrap
from dataclasses import replace
from threading import Thread

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event

from s3shunt.catalog.sql import SqlCatalog, SqlKeys, schema
from s3shunt.catalog.sql.database import Conflict, _alembic
from s3shunt.config import ConfigError, read
from s3shunt.model import Job, Key, ObjectRef, Search, State, Step, Swap
from s3shunt.protocol.errors import ServiceUnavailable
from s3shunt.testing.contracts.catalog import CatalogContract, an_entry
from s3shunt.testing.contracts.keys import KeysContract


def connect(path, **more):
    given = {"url": f"sqlite:///{path}/catalog.db", "index": "redis://unused", **more}
    return SqlCatalog(SqlCatalog.Options(**given))


@pytest.fixture
def catalog(tmp_path):
    catalog = connect(tmp_path)
    catalog.upgrade()
    yield catalog
    catalog.close()


class TestSqliteCatalog(CatalogContract):
    contenders = 300

    @pytest.fixture
    def catalog(self, catalog):
        return catalog


class TestSqliteKeys(KeysContract):
    @pytest.fixture
    def keys(self, catalog, tmp_path):
        keys = SqlKeys(SqlKeys.Options(url=catalog.options.url, secret_file=tmp_path / "secret"))
        yield keys
        keys.close()


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
def test_of_two_open_changes_of_a_row_only_the_first_holds(catalog, tmp_path, first, second):
    """Two connections, as two processes have them; the second begins while the first is not committed."""
    assert catalog.commit(Step(swaps=(Swap(None, ROW),)))
    old = catalog.find(ROW.ref)
    other = connect(tmp_path)
    told = []
    with catalog._database.write() as connection:
        catalog._commit(connection, Step(swaps=(Swap(old, replace(old, **first)),)))
        assert other.find(ROW.ref) == old, "a reader sees what is committed, and does not wait"
        thread = Thread(target=lambda: told.append(other.commit(Step(swaps=(Swap(old, replace(old, **second)),)))))
        thread.start()
        thread.join(0.1)
        assert thread.is_alive()
    thread.join()
    other.close()
    assert told == [False]
    assert catalog.find(ROW.ref) == replace(old, revision=old.revision + 1, **first)


@pytest.mark.parametrize("moved", [{"state": State.ONLINE}, {"writers": 1}, {"token": "t"}])
def test_a_row_that_differs_in_what_was_seen_is_not_changed_even_at_the_same_revision(catalog, moved):
    """Belt and braces: state, writers and token are compared beside the revision."""
    assert catalog.commit(Step(swaps=(Swap(None, ROW),)))
    old = replace(catalog.find(ROW.ref), **moved)
    assert not catalog.commit(Step(swaps=(Swap(old, replace(old, due=5)),)))


def test_who_reads_in_order_to_write_holds_the_turn_from_the_start(catalog, tmp_path):
    """Else two processes that read the same due job would meet at the write, and one of them fail."""
    other = connect(tmp_path)
    with catalog._database.write() as connection:
        connection.execute(schema.job.select()).all()
        thread = Thread(target=other.enqueue, args=(Job(kind="k", dedupe="d"),))
        thread.start()
        thread.join(0.1)
        assert thread.is_alive()
        connection.execute(schema.job.delete())
    thread.join()
    assert len(catalog.jobs()) == 1
    other.close()


def test_workers_of_several_processes_claim_each_job_once(catalog, tmp_path):
    catalog.enqueue(*[Job(kind="k", dedupe=str(number)) for number in range(60)])
    claimed, workers = [], [connect(tmp_path) for _ in range(3)]

    def work(worker):
        while jobs := worker.claim(["k"], now=0, lease=100, owner="me", limit=3):
            claimed.extend(jobs)

    threads = [Thread(target=work, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for worker in workers:
        worker.close()
    assert len(claimed) == len({job.id for job in claimed}) == len({job.token for job in claimed}) == 60


def test_a_catalog_without_an_index_keeps_no_outbox(tmp_path):
    alone = connect(tmp_path, index=None)
    alone.upgrade()
    assert alone.commit(Step(swaps=(Swap(None, ROW),)))
    assert alone.publishes(10**15) == []
    alone.close()


def test_the_outbox_waits_for_its_time(catalog):
    assert catalog.commit(Step(swaps=(Swap(None, ROW),)))
    now = catalog._clock.now()
    assert catalog.publishes(now - 10_000) == []
    assert len(catalog.publishes(now + 10_000)) == 1


def test_a_lock_that_is_not_let_go_is_service_unavailable_within_the_deadline(tmp_path):
    hasty = connect(tmp_path, deadline=100)
    hasty.upgrade()
    holder = sqlite3.connect(tmp_path / "catalog.db")
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(ServiceUnavailable) as refused:
        hasty.commit(Step(swaps=(Swap(None, ROW),)))
    assert refused.value.retry_after
    holder.rollback()
    assert hasty.commit(Step(swaps=(Swap(None, ROW),)))
    holder.close()
    hasty.close()


def test_a_writer_of_this_process_that_does_not_end_is_service_unavailable_too(tmp_path):
    hasty = connect(tmp_path, deadline=100)
    hasty.upgrade()
    refused = []

    def second():
        with pytest.raises(ServiceUnavailable):
            hasty.enqueue(Job(kind="k", dedupe="d"))
        refused.append(True)

    with hasty._database.write():
        thread = Thread(target=second)
        thread.start()
        thread.join()
    assert refused
    hasty.close()


def test_a_conflict_nobody_expected_is_said_in_s3s_words():
    assert (Conflict().code, Conflict().status) == ("ServiceUnavailable", 503)


def test_a_database_that_is_none_is_service_unavailable(tmp_path):
    (tmp_path / "catalog.db").write_text("this is a letter to a friend, and no database" * 30)
    broken = connect(tmp_path)
    with pytest.raises(ServiceUnavailable):
        broken.find(ROW.ref)
    broken.close()


def test_an_acknowledged_step_is_on_the_disk(catalog, tmp_path):
    with catalog._database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    script = f"""
        import os
        from s3shunt.catalog.sql import SqlCatalog
        from s3shunt.model import Entry, ObjectRef, Step, Swap
        catalog = SqlCatalog(SqlCatalog.Options(url={catalog.options.url!r}))
        assert catalog.commit(Step(swaps=(Swap(None, Entry(ref=ObjectRef("films", "killed", "null"))),)))
        os.kill(os.getpid(), 9)
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert killed.returncode == -9
    assert catalog.find(replace(ROW.ref, key="killed")) is not None


def test_the_file_is_for_its_owner_alone(tmp_path):
    deep = connect(tmp_path / "not" / "yet")
    deep.upgrade()
    deep.close()
    assert (tmp_path / "not/yet/catalog.db").stat().st_mode & 0o777 == 0o600


def test_check_names_an_outdated_schema_and_upgrading_mends_it(tmp_path):
    fresh = connect(tmp_path)
    assert "the schema is at nothing" in fresh.check()[0]
    fresh.upgrade()
    fresh.upgrade()
    assert fresh.check() == []
    fresh.close()


def test_the_migrations_make_the_tables_that_the_code_knows(catalog):
    with catalog._database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
        indexes = "SELECT sql FROM sqlite_master WHERE sql LIKE '%UNIQUE INDEX%' OR sql LIKE '%AUTOINCREMENT%' ORDER BY name"
        migrated = {" ".join(row[0].replace("\n", " ").split()) for row in connection.exec_driver_sql(indexes)}
    other = SqlCatalog(SqlCatalog.Options(url=catalog.options.url + "2"))
    with other._database.write() as connection:
        schema.metadata.create_all(connection)
        assert {" ".join(row[0].replace("\n", " ").split()) for row in connection.exec_driver_sql(indexes)} == migrated
    other.close()


def test_the_options_are_read_from_the_ini():
    options = read(SqlCatalog.Options, "catalog:main", {"url": "postgresql://me@db/s3shunt", "deadline": "500ms"})
    assert (options.deadline, options.index) == (500, None)
    with pytest.raises(ConfigError, match="without a password"):
        read(SqlCatalog.Options, "catalog:main", {"url": "postgresql://me:secret@db/s3shunt"})
    with pytest.raises(ValueError, match="expected a file"):
        SqlCatalog(SqlCatalog.Options(url="sqlite://"))


def test_a_password_comes_from_its_file_and_is_never_shown(tmp_path):
    (tmp_path / "password").write_text("hush\n")
    catalog = SqlCatalog(SqlCatalog.Options(url="postgresql://me@db/s3shunt", password_file=tmp_path / "password"))
    assert catalog._database.engine.url.password == "hush"
    assert "hush" not in repr(catalog._database.engine) + repr(catalog.options)
    with pytest.raises(ValueError, match="password_file"):
        SqlCatalog(SqlCatalog.Options(url="postgresql://me@db/s3shunt", password_file=tmp_path / "absent"))


class TestSealedKeys:
    KEY = Key(access_key="AK", secret_key="PLAINSECRET", account="a", store_secret_key="STORESECRET", session_token="TOKENSECRET")

    def keys(self, catalog, file):
        return SqlKeys(SqlKeys.Options(url=catalog.options.url, secret_file=file))

    def test_no_secret_lies_open_in_the_database(self, catalog, tmp_path):
        self.keys(catalog, tmp_path / "secret").save(self.KEY)
        catalog.close()
        assert b"SECRET" not in b"".join(file.read_bytes() for file in tmp_path.glob("catalog.db*"))
        assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600

    def test_the_secret_outlives_the_process(self, catalog, tmp_path):
        self.keys(catalog, tmp_path / "secret").save(self.KEY)
        assert self.keys(catalog, tmp_path / "secret").find("AK") == self.KEY

    def test_another_secret_opens_nothing(self, catalog, tmp_path):
        self.keys(catalog, tmp_path / "secret").save(self.KEY)
        with pytest.raises(ServiceUnavailable, match="secret_file"):
            self.keys(catalog, tmp_path / "other").find("AK")

    def test_without_a_house_the_secret_file_must_be_named(self, catalog):
        with pytest.raises(ValueError, match="secret_file"):
            SqlKeys(SqlKeys.Options(url=catalog.options.url))


def test_a_query_that_takes_a_second_does_not_stop_the_hub(catalog):
    """A database that is held by somebody else: the call waits in a thread, everybody else goes on."""
    script = f"""
        import sqlite3, threading
        from s3shunt import green
        green.use_eventlet()
        import eventlet
        from s3shunt.catalog.sql import SqlCatalog
        from s3shunt.model import Job
        catalog = SqlCatalog(SqlCatalog.Options(url={catalog.options.url!r}, deadline=1000))
        holder = sqlite3.connect({str(catalog._database.engine.url.database)!r})
        holder.execute("BEGIN IMMEDIATE")
        ticks = 0
        def tick():
            global ticks
            while True:
                eventlet.sleep(0.02)
                ticks += 1
        eventlet.spawn_n(tick)
        try:
            green.offload(catalog.enqueue, Job(kind="k", dedupe="d"))
        except Exception as error:
            print(type(error).__name__, ticks)
    """
    ran = subprocess.run([sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    refusal, ticks = ran.stdout.split()
    assert refusal == "ServiceUnavailable"
    assert int(ticks) >= 25


def test_in_a_patched_host_no_connection_is_pooled_and_no_call_is_lost(catalog):
    script = f"""
        import eventlet
        eventlet.monkey_patch()
        from s3shunt import green
        from s3shunt.catalog.sql import SqlCatalog
        from s3shunt.model import Job
        catalog = SqlCatalog(SqlCatalog.Options(url={catalog.options.url!r}))
        pool = eventlet.GreenPool()
        for number in range(100):
            pool.spawn_n(green.offload, catalog.enqueue, Job(kind="k", dedupe=str(number)))
        pool.waitall()
        print(type(catalog._database.engine.pool).__name__, len(green.offload(catalog.jobs)))
    """
    ran = subprocess.run([sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
    assert ran.stdout.split() == ["NullPool", "100"], ran.stderr


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (Search(external_id="x"), "entry_external_id"),
        (Search(archive_id="x"), "entry_archive_id"),
        (Search(codec="prores", container="mov", min_duration=5), "entry_media"),
        (Search(state=State.ONLINE, unprobed=True), "entry_unprobed"),
    ],
    ids=["external id", "archive id", "codec", "unprobed"],
)
def test_what_is_searched_for_has_an_index(catalog, wanted, index):
    asked = []
    event.listen(catalog._database.engine, "before_cursor_execute", lambda *given: asked.append(given[2:4]))
    catalog.search(wanted)
    query, given = asked[-1]
    with catalog._database.read() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", given).all()
    assert any(index in row[-1] for row in plan), plan


def test_rows_of_an_older_schema_get_their_claims_and_can_be_searched(tmp_path):
    """Keys that shared an id before it was anybody's keep it; the first of them has it, and what happens to the others frees nothing."""
    catalog = connect(tmp_path)
    with catalog._database.write() as connection:
        command.upgrade(_alembic(connection), "0002")
        for key, external_id, media in (("b", "pid", "{}"), ("a", "pid", '{"codec": "prores", "duration": "2000"}'), ("c", None, "{}")):
            connection.exec_driver_sql(
                "INSERT INTO entry (account, bucket, key, version, versioned, current, state, revision, generation, writers,"
                " storage_class, store, copies, interests, external_id, media, reason, size, etag, last_modified, stamp, headers, metadata,"
                " checksums, parts, tags, acl, lock, sse, owner) VALUES ('', 'films', ?, 'null', 1, 1, 'online', 1, 1, 0, 'GLACIER',"
                " 'main', 0, '[]', ?, ?, '', 5, 'e', 1, '', '{}', '{}', '{}', '[]', '{}', '', '{}', '{}', '')",
                (key.encode(), external_id, media),
            )
    catalog.upgrade()
    assert catalog.check() == []
    assert catalog.holder("", "pid") == ObjectRef("films", "a")
    assert [row.ref.key for row in catalog.search(Search(codec="prores", min_duration=2000))] == ["a"]
    assert [row.ref.key for row in catalog.search(Search(unprobed=True))] == ["b", "c"]
    other, first = (catalog.find(ObjectRef("films", key)) for key in "ba")
    assert catalog.commit(Step(swaps=(Swap(other, replace(other, due=7)),)))
    assert catalog.commit(Step(swaps=(Swap(catalog.find(other.ref), None),)))
    assert catalog.holder("", "pid") == ObjectRef("films", "a")
    assert catalog.commit(Step(swaps=(Swap(first, None),)))
    assert catalog.holder("", "pid") is None
    catalog.close()
