"""A parent and its workers: what dies is replaced, a reload and a hand-over lose no request."""

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

INI = """
[DEFAULT]
state = {state}
[pipeline:main]
pipeline = health proxy
[listen:main]
address = 127.0.0.1:{port}
app = main
front = {front}
workers = {workers}
parent = yes
drain = 5s
{more}
[filter:health]
use = egg:s3shunt#health
[app:proxy]
use = egg:s3shunt#proxy
[store:main]
url = s3+http://127.0.0.1:9
credentials = {state}/store.json
"""
SERVE = "import logging, sys; logging.basicConfig(level=20); from s3shunt.server import listen; listen.serve(sys.argv[1])"
LIVE = b"GET /-/live HTTP/1.1\r\nHost: x\r\n\r\n"


class Running:
    def __init__(self, folder, front="strict", workers=2):
        self.folder = folder
        (folder / "store.json").touch(mode=0o600)
        (folder / "store.json").write_text('{"": {"access_key": "A", "secret_key": "s"}}')
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.write(front=front, workers=workers)
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([sys.executable, "-c", SERVE, str(folder / "ini")], stderr=log, start_new_session=True)
        assert self.until(lambda: b"generation 1 answers" in self.log.read_bytes()), self.log.read_text()

    def write(self, front="strict", workers=2, more=""):
        (self.folder / "ini").write_text(INI.format(state=self.folder, port=self.port, front=front, workers=workers, more=more))

    def until(self, condition):
        for _ in range(400):
            if condition():
                return True
            threading.Event().wait(0.05)
        return False

    def workers(self):
        return set(Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split())

    def ask(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as sock:
            sock.sendall(LIVE)
            return sock.recv(1000)

    def tell(self, number, count=2):
        """Send a signal, and wait until other workers than before answer alone."""
        before = self.workers()
        self.process.send_signal(number)
        assert self.until(lambda: len(now := self.workers()) == count and not now & before), self.log.read_text()

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@pytest.fixture
def running(tmp_path):
    made = []

    def start(**how):
        made.append(Running(tmp_path, **how))
        return made[0]

    yield start
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()


class Load(threading.Thread):
    """Clients that ask one request after the other, some on connections of their own, some on lasting ones."""

    def __init__(self, port, lasting):
        super().__init__(daemon=True)
        self.port, self.lasting = port, lasting
        self.stop = threading.Event()
        self.answers, self.failures = 0, []

    def run(self):
        sock = None
        while not self.stop.is_set():
            try:
                sock = sock or socket.create_connection(("127.0.0.1", self.port), timeout=10)
                sock.sendall(LIVE)
                raw = sock.recv(2000)
                if not raw.startswith(b"HTTP/1.1 200"):
                    self.failures.append(raw)
                self.answers += 1
                if not self.lasting or b"Connection: close" in raw or not raw:
                    sock.close()
                    sock = None
            except OSError as error:
                self.failures.append(error)
                sock = None
            self.stop.wait(0.002)


def under_load(one, act, least=5):
    load = [Load(one.port, lasting) for lasting in (True, True, False, False)]
    for client in load:
        client.start()
    act()
    for client in load:
        client.stop.set()
        client.join(10)
    assert [failure for client in load for failure in client.failures] == []
    assert min(client.answers for client in load) >= least


@pytest.mark.parametrize("front", ["strict", "stock"])
def test_a_worker_that_dies_is_replaced(running, front):
    one = running(front=front)
    before = one.workers()
    os.kill(int(min(before)), signal.SIGKILL)
    assert one.until(lambda: len(one.workers()) == 2 and one.workers() != before)
    for _ in range(20):
        assert one.ask().startswith(b"HTTP/1.1 200")
    assert one.end() == 0


def test_a_parent_that_dies_takes_its_workers_along(running):
    one = running()
    workers = one.workers()
    one.process.kill()
    one.process.wait()
    assert one.until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


def test_a_signal_to_the_whole_group_ends_all(running):
    one = running()
    workers = one.workers()
    os.killpg(one.process.pid, signal.SIGTERM)
    assert one.process.wait(20) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


def test_reloads_lose_no_request_and_may_change_the_number_of_workers(running):
    one = running()

    def act():
        one.write(workers=3)
        one.tell(signal.SIGHUP, 3)
        one.write(workers=1)
        one.tell(signal.SIGHUP, 1)

    under_load(one, act)
    assert one.end() == 0


def test_hand_overs_to_new_code_lose_no_request_and_keep_the_process(running):
    one = running()

    def act():
        for _ in range(2):
            one.tell(signal.SIGUSR2)

    under_load(one, act)
    assert one.log.read_bytes().count(b"handing over") == 2
    one.tell(signal.SIGHUP)
    assert one.end() == 0


def ended(one, times):
    """Tell workers to end, one after the other."""
    for _ in range(times):
        before = one.workers()
        os.kill(int(min(before)), signal.SIGTERM)
        assert one.until(lambda: len(now := one.workers()) == 2 and now != before)


def test_a_worker_that_is_told_to_end_loses_no_request(running):
    one = running()
    under_load(one, lambda: ended(one, 2), least=1)  # who is in the queue waits for the next
    assert one.end() == 0


def test_a_worker_with_a_request_left_is_replaced_before_it_ends(running):
    one = running(workers=1)
    [leaving] = one.workers()
    with socket.create_connection(("127.0.0.1", one.port), timeout=10) as sock:
        sock.sendall(LIVE[:-2])
        os.kill(int(leaving), signal.SIGTERM)
        assert one.until(lambda: len(one.workers()) == 2)
        assert one.ask().startswith(b"HTTP/1.1 200")
        assert leaving in one.workers()
        sock.sendall(LIVE[-2:])
        assert sock.recv(1000).startswith(b"HTTP/1.1 200")
    assert one.until(lambda: len(now := one.workers()) == 1 and leaving not in now)
    assert one.end() == 0


def test_what_a_worker_is_told_while_it_starts_is_no_death(running):
    one = running()
    for _ in range(10):
        before = one.workers()
        os.kill(max(int(pid) for pid in before), signal.SIGTERM)  # the youngest
        assert one.until(lambda: one.workers() - before)
    assert one.until(lambda: len(one.workers()) == 2)
    for _ in range(20):
        assert one.ask().startswith(b"HTTP/1.1 200")
    assert b"ended with" not in one.log.read_bytes()
    assert one.end() == 0


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_nor_do_a_hundred(running):
    one = running()
    under_load(one, lambda: ended(one, 100))
    assert one.end() == 0


@pytest.mark.parametrize("more", ["fields = many", "certificate = /nowhere.pem"])
def test_a_reload_that_cannot_work_changes_nothing(running, more):
    one = running()
    before = one.workers()
    one.write(more=more)
    one.process.send_signal(signal.SIGHUP)
    assert one.until(lambda: b"not reloaded" in one.log.read_bytes() or b"what answered before goes on" in one.log.read_bytes())
    assert one.until(lambda: one.workers() == before)
    for _ in range(20):
        assert one.ask().startswith(b"HTTP/1.1 200")
    one.write()
    one.tell(signal.SIGHUP)
    assert one.end() == 0


def test_a_start_that_cannot_work_ends(tmp_path):
    with pytest.raises(AssertionError, match="giving up"):
        Running(tmp_path, front="strict\ncertificate = /nowhere.pem")


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_hundred_reloads_and_twenty_hand_overs_lose_no_request(running):
    one = running()

    def act():
        for number in range(120):
            one.tell(signal.SIGUSR2 if number % 6 == 5 else signal.SIGHUP)

    under_load(one, act)
    assert one.end() == 0
