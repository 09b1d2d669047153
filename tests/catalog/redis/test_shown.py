"""What redis-cli shows of each key: true soon after each change, of all accounts, and missed by nobody when it is gone."""

import shutil
import subprocess
from dataclasses import replace
from types import SimpleNamespace

import pytest

from s3shunt import config, connect
from s3shunt.catalog.redis import RedisIndex
from s3shunt.catalog.sql import SqlCatalog
from s3shunt.catalog.tiered import TieredCatalog
from s3shunt.config import Ini
from s3shunt.model import ObjectRef, State, Step, Swap
from s3shunt.numbers import Numbers
from s3shunt.protocol.errors import ServiceUnavailable
from s3shunt.testing.clock import HandClock
from s3shunt.testing.contracts.catalog import an_entry
from s3shunt.testing.services import redis as service

pytestmark = pytest.mark.skipif(not (service.installed() and shutil.which("redis-cli")), reason="redis-server is not installed")
LATER = 10**12


@pytest.fixture(scope="module")
def running():
    with service.redis() as running:
        yield running


@pytest.fixture
def cli(running):
    def cli(*words):
        said = subprocess.run(["redis-cli", "-p", str(running.port), *words], capture_output=True, text=True, check=True)
        return [line for line in said.stdout.splitlines() if line]

    cli("FLUSHALL")
    return cli


@pytest.fixture
def site(running, tmp_path):
    """A tiered catalog whose outbox is drained when a test says so."""
    truth = SqlCatalog(SqlCatalog.Options(url=f"sqlite:///{tmp_path}/catalog.db", index=running.url, view=True))
    truth.upgrade()
    house = SimpleNamespace(clock=HandClock(), state=tmp_path, numbers=Numbers(tmp_path))
    index = RedisIndex(RedisIndex.Options(url=running.url, view=True, secret_file=tmp_path / "secret"), house)
    tiered = TieredCatalog(truth, index, house)
    made = {"catalog": tiered, "truth": truth, "index": index, "drain": lambda: tiered.drain(LATER * 10)}
    yield SimpleNamespace(clock=house.clock, state=tmp_path, **made)
    tiered.close()
    index.close()
    truth.close()


def shown(cli, name):
    lines = cli("HGETALL", f"s3shunt:view:{name}")
    return dict(zip(lines[::2], lines[1::2], strict=True))


def put(site, *entries):
    assert site.catalog.commit(Step(swaps=tuple(Swap(None, entry) for entry in entries)))
    site.drain()
    return [site.truth.find(entry.ref) for entry in entries]


def change(site, row, **more):
    assert site.catalog.commit(Step(swaps=(Swap(row, replace(row, **more)),)))
    site.drain()
    return site.truth.find(row.ref)


def test_a_key_is_shown_as_it_is_after_each_change(site, cli):
    (row,) = put(site, an_entry("raw/a.mxf", state=State.ARCHIVED, external_id="pid", archive_id="m1"))
    assert shown(cli, "films/raw/a.mxf")["state"] == "archived"
    row = change(site, row, state=State.QUEUED)
    said = shown(cli, "films/raw/a.mxf")
    assert (said["state"], said["restore"], said["external_id"]) == ("queued", "in progress", "pid")
    change(site, change(site, row, state=State.ARCHIVED), external_id=None)
    assert "external_id" not in shown(cli, "films/raw/a.mxf")


def test_its_fields_stand_in_the_order_in_which_people_ask(site, cli):
    put(site, an_entry("a", state=State.ARCHIVED, external_id="pid", reason="quota"))
    assert list(shown(cli, "films/a")) == [
        "state", "class", "size", "etag", "modified", "store", "external_id", "reason", "updated", "change",
    ]  # fmt: skip


def test_tenants_with_one_bucket_and_key_are_shown_apart(site, cli):
    put(site, *[replace(an_entry("a"), ref=ObjectRef("films", "a", "null", account)) for account in ("vrt", "meemoo")])
    assert cli("--scan", "--pattern", "s3shunt:view:vrt:films/*") == ["s3shunt:view:vrt:films/a"]
    assert len(cli("--scan", "--pattern", "s3shunt:view:*:films/a")) == 2


def test_of_versions_the_current_one_is_shown(site, cli):
    old, new = put(site, an_entry("a", "v1", current=False), an_entry("a", "v2"))
    assert shown(cli, "films/a")["version"] == "v2"
    change(site, old, reason="old")
    assert "reason" not in shown(cli, "films/a")
    change(site, new, current=False)
    assert shown(cli, "films/a")["state"] == "absent"


def test_a_key_that_is_gone_is_absent_and_soon_not_shown(site, cli):
    (row,) = put(site, an_entry("a"))
    assert site.catalog.commit(Step(swaps=(Swap(row, None),)))
    site.drain()
    assert shown(cli, "films/a")["state"] == "absent"
    assert 0 < int(cli("PTTL", "s3shunt:view:films/a")[0]) <= 60_000
    put(site, an_entry("a"))
    assert int(cli("TTL", "s3shunt:view:films/a")[0]) > 29 * 86_400


def test_who_comes_late_with_an_older_change_changes_nothing(site, cli):
    (row,) = put(site, an_entry("a", reason="old"))
    change(site, row, reason="new")
    site.index.show([(1, row.ref, row)])
    assert shown(cli, "films/a")["reason"] == "new"
    site.index.show([(10**6, row.ref, None)])
    site.index.show([(5, row.ref, row)])
    assert shown(cli, "films/a")["state"] == "absent"


def test_emptied_at_any_time_nothing_is_missed_and_the_next_change_is_shown(site, cli):
    (row,) = put(site, an_entry("a", state=State.ARCHIVED))
    cli("FLUSHALL")
    assert site.catalog.find(ObjectRef("films", "a")) == row
    assert shown(cli, "films/a") == {}
    change(site, row, reason="seen")
    assert shown(cli, "films/a")["reason"] == "seen"


def test_what_is_written_there_by_hand_is_never_believed(site, cli):
    (row,) = put(site, an_entry("a", state=State.ARCHIVED))
    cli("HSET", "s3shunt:view:films/a", "state", "online")
    assert site.catalog.find(ObjectRef("films", "a")).state is State.ARCHIVED
    cli("DEL", "s3shunt:view:films/a")
    cli("SET", "s3shunt:view:films/a", "nonsense")
    change(site, row, reason="mended")
    assert shown(cli, "films/a")["reason"] == "mended"


def test_a_view_that_is_not_taken_costs_nothing(site, cli):
    def refuse(_):
        raise ServiceUnavailable

    site.index.show = refuse
    put(site, an_entry("a"))
    assert site.truth.publishes(LATER * 10) == []
    assert shown(cli, "films/a") == {}


def test_it_is_off_unless_it_is_wished(site, cli):
    quiet = RedisIndex(RedisIndex.Options(url=site.index.options.url, secret_file=site.index.options.secret_file), site)
    quiet.show([(1, ObjectRef("films", "a"), an_entry("a"))])
    assert cli("--scan", "--pattern", "s3shunt:view:*") == []
    assert not config.read(SqlCatalog.Options, "catalog:main", {"url": "sqlite:////x"}).view


def test_the_ini_turns_it_on(running, tmp_path):
    ini = tmp_path / "x.ini"
    ini.write_text(f"[catalog:main]\nurl = sqlite:///{tmp_path}/c.db\nindex = {running.url}\nview = yes\nview_keep = 1h\n")
    house = connect.House(Ini(ini, {}), HandClock())
    tiered = house.catalog()
    assert (tiered._shows, tiered._index.options.view, tiered._index.options.view_keep) == (True, True, 3_600_000)
    tiered.close()


def test_a_view_without_an_index_stops_the_start(tmp_path):
    ini = tmp_path / "x.ini"
    ini.write_text(f"[catalog:main]\nurl = sqlite:///{tmp_path}/c.db\nview = yes\n")
    with pytest.raises(config.ConfigError, match=r"\[catalog:main\]: view = yes: expected an index"):
        connect.House(Ini(ini, {}), HandClock()).truth()
