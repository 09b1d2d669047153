"""What up does before anything is started, and what it says."""

import socket

import pytest

from s3shunt.cli import demo, up
from s3shunt.config import ConfigError, Ini

SOURCE = """\
[DEFAULT]
#state = ./var
#day = 24h
[catalog:main]
url = sqlite:///${state}/catalog.db
index = redis+unix://${state}/redis.sock
secret_file = ${here}/secret
[listen:main]
address = 0.0.0.0:8080
app = main
[store:main]
url = s3+http://127.0.0.1:8100
swift = http://127.0.0.1:8100
[archive:tape]
url = tape://${state}/tape
mount = 3s
"""


@pytest.fixture
def ini(tmp_path):
    path = tmp_path / "proxy.ini"
    path.write_text(SOURCE)
    (tmp_path / "state").mkdir()
    return Ini(path, {"S3SHUNT_STATE": str(tmp_path / "state")})


def test_clients_on_this_machine_reach_a_listener_on_every_address(ini):
    assert up.listen_address(ini) == ("127.0.0.1", 8080)


def test_a_taken_address_is_said_before_anything_starts():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = taken.getsockname()
        with pytest.raises(ConfigError, match=rf"address = 127.0.0.1:{address[1]}: expected a free address: Address already in use"):
            up._free(address)


def test_without_redis_the_copy_of_the_ini_has_no_index_and_is_the_same_otherwise(ini, tmp_path):
    copy = Ini(up.without_index(ini), {"S3SHUNT_STATE": str(ini.state)})
    assert "index" not in copy.section("catalog", "main")
    assert copy.section("catalog", "main")["secret_file"] == f"{tmp_path}/secret"
    assert copy.sections() == ini.sections()


def test_an_ini_without_a_listener_is_refused(tmp_path):
    path = tmp_path / "a.ini"
    path.write_text("[DEFAULT]\n")
    with pytest.raises(ConfigError, match=r"\[listen:main\] is missing"):
        up.listen_address(Ini(path, {}))


def test_the_demonstration_has_short_days_and_ports_and_state_of_its_own(tmp_path):
    path = tmp_path / "demo.ini"
    path.write_text(demo.settings(SOURCE, tmp_path / "there", 1234, 5678))
    found = Ini(path, {})
    assert (found.day, found.state) == (10_000, tmp_path / "there")
    assert up.listen_address(found) == ("127.0.0.1", 1234)
    assert found.section("store", "main") == {"url": "s3+http://127.0.0.1:5678", "swift": "http://127.0.0.1:5678"}


def test_the_walk_to_paste_is_six_lines():
    lines = up.WALK.format(endpoint="E", keys="K", bin="B").strip().splitlines()
    assert len(lines[1:]) == 6
    assert "Tier=Expedited}'" in lines[4]
