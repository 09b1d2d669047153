"""The S3 store and its evictor against a real Swift: its S3 API in front, its own API for deletes."""

import json
import secrets
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from s3shunt.model import ObjectRef
from s3shunt.ports import Evict
from s3shunt.stores.s3 import Options, S3Store, probe, upload
from s3shunt.stores.swift import SwiftEvictor
from s3shunt.testing.clock import HandClock
from s3shunt.testing.contracts.store import StoreContract, VersionedStoreContract

pytestmark = pytest.mark.stage
HOUSE = SimpleNamespace(clock=HandClock(), evictor=lambda kind, store: SwiftEvictor)


@pytest.fixture(scope="module")
def swift(tmp_path_factory):
    home = tmp_path_factory.mktemp("swift")
    accounts = home / "accounts.json"
    accounts.touch(mode=0o600)
    keys = {name: {"access_key": f"{name}:worker", "secret_key": secrets.token_hex(8)} for name in ("films", "other")}
    accounts.write_text(json.dumps(keys))
    command = [sys.executable, "-m", "s3shunt.swift.allinone", "--home", str(home), "--port", "0", "--accounts", str(accounts)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=(home / "stderr").open("wb")) as child:
        line = child.stdout.readline()
        assert line, (home / "stderr").read_text()[-3000:]
        yield json.loads(line)["endpoint"], accounts
        child.terminate()


def opened(running, **given):
    endpoint, accounts = running
    return S3Store(Options(url=f"s3+{endpoint}", credentials=accounts, buckets=True, **given), HOUSE)


@pytest.fixture(scope="module")
def shared(swift):
    return opened(swift, evict="swift", swift=swift[0])


def new_bucket(store, *, versioned=False):
    name, client = f"b-{uuid.uuid4().hex[:12]}", store._asking.client(ObjectRef(account="films"))
    client.create_bucket(Bucket=name)
    if versioned:
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def ref(bucket, key="a/b.mxf"):
    return ObjectRef(bucket, key, account="films")


def put(store, at, body=b"hello"):
    return store.write(at, [body], size=len(body))


class TestSwift(StoreContract):
    account = "films"
    keeps_tags = False

    @pytest.fixture
    def store(self, shared):
        self.bucket = new_bucket(shared)
        return shared


class TestVersionedSwift(VersionedStoreContract):
    account = "films"

    @pytest.fixture
    def store(self, swift):
        store = opened(swift, evict="version")
        self.bucket = new_bucket(store, versioned=True)
        return store


def count_segments(store, bucket):
    answer = store._evictor._ask("HEAD", f"/{bucket}+segments", store.credential("films"))
    return int(answer.headers["x-container-object-count"])


def test_its_conditional_delete_is_not_believed(swift):
    store = opened(swift)
    assert probe.bucket(store._asking.client(ObjectRef(account="films"))) is Evict.VERSION


def test_an_overwrite_survives_a_delete_of_what_it_replaced_in_every_order(shared):
    bucket = new_bucket(shared)
    with ThreadPoolExecutor(2) as two:
        for number in range(20):
            at = ref(bucket, f"k{number}")
            known = put(shared, at).fingerprint
            deleting = two.submit(shared.delete_exact, at, known)
            writing = two.submit(put, shared, at)
            deleting.result()
            assert writing.exception() is None
            assert b"".join(shared.read(at)) == b"hello"


def test_a_delete_that_arrives_after_the_overwrite_spares_it(shared, swift):
    at = ref(new_bucket(shared))
    known = put(shared, at).fingerprint
    put(shared, at)
    evictor, credential = SwiftEvictor(swift[0], 5000, 5000), shared.credential("films")
    late = {"X-Timestamp": f"{float(known.stamp) + 0.00001:016.5f}"}
    assert evictor._ask("DELETE", f"/{at.bucket}/{at.key}", credential, late).status == 409
    assert b"".join(shared.read(at)) == b"hello"


def test_a_multipart_object_goes_with_its_segments_and_nothing_else(shared, monkeypatch):
    monkeypatch.setattr(upload, "PART", 5 << 20)
    bucket, body = new_bucket(shared), b"x" * (11 << 20)
    keep, at = ref(bucket, "keep"), ref(bucket, "a/large ü")
    put(shared, keep, body)
    facts = put(shared, at, body)
    assert facts.etag.endswith('-3"')
    assert facts.parts == (5 << 20, 5 << 20, 1 << 20)
    assert count_segments(shared, bucket) == 6
    shared.delete_exact(at, facts.fingerprint)
    assert shared.head(at) is None
    assert count_segments(shared, bucket) == 3
    assert b"".join(shared.read(keep)) == body


def test_a_lapsed_token_is_renewed(shared):
    at = ref(new_bucket(shared))
    known = put(shared, at).fingerprint
    shared._evictor._tokens = {key: (root, "lapsed") for key, (root, _) in shared._evictor._tokens.items()}
    shared.delete_exact(at, known)
    assert shared.head(at) is None


def test_accounts_do_not_see_each_others_buckets(shared):
    bucket = new_bucket(shared)
    put(shared, ref(bucket))
    assert shared.head(ObjectRef(bucket, "a/b.mxf", account="other")) is None
