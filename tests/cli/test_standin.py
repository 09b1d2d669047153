import json
import signal
import subprocess
import sys

import pytest
import requests
from click.testing import CliRunner

from s3shunt.cli.main import cli


@pytest.fixture
def http():
    with requests.Session() as session:
        session.trust_env = False
        yield session


def started(*arguments):
    return subprocess.Popen([sys.executable, "-m", "s3shunt", "stand-in", "mediahaven", *arguments], stdout=subprocess.PIPE, text=True)


def test_mediahaven_is_played_until_it_is_told_to_stop(tmp_path, http):
    knobs = tmp_path / "knobs.json"
    knobs.write_text(json.dumps({"threads": 3, "destination": {"directory": str(tmp_path)}}))
    for held in (1, 1):  # the second time from its state
        with started("--knobs", str(knobs), "--state", str(tmp_path / "state")) as process:
            word, _, told = process.stdout.readline().partition(" ")
            control = json.loads(told)["control"]
            assert word == "READY"
            if not http.get(f"{control}state", timeout=5).json()["records"]:
                http.post(f"{control}ingest", json={"bucket": "b", "key": "k", "body": ""}, timeout=5)
            assert http.get(f"{control}state", timeout=5).json()["records"] == held
            turned = http.post(f"{control}knobs", json={}, timeout=5).json()
            assert (turned["threads"], turned["destination"]) == (3, {"directory": str(tmp_path)})
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
            assert process.stdout.read() == ""


def test_it_says_what_it_can_play():
    told = CliRunner().invoke(cli, ["stand-in", "--help"])
    assert "mediahaven" in told.output


@pytest.mark.parametrize("knobs", ['{"treads": 3}', "[]", "{"])
def test_a_knob_there_is_not_is_one_line_on_stderr(tmp_path, knobs):
    path = tmp_path / "knobs.json"
    path.write_text(knobs)
    command = [sys.executable, "-m", "s3shunt", "stand-in", "mediahaven", "--knobs", str(path)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout, len(told.stderr.splitlines())) == (2, "", 1)
