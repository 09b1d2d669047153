"""A whole installation from the default ini: started, used, stopped, started again; and the main job told by itself."""

import json
import os
import select
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from s3shunt.cli import demo, up

pytestmark = pytest.mark.stage

ROOT = Path(__file__).parent.parent.parent
COMMAND = [sys.executable, "-m", "s3shunt"]


@pytest.fixture
def ini(tmp_path):
    path = tmp_path / "proxy.ini"
    path.write_text(demo.settings((ROOT / "etc/proxy.ini").read_text(), tmp_path / "state", demo.free_port(), demo.free_port()))
    return path


@pytest.fixture
def log(tmp_path, request):
    """Where services speak: the stage's folder, or a temporary one."""
    folder = Path(os.environ.get("S3SHUNT_STAGE_LOGS", tmp_path))
    return folder / f"{request.node.name}.log"


@contextmanager
def installation(ini, log):
    environ = {name: value for name, value in os.environ.items() if name != "S3SHUNT_STATE"}
    with log.open("ab") as stderr:
        child = subprocess.Popen([*COMMAND, "up", str(ini)], stdout=subprocess.PIPE, stderr=stderr, env=environ, text=True)
    try:
        line = child.stdout.readline()
        assert line.startswith("READY "), log.read_text()[-2000:]
        yield child, json.loads(line.removeprefix("READY "))
    finally:
        child.send_signal(signal.SIGINT)
        rest, _ = child.communicate(timeout=60)
        assert rest == "", "READY is the only line on stdout"


def client(said):
    key = json.loads(Path(said["keys_file"]).read_text())[0]
    return up.client(said["endpoint"], key["access_key"], key["secret_key"])


def family(pid):
    """Everything below a process, as pidfds by command line."""
    found, below = {}, [pid]
    while below:
        for child in Path(f"/proc/{below.pop()}/task").glob("*/children"):
            for each in map(int, child.read_text().split()):
                found[os.pidfd_open(each)] = Path(f"/proc/{each}/cmdline").read_text().replace("\0", " ")
                below.append(each)
    return found


def test_a_second_start_finds_the_data_of_the_first(ini, log):
    with installation(ini, log) as (_, said):
        client(said).create_bucket(Bucket="films")
        client(said).put_object(Bucket="films", Key="a", Body=b"reel")
    with installation(ini, log) as (_, again):
        assert again == said
        assert client(again).get_object(Bucket="films", Key="a")["Body"].read() == b"reel"


def test_ctrl_c_ends_everything_it_started(ini, log):
    with installation(ini, log) as (child, _):
        started = family(child.pid)
        assert {word for word in ("allinone", "serve", "work", "redis") if any(word in line for line in started.values())} >= {
            "allinone", "serve", "work"
        }  # fmt: skip
    assert child.returncode == 0
    left = [line for watched, line in started.items() if not select.select([watched], [], [], 5)[0]]
    assert left == []


def test_a_killed_launcher_leaves_nothing_behind(ini, log):
    with installation(ini, log) as (child, _):
        started = family(child.pid)
        child.kill()
        child.wait()
        left = [line for watched, line in started.items() if not select.select([watched], [], [], 20)[0]]
        assert left == []


def test_a_proxy_that_falls_is_started_again(ini, log):
    with installation(ini, log) as (child, said):
        [serving] = [watched for watched, line in family(child.pid).items() if " serve " in line]
        signal.pidfd_send_signal(serving, signal.SIGKILL)
        assert select.select([serving], [], [], 10)[0]
        assert _answers(client(said))


def _answers(asking, tries=100):
    from botocore.exceptions import EndpointConnectionError

    from s3shunt.clock import wall

    for _ in range(tries):
        try:
            asking.list_buckets()
        except EndpointConnectionError:
            wall.sleep(0.1)
        else:
            return True
    return False


def test_a_taken_port_is_one_line_and_nothing_is_started(ini, log):
    with installation(ini, log) as (_, said):
        port = said["endpoint"].rpartition(":")[2]
        second = subprocess.run([*COMMAND, "up", str(ini)], capture_output=True, text=True, timeout=30, check=False)
    assert (second.returncode, second.stdout) == (2, "")
    assert f"address = 127.0.0.1:{port}: expected a free address: Address already in use" in second.stderr


def test_the_main_job_is_told_by_itself_in_under_a_minute(log):
    done = subprocess.run([*COMMAND, "demo"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    log.write_text(done.stdout + done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "archived again" in done.stdout
