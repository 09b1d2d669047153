"""The S3 store against a real SeaweedFS."""

import time
import uuid
from types import SimpleNamespace

import pytest

from s3shunt.model import Facts, ObjectRef
from s3shunt.ports import Evict
from s3shunt.stores.s3 import Options, S3Store, upload
from s3shunt.stores.s3.probe import Manners
from s3shunt.testing.clock import HandClock
from s3shunt.testing.contracts.store import StoreContract, VersionedStoreContract
from s3shunt.testing.services.seaweedfs import seaweedfs

pytestmark = pytest.mark.stage


@pytest.fixture(scope="module")
def real():
    with seaweedfs() as running:
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


class TestSeaweedFS(StoreContract):
    takes_dot_segments = False
    takes_backslashes = False
    takes_double_slashes = False  # 'a//b' is 'a/b' to it
    takes_long_segments = False
    lists_in_byte_order = False  # 'a/b' comes before 'a-b', as in a directory

    def later(self, store):
        time.sleep(1.1)  # its Last-Modified is all that tells two writes of the same bytes apart

    @pytest.fixture
    def store(self, shared):
        self.bucket = new_bucket(shared)
        return shared


class TestVersionedSeaweedFS(VersionedStoreContract):
    @pytest.fixture
    def store(self, shared):
        self.bucket = new_bucket(shared, versioned=True)
        return shared


def test_its_conditional_delete_is_atomic(shared):
    assert shared.evict is Evict.IF_MATCH
    assert shared.probe(new_bucket(shared)) is Evict.IF_MATCH
    assert shared.probe(new_bucket(shared, versioned=True)) is Evict.VERSION


def test_the_probe_says_what_its_ini_needs(shared):
    assert shared.manners() == Manners(order="directory", keys="paths")


def test_a_large_object_lands_in_parts_and_tells_their_sizes(shared, monkeypatch):
    monkeypatch.setattr(upload, "PART", 5 << 20)
    ref, body = ObjectRef(new_bucket(shared), "large"), bytes(range(256)) * (48 << 10)
    given = Facts(size=0, etag="", last_modified=0, metadata={"a": "b"})
    facts = shared.write(ref, [body[:1000], body[1000:]], size=len(body), facts=given)
    assert facts.etag.endswith('-3"')
    assert facts.parts == (5 << 20, 5 << 20, 2 << 20)
    assert facts.metadata == {"a": "b"}
    assert b"".join(shared.read(ref)) == body


def test_a_large_upload_that_breaks_leaves_nothing(shared, monkeypatch):
    monkeypatch.setattr(upload, "PART", 5 << 20)
    bucket = new_bucket(shared)

    def torn():
        yield b"x" * (7 << 20)
        raise ConnectionResetError("torn")

    with pytest.raises(ConnectionResetError):
        shared.write(ObjectRef(bucket, "large"), torn(), size=9 << 20)
    assert shared.list(bucket) == []
    assert shared._asking.client(ObjectRef()).list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []


def test_two_heads_of_one_version_have_one_fingerprint(shared):
    ref = ObjectRef(new_bucket(shared), "a")
    shared.write(ref, [b"x"], size=1)
    assert shared.head(ref) == shared.head(ref)


def test_a_landing_place_is_one_bucket(shared, real):
    bucket = f"landing-{uuid.uuid4().hex[:8]}"
    landing = S3Store(Options(url=f"s3+{real.endpoint}", credentials=real.credentials, bucket=bucket), SimpleNamespace(clock=HandClock()))
    landing.write(ObjectRef(key="recall-1/3"), [b"bytes"], size=5)
    assert [key for key, _ in shared.list(bucket)] == ["recall-1/3"]
    assert b"".join(landing.read(ObjectRef(key="recall-1/3"))) == b"bytes"


def test_a_landing_place_that_nothing_landed_in_is_empty(real):
    bucket = f"landing-{uuid.uuid4().hex[:8]}"
    landing = S3Store(Options(url=f"s3+{real.endpoint}", credentials=real.credentials, bucket=bucket), SimpleNamespace(clock=HandClock()))
    assert landing.list(bucket) == []
    assert landing.list("") == []
