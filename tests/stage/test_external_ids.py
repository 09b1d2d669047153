"""One external id, two proxies, one PostgreSQL: of two who ask for it at once exactly one has it, and the other's bytes are nowhere."""

import threading
from dataclasses import replace

import pytest
from sqlalchemy import text

from s3shunt.catalog.sql import SqlCatalog, schema
from s3shunt.model import Entry, Intent, ObjectRef, Step, Swap
from s3shunt.testing.contracts.media import a_film
from s3shunt.testing.house import INI, House
from s3shunt.testing.services import postgres as service

pytestmark = [pytest.mark.stage, pytest.mark.skipif(not service.installed(), reason="PostgreSQL is not installed")]
PID = INI.replace("evict = at once", "evict = at once\nexternal_id = x-amz-meta-pid")
DOORS = ("errors", "sigv4", "grants", "lookup", "restore", "record", "shunt")


@pytest.fixture(scope="module")
def url():
    with service.postgres() as url:
        yield url


@pytest.fixture
def connect(url):
    made = []

    def connect(**more):
        made.append(SqlCatalog(SqlCatalog.Options(url=url, deadline=5_000, **more)))
        return made[-1]

    connect().upgrade()
    yield connect
    with made[0]._database.write() as connection:
        connection.execute(text(f"TRUNCATE {', '.join(schema.metadata.tables)}"))
    for catalog in made:
        catalog.close()


def begun(key, id_):
    """The first step of a PUT on a key that nobody knew."""
    ref = ObjectRef("films", key, "null")
    intent = Intent(id=f"{id_}-{key}", ref=ref, operation="PutObject", started=1, lease=9, external_id=id_)
    return Step(swaps=(Swap(None, Entry(ref=ref, writers=1)),), opened=(intent,))


def meeting(connect, first, second, *, undone=False):
    """``second`` comes while ``first`` is done and not yet committed. Whether the second was."""
    one, other, told = connect(), connect(), []
    thread = threading.Thread(target=lambda: told.append(other.commit(second)))
    try:
        with one._database.write() as connection:
            one._commit(connection, first)
            thread.start()
            thread.join(0.4)
            assert thread.is_alive(), "the second did not wait for the first"
            if undone:
                raise InterruptedError
    except InterruptedError:
        pass
    thread.join()
    return told[0]


PAIRS = {
    "two writes": (begun("a", "pid"), begun("b", "pid")),
    "a write and an import": (begun("a", "pid"), Step(swaps=(Swap(None, a_film("b", external_id="pid")),))),
    "an import and a write": (Step(swaps=(Swap(None, a_film("a", external_id="pid")),)), begun("b", "pid")),
}


@pytest.mark.parametrize(("first", "second"), PAIRS.values(), ids=PAIRS)
def test_of_two_open_transactions_the_first_has_the_id(connect, first, second):
    assert meeting(connect, first, second) is False
    catalog = connect()
    assert catalog.holder("", "pid") == ObjectRef("films", "a")
    assert catalog.find(ObjectRef("films", "b")) is None
    assert [intent.ref.key for intent in catalog.lapsed(10)] in ([], ["a"])


@pytest.mark.parametrize(("first", "second"), PAIRS.values(), ids=PAIRS)
def test_an_open_transaction_that_is_undone_leaves_the_id_to_the_second(connect, first, second):
    assert meeting(connect, first, second, undone=True) is True
    assert connect().holder("", "pid") == ObjectRef("films", "b")


def test_an_id_that_is_just_being_let_go_goes_to_who_waits(connect):
    catalog = connect()
    assert catalog.commit(Step(swaps=(Swap(None, a_film("a", external_id="pid")),)))
    row = catalog.find(ObjectRef("films", "a"))
    assert meeting(connect, Step(swaps=(Swap(row, replace(row, external_id=None)),)), begun("b", "pid")) is True
    assert catalog.holder("", "pid") == ObjectRef("films", "b")


def test_two_keys_that_exchange_ids_do_not_lock_each_other_out(connect):
    """Both steps take the claims in one order, so neither waits for the other for ever; one id cannot be in two hands."""
    catalog = connect()
    for key, id_ in (("a", "x"), ("b", "y")):
        assert catalog.commit(Step(swaps=(Swap(None, a_film(key, external_id=id_)),)))
    a, b = (catalog.find(ObjectRef("films", key)) for key in "ab")
    done = Step(swaps=(Swap(a, replace(a, external_id="y")), Swap(b, replace(b, external_id="x"))))
    assert catalog.commit(done)
    assert [catalog.holder("", id_) for id_ in "xy"] == [ObjectRef("films", "b"), ObjectRef("films", "a")]


@pytest.fixture
def proxies(connect, tmp_path):
    """Two houses with a pool of connections each, on one store and one database."""
    one = House(tmp_path / "one", walk=DOORS, ini=PID, catalog=connect())
    two = House(tmp_path / "two", walk=DOORS, ini=PID, catalog=connect())
    two.store._keys, two.store._lock = one.store._keys, one.store._lock
    return one, two


@pytest.mark.parametrize("round_", range(5))
def test_two_proxies_that_put_one_id_at_once(proxies, round_):
    one, _ = proxies
    answers, ready = {}, threading.Barrier(8)

    def put(number):
        ready.wait()
        name = f"{round_}-{number}"
        answers[name] = proxies[number % 2].put(f"/films/{name}", name.encode(), x_amz_meta_pid=f"viaa-{round_}")

    threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted((answer.status, answer.code) for answer in answers.values()) == [(200, None)] + [(409, "OperationAborted")] * 7
    (winner,) = [name for name, answer in answers.items() if answer.status == 200]
    assert [key for key, _ in one.store.list("films", account="main")] == [winner]
    assert [row.ref.key for row in one.catalog.select(external_id=f"viaa-{round_}")] == [winner]
    assert one.delete(f"/films/{winner}").status == 204
    assert proxies[1].put("/films/after", b"x", x_amz_meta_pid=f"viaa-{round_}").status == 200
