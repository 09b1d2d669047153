"""A whole installation from the default ini: started, used, stopped, started again; and the main job told by itself."""

import select
import signal
import subprocess
from pathlib import Path

import pytest

from s3shunt.testing.stage.up import COMMAND, client, family, installation, left

pytestmark = pytest.mark.stage


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
    assert left(started) == []


def test_a_killed_launcher_leaves_nothing_behind(ini, log):
    with installation(ini, log) as (child, _):
        started = family(child.pid)
        child.kill()
        child.wait()
        assert left(started, 20) == []


@pytest.mark.parametrize("which", [0, 1], ids=["parent", "worker"])
def test_a_proxy_that_falls_is_started_again(ini, log, which):
    with installation(ini, log) as (child, said):
        serving = [watched for watched, line in family(child.pid).items() if " serve " in line]
        assert len(serving) == 2
        signal.pidfd_send_signal(serving[which], signal.SIGKILL)
        assert select.select([serving[which]], [], [], 10)[0]
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
    done = subprocess.run([*COMMAND, "demo"], cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120, check=False)
    log.write_text(done.stdout + done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "archived again" in done.stdout
