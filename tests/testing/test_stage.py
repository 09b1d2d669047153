"""A site's ini and its processes, without starting a store."""

import signal
import sys
from pathlib import Path

import pytest

from s3shunt.config import Ini
from s3shunt.testing.stage import ini, stores
from s3shunt.testing.stage.process import NotInTime, Process, until


@pytest.fixture
def store(tmp_path):
    credentials = stores.private(tmp_path / "store.json", {"": {"access_key": "w", "secret_key": "x"}})
    return stores.Store("seaweedfs", "http://127.0.0.1:1", credentials, {"evict": "if-match"}, order="directory")


@pytest.mark.parametrize("posix", [True, False])
@pytest.mark.parametrize("index", [True, False])
def test_the_ini_of_a_site_is_one_that_is_accepted(tmp_path, store, index, posix):
    from s3shunt.cli import walk

    path = tmp_path / "site.ini"
    given = ini.sections(tmp_path, store, name="a", port=1, index=index, posix=posix, day="10s")
    path.write_text(ini.text(given, {"archive:tape": {"mount": "3s"}}))
    found = Ini(path, {})
    walk.judge(found)
    assert found.day == 10_000
    assert found.section("archive", "tape")["mount"] == "3s"
    assert found.section("store", "landing")["url" if posix else "like"]


def test_the_store_is_asked_with_its_own_credential(store):
    assert store.keys() == ("w", "x")


def program(tmp_path, source):
    return Process("program", [sys.executable, "-c", source], tmp_path / "log")


def test_a_killed_program_has_no_time_to_say_goodbye(tmp_path):
    process = program(tmp_path, "import time\ntry:\n print('up', flush=True); time.sleep(60)\nfinally:\n print('bye', flush=True)")
    process.ready = lambda: "up" in process.said()
    process.start()
    running = process.running
    process.kill()
    assert running.returncode == -signal.SIGKILL
    assert "bye" not in process.said()


def test_a_program_that_ends_at_once_says_why(tmp_path):
    process = program(tmp_path, "raise SystemExit('no such film')")
    process.ready = lambda: False
    with pytest.raises(NotInTime, match="no such film"):
        process.start()


def test_what_does_not_come_true_is_named():
    with pytest.raises(NotInTime, match="pigs fly"):
        until("pigs fly", lambda: False, 0.01)


def test_the_ini_of_a_broadcasters_house_is_the_shipped_one_with_other_addresses(tmp_path):
    from s3shunt.cli import walk
    from s3shunt.testing.stage import vrt
    from s3shunt.testing.stage.machines import Placed

    source = Path(__file__).parent.parent.parent / "etc/vrt.ini"
    made = vrt.House(tmp_path, tmp_path, {}, notices={1: "127.0.0.1:7"})
    for name in ("postgres", "redis", "store", "mediahaven", "serve-1"):
        endpoint = {"postgres": "postgresql://s3shunt@127.0.0.1:5/p", "redis": "redis://127.0.0.1:6/0"}.get(name, "http://127.0.0.1:8")
        made.parts[name] = Placed(program(tmp_path, ""), endpoint, tmp_path / "store.json")
    for arrival in ("s3", "path"):
        vrt._write(made, source, 1, arrival, [vrt.QUICK])
        found = Ini(made.ini(), {})
        walk.judge(found)
        assert found.section("archive", "tape")["arrival"] == arrival
        assert ("url" in found.section("store", "landing")) is (arrival == "path")
        assert found.section("listen", "notices")["address"] == "127.0.0.1:7"
        assert found.section("filter", "shunt")["archived_get"] == "busy"


def test_a_program_that_will_not_start_yet_is_started_until_it_stays(tmp_path):
    script = f"import pathlib, sys, time; p = pathlib.Path({str(tmp_path / 'n')!r}); n = len(p.read_text()) if p.exists() else 0\n"
    process = program(tmp_path, script + "p.write_text('x' * (n + 1))\nif n < 2: sys.exit(1)\nprint('up', flush=True); time.sleep(60)")
    process.ready = lambda: "up" in process.said()
    process.revive(20)
    assert (tmp_path / "n").read_text() == "xxx"
    process.kill()
