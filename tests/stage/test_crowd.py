"""A thousand clients at once want one object, through four proxies: the archive is asked once."""

import asyncio
from collections import Counter
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from s3shunt.model import State
from s3shunt.testing.mediahaven import MediaHaven
from s3shunt.testing.mediahaven.site import section
from s3shunt.testing.stage.process import until

from .tape import Asked

pytestmark = pytest.mark.stage
CROWD = 1000
WISH = b"<RestoreRequest><Days>1</Days><GlacierJobParameters><Tier>Standard</Tier></GlacierJobParameters></RestoreRequest>"


def signed(site, number, method, target, body=b""):
    """The bytes of one request, for proxy ``number`` of the site."""
    endpoint = site.endpoints[number]
    request = AWSRequest(method, endpoint + target, data=body)
    S3SigV4Auth(Credentials(site.key["access_key"], site.key["secret_key"]), "s3", "us-east-1").add_auth(request)
    head = [f"{method} {target} HTTP/1.1", f"Host: {urlsplit(endpoint).netloc}", f"Content-Length: {len(body)}", "Connection: close"]
    head += [f"{name}: {value}" for name, value in request.headers.items()]
    return "\r\n".join([*head, "", ""]).encode() + body


async def one(address, request, all_here, go):
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    all_here.release()
    await go.wait()
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 120)
    writer.close()
    return int(answer.split(b" ", 2)[1])


async def all_at_once(site, method, target, body):
    here, go = asyncio.Semaphore(0), asyncio.Event()
    crowd = []
    for number in range(CROWD):
        proxy = number % len(site.endpoints)
        crowd.append(asyncio.create_task(one(urlsplit(site.endpoints[proxy]), signed(site, proxy, method, target, body), here, go)))
    for _ in crowd:
        await asyncio.wait_for(here.acquire(), 60)
    go.set()
    return Counter(await asyncio.gather(*crowd))


def crowd(site, method, target, body=b""):
    """How many got which status."""
    return asyncio.run(all_at_once(site, method, target, body))


@pytest.fixture(params=["swift", "seaweedfs"])
def place(request, site):
    return site(f"crowd-{request.param}", request.param, proxies=4, workers=2, more={"archive:tape": {"mount": "3s"}})


@pytest.fixture
def film(place, bucket):
    place.s3().create_bucket(Bucket=bucket)
    place.s3().put_object(Bucket=bucket, Key="film", Body=b"frames" * 100_000, StorageClass="GLACIER")
    place.reach(State.ARCHIVED, bucket, "film")
    return f"/{bucket}/film"


def test_15_a_thousand_restores_of_one_film_through_four_proxies_are_one_202_and_one_request_to_the_archive(place, bucket, film):
    asked = Asked(place)
    answers = crowd(place, "POST", f"{film}?restore=", WISH)
    assert answers[202] == 1, answers
    assert answers[202] + answers[409] + answers[200] == CROWD, answers
    place.reach(State.RESTORED, bucket, "film")
    assert len(asked.requests()) == 1
    assert len(place.house.truth().recalls(ref=place.row(bucket, "film").ref, active=False)) == 1
    assert place.s3(1).get_object(Bucket=bucket, Key="film")["Body"].read() == b"frames" * 100_000
    assert place.disagreements() == []


def test_16_a_thousand_reads_of_a_film_on_tape_recall_nothing(place, bucket, film):
    asked = Asked(place)
    assert crowd(place, "GET", film) == {403: CROWD}
    assert asked.requests() == []
    assert place.house.truth().recalls(ref=place.row(bucket, "film").ref, active=False) == []
    assert place.row(bucket, "film").state is State.ARCHIVED


@pytest.mark.parametrize(("archived_get", "status"), [("restore", 403), ("busy", 202)])
def test_17_a_thousand_reads_that_may_restore_are_one_request_to_the_archive(site, bucket, archived_get, status):
    more = {"archive:tape": {"mount": "3s"}, "filter:shunt": {"archived_get": archived_get}}
    place = site(f"crowd-{archived_get}", "seaweedfs", proxies=4, more=more)
    place.s3().create_bucket(Bucket=bucket)
    place.s3().put_object(Bucket=bucket, Key="film", Body=b"frames" * 100_000, StorageClass="GLACIER")
    place.reach(State.ARCHIVED, bucket, "film")
    asked = Asked(place)
    assert crowd(place, "GET", f"/{bucket}/film") == {status: CROWD}
    place.reach(State.RESTORED, bucket, "film")
    assert len(asked.requests()) == 1
    assert len(place.house.truth().recalls(ref=place.row(bucket, "film").ref, active=False)) == 1
    assert place.s3().get_object(Bucket=bucket, Key="film")["Body"].read() == b"frames" * 100_000


# What only MediaHaven knows


@pytest.fixture(scope="module")
def haven():
    with MediaHaven() as server:
        yield server


@pytest.fixture
def found(site, haven, bucket, tmp_path_factory):
    given = section(tmp_path_factory.mktemp("haven"), haven, cycle="5s")
    more = {"archive:haven": given, "policy:all": {"archive": "haven"}, "filter:lookup": {"discover": "miss", "negative": "10m"}}
    place = site("crowd-haven", "seaweedfs", proxies=4, more=more)
    place.s3().create_bucket(Bucket=bucket)
    haven.api.calls.clear()
    return place


def searches(haven):
    return [call for call in haven.api.calls if call.startswith("GET /records")]


def test_16_a_thousand_reads_of_what_nobody_knows_are_one_search_a_process(found, haven, bucket):
    """And none at all while the no is remembered."""
    assert crowd(found, "GET", f"/{bucket}/none") == {404: CROWD}
    assert 1 <= len(searches(haven)) <= len(found.endpoints), haven.api.calls
    haven.api.calls.clear()
    assert crowd(found, "HEAD", f"/{bucket}/none") == {404: CROWD}
    assert searches(haven) == []


def test_15_a_thousand_restores_of_what_only_the_archive_knows_are_one_export(found, haven, bucket):
    haven.ingest(bucket, "film", b"frames" * 1000)
    answers = crowd(found, "POST", f"/{bucket}/film?restore=", WISH)
    assert answers[202] == 1, answers
    assert answers[202] + answers[409] + answers[503] == CROWD, answers
    assert answers[503] < CROWD / 20, answers  # the store is asked first, and who finds no connection to it is told to come again
    until("the export is asked for", lambda: len(haven.exports) > 0)
    assert len(found.house.truth().recalls(ref=found.row(bucket, "film").ref, active=False)) == 1
    assert len(haven.exports) == 1
