"""Workers, proxies and Redis are killed while films are under way: nothing is lost, doubled, torn or wrong."""

import random
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from threading import Event
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from s3shunt import clock
from s3shunt.model import State
from s3shunt.testing.stage.process import until

from .tape import Asked

pytestmark = pytest.mark.stage
FILMS = 12
ROUNDS = 8
CALM = ("InvalidObjectState", "ServiceUnavailable", "SlowDown")
"""What a reader may be told of an object that is under way."""


@pytest.fixture(params=["swift", "seaweedfs"])
def place(request, site):
    short = {f"job:{job}": {"lease": "2s"} for job in ("archive", "evict", "recall", "expire", "discard", "sweep")}
    return site(f"kill-{request.param}", request.param, proxies=2, workers=1, more=short)


@pytest.fixture
def films(place, bucket):
    """Bodies by key: half of them in the archive, half just put."""
    client = place.s3()
    client.create_bucket(Bucket=bucket)
    known = {f"film-{number}": secrets.token_bytes(200_000 + number) for number in range(FILMS)}
    first, second = list(known)[: FILMS // 2], list(known)[FILMS // 2 :]
    for key in first:
        client.put_object(Bucket=bucket, Key=key, Body=known[key], StorageClass="GLACIER")
    place.reach(State.ARCHIVED, bucket, *first)
    for key in second:
        client.put_object(Bucket=bucket, Key=key, Body=known[key], StorageClass="GLACIER")
    return known


@contextmanager
def meanwhile():
    """An event that is set at the end, however that comes."""
    stop = Event()
    try:
        yield stop
    finally:
        stop.set()


def ask(client, bucket, keys):
    """Restore; what is not in the archive yet is asked for by an interest in it. Until each has been taken."""
    for key in keys:
        wish = {"Days": 1, "GlacierJobParameters": {"Tier": "Standard"}}
        until(f"the restore of {key} is taken", lambda key=key: taken(client, bucket, key, wish))


def taken(client, bucket, key, wish):
    try:
        client.restore_object(Bucket=bucket, Key=key, RestoreRequest=wish)
    except ClientError as error:
        return error.response["Error"]["Code"] == "RestoreAlreadyInProgress"
    except BotoCoreError:
        return False
    return True


def read(client, bucket, key):
    """The body, or S3's word for why not."""
    try:
        return client.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        return error.response["Error"]["Code"]


def reads_while(stop, place, bucket, films):
    """What readers were told that they must not be told, until ``stop``."""
    client, wrong = place.s3(1), []
    while not stop.is_set():
        key = random.choice(list(films))
        told = read(client, bucket, key)
        if told != films[key] and told not in CALM:
            wrong.append((key, told if isinstance(told, str) else len(told)))
    return wrong


def in_order(place, bucket, films, asked):
    """Everything is there as it was put, each was asked for once, and nothing is left over."""
    client = place.s3()
    place.reach((State.ARCHIVED, State.RESTORED), bucket, *films)
    ask(client, bucket, [key for key in films if place.row(bucket, key).state is State.ARCHIVED])
    place.reach(State.RESTORED, bucket, *films)
    for key, body in films.items():
        assert read(client, bucket, key) == body, key
    requests = [id_ for id_, _ in asked.requests()]
    assert len(requests) == len(set(requests)), "a recall was asked for twice"
    recalls = [recall for key in films for recall in place.house.truth().recalls(ref=place.row(bucket, key).ref, active=False)]
    assert sorted(requests) == sorted(recall.id for recall in recalls)
    live = lambda: [job for job in place.house.truth().jobs() if job.payload and job.kind != "expire"]
    until("all work is done", lambda: not live())
    assert place.disagreements() == []
    assert not place.house.truth().jobs(dead=True)
    behind = place.behind().list_objects_v2(Bucket=bucket).get("Contents", [])
    assert behind == []


def test_a_worker_is_killed_every_second(place, bucket, films):
    asked, dice = Asked(place), random.Random(bucket)
    archived = [key for key in films if place.row(bucket, key).state is State.ARCHIVED]
    ask(place.s3(), bucket, archived)
    with ThreadPoolExecutor(1) as reader, meanwhile() as stop:
        wrong = reader.submit(reads_while, stop, place, bucket, films)
        for _ in range(ROUNDS):
            clock.wall.sleep(dice.uniform(0.9, 2.0))  # it takes half of the first second to start
            place.restart("work-1")
    assert wrong.result() == []
    in_order(place, bucket, films, asked)


def test_redis_is_killed_and_emptied_at_any_moment(place, bucket, films):
    asked, dice = Asked(place), random.Random(bucket)
    with ThreadPoolExecutor(2) as pool, meanwhile() as stop:
        wrong = pool.submit(reads_while, stop, place, bucket, films)
        asking = pool.submit(ask, place.s3(), bucket, list(films)[: FILMS // 2])
        for number in range(ROUNDS):
            clock.wall.sleep(dice.uniform(0.2, 0.8))
            if number % 2:
                flush(place)
            else:
                place.kill("redis")
                clock.wall.sleep(dice.uniform(0, 0.5))
                place.start("redis")
        asking.result()
    assert wrong.result() == []
    in_order(place, bucket, films, asked)


def flush(place):
    import redis

    with redis.Redis(unix_socket_path=str(place.home / "redis.sock")) as link:
        link.flushall()


def test_a_proxy_is_killed_during_uploads(place, bucket):
    place.s3().create_bucket(Bucket=bucket)
    dice = random.Random(bucket)
    with ThreadPoolExecutor(3) as writers, meanwhile() as stop:
        told = [writers.submit(upload_until, stop, place, bucket, number) for number in range(3)]
        for _ in range(ROUNDS):
            clock.wall.sleep(dice.uniform(0.3, 1.0))
            place.restart(f"serve-{dice.choice((1, 2))}")
    keys = {key: attempts for future in told for key, attempts in future.result().items()}
    acknowledged = [key for key, (_, done) in keys.items() if done is not None]
    assert len(acknowledged) > 8
    assert any(len(attempts) > 1 for attempts, _ in keys.values()), "no upload was hit: the test saw nothing"
    client = place.s3()
    intents = lambda: place.house.truth().lapsed(place.house.clock.now() + 3_600_000)
    until("every write is ended or swept", lambda: not intents())
    settled(place, bucket, keys)
    for key, (attempts, done) in keys.items():
        body = read(client, bucket, key)
        assert body in ([done] if done is not None else [*attempts, "NoSuchKey"]), f"{key}: neither whole nor absent"
    assert place.disagreements() == []


def upload_until(stop, place, bucket, number):
    """Upload one after the other, each tried until acknowledged: {key: (bodies tried, the acknowledged one)}."""
    clients, made, count = [place.s3(n, signature_version="s3v4") for n in (0, 1)], {}, 0
    while not stop.is_set():
        key, tried, done = f"{number}/{count}", [], None
        while done is None and not stop.is_set():
            body = secrets.token_bytes(1_000_000 + len(tried))
            tried.append(body)
            done = body if put(clients[len(tried) % 2], bucket, key, body, "GLACIER" if count % 2 else "") else None
        made[key] = (tried, done)
        count += 1
    return made


def put(client, bucket, key, body, storage_class):
    """Sent slowly, so that a kill hits it; whether it was acknowledged."""
    headers = {"x-amz-storage-class": storage_class} if storage_class else {}
    given = {"StorageClass": storage_class} if storage_class else {}
    url = urlsplit(client.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": key, **given}))
    link = HTTPConnection(url.netloc, timeout=60)
    try:
        link.request("PUT", f"{url.path}?{url.query}", body=slowly(body), headers={**headers, "Content-Length": str(len(body))})
        return link.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        link.close()


def slowly(body):
    for start in range(0, len(body), 100_000):
        clock.wall.sleep(0.1)
        yield body[start : start + 100_000]


def settled(place, bucket, keys):
    """What was put with class GLACIER has come back from the archive."""
    rows = {key: place.row(bucket, key) for key in keys}
    tape = [key for key, row in rows.items() if row is not None and row.storage_class == "GLACIER"]
    place.reach(State.ARCHIVED, bucket, *tape)
    ask(place.s3(), bucket, tape)
    place.reach(State.RESTORED, bucket, *tape)
