"""What Swift finds on its disk at each start."""

import re
from configparser import RawConfigParser

import pytest
from swift.common.ring import RingData

from s3shunt.swift import layout

PORTS = {"account": 6001, "container": 6002, "object": 6003, "proxy": 8100}


@pytest.fixture
def home(tmp_path):
    layout.write(tmp_path, tmp_path / "accounts.json", PORTS)
    return tmp_path


def ini(path):
    parser = RawConfigParser()
    parser.read_string(path.read_text())
    return parser


def test_each_ring_has_the_one_disk_at_its_server_s_port(home):
    for kind in layout.SERVERS:
        devices = [device for device in RingData.load(str(home / f"{kind}.ring.gz")).devs if device]
        assert [(device["ip"], device["port"], device["device"]) for device in devices] == [("127.0.0.1", PORTS[kind], "d1")]


def test_a_second_start_finds_the_objects_of_the_first(home):
    before = (home / "swift.conf").read_text()
    layout.write(home, home / "accounts.json", PORTS)
    assert (home / "swift.conf").read_text() == before


def test_two_homes_have_two_salts(home, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    layout.write(other, other / "accounts.json", PORTS)
    assert (home / "swift.conf").read_text() != (other / "swift.conf").read_text()


def test_every_door_of_swift_s_pipeline_has_its_section(home):
    found = ini(home / "proxy-server.conf")
    *doors, app = found["pipeline:main"]["pipeline"].split()
    assert {f"filter:{door}" for door in doors} | {f"app:{app}"} <= set(found.sections())


def test_one_disk_is_never_avoided_and_a_delete_keeps_its_moment(home):
    found = ini(home / "proxy-server.conf")
    assert found["app:proxy-server"]["error_suppression_interval"] == "0"
    assert found["filter:gatekeeper"]["shunt_inbound_x_timestamp"] == "false"


def test_nothing_listens_beyond_loopback(home):
    for conf in home.glob("*-server.conf"):
        assert re.findall(r"bind_ip = (.+)", conf.read_text()) == ["127.0.0.1"]


def test_the_port_of_the_first_start_is_kept(tmp_path):
    assert layout.port(tmp_path) == 0
    layout.keep_port(tmp_path, 8123)
    assert layout.port(tmp_path) == 8123
    assert layout.port(tmp_path, 9000) == 9000


def test_the_room_for_attributes_is_measured_on_the_disk_itself(home):
    assert 1000 < layout.room(home) <= 65536
    assert not (home / "devices/.probe").exists()
