"""A broadcaster's archive as ``etc/vrt.ini`` has it: everything real but MediaHaven, every part a process of its own.

One story from the first key to the end of a restored copy, on each store and with exports that arrive in it or on a disk;
MediaHaven at its worst; and fifty restores while each process in turn is killed.
"""

import base64
import random
import secrets
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from threading import Event
from xml.etree import ElementTree as ET

import pytest
import requests
from botocore.exceptions import BotoCoreError, ClientError

from s3shunt.model import State
from s3shunt.testing.stage import stores, vrt
from s3shunt.testing.stage.process import until

pytestmark = pytest.mark.stage

INI = Path(__file__).parent.parent.parent / "etc/vrt.ini"
LANDING = "s3shunt-landing"
HOUSES = {
    "seaweedfs-s3": ("seaweedfs", {"arrival": "s3"}),
    "seaweedfs-path": ("seaweedfs", {"arrival": "path", "more": {"job:recall": {"every": "40s"}}}),
    "minio-s3": ("minio", {"arrival": "s3"}),
}
"""In the second a recall is looked at every forty seconds: what is faster was told by MediaHaven's webhook."""


@contextmanager
def opened(kind, **given):
    if reason := stores.missing(kind):
        pytest.skip(reason)
    with vrt.house(INI, kind, **given) as house:
        house.make("films")
        house.reader()  # while nobody is being killed
        yield house


@pytest.fixture(scope="module", params=HOUSES)
def house(request):
    kind, given = HOUSES[request.param]
    with opened(kind, **given) as made:
        yield made


@pytest.fixture(scope="module")
def drill():
    """Where everything may go wrong."""
    with opened("seaweedfs") as made:
        yield made


class Tool:
    """A reader of the house: it knows GET and nothing of tapes. Without ``restore`` it may not start one."""

    def __init__(self, house, *, restore=True):
        self._client = house.s3() if restore else house.reader()
        self._web = requests.Session()
        self._web.trust_env, self._web.verify = False, house.certificate

    def get(self, key, **headers):
        url = self._client.generate_presigned_url("get_object", Params={"Bucket": "films", "Key": key})
        return self._web.get(url, headers=headers, timeout=60)

    def wait(self, key, seconds=60):
        """GET until the busy document turns into bytes."""
        until(f"{key} can be read", lambda: self._whole(key), seconds)
        return self.last.content

    def _whole(self, key):
        self.last = self.get(key)
        return self.last.status_code == 200


def films(house, count, prefix, size=300_000):
    """As many put through nginx with their external ids, their bodies by key; they are on tape, and gone from the cache."""
    known = {f"{prefix}/film {number}.mxf": secrets.token_bytes(size + number) for number in range(count)}
    client = house.s3()

    def put(key):
        given = {"ContentType": "application/mxf", "Metadata": {"pid": f"pid-{prefix}-{list(known).index(key)}", "title": "Der Film"}}
        assert client.put_object(Bucket="films", Key=key, Body=known[key], **given)["ETag"]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, known))
    house.reach(State.ARCHIVED, "films", *known)
    return known


def restored(house, *keys, seconds=60):
    house.reach(State.RESTORED, "films", *keys, seconds=seconds)


def restore(client, key, days=50, tier="Standard"):
    told = client.restore_object(Bucket="films", Key=key, RestoreRequest={"Days": days, "GlacierJobParameters": {"Tier": tier}})
    return told["ResponseMetadata"]["HTTPStatusCode"]


def exports_of(house, key):
    record = house.row("films", key).archive_id
    return [one for one in house.exports() if one["record"] == record]


def listed(house, bucket):
    pages = house.behind().get_paginator("list_objects_v2").paginate(Bucket=bucket)
    try:
        return [item["Key"] for page in pages for item in page.get("Contents", ())]
    except ClientError as error:
        assert error.response["Error"]["Code"] == "NoSuchBucket"  # nothing was ever written there
        return []


def landed(house):
    """Names of landed copies, wherever the ini has them land."""
    place = house.home / "cache/landed"
    return [str(path) for path in place.rglob("facts")] if place.exists() else listed(house, LANDING)


def delivered(house):
    place = house.home / "cache" / vrt.EXPORTS
    return [path.name for path in place.iterdir()] if place.exists() else listed(house, vrt.EXPORTS)


# The story


def test_the_story_of_a_film_at_a_broadcaster(house):
    known = films(house, 4, "story")
    asked, waited, *others = known
    client, tool = house.s3(), Tool(house)
    gone = set(known) & set(listed(house, "films"))
    assert not gone, "the cache holds bytes that were evicted"
    _looks_as_ever(client, asked, known[asked])
    _can_be_searched(house, asked)
    assert restore(client, asked, days=1) == 202
    _is_busy(tool, waited)
    for key in (asked, waited):
        began = time.monotonic()
        assert sha256(tool.wait(key, 30)).digest() == sha256(known[key]).digest()
        assert time.monotonic() - began < 30, "the webhook was not heard"
        assert len(exports_of(house, key)) == 1, "one recall is one export"
    assert 'ongoing-request="false", expiry-date=' in client.head_object(Bucket="films", Key=waited)["Restore"]
    assert tool.get(waited, Range="bytes=-7").content == known[waited][-7:]
    until("what MediaHaven delivered is cleared away", lambda: not delivered(house))
    until("the copy that was asked for a day expired", lambda: not client.head_object(Bucket="films", Key=asked).get("Restore"))
    house.reach(State.ARCHIVED, "films", asked, *others)
    until("only the living copy is kept", lambda: len(landed(house)) == 1)
    assert house.disagreements() == []


def same(body, expected):
    """Byte for byte; what else it is, is said."""
    assert len(body) == len(expected), body[:300]
    return sha256(body).digest() == sha256(expected).digest()


def _looks_as_ever(client, key, body):
    head = client.head_object(Bucket="films", Key=key)
    assert (head["ContentLength"], head["StorageClass"], head["ContentType"]) == (len(body), "GLACIER", "application/mxf")
    assert "Restore" not in head
    shown = {item["Key"]: (item["Size"], item["StorageClass"]) for item in client.list_objects_v2(Bucket="films")["Contents"]}
    assert shown[key] == (len(body), "GLACIER")


def _can_be_searched(house, key):
    pid = house.s3().head_object(Bucket="films", Key=key)["Metadata"]["pid"]
    told = house.command("catalog", "find", "--external-id", pid, "-c", str(house.ini()), "--json").splitlines()
    assert len(told) == 1
    assert key in told[0]
    until("redis-cli shows where it is", lambda: house.shown("films", key).get("state") == "archived")
    assert house.shown("films", key)["external_id"] == pid


def _is_busy(tool, key):
    told = tool.get(key)
    assert told.status_code == 202
    assert told.headers["Retry-After"] == "1"
    document = ET.fromstring(told.content)
    assert document.findtext("Status") == "busy"
    assert document.findtext("Url", "").startswith("https://localhost:")


def test_what_mediahaven_is_still_writing_never_leaves_the_cache(house):
    house.make("rushes")
    body = secrets.token_bytes(100_000)
    house.s3().put_object(Bucket="rushes", Key="take 1.mxf", Body=body)
    id_ = house.tapes("ingest", bucket="rushes", key="take 1.mxf", body=base64.b64encode(body).decode(), status="in_progress")["id"]
    house.reach(State.VERIFIED, "rushes", "take 1.mxf")
    time.sleep(3)  # ten looks of the job that evicts
    assert house.row("rushes", "take 1.mxf").state is State.VERIFIED
    assert house.s3().get_object(Bucket="rushes", Key="take 1.mxf")["Body"].read() == body
    house.tapes("record", id=id_, status="on_tape")
    house.reach(State.ARCHIVED, "rushes", "take 1.mxf")
    assert listed(house, "rushes") == []


def test_the_command_says_that_all_is_well(house):
    told = house.command("check", str(house.ini()), "--probe")
    assert told.count("  ok") == 5
    assert house.ready(1) == house.ready(2) == {"status": "up"}


# MediaHaven at its worst


def test_every_fault_of_mediahaven_ends_in_the_right_bytes(drill):
    names = ("flips", "fails", "exists", "cancelled", "vanishes", "wrong", "truncated", "empty", "late")
    known = dict(zip(names, films(drill, len(names), "faults").items(), strict=True))
    drill.turn(
        outcome=_by(known, flips="failed", fails="failed", exists="already_exists", cancelled="cancelled"),
        flip=_by(known, flips=2500), vanish=_by(known, vanishes=[200, 2200]),
        delivery=_by(known, wrong="wrong", truncated="truncated", empty="empty"), delay=1200, token_lifetime=2000,
    )  # fmt: skip
    client, tool = drill.s3(), Tool(drill)
    keys = {name: key for name, (key, _) in known.items()}
    for key in keys.values():
        assert restore(client, key) == 202
    with ThreadPoolExecutor(1) as pool, meanwhile() as stop:
        reads = pool.submit(reads_while, stop, drill, dict(known.values()))
        drill.reach(State.ARCHIVED, "films", keys["cancelled"])
        assert len(exports_of(drill, keys["cancelled"])) == 1, "who cancelled is not asked again"
        drill.tapes("revoke")
        twice = [keys[name] for name in ("fails", "wrong", "truncated", "empty")]
        until("the faulty are asked for again", lambda: all(len(exports_of(drill, key)) > 1 for key in twice))
        drill.turn(outcome={}, delivery={}, vanish={}, flip={})
        restored(drill, *(key for name, key in keys.items() if name != "cancelled"))
    assert reads.result().keys() <= RIGHT
    restore_again(client, keys["cancelled"])
    for key, body in known.values():
        assert tool.wait(key) == body
    for name in ("flips", "exists", "vanishes", "late"):
        assert len(exports_of(drill, keys[name])) == 1, f"{name}: asked more than once"
    drill.turn(delay=0, token_lifetime=1_800_000)
    in_order(drill, dict(known.values()))


def _by(known, **values):
    return {f"films/{known[name][0]}": value for name, value in values.items()}


def restore_again(client, key):
    assert restore(client, key) in (202, 200)


# Everybody is killed

KILLED = ("serve-1", "work-1", "redis", "postgres", "store", "nginx", "serve-2", "work-2", "mediahaven")
REFUSALS = {403, 502, 503, 504}
RIGHT = {"whole", "refused", "broken off"}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["seaweedfs", pytest.param("minio", marks=pytest.mark.long)])
def test_fifty_restores_survive_the_death_of_each_process_in_turn(kind):
    with opened(kind) as house:
        known = films(house, 50, "killed", 150_000)
        house.turn(threads=2, seek=3000)
        first, later, under_way = list(known)[:40], list(known)[40:], {}
        assert {restore(house.s3(), key) for key in first} == {202}
        with ThreadPoolExecutor(4) as pool, meanwhile() as stop:
            reads = [pool.submit(reads_while, stop, house, known) for _ in range(2)]
            accepted = [pool.submit(asks, house, keys) for keys in (later[::2], later[1::2])]
            for name in KILLED:
                under_way[name] = len(house.inside.truth().recalls(active=True))
                house.kill(name)
                time.sleep(random.uniform(0, 1))
                house.revive(name)
                time.sleep(random.uniform(0.3, 1.5))
            assert sum(len(one.result()) for one in accepted) == len(later), "each was accepted in the end"
            house.turn(seek=10, threads=4)
            restored(house, *known, seconds=90)
        print(f"recalls under way when killed: {under_way}; reads: {sum((one.result() for one in reads), Counter())}")
        assert min(under_way.values()) > 0, "a process was killed when there was nothing to do"
        assert [told for one in reads for told in one.result() if told not in RIGHT] == []
        tool = Tool(house)
        assert [key for key, body in known.items() if tool.wait(key) != body] == []
        in_order(house, known, exports=len(known))


def asks(house, keys):
    """Restore each until it was accepted, or is on its way already."""
    client, done = house.s3(read_timeout=20, retries={"max_attempts": 1}), []
    for key in keys:
        until(f"{key} is accepted", lambda key=key: _accepted(client, key))
        done.append(key)
        time.sleep(random.uniform(0.2, 1.0))
    return done


def _accepted(client, key):
    try:
        return restore(client, key) in (200, 202)
    except ClientError as error:
        return error.response["Error"]["Code"] == "RestoreAlreadyInProgress"
    except BotoCoreError:
        return False


def reads_while(stop, house, known):
    """What readers were told until ``stop``, counted: whole, refused, broken off, or wrong with status and size."""
    tool, told = Tool(house, restore=False), Counter()
    while not stop.wait(0.05):
        key = random.choice(list(known))
        try:
            answer = tool.get(key)
        except requests.RequestException:
            told["broken off"] += 1  # an end that nobody can take for a whole body
            continue
        if answer.status_code == 200 and answer.content == known[key]:
            told["whole"] += 1
        elif answer.status_code in REFUSALS:
            told["refused"] += 1
        else:
            told["wrong", key, answer.status_code, len(answer.content)] += 1
    return told


@contextmanager
def meanwhile():
    """An event that is set at the end, however that comes."""
    stop = Event()
    try:
        yield stop
    finally:
        stop.set()


def in_order(house, known, exports=None):
    """All restored, nothing stuck, nothing left over; as many exports as that."""
    truth = house.inside.truth()
    assert {house.row("films", key).state for key in known} == {State.RESTORED}
    until("no recall is under way", lambda: not truth.recalls(active=True))
    until("no job but of an end to come", lambda: not [job for job in truth.jobs() if job.payload and job.kind != "expire"])
    assert not truth.jobs(dead=True)
    until("what MediaHaven delivered is cleared away", lambda: not delivered(house))
    living = [row.place.name for row in (house.row("films", key) for key in known)]
    until("no landed copy is an orphan", lambda: len(landed(house)) == len(living))
    assert house.disagreements() == []
    if exports is not None:
        assert len(house.exports()) == exports, "asked for more than once"
