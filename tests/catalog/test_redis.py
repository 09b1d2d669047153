import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from types import SimpleNamespace

import pytest

from s3shunt.catalog.redis import RedisIndex
from s3shunt.model import Facts
from s3shunt.protocol.errors import ServiceUnavailable
from s3shunt.testing.clock import HandClock
from s3shunt.testing.contracts.catalog import an_entry
from s3shunt.testing.contracts.index import IndexContract
from s3shunt.testing.services import redis as service

pytestmark = pytest.mark.skipif(not service.installed(), reason="redis-server is not installed")
ENTRY = an_entry()


@pytest.fixture(scope="module")
def running():
    with service.redis("--requirepass", "hush") as running:
        yield running


@pytest.fixture
def connect(tmp_path, running):
    """An index in a house of its own; all share ``secret`` unless told otherwise."""
    made = []
    (tmp_path / "password").write_text("hush\n")

    def connect(url=running.url, secret="secret", **more):
        options = {"url": url, "secret_file": tmp_path / secret, "password_file": tmp_path / "password", **more}
        index = RedisIndex(RedisIndex.Options(**options), SimpleNamespace(clock=HandClock(), state=tmp_path))
        made.append(index)
        return index

    yield connect
    for index in made:
        index.close()


def filled(index, entry=ENTRY):
    index.fill(entry.ref, entry, index.get(entry.ref).ticket)
    return index


class TestRedisIndex(IndexContract):
    @pytest.fixture
    def index(self, connect):
        return connect()


class TestRedisIndexOverTcp(IndexContract):
    @pytest.fixture
    def index(self, connect, running):
        return connect(running.tcp)


def records(index):
    with index._links.one() as link:
        link.send_command("KEYS", index._prefix + "*")
        names = link.read_response()
        values = []
        for name in names:
            link.send_command("GET", name)
            values.append(link.read_response())
    return dict(zip(names, values, strict=True))


def overwrite(index, name, value):
    with index._links.one() as link:
        link.send_command("SET", name, value)
        link.read_response()


def test_the_password_may_come_from_the_environment(connect, monkeypatch):
    monkeypatch.setenv("REDIS_PASSWORD", "hush")
    assert filled(connect(password_file=None, secret="environ")).get(ENTRY.ref).entry == ENTRY


def test_a_wrong_password_is_a_miss(connect, monkeypatch):
    monkeypatch.setenv("REDIS_PASSWORD", "wrong")
    index = connect(password_file=None)
    assert index.get(ENTRY.ref).ticket == ""
    assert index.down


@pytest.mark.parametrize("at", [0, 1, 20, 40, -1])
def test_a_record_that_was_tampered_with_is_a_miss(connect, at):
    index = filled(connect(secret=f"tampered{at}"))
    ((name, value),) = records(index).items()
    forged = bytearray(value)
    forged[at] ^= 1
    overwrite(index, name, bytes(forged))
    assert not hasattr(index.get(ENTRY.ref), "entry")


def test_a_record_under_another_name_is_a_miss(connect):
    index = filled(connect(secret="moved"))
    ((_, value),) = records(index).items()
    other = replace(ENTRY.ref, key="other")
    index.get(other)
    (placeholder,) = [name for name, found in records(index).items() if found.startswith(b"?")]
    overwrite(index, placeholder, value)
    assert not hasattr(index.get(other), "entry")


def test_houses_with_other_secrets_do_not_meet(connect):
    filled(connect(secret="one"))
    assert connect(secret="two").get(ENTRY.ref).ticket


def test_the_secret_is_made_for_its_owner_alone(connect, tmp_path):
    connect(secret="fresh")
    assert (tmp_path / "fresh").stat().st_mode & 0o777 == 0o600


def test_a_record_that_is_too_large_stays_in_the_database(connect):
    index = connect(secret="large", max_record=1000)
    large = replace(ENTRY, facts=Facts(size=1, etag="", last_modified=0, metadata={"a": "x" * 1000}))
    assert not hasattr(filled(index, large).get(ENTRY.ref), "entry")


def test_more_calls_at_once_than_allowed_are_misses(connect):
    index = filled(connect(connections=1))
    with index._links.one():
        assert index.get(ENTRY.ref).ticket == ""
    assert index.get(ENTRY.ref).entry == ENTRY


def test_a_server_that_is_away_is_a_miss_a_refusal_and_left_alone_for_a_while(connect, tmp_path):
    index = connect(f"redis+unix://{tmp_path}/nobody.sock")
    assert index.get(ENTRY.ref).ticket == ""
    index.fill(ENTRY.ref, ENTRY, "a:b")
    with pytest.raises(ServiceUnavailable):
        index.publish(ENTRY)
    with pytest.raises(ServiceUnavailable), index.listen():
        pass
    assert index.down
    index._clock.later(600)
    assert not index.down


def test_what_a_restarted_server_remembers_is_not_asked(connect):
    """Its run id is another one, so the names are."""
    with service.redis("--requirepass", "hush") as own:
        index = filled(connect(own.url))
        ((name, value),) = records(index).items()
        own.kill()
        own.start()
        assert index.get(ENTRY.ref).ticket == ""
        index._clock.later(600)
        overwrite(index, name, value)  # as if loaded from its disk
        assert index.get(ENTRY.ref).ticket
        index.close()


def test_a_link_hears_of_every_change_before_its_probe_is_answered(connect):
    one, other = connect(), connect()
    with one.listen() as link:
        assert link.heard() == []
        for number in range(20):
            other.publish(replace(ENTRY.ref, key=str(number)))
        heard = link.heard()
    assert [name for name in heard if name[3]] == [("", "films", str(number), "null") for number in range(20)]
    assert [name for name in heard if not name[3]] == [("", "films", str(number), "") for number in range(20)]


def test_a_forked_process_makes_its_own_connections(connect):
    index = filled(connect())
    child = os.fork()
    if child == 0:
        os._exit(0 if not index._links.mine() and index.get(ENTRY.ref).entry == ENTRY else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert index.get(ENTRY.ref).entry == ENTRY


@pytest.mark.parametrize("transport", ["url", "tcp"])
def test_a_server_that_does_not_answer_does_not_stop_the_hub(tmp_path, transport):
    with service.redis() as frozen:
        script = f"""
            from pathlib import Path
            from types import SimpleNamespace
            from s3shunt import clock, green
            green.use_eventlet()
            import eventlet
            from s3shunt.catalog.redis import RedisIndex
            from s3shunt.model import ObjectRef
            house = SimpleNamespace(clock=clock.wall, state=Path({str(tmp_path)!r}))
            index = RedisIndex(RedisIndex.Options(url={getattr(frozen, transport)!r}, deadline=1000), house)
            ref = ObjectRef("films", "a")
            assert index.get(ref).ticket
            import os, signal
            os.kill({frozen.pid}, signal.SIGSTOP)
            ticks = 0
            def tick():
                global ticks
                while True:
                    eventlet.sleep(0.02)
                    ticks += 1
            eventlet.spawn_n(tick)
            print(repr(index.get(ref).ticket), ticks)
            os.kill({frozen.pid}, signal.SIGCONT)
            eventlet.sleep(0.6)
            print(green.offload(index.get, ref).ticket != "" or "placeholder")
        """
        ran = subprocess.run([sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
    ticket, ticks = ran.stdout.splitlines()[0].split()
    assert ticket == "''"
    assert int(ticks) >= 25


ON_HUB = """
    import os, signal
    from dataclasses import replace
    from pathlib import Path
    from types import SimpleNamespace
    from s3shunt import clock, green
    green.use_eventlet()
    import eventlet, redis
    from s3shunt.catalog.redis import RedisIndex
    from s3shunt.ports import Hit
    from s3shunt.testing.contracts.catalog import an_entry
    house = SimpleNamespace(clock=clock.wall, state=Path({state!r}))
    index = RedisIndex(RedisIndex.Options(url={url!r}, **{options!r}), house)
    server = redis.Redis(unix_socket_path={url!r}.partition("://")[2])
    entries = [replace(an_entry(), ref=replace(an_entry().ref, key=str(number))) for number in range(40)]
    pool = eventlet.GreenPool(200)

    def all_at_once(act):
        return list(pool.imap(act, entries))

    def right(entry):
        return index.get(entry.ref) == Hit(entry)

    tickets = all_at_once(lambda entry: index.get(entry.ref).ticket)
    for entry, ticket in zip(entries, tickets):
        index.fill(entry.ref, entry, ticket)
"""


def on_hub(tmp_path, running, script, **options):
    script = textwrap.dedent(ON_HUB.format(state=str(tmp_path), url=running.url, options=options)) + textwrap.dedent(script)
    ran = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()


def test_green_threads_ask_on_one_connection_at_the_same_time_and_each_gets_its_own_answer(tmp_path):
    said = """
        before = server.info("stats")["total_reads_processed"]
        print(all(all_at_once(right)), sum(link["cmd"] != "client|list" for link in server.client_list()))
        print(server.info("stats")["total_reads_processed"] - before < 10)
        print(green.offload(right, entries[0]), right(entries[0]))
        index.close()
        print(right(entries[0]))
    """
    with service.redis() as running:
        assert on_hub(tmp_path, running, said) == ["True", "1", "True", "True", "True", "True"]


def test_what_fails_on_the_connection_of_all_is_a_miss_for_all_and_over_after_the_pause(tmp_path):
    said = """
        os.kill({pid}, signal.SIGSTOP)
        print({{found.ticket for found in all_at_once(lambda entry: index.get(entry.ref))}})
        os.kill({pid}, signal.SIGCONT)
        eventlet.sleep(0.4)
        print(all(all_at_once(right)))
        server.config_set("maxmemory", 1)
        print(index.down)
        try:
            index.spend("a", 1, 100.0, 10)
        except Exception as error:
            print(type(error).__name__, index.down)
        server.config_set("maxmemory", 0)
        eventlet.sleep(0.4)
        print(index.spend("a", 1, 100.0, 10))
    """
    with service.redis() as running:
        found = on_hub(tmp_path, running, said.format(pid=running.pid), deadline=200, pause=300)
    assert found == ["{''}", "True", "False", "ServiceUnavailable", "True", "(1,", "0)"]


def test_green_threads_that_are_more_than_allowed_miss(tmp_path):
    said = """
        found = all_at_once(lambda entry: isinstance(index.get(entry.ref), Hit))
        print(sum(found), index.down)
    """
    with service.redis() as running:
        assert on_hub(tmp_path, running, said, connections=5) == ["5", "False"]


def test_a_bucket_is_shared_by_all_who_take_from_it(connect):
    one, other = connect(), connect()
    assert one.spend("peer a", 6, 60_000.0, 10) == (6, 0)
    assert other.spend("peer a", 6, 60_000.0, 10) == (4, 0)
    granted, wait = one.spend("peer a", 1, 60_000.0, 10)
    assert granted == 0
    assert 0 < wait <= 60_000
    assert other.spend("peer b", 1, 60_000.0, 10) == (1, 0)


def test_a_bucket_that_somebody_wrote_into_is_empty_and_no_worse(connect):
    index = connect()
    index.spend("peer a", 1, 100.0, 10)
    with index._links.one() as link:
        link.send_command("SET", next(name for name in records_named(index, "spent:")), "9e15")
        link.read_response()
    granted, wait = index.spend("peer a", 1, 100.0, 10)
    assert (granted, 0 < wait <= 100) == (0, True)


def test_a_bucket_that_is_full_again_leaves_nothing_behind(connect):
    index = connect()
    index.spend("quick", 1, 0.5, 10)
    with index._links.one() as link:
        link.send_command("PTTL", next(name for name in records_named(index, "spent:")))
        assert link.read_response() <= 2


def records_named(index, part):
    with index._links.one() as link:
        link.send_command("KEYS", f"{index._prefix}{part}*")
        return link.read_response() or [b"gone"]
