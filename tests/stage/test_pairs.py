"""One test for each pair of a step of eviction and a kind of write, on real stores, through a real proxy.

The evictor stands still between two of its steps while a client writes. Whatever
was acknowledged is what is read in the end.
"""

import secrets
from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from botocore.exceptions import ClientError

from s3shunt import connect
from s3shunt.config import Ini
from s3shunt.jobs.runner import Runner
from s3shunt.model import State
from s3shunt.stores.swift import SwiftEvictor
from s3shunt.testing.faults import Killed
from s3shunt.testing.stage.process import until

pytestmark = pytest.mark.stage

OLD, NEW = secrets.token_bytes(50_000), secrets.token_bytes(60_000)
QUICK = {f"job:{job}": {"every": "50ms", "lease": "1s"} for job in ("archive", "evict", "recall", "sweep", "discard")}


@pytest.fixture(params=["swift", "seaweedfs", "minio"])
def place(request, site):
    more = {**QUICK, "archive:tape": {"mount": "10ms"}}
    return site(f"pairs-{request.param}", request.param, workers=0, index=False, more=more)


# What a client does. Each is prepared first, and done at the moment.


def put(client, name):
    return (lambda: client.put_object(**name, Body=NEW)), NEW


def put_the_same(client, name):
    return (lambda: client.put_object(**name, Body=OLD)), OLD


def put_with_a_class(client, name):
    return (lambda: client.put_object(**name, Body=NEW, StorageClass="GLACIER")), NEW


def delete(client, name):
    return (lambda: client.delete_object(**name)), "NoSuchKey"


def copy(client, name):
    client.put_object(Bucket=name["Bucket"], Key="source", Body=NEW)
    return (lambda: client.copy_object(**name, CopySource={"Bucket": name["Bucket"], "Key": "source"})), NEW


def complete(client, name):
    upload = client.create_multipart_upload(**name)["UploadId"]
    part = client.upload_part(**name, UploadId=upload, PartNumber=1, Body=NEW)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    return (lambda: client.complete_multipart_upload(**name, UploadId=upload, MultipartUpload=parts)), NEW


WRITES = [put, put_the_same, put_with_a_class, delete, copy, complete]


# Where the evictor stands still


class Watched:
    """A port whose calls are told before and after: ``moment("head", ...)`` may take its time, or raise."""

    def __init__(self, port, moment):
        self._port, self._moment = port, moment

    def __getattr__(self, name):
        found = getattr(self._port, name)
        if name not in ("head", "delete_exact", "commit"):
            return found

        def call(*args):
            self._moment(f"before {name}")
            told = found(*args)
            self._moment(f"after {name}")
            return told

        return call


STEPS = ["before commit", "before head", "before delete_exact", "after delete_exact"]
"""Before it is taken; taken; looked at; deleted and not yet told."""


class Scene:
    """An object in the archive and still in the store, an evictor, and a client about to write."""

    def __init__(self, place, write):
        self.place, self.client = place, place.s3(read_timeout=30)
        self.name = {"Bucket": f"pairs-{secrets.token_hex(4)}", "Key": "film"}
        place.make(self.name["Bucket"])
        self.client.put_object(**self.name, Body=OLD, StorageClass="GLACIER")
        self.house = connect.House(Ini(place.ini, {}))
        self.archiver = Runner(self.house, kinds=("archive",))
        until("it is in the archive", lambda: self.archiver.run_due() >= 0 and self.row().state is State.VERIFIED)
        self.facts = self.row().facts
        self.act, self.expected = write(self.client, self.name)
        self.pool = ThreadPoolExecutor(1)
        self.writing = None

    def row(self):
        return self.place.row(self.name["Bucket"], self.name["Key"])

    def write(self, seconds):
        """Begin to write; return when it is done, or waits for the evictor."""
        self.writing = self.pool.submit(self.act)
        wait([self.writing], timeout=seconds)

    def evict(self, moment):
        """The job, in this process, with ``moment`` called around its steps."""
        self.house.put("store", "main", Watched(self.house.store(), moment))
        job = Runner(self.house, kinds=("evict",)).tasks["evict"]
        job.catalog = Watched(job.catalog, moment)
        due = next(one for one in self.house.truth().jobs(kind="evict") if one.payload.get("bucket") == self.name["Bucket"])
        try:
            job.run(due)
        finally:
            self.house = connect.House(Ini(self.place.ini, {}))

    def acknowledged(self):
        """Whether the write was."""
        try:
            self.writing.result(60)
        except ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 503, error
            return False
        return True

    def work(self):
        """All jobs until nothing is left to do for this bucket."""
        runner = Runner(self.house)
        mine = lambda: [job for job in self.house.truth().jobs() if job.payload.get("bucket") == self.name["Bucket"]]
        until("all work is done", lambda: runner.run_due() >= 0 and all(job.kind == "expire" for job in mine()))

    def read(self):
        """The bytes; from the archive where they are there alone; or S3's word for why not."""
        try:
            return self.client.get_object(**self.name)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] != "InvalidObjectState":
                return error.response["Error"]["Code"]
        self.client.restore_object(**self.name, RestoreRequest={"Days": 1})
        runner = Runner(self.house)
        until("it is restored", lambda: runner.run_due() >= 0 and self.row().state is State.RESTORED)
        return self.client.get_object(**self.name)["Body"].read()

    def end(self):
        """What was acknowledged is read; nobody is counted any more; nothing disagrees."""
        done = self.acknowledged()
        self.work()
        assert self.read() in ([self.expected] if done else [OLD, self.expected])
        row = self.row()
        assert row is None or (row.writers == 0 and row.state is not State.EVICTING)
        mine = [finding for finding in self.place.disagreements() if finding.ref.bucket == self.name["Bucket"]]
        assert mine == []
        self.pool.shutdown()


@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__)
@pytest.mark.parametrize("step", STEPS)
def test_a_write_meets_an_eviction(place, step, write):
    scene, met = Scene(place, write), []

    def moment(name):
        if name == step and not met:
            met.append(name)
            scene.write(30 if step == "before commit" else 0.4)

    scene.evict(moment)
    assert met, "the evictor never came there"
    scene.end()


@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__)
def test_a_write_outlives_a_delete_that_arrives_after_it(place, write):
    """The evictor dies with its DELETE on the way; the sweep gives the object back; the client writes; then the DELETE lands."""
    scene = Scene(place, write)

    def dies(name):
        if name == "before delete_exact":
            raise Killed

    with pytest.raises(Killed):
        scene.evict(dies)
    assert scene.row().state is State.EVICTING
    scene.write(0.2)
    sweeper = Runner(scene.house, kinds=("sweep",))
    until("the sweep gave it back", lambda: sweeper.run_due() >= 0 and (scene.row() is None or scene.row().state is not State.EVICTING))
    done = scene.acknowledged()
    assert done
    land(scene)
    scene.end()


def land(scene):
    """The DELETE as the evictor sent it."""
    name, store = scene.name, scene.place.store
    if store.kind == "swift":
        late = {"X-Timestamp": f"{float(scene.facts.stamp) + 0.00001:016.5f}"}
        SwiftEvictor(store.endpoint, 5000, 5000)._ask("DELETE", f"/{name['Bucket']}/{name['Key']}", store.keys(), late)
        return
    how = {"VersionId": scene.facts.stamp} if store.versions else {"IfMatch": scene.facts.etag}
    try:
        scene.place.behind().delete_object(**name, **how)
    except ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] in (404, 412)
