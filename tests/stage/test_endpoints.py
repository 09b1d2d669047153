"""One SeaweedFS behind two endpoints, of which one is killed under load: no read fails, no write is half."""

import hashlib
import json
import os
import random
import secrets
import signal
import sys
import threading
from contextlib import ExitStack

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from s3shunt import clock
from s3shunt.testing import services, stage
from s3shunt.testing.services import seaweedfs
from s3shunt.testing.stage.machines import asked
from s3shunt.testing.stage.process import Process, until

pytestmark = pytest.mark.stage

READERS, WRITERS = 8, 6
INI = """
[DEFAULT]
state = {state}
[pipeline:main]
pipeline = access_log errors health sigv4 grants proxy
[listen:main]
address = 127.0.0.1:{port}
app = main
workers = 1
[filter:access_log]
use = egg:s3shunt#access_log
path = {state}/access.log
flush = 100ms
[filter:errors]
use = egg:s3shunt#errors
[filter:health]
use = egg:s3shunt#health
catalog = none
every = 300ms
[filter:sigv4]
use = egg:s3shunt#sigv4
[filter:grants]
use = egg:s3shunt#grants
ownership = open
catalog = none
[app:proxy]
use = egg:s3shunt#proxy
response = 5s
[keys:main]
url = file://{state}/keys.json
[store:main]
url = s3+http://127.0.0.1:{first}
also = http://127.0.0.1:{second}
credentials = {credentials}
"""


class Site:
    """A proxy before two endpoints, ``first`` and ``second``; the store itself is behind both, and stays."""

    def __init__(self, kept, folder):
        binary, home, ports = seaweedfs.program(), services.new_home("seaweedfs"), seaweedfs.free_ports(6)
        kept.callback(seaweedfs.forget_sockets, ports)
        kept.enter_context(services.running(seaweedfs.service(binary, home, ports[:4]), home, patience=60, log=folder / "weed.log"))
        self.endpoints = [self.started(kept, folder, seaweedfs.gateway(binary, home, ports[3], port), port, 403) for port in ports[4:]]
        self.ports, self.folder, port = ports[4:], folder, services.free_port()
        stage.private(folder / "keys.json", [{"access_key": "AK", "secret_key": "a-secret-of-clients", "account": "main"}])
        given = services.credentials(folder / "store.json", seaweedfs.ACCESS_KEY, seaweedfs.SECRET_KEY)
        text = INI.format(state=folder, port=port, first=ports[4], second=ports[5], credentials=given)
        (folder / "site.ini").write_text(text)
        self.started(kept, folder, [sys.executable, "-m", "s3shunt", "serve", str(folder / "site.ini")], port, 403)
        self.url = f"http://127.0.0.1:{port}"

    def started(self, kept, folder, command, port, status):
        made = Process(f"port-{port}", command, folder / f"{port}.log", lambda: services.answers(f"http://127.0.0.1:{port}/", status))
        made.start()
        kept.callback(made.kill)
        return made

    def s3(self):
        return stage.client(self.url, "AK", "a-secret-of-clients", retries={"total_max_attempts": 1})

    def lines(self):
        return [json.loads(line) for line in (self.folder / "access.log").read_text().splitlines()]

    def answered(self, since):
        """How many answers each endpoint gave after so many lines."""
        told = [line.get("endpoint") for line in self.lines()[since:]]
        return [told.count(f"127.0.0.1:{port}") for port in self.ports]


class Load:
    """Readers and writers of objects that are written once. What was acknowledged is whole at any time."""

    def __init__(self, site, bucket):
        self.site, self.bucket = site, bucket
        self.known, self.unknown, self.wrong, self.refused, self.reads = {}, {}, [], [], 0
        self.done = threading.Event()
        for _ in range(20):
            self.write(site.s3())
        self.threads = [threading.Thread(target=self.run, args=(step,)) for step in [self.read] * READERS + [self.write] * WRITERS]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        for thread in self.threads:
            thread.join(60)

    def run(self, step):
        s3 = self.site.s3()
        while not self.done.is_set():
            step(s3)
            clock.wall.sleep(0.01)

    def read(self, s3):
        key = random.choice(list(self.known))
        try:
            body = s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except (BotoCoreError, ClientError) as error:
            self.wrong.append((key, repr(error)))
            return
        self.reads += 1
        if hashlib.sha256(body).hexdigest() != self.known[key]:
            self.wrong.append((key, "other bytes"))

    def write(self, s3):
        key, body = secrets.token_hex(8), secrets.token_bytes(random.choice((1, 4_000, 60_000)))
        self.unknown[key] = told = hashlib.sha256(body).hexdigest()
        try:
            s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        except ClientError as error:
            self.refused.append(error.response)
            return
        self.known[key] = told
        del self.unknown[key]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    if seaweedfs.program() is None:
        pytest.skip(seaweedfs.WHY_NOT)
    with ExitStack() as kept:
        yield Site(kept, tmp_path_factory.mktemp("endpoints"))


@pytest.mark.parametrize("number", [0, 1])
def test_an_endpoint_is_killed_under_load_and_comes_back(site, bucket, number):
    site.s3().create_bucket(Bucket=bucket)
    ready = lambda: json.loads(asked(f"{site.url}/-/ready")[1])
    with Load(site, bucket) as load:
        clock.wall.sleep(2)
        assert min(site.answered(0)) > 0
        site.endpoints[number].kill()
        until("it is told", lambda: ready() == {"status": "degraded", "down": ["endpoint"]}, 10)
        clock.wall.sleep(3)
        lines = len(site.lines())
        clock.wall.sleep(1)
        assert site.answered(lines)[number] == 0
        site.endpoints[number].start()
        until("it is asked again", lambda: site.answered(lines)[number] > 5, 20)
        until("all is well", lambda: ready() == {"status": "up"}, 10)
    judged(site, bucket, load)


def test_an_endpoint_that_hangs_under_load_holds_up_reads_and_fails_none(site, bucket):
    site.s3().create_bucket(Bucket=bucket)
    hung = site.endpoints[1]
    with Load(site, bucket) as load:
        clock.wall.sleep(1)
        os.kill(hung.pid, signal.SIGSTOP)
        clock.wall.sleep(8)
        lines = len(site.lines())
        clock.wall.sleep(2)
        assert site.answered(lines)[0] > 20
        os.kill(hung.pid, signal.SIGCONT)
        until("it is asked again", lambda: site.answered(lines)[1] > 5, 20)
    judged(site, bucket, load)


def judged(site, bucket, load):
    """No read failed; of what was not written each writer was told so that he can come again."""
    assert load.wrong == []
    assert load.reads > 100
    for refusal in load.refused:
        told = refusal["ResponseMetadata"]
        assert (told["HTTPStatusCode"], refusal["Error"]["Code"]) == (503, "ServiceUnavailable")
        assert int(told["HTTPHeaders"]["retry-after"]) > 0
    assert len(load.refused) <= WRITERS * 2
    s3 = site.s3()
    for key, told in {**load.known, **load.unknown}.items():
        try:
            body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except s3.exceptions.NoSuchKey:
            assert key in load.unknown
            continue
        assert hashlib.sha256(body).hexdigest() == told, "half of it"
