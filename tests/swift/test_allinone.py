"""A real Swift in a child process: starts, keeps, stops, and ends with its parent."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

CREDENTIALS = {
    "main": {"access_key": "main:s3shunt", "secret_key": "one"},
    "films": {"access_key": "films:s3shunt", "secret_key": "two"},
}


@pytest.fixture
def home(tmp_path):
    (tmp_path / "accounts.json").write_text(json.dumps(CREDENTIALS))
    return tmp_path


@contextmanager
def swift(home, *words):
    command = [sys.executable, "-m", "s3shunt.swift.allinone", "--home", str(home), *words]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        line = child.stdout.readline()
        yield child, json.loads(line) if line else None
    finally:
        child.terminate()
        child.wait(10)
        child.stdout.close()


def client(endpoint, account="main"):
    credential = CREDENTIALS[account]
    config = Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"})
    return boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", config=config,
        aws_access_key_id=credential["access_key"], aws_secret_access_key=credential["secret_key"],
    )  # fmt: skip


def test_what_was_put_is_there_after_a_restart_on_the_same_port(home):
    with swift(home, "--port", "0") as (_, ready):
        client(ready["endpoint"]).create_bucket(Bucket="films")
        client(ready["endpoint"]).put_object(Bucket="films", Key="a", Body=b"reel", Metadata={"note": "n" * 1500})
    with swift(home) as (_, again):
        assert again["endpoint"] == ready["endpoint"]
        found = client(again["endpoint"]).get_object(Bucket="films", Key="a")
        assert (found["Body"].read(), found["Metadata"]) == (b"reel", {"note": "n" * 1500})


def test_headers_beyond_the_disk_are_refused_and_the_next_request_is_served(home):
    with swift(home, "--port", "0") as (_, ready):
        store = client(ready["endpoint"])
        store.create_bucket(Bucket="films")
        with pytest.raises(ClientError) as refused:
            store.put_object(Bucket="films", Key="a", Body=b"", Metadata={f"m{n}": "x" * 900 for n in range(10)})
        assert refused.value.response["Error"]["Code"] == "MetadataTooLarge"
        store.put_object(Bucket="films", Key="b", Body=b"1")


def test_accounts_have_bucket_names_of_their_own(home):
    with swift(home, "--port", "0") as (_, ready):
        for account in CREDENTIALS:
            client(ready["endpoint"], account).create_bucket(Bucket="films")
            client(ready["endpoint"], account).put_object(Bucket="films", Key="whose", Body=account.encode())
        bodies = [client(ready["endpoint"], a).get_object(Bucket="films", Key="whose")["Body"].read() for a in CREDENTIALS]
        assert bodies == [b"main", b"films"]


def test_a_taken_port_is_said_and_nothing_is_started(home, tmp_path_factory):
    with swift(home, "--port", "0") as (_, ready):
        port = ready["endpoint"].rpartition(":")[2]
        other = tmp_path_factory.mktemp("other")
        command = [sys.executable, "-m", "s3shunt.swift.allinone", "--home", str(other), "--port", port]
        second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
        assert second.returncode == 1
        assert f"port {port} on 127.0.0.1 is taken" in second.stderr


def test_it_ends_when_its_parent_is_killed(home):
    """A shell-like parent starts it, tells its pid and is killed with no chance to clean up."""
    code = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-m', 's3shunt.swift.allinone', '--home', {str(home)!r}, '--port', '0'])\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    child = json.loads(parent.stdout.readline())["pid"]
    watched = os.pidfd_open(child)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    import select

    assert select.select([watched], [], [], 10)[0], "it is still running"
    os.close(watched)
    parent.stdout.close()
