"""The S3 store against a real MinIO, and what MinIO does otherwise than S3."""

import uuid
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from s3shunt.model import Facts, ObjectRef, State
from s3shunt.ports import Evict
from s3shunt.stores.s3 import Options, S3Store, upload
from s3shunt.stores.s3.probe import Manners
from s3shunt.testing.clock import HandClock
from s3shunt.testing.contracts.store import StoreContract, VersionedStoreContract
from s3shunt.testing.services import minio

pytestmark = pytest.mark.stage


@pytest.fixture(scope="module")
def real():
    if minio.program() is None:
        pytest.skip(minio.WHY_NOT)
    with minio.minio() as running:
        yield running


@pytest.fixture(scope="module")
def shared(real):
    return S3Store(Options(url=f"s3+{real.endpoint}", credentials=real.credentials), SimpleNamespace(clock=HandClock()))


def new_bucket(store, *, versioned=False):
    name = f"b-{uuid.uuid4().hex[:12]}"
    store._asking.client(ObjectRef()).create_bucket(Bucket=name)
    if versioned:
        store._asking.client(ObjectRef()).put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


class TestMinIO(StoreContract):
    takes_backslashes = False  # "..\\up" is refused
    takes_dot_segments = False
    takes_double_slashes = False  # refused; and '/a' is 'a' to it
    takes_long_segments = False
    lists_in_byte_order = False  # it does, but for what a key hides: see below

    @pytest.fixture
    def store(self, shared):
        self.bucket = new_bucket(shared)
        return shared


class TestVersionedMinIO(VersionedStoreContract):
    @pytest.fixture
    def store(self, shared):
        self.bucket = new_bucket(shared, versioned=True)
        return shared


def test_it_deletes_exactly_where_there_are_versions_and_nowhere_else(shared):
    """Its DELETE takes If-Match for nothing, and deletes."""
    assert shared.evict is Evict.VERSION
    assert shared.probe(new_bucket(shared)) is Evict.NONE
    assert shared.probe(new_bucket(shared, versioned=True)) is Evict.VERSION


def test_a_key_hides_the_keys_below_it_in_listings(shared):
    bucket = new_bucket(shared)
    for key in ("reel", "reel/1"):
        shared.write(ObjectRef(bucket, key), [b"x"], size=1)
    assert [key for key, _ in shared.list(bucket)] == ["reel"]
    assert shared.head(ObjectRef(bucket, "reel/1")) is not None


def test_a_large_object_lands_in_parts_and_tells_their_sizes(shared, monkeypatch):
    monkeypatch.setattr(upload, "PART", 5 << 20)
    ref, body = ObjectRef(new_bucket(shared), "large"), bytes(range(256)) * (48 << 10)
    given = Facts(size=0, etag="", last_modified=0, metadata={"a": "b"})
    facts = shared.write(ref, [body[:1000], body[1000:]], size=len(body), facts=given)
    assert facts.etag.endswith('-3"')
    assert facts.parts == (5 << 20, 5 << 20, 2 << 20)
    assert facts.metadata == {"a": "b"}
    assert b"".join(shared.read(ref)) == body


def test_the_probe_says_what_its_ini_needs(shared):
    assert shared.manners() == Manners(order="bytes", keys="paths", hides=True)
    assert [name["Name"] for name in shared._asking.client(ObjectRef()).list_buckets()["Buckets"] if "probe" in name["Name"]] == []


# Behind a proxy


@pytest.fixture(scope="module")
def place(site):
    return site("minio-ways", "minio", index=False)


def code(call, **given):
    with pytest.raises(ClientError) as caught:
        call(**given)
    return caught.value.response["Error"]["Code"]


def test_without_versions_the_bytes_stay_and_the_film_is_archived_all_the_same(place, bucket):
    client = place.s3()
    client.create_bucket(Bucket=bucket)
    client.put_object(Bucket=bucket, Key="film", Body=b"reel", StorageClass="GLACIER")
    place.reach(State.VERIFIED, bucket, "film")
    until_idle(place)
    assert place.row(bucket, "film").state is State.VERIFIED
    assert place.behind().get_object(Bucket=bucket, Key="film")["Body"].read() == b"reel"
    assert code(client.get_object, Bucket=bucket, Key="film") == "InvalidObjectState"
    client.restore_object(Bucket=bucket, Key="film", RestoreRequest={"Days": 1})
    assert client.get_object(Bucket=bucket, Key="film")["Body"].read() == b"reel"


def until_idle(place):
    """No eviction is under way or waiting, and none was given up."""
    from s3shunt.testing.stage.process import until

    waiting = lambda: [job for job in place.house.truth().jobs(kind="evict") if job.payload]
    until("nothing is to be evicted", lambda: not waiting())
    assert [job for job in place.house.truth().jobs(kind="evict", dead=True) if job.payload] == []


def test_an_archived_film_that_is_deleted_stays_so_though_the_store_keeps_no_marker_of_it(place, bucket):
    client, name = place.s3(), {"Bucket": bucket, "Key": "film"}
    place.make(bucket)
    version = client.put_object(**name, Body=b"reel", StorageClass="GLACIER")["VersionId"]
    place.reach(State.ARCHIVED, bucket, "film")
    client.delete_object(**name)
    assert place.behind().list_object_versions(Bucket=bucket).get("DeleteMarkers", []) == []
    assert code(client.get_object, **name) == "NoSuchKey"
    assert client.list_objects_v2(Bucket=bucket).get("Contents", []) == []
    client.restore_object(**name, VersionId=version, RestoreRequest={"Days": 1})


def test_a_key_that_it_would_fold_into_another_is_refused(place, bucket):
    client = place.s3()
    place.make(bucket)
    for key in ("/film", "a//film"):
        assert code(client.put_object, Bucket=bucket, Key=key, Body=b"x") == "InvalidURI"
