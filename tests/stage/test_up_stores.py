"""The default installation on other stores: started, used, stopped without a trace, started again with its data. No secret in argv."""

import os
import re
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from s3shunt.testing.services import minio, seaweedfs
from s3shunt.testing.stage.process import until
from s3shunt.testing.stage.up import client, family, installation, left

pytestmark = pytest.mark.stage

NEEDED = {"minio": (minio.program, minio.WHY_NOT), "weed": (seaweedfs.program, seaweedfs.WHY_NOT)}
NAME = {"Bucket": "films", "Key": "reel"}


@pytest.fixture(params=NEEDED)
def kind(request):
    program, why_not = NEEDED[request.param]
    if program() is None:
        pytest.skip(why_not)
    return request.param


def put_and_restored(asking, kind):
    """A film with class GLACIER in a bucket that the first key made; readable again after its restore."""
    asking.create_bucket(Bucket="films")
    if kind == "minio":  # it deletes exactly by version alone
        asking.put_bucket_versioning(Bucket="films", VersioningConfiguration={"Status": "Enabled"})
    asking.put_object(**NAME, Body=b"reel", StorageClass="GLACIER")
    with pytest.raises(ClientError, match="InvalidObjectState"):
        asking.get_object(**NAME)
    asking.restore_object(**NAME, RestoreRequest={"Days": 100, "GlacierJobParameters": {"Tier": "Expedited"}})
    until("it is restored", lambda: 'ongoing-request="false"' in asking.head_object(**NAME).get("Restore", ""))
    assert asking.get_object(**NAME)["Body"].read() == b"reel"


def found_again(asking):
    """SeaweedFS answers 500, which SDKs repeat, until its volumes have reported."""
    try:
        return asking.get_object(**NAME)["Body"].read() == b"reel"
    except ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 500
        return False


def secrets_of(said):
    state = Path(said["keys_file"]).parent
    found = re.findall(r'"secret_key": "([^"]+)"', (state / "store.json").read_text() + (state / "keys.json").read_text())
    assert len(found) == 2
    return found


def test_a_film_goes_to_tape_and_the_next_start_finds_it(kind, tmp_path, ini, log):
    with installation(ini, log, "--store", kind) as (child, said):
        put_and_restored(client(said), kind)
        assert f"the ini of this installation is {tmp_path}/state/on-{kind}/proxy.ini" in log.read_text()
        started = family(child.pid)
        assert any(f"/state/on-{kind}/" in line for line in started.values())
        assert not [line for line in started.values() if any(secret in line for secret in secrets_of(said))]
    assert left(started) == []
    with installation(ini, log, f"--store={kind}") as (_, again):
        assert again == said
        until("it is found again", lambda: found_again(client(again)), 30)


def test_an_endpoint_that_exists_is_taken_by_its_url(store, ini, log):
    there = store("seaweedfs")
    words = ["--store", there.endpoint, "--store-credentials", str(there.credentials)]
    with installation(ini, log, *words) as (_, said):
        asking, bucket = client(said), f"films-{os.getpid()}"
        asking.create_bucket(Bucket=bucket)
        for key in ("a-b", "a/b"):
            asking.put_object(Bucket=bucket, Key=key, Body=b"reel", StorageClass="GLACIER")
        assert [item["Key"] for item in asking.list_objects_v2(Bucket=bucket)["Contents"]] == ["a-b", "a/b"]
