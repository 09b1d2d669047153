"""Redis, PostgreSQL, the store and MediaHaven are each away for a while, under load, in a broadcaster's house as shipped.

``S3SHUNT_OUTAGE`` is how many seconds each is away: fifteen, or what it says. ``./run_tests long`` has ten minutes.
"""

import os
import secrets
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from s3shunt.model import State
from s3shunt.testing.stage import stores, vrt
from s3shunt.testing.stage.process import until

from .test_vrt import INI, meanwhile

pytestmark = pytest.mark.stage

SHORT = float(os.environ.get("S3SHUNT_OUTAGE", "15"))
AT_ONCE = {
    "policy:films": {"after": "0s", "evict": "at once"},
    **{f"job:{job}": {"every": "300ms", "retry": "300ms"} for job in ("archive", "evict")},
}
"""What makes a stage of it; recalls wait as the ini says."""


@dataclass(frozen=True)
class Expected:
    """What clients are told while a part is away, what ``/-/ready`` calls it, and after how many seconds all is well again."""

    down: str
    get: set[int]
    put: set[int]
    restore: set[int]
    within: float


PARTS = {
    "redis": Expected("index", {200}, {200}, {503}, 5),  # restores are counted there, by all proxies together
    "postgres": Expected("catalog", {200}, {503}, {503}, 10),
    "store": Expected("store", {503}, {503}, {202}, 10),
    "mediahaven": Expected("archive", {200}, {200}, {202}, 60),
}


@pytest.fixture(scope="module")
def house():
    if reason := stores.missing("seaweedfs"):
        pytest.skip(reason)
    with vrt.house(INI, "seaweedfs", more=AT_ONCE, quick=False) as made:
        made.make("films")
        made.make("rushes")  # which nobody ingests: what is there stays online
        yield made


@dataclass
class Load:
    """Three clients at each proxy. ``told`` counts statuses by what was asked; 0 is no answer."""

    house: object
    online: dict
    films: list
    told: dict = field(default_factory=lambda: {"get": Counter(), "put": Counter(), "restore": Counter()})
    wrong: list = field(default_factory=list)
    taken: list = field(default_factory=list)
    written: dict = field(default_factory=dict)

    def run(self, stop):
        with ThreadPoolExecutor(6) as pool:
            acts = [pool.submit(self._until, stop, act, machine) for machine in vrt.MACHINES for act in (self.get, self.put, self.restore)]
            for act in acts:
                act.result()

    def _until(self, stop, act, machine):
        client, count = self.house.s3(self.house.parts[f"serve-{machine}"].endpoint, retries={"max_attempts": 1}, read_timeout=30), machine
        while not stop.wait(0.1):
            act(client, count)
            count += len(vrt.MACHINES)

    def get(self, client, count):
        key = list(self.online)[count % len(self.online)]
        answer = self._asked("get", client.get_object, Bucket="rushes", Key=key)
        if answer is not None and answer["Body"].read() != self.online[key]:
            self.wrong.append(key)

    def put(self, client, count):
        key, body = f"new {count}", secrets.token_bytes(5000)
        if self._asked("put", client.put_object, Bucket="rushes", Key=key, Body=body) is not None:
            self.written[key] = body
        time.sleep(0.7)

    def restore(self, client, count):
        if not self.films:
            return time.sleep(0.1)
        key, wish = self.films.pop(), {"Days": 55, "GlacierJobParameters": {"Tier": "Standard"}}
        if self._asked("restore", client.restore_object, Bucket="films", Key=key, RestoreRequest=wish) is None:
            self.films.insert(0, key)
            return time.sleep(0.3)
        self.taken.append(key)
        return time.sleep(0.5)

    def _asked(self, what, call, **given):
        """None when it was refused, which 503 does with the word when to come again."""
        try:
            answer = call(**given)
        except ClientError as error:
            said = error.response["ResponseMetadata"]
            self.told[what][said["HTTPStatusCode"]] += 1
            if said["HTTPStatusCode"] == 503 and not said["HTTPHeaders"].get("retry-after", "").isdecimal():
                self.wrong.append(f"{what}: 503 without Retry-After")
            return None
        except BotoCoreError:
            self.told[what][0] += 1
            return None
        self.told[what][answer["ResponseMetadata"]["HTTPStatusCode"]] += 1
        return answer


def put_all(house, bucket, count, prefix):
    known = {f"{prefix} {number}.mxf": secrets.token_bytes(20_000 + number) for number in range(count)}
    client = house.s3()
    for number, (key, body) in enumerate(known.items()):
        client.put_object(Bucket=bucket, Key=key, Body=body, Metadata={"pid": f"{prefix}-{bucket}-{number}"})
    return known


@pytest.mark.timeout(300 + 2 * SHORT)
@pytest.mark.parametrize("part", PARTS)
def test_what_goes_on_while_a_part_is_away_and_after(house, part):
    away(house, part, SHORT)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", PARTS)
def test_ten_minutes_without_a_part(house, part):
    away(house, part, float(os.environ.get("S3SHUNT_OUTAGE", "600")))


def away(house, part, seconds):
    expected, online = PARTS[part], put_all(house, "rushes", 20, part)
    films = put_all(house, "films", 24, part)
    house.reach(State.ARCHIVED, "films", *films)
    load, warm = Load(house, online, []), Load(house, online, [])
    with ThreadPoolExecutor(1) as pool, meanwhile() as stop:
        pool.submit(warm.run, stop)
        time.sleep(2)
    house.kill(part)
    load.films = list(films)[:20]
    with ThreadPoolExecutor(1) as pool, meanwhile() as stop:
        running = pool.submit(load.run, stop)
        for machine in vrt.MACHINES:
            until(f"proxy {machine} says what is down", lambda m=machine: house.ready(m).get("down") == [expected.down], 20)
        time.sleep(seconds)
        stop.set()
        running.result()
    house.revive(part)
    took = recovered(house, part, online, list(films)[20:])
    print(f"{part} away for {seconds:g} s: {load.told}; all is well again after {took}")
    assert load.wrong == []
    for what, allowed in (("get", expected.get), ("put", expected.put), ("restore", expected.restore)):
        assert set(load.told[what]) <= allowed, f"{what}: {load.told[what]}"
    assert max(took.values()) <= expected.within, took
    nothing_lost(house, load, films)


def recovered(house, part, online, films):
    """Seconds from the moment the part answers again, until each of these is as ever at both proxies. All are asked at once."""
    began, load, exports = time.monotonic(), Load(house, online, []), len(house.exports())
    asked = {"ready": lambda: all(house.ready(machine) == {"status": "up"} for machine in vrt.MACHINES)}
    if part == "mediahaven":
        asked["asked"] = lambda: len(house.exports()) > exports
    for number, machine in enumerate(vrt.MACHINES):
        client = house.s3(house.parts[f"serve-{machine}"].endpoint, retries={"max_attempts": 1})
        asked |= {f"{what} {machine}": question for what, question in questions(load, client, online, films[number]).items()}

    def well(question):
        while time.monotonic() - began < 120:
            if question():
                return round(time.monotonic() - began, 1)
            time.sleep(0.1)
        return None

    with ThreadPoolExecutor(len(asked)) as pool:
        took = dict(zip(asked, pool.map(well, asked.values()), strict=True))
    assert None not in took.values(), f"never well again: {took}"
    return took


def questions(load, client, online, film):
    """Each is true once it was answered as ever."""
    key, wish = next(iter(online)), {"Days": 55, "GlacierJobParameters": {"Tier": "Standard"}}

    def get():
        answer = load._asked("get", client.get_object, Bucket="rushes", Key=key)
        return answer is not None and answer["Body"].read() == online[key]

    return {
        "get": get,
        "put": lambda: load._asked("put", client.put_object, Bucket="rushes", Key=f"again {film}", Body=b"again") is not None,
        "restore": lambda: load._asked("restore", client.restore_object, Bucket="films", Key=film, RestoreRequest=wish) is not None,
    }


def nothing_lost(house, load, films):
    """What was acknowledged is there; what was accepted comes back, asked for once."""
    client = house.s3()
    for key, body in load.written.items():
        assert client.get_object(Bucket="rushes", Key=key)["Body"].read() == body, key
    house.reach(State.RESTORED, "films", *load.taken, seconds=120)
    for key in load.taken:
        assert client.get_object(Bucket="films", Key=key)["Body"].read() == films[key], key
    records = Counter(one["record"] for one in house.exports())
    assert max(records[house.row("films", key).archive_id] for key in load.taken) == 1 if load.taken else True
    assert not house.inside.truth().jobs(dead=True)
    assert house.disagreements() == []
