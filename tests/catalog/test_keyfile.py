"""Keys in a JSON file: read, refused, changed while running, written whole."""

import json
import logging
import resource
import threading

import pytest

from s3shunt import config
from s3shunt.catalog.keyfile import KeyFile, read, written
from s3shunt.config import ConfigError, Ini
from s3shunt.connect import House
from s3shunt.model import Grant, Key
from s3shunt.protocol.errors import ServiceUnavailable

FULL = {
    "access_key": "AK",
    "secret_key": "hush",
    "account": "films",
    "expires": 1_767_609_000_000,
    "session_token": "tok",
    "grants": [{"buckets": ["films", "tv-*"], "prefixes": ["in/"], "allow": ["read", "restore"]}, {}],
    "store_access_key": "SAK",
    "store_secret_key": "SSK",
    "disabled": True,
}
LEAST = {"access_key": "B", "secret_key": "hush", "account": "b"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys.json"


def put(path, records, mode=0o600):
    """As an editor does: another file in its place."""
    new = path.with_suffix(".new")
    new.write_text(records if isinstance(records, str) else json.dumps(records))
    new.chmod(mode)
    new.rename(path)


def opened(path):
    return KeyFile(config.read(KeyFile.Options, "keys:main", {"url": f"file://{path}"}))


def test_all_fields_are_read(path):
    put(path, [FULL, LEAST])
    keys = opened(path)
    assert keys.find("AK") == Key(
        access_key="AK", secret_key="hush", account="films", expires=1_767_609_000_000, session_token="tok",
        grants=(Grant(buckets=("films", "tv-*"), prefixes=("in/",), allow=("read", "restore")), Grant()),
        store_access_key="SAK", store_secret_key="SSK", disabled=True,
    )  # fmt: skip
    assert keys.find("B") == Key(access_key="B", secret_key="hush", account="b")
    assert keys.find("b") is None
    assert [key.access_key for key in keys.all()] == ["AK", "B"]


def test_no_grants_and_empty_grants_are_two_things(path):
    put(path, [LEAST, LEAST | {"access_key": "C", "grants": []}])
    keys = opened(path)
    assert keys.find("B").grants is None
    assert keys.find("C").grants == ()


def test_an_expiry_may_be_written_as_a_time():
    [key] = read(json.dumps([LEAST | {"expires": "2026-01-05T10:30:00Z"}]).encode()).values()
    assert key.expires == 1_767_609_000_000
    [key] = read(json.dumps([LEAST | {"expires": "2026-01-05T11:30:00.250+01:00"}]).encode()).values()
    assert key.expires == 1_767_609_000_250


def test_what_is_written_reads_the_same():
    keys = read(json.dumps([FULL, LEAST, LEAST | {"access_key": "é", "grants": []}]).encode())
    assert read(written(keys)) == keys


BROKEN = [
    ("", "Expecting value"),
    ("{}", "expected a JSON list"),
    ("[1]", "key 1: expected an object"),
    ('[{"access_key": "A"}]', "key 1: needs secret_key"),
    (json.dumps([LEAST | {"secret_key": ""}]), "needs secret_key"),
    (json.dumps([LEAST | {"account": 7}]), "account: expected a string"),
    (json.dumps([LEAST | {"secret_key": "\ud800"}]), "secret_key: expected text"),
    (json.dumps([LEAST | {"secret": "x"}]), "secret is no field"),
    (json.dumps([LEAST, LEAST]), "key 2: B is there twice"),
    ('[{"access_key": "A", "access_key": "B"}]', "given twice"),
    (json.dumps([LEAST | {"disabled": "no"}]), "disabled: expected true or false"),
    (json.dumps([LEAST | {"expires": "tomorrow"}]), "expires: expected milliseconds"),
    (json.dumps([LEAST | {"expires": "2026-01-05T10:30:00"}]), "expires: expected milliseconds"),
    (json.dumps([LEAST | {"expires": True}]), "expires: expected milliseconds"),
    (json.dumps([LEAST | {"grants": {}}]), "grants: expected a list"),
    (json.dumps([LEAST | {"grants": [{"allow": "read"}]}]), "allow: expected a list"),
    (json.dumps([LEAST | {"grants": [{"allow": ["fly"]}]}]), "allow: fly: expected some of read"),
    (json.dumps([LEAST | {"grants": [{"buckets": [1]}]}]), "buckets: expected strings"),
    (json.dumps([LEAST | {"grants": [{"bucket": ["a"]}]}]), "bucket is no field"),
    ("[" * 100_000, "nested so deep"),
]


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_a_malformed_file_stops_the_start(path, text, message):
    put(path, text)
    with pytest.raises(ConfigError, match=message) as refused:
        opened(path)
    assert str(path) in str(refused.value)
    assert "hush" not in str(refused.value)


def test_a_file_that_is_not_text_stops_the_start(path):
    path.write_bytes(b"\xff\xfe[]")
    path.chmod(0o600)
    with pytest.raises(ConfigError):
        opened(path)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o620])
def test_a_file_that_others_can_read_stops_the_start(path, mode):
    put(path, [LEAST], mode)
    with pytest.raises(ConfigError, match=f"{path}: has mode {mode:04o}: expected 0600"):
        opened(path)


@pytest.mark.parametrize("url", ["file://keys.json", "file:///", "http://keys", "/keys.json"])
def test_the_url_is_absolute(url):
    with pytest.raises(ConfigError, match="expected file:///"):
        config.read(KeyFile.Options, "keys:main", {"url": url})


def test_a_change_is_seen_at_once(path):
    put(path, [LEAST])
    keys = opened(path)
    put(path, [LEAST | {"secret_key": "hash"}, FULL])
    assert keys.find("B").secret_key == "hash"
    put(path, [FULL])
    assert keys.find("B") is None


def test_a_file_that_was_not_read_again_was_not_changed(path):
    put(path, [LEAST])
    keys = opened(path)
    assert keys.find("B") is keys.find("B")


@pytest.mark.parametrize("breakage", ["text", "mode", "gone"])
def test_a_broken_change_leaves_the_keys_as_they_were(path, caplog, breakage):
    put(path, [LEAST])
    keys = opened(path)
    if breakage == "gone":
        path.unlink()
    else:
        put(path, "[" if breakage == "text" else [FULL], 0o644 if breakage == "mode" else 0o600)
    with caplog.at_level(logging.ERROR):
        assert keys.find("B") is not None
        assert keys.find("AK") is None
        assert [key.access_key for key in keys.all()] == ["B"]
    assert len(caplog.records) == 1, "said once, not for every request"
    assert str(path) in caplog.text
    assert "hush" not in caplog.text
    if breakage == "mode":
        path.chmod(0o600)
    else:
        put(path, [FULL])
    assert keys.find("AK") is not None


def test_a_file_that_is_not_there_yet_holds_no_keys_and_says_so(path, caplog):
    keys = opened(path)
    assert keys.find("AK") is None
    assert "does not exist" in caplog.text
    put(path, [FULL])
    assert keys.find("AK") is not None


def test_saved_keys_are_found_by_all_and_only_the_owner_reads_them(path):
    here, there = opened(path), opened(path)
    one = Key(access_key="A", secret_key="hush", account="films", grants=())
    here.save(one)
    assert path.stat().st_mode & 0o777 == 0o600
    assert here.find("A") == there.find("A") == one
    there.save(Key(access_key="B", secret_key="hush", account="b"))
    assert [key.access_key for key in here.all()] == ["A", "B"]
    here.drop("A")
    here.drop("A")
    assert there.find("A") is None
    assert [file.name for file in path.parent.iterdir()] == ["keys.json"]


def test_what_cannot_be_read_is_not_overwritten(path):
    put(path, [LEAST])
    keys = opened(path)
    put(path, "[broken")
    with pytest.raises(ConfigError):
        keys.save(Key(access_key="A", secret_key="s", account="a"))
    assert path.read_text() == "[broken"


def test_a_write_that_fails_leaves_the_old_file(path):
    put(path, [LEAST])
    keys = opened(path)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limit[1]))
    try:
        with pytest.raises(ServiceUnavailable):
            keys.save(Key(access_key="A", secret_key="s", account="a"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert json.loads(path.read_text()) == [LEAST]
    assert [file.name for file in path.parent.iterdir()] == ["keys.json"]
    assert keys.find("A") is None


def test_writers_at_the_same_time_lose_nothing(path):
    adapters = [opened(path) for _ in range(4)]

    def add(number):
        for count in range(10):
            adapters[number].save(Key(access_key=f"{number}-{count}", secret_key="s", account="a"))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened(path).all()) == 40


def test_the_house_connects_it_by_its_scheme(tmp_path, path):
    put(path, [LEAST])
    ini = tmp_path / "proxy.ini"
    ini.write_text(f"[keys:main]\nurl = file://{path}\n")
    assert House(Ini(ini, {})).keys("main").find("B").account == "b"
