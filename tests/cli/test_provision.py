"""A first start makes what a later one finds; nothing has a value that anybody could know."""

import json

import pytest

from s3shunt.cli import provision
from s3shunt.config import Ini

SOURCE = """
[DEFAULT]
state = {state}
[keys:main]
url = file://${{state}}/keys.json
[catalog:main]
url = sqlite:///${{state}}/catalog.db
secret_file = ${{state}}/secret
[store:main]
url = s3+http://127.0.0.1:8100
credentials = ${{state}}/store.json
buckets = per account
"""


@pytest.fixture
def ini(tmp_path):
    path = tmp_path / "proxy.ini"
    path.write_text(SOURCE.format(state=tmp_path / "state"))
    return Ini(path, {})


def read(ini, name):
    return (ini.state / name).read_text()


def test_the_first_key_belongs_to_the_main_account(ini):
    provision.state(ini)
    [key] = json.loads(read(ini, "keys.json"))
    assert key["account"] == "main"
    assert len(key["access_key"]) == 20
    assert len(key["secret_key"]) >= 40


def test_every_secret_is_for_its_owner_s_eyes_only(ini):
    provision.state(ini)
    assert {path.stat().st_mode & 0o777 for path in ini.state.iterdir() if path.is_file()} == {0o600}
    assert ini.state.stat().st_mode & 0o777 == 0o700


def test_a_second_start_changes_nothing(ini):
    provision.state(ini)
    before = {path.name: path.read_text() for path in ini.state.iterdir()}
    provision.state(ini)
    assert {path.name: path.read_text() for path in ini.state.iterdir()} == before
    assert set(before) == {"keys.json", "store.json", "secret"}


def test_the_workers_have_a_store_account_that_no_client_key_names(ini):
    provision.state(ini)
    known = json.loads(read(ini, "store.json"))
    assert known[""]["access_key"].startswith(provision.WORKER)
    assert known["main"]["access_key"].startswith("main:")


def test_a_new_account_is_added_and_the_others_keep_their_secret(ini):
    provision.state(ini)
    before = json.loads(read(ini, "store.json"))
    after = provision.credentials(ini.state / "store.json", {"main", "films"})
    assert after == before | {"films": after["films"]}


def test_two_installations_share_no_secret(ini, tmp_path):
    provision.state(ini)
    first = {name: read(ini, name) for name in ("keys.json", "secret", "store.json")}
    for name in first:
        (ini.state / name).unlink()
    provision.state(ini)
    assert all(read(ini, name) != content for name, content in first.items())
