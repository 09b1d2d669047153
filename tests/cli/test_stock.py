"""Another store under the same ini: what its copy says, and what is refused before anything starts."""

import json
import os
import threading
from pathlib import Path

import pytest

from s3shunt.cli import provision, stock, walk
from s3shunt.cli.children import ChildFailed, Family
from s3shunt.config import ConfigError, Ini
from s3shunt.protocol.errors import AccessDenied, ServiceUnavailable
from s3shunt.stores.s3.probe import Manners
from s3shunt.testing.services import Service

PROXY = Path(__file__).parent.parent.parent / "etc/proxy.ini"


@pytest.fixture
def ini(tmp_path, monkeypatch):
    monkeypatch.setenv("S3SHUNT_STATE", str(tmp_path / "var"))
    return Ini(PROXY)


@pytest.fixture
def keys(tmp_path):
    path = tmp_path / "keys of the store.json"
    path.write_text('{"": {"access_key": "a", "secret_key": "not to be seen"}}')
    path.chmod(0o600)
    return path


def answering(monkeypatch, what):
    def manners(_):
        if isinstance(what, Exception):
            raise what
        return what

    monkeypatch.setattr(stock.probe, "manners", manners)


@pytest.mark.parametrize(
    ("kind", "order", "ownership", "settings"),
    [
        ("minio", "bytes", "catalog", {"evict": "version", "keys": "paths", "acl": "no"}),
        ("weed", "directory", "catalog", {"evict": "if-match", "keys": "paths", "acl": "no"}),
        ("swift", "bytes", "store", {"evict": "swift", "buckets": "per account", "acl": "no"}),
    ],
)
def test_the_copy_says_all_that_a_store_needs_and_can_be_started(ini, kind, order, ownership, settings):
    copy = stock.another(ini, kind)
    walk.judge(copy)
    main = copy.section("store", "main")
    assert {name: main[name] for name in settings} == settings
    assert main["url"].startswith("s3+http://127.0.0.1:")
    assert copy.section("up", "")["children"].split() == [kind, "redis"]
    assert copy.section("filter", "listing")["order"] == order
    assert copy.section("filter", "grants")["ownership"] == ownership
    assert copy.section("store", "landing") == ini.section("store", "landing")


def test_everything_else_is_as_it_was(ini):
    copy = stock.another(ini, "weed")
    changed = {("store", "main"), ("filter", "listing"), ("filter", "grants"), ("up", "")}
    for kind, name in walk.titles(ini):
        if (kind, name) not in changed and kind != "DEFAULT":
            here = {option: value.replace(str(copy.state), str(ini.state)) for option, value in copy.section(kind, name).items()}
            assert here == ini.section(kind, name), (kind, name)
    assert copy.sections() == ini.sections()


def test_each_store_has_a_state_of_its_own_and_its_children_find_it(ini, tmp_path):
    first, second = stock.another(ini, "minio"), None
    assert first.state == tmp_path / "var/on-minio"
    assert "S3SHUNT_STATE" not in os.environ
    second = stock.another(ini, "weed")
    assert second.state == tmp_path / "var/on-weed"
    assert first.path.stat().st_mode & 0o777 == 0o600


def test_a_second_start_is_where_the_first_was(ini):
    assert stock.another(ini, "minio").section("store", "main") == stock.another(ini, "minio").section("store", "main")


def test_an_ini_without_those_doors_gets_none(tmp_path, monkeypatch):
    monkeypatch.delenv("S3SHUNT_STATE", raising=False)
    path = tmp_path / "plain.ini"
    path.write_text(f"[DEFAULT]\nstate = {tmp_path}/s\n[store:hot]\n# of old\nurl = s3+http://h:1\ncredentials = ${{here}}/c\n")
    copy = stock.another(Ini(path), "minio")
    assert sorted(copy.sections()) == ["store:hot", "up"]
    assert copy.section("up", "")["children"] == "minio"
    assert "of old" not in copy.path.read_text()


def test_an_endpoint_that_exists_is_asked_how_it_takes_keys(ini, keys, monkeypatch):
    answering(monkeypatch, Manners(order="directory", keys="paths"))
    copy = stock.another(ini, "https://s3.example:9000/", keys)
    main = copy.section("store", "main")
    assert main == {"url": "s3+https://s3.example:9000", "credentials": str(keys), "keys": "paths"}
    assert copy.section("filter", "listing")["order"] == "directory"
    assert copy.section("up", "")["children"] == "redis"
    assert copy.state.name == "on-s3.example-9000"
    assert "not to be seen" not in copy.path.read_text()


def test_one_that_lets_nobody_make_a_bucket_is_taken_for_exact(ini, keys, monkeypatch, capsys):
    answering(monkeypatch, AccessDenied())
    assert stock.another(ini, "http://h:1", keys).section("store", "main")["keys"] == "exact"
    assert "could not find out" in capsys.readouterr().err


def test_the_keys_of_an_endpoint_are_not_touched(ini, keys, monkeypatch):
    answering(monkeypatch, Manners())
    before = keys.read_bytes()
    provision.state(stock.another(ini, "http://h:1", keys))
    assert keys.read_bytes() == before


def test_one_that_does_not_answer_is_said_before_anything_starts(ini, keys, monkeypatch):
    answering(monkeypatch, ServiceUnavailable())
    with pytest.raises(ConfigError, match="expected a store that answers"):
        stock.another(ini, "http://h:1", keys)


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ("tape", "expected minio, weed, swift, or a URL"),
        ("ftp://host", "expected http"),
        ("http://me:secret-of-mine@host:1", "no name or secret in it"),
        ("http://host:1", "S3SHUNT_STORE_CREDENTIALS"),
    ],
)
def test_what_cannot_be_is_refused_and_no_secret_said(ini, store, said):
    with pytest.raises(ConfigError, match=said) as caught:
        stock.another(ini, store)
    assert "secret-of-mine" not in str(caught.value)


def test_keys_that_are_not_there_are_named(ini, tmp_path):
    with pytest.raises(ConfigError, match=f"--store-credentials {tmp_path}/none: expected a file of the store's keys"):
        stock.another(ini, "http://h:1", tmp_path / "none")


def test_a_started_store_has_one_pair_of_keys_that_nobody_could_know(ini):
    copy = stock.another(ini, "minio")
    provision.state(copy)
    [path] = provision.credential_files(copy)
    known = json.loads(path.read_text())
    assert known.keys() == {""}
    assert len(known[""]["secret_key"]) >= 40
    assert path.stat().st_mode & 0o777 == 0o600
    provision.state(copy)
    assert json.loads(path.read_text()) == known


@pytest.fixture
def family():
    made = Family()
    yield made
    made.stop()


def started(ini, monkeypatch, family, command, up):
    monkeypatch.setitem(stock.STORES, "minio", lambda *_: Service("MinIO", command, {"PATH": "/bin:/usr/bin"}, up))
    copy = stock.another(ini, "minio")
    provision.state(copy)
    stock.start(copy, "minio", family, threading.Event(), 5000)
    return copy


def test_a_store_is_there_when_it_answers(ini, monkeypatch, family):
    answers = iter([False, False, True])
    started(ini, monkeypatch, family, ["sleep", "60"], lambda: next(answers))
    assert not family.fallen()


def test_one_that_falls_at_once_is_said_with_its_last_words(ini, monkeypatch, family):
    with pytest.raises(ChildFailed, match="no room"):
        started(ini, monkeypatch, family, ["sh", "-c", "echo no room; exit 1"], lambda: False)
