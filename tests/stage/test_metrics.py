"""Numbers of several real workers, told by one of them; whatever becomes of the others."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest

pytestmark = pytest.mark.stage

INI = """
[DEFAULT]
state = {state}
[pipeline:main]
pipeline = access_log metrics errors health ratelimit_peer sigv4 grants proxy
[listen:main]
address = 127.0.0.1:{port}
app = main
workers = 2
[app:metrics]
use = egg:s3shunt#metrics
catalog = none
[listen:metrics]
address = 127.0.0.1:{metrics}
app = metrics
[filter:access_log]
use = egg:s3shunt#access_log
path = {state}/access.log
[filter:metrics]
use = egg:s3shunt#metrics
[filter:errors]
use = egg:s3shunt#errors
[filter:health]
use = egg:s3shunt#health
catalog = none
[filter:ratelimit_peer]
use = egg:s3shunt#ratelimit_peer
rate = 1/d
burst = {burst}
catalog = none
[filter:sigv4]
use = egg:s3shunt#sigv4
[filter:grants]
use = egg:s3shunt#grants
ownership = open
catalog = none
[keys:main]
url = file://{state}/keys.json
[app:proxy]
use = egg:s3shunt#proxy
[store:main]
url = s3+http://127.0.0.1:9
credentials = {state}/store.json
"""


class Site:
    def __init__(self, folder, burst):
        (folder / "store.json").touch(mode=0o600)
        (folder / "store.json").write_text('{"": {"access_key": "A", "secret_key": "s"}}')
        (folder / "keys.json").touch(mode=0o600)
        (folder / "keys.json").write_text("[]")
        self.port, self.metrics = free(), free()
        (folder / "ini").write_text(INI.format(state=folder, port=self.port, metrics=self.metrics, burst=burst))
        command = [sys.executable, "-m", "s3shunt", "serve", str(folder / "ini")]
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(command, stderr=log)
        self.until(lambda: self.ask("/-/live") == 200)

    def ask(self, path):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=10) as sock:
                sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
                return int(sock.makefile("rb").readline().split()[1])
        except OSError:
            return 0

    def told(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=10) as answer:
            found = re.findall(rf"^{re.escape(name)}(?:\{{[^}}]*\}})? (\S+)$", answer.read().decode(), re.MULTILINE)
        return sum(float(value) for value in found)

    def until(self, condition):
        for _ in range(400):
            if condition():
                return
            threading.Event().wait(0.05)
        raise AssertionError("it never came true")

    def workers(self):
        return set(Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split())

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


def free():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@pytest.fixture
def start(tmp_path):
    made = []

    def start(burst=1_000_000):
        made.append(Site(tmp_path, burst))
        return made[0]

    yield start
    for site in made:
        site.end()


def test_whichever_worker_is_asked_it_tells_of_all_of_them(start):
    site = start()
    before = site.told("s3shunt_requests_total")
    for _ in range(60):
        assert site.ask("/-/live") == 200
    site.until(lambda: site.told("s3shunt_requests_total") >= before + 60)
    for _ in range(10):
        assert site.told("s3shunt_requests_total") >= before + 60


def test_what_a_killed_worker_had_counted_stays_counted(start):
    site = start()
    for _ in range(40):
        site.ask("/-/live")
    site.until(lambda: site.told("s3shunt_requests_total") >= 40)
    before = site.workers()
    os.kill(int(min(before)), signal.SIGKILL)
    site.until(lambda: len(now := site.workers()) == 2 and now != before)
    for _ in range(10):
        assert site.told("s3shunt_requests_total") >= 40


def test_who_asks_too_often_is_told_to_slow_down_and_counted(start):
    site = start(burst=100)
    answers = [site.ask("/films/a") for _ in range(250)]
    assert answers.count(503) >= 50
    site.until(lambda: site.told("s3shunt_errors_total") >= answers.count(503))
