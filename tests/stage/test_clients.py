"""A film goes to tape and comes back: by real clients, on real stores, with an index and without."""

import json
import os
import secrets
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from s3shunt.model import State
from s3shunt.stores.swift import SwiftEvictor
from s3shunt.testing.stage.process import until

pytestmark = pytest.mark.stage

MIB = 1 << 20
BIN = Path(sys.executable).parent
SITES = {
    "swift-redis": ("swift", {"day": "6s"}),
    "swift": ("swift", {"day": "6s", "index": False}),
    "seaweedfs-redis": ("seaweedfs", {"day": "6s"}),
    "seaweedfs": ("seaweedfs", {"day": "6s", "index": False}),
    "minio-redis": ("minio", {"day": "6s"}),
    "posix-redis": ("swift", {"day": "6s", "posix": True}),
    "posix": ("seaweedfs", {"day": "6s", "posix": True, "index": False}),
}
FILMS = {"reel ü.mxf": 3 * MIB + 7, "parts/long.mxf": 11 * MIB}
"""The second is uploaded in parts."""


@pytest.fixture(params=SITES)
def place(request, site):
    kind, given = SITES[request.param]
    return site(request.param, kind, **given)


def refused(call, **given):
    with pytest.raises(ClientError) as caught:
        call(**given)
    return caught.value.response["Error"]["Code"]


def digest(body):
    return sha256(body).hexdigest()


def films(folder, place, bucket):
    """Both films put with class GLACIER; their digests by key."""
    client, known = place.s3(), {}
    place.make(bucket)
    for key, size in FILMS.items():
        path = folder / "film"
        path.write_bytes(secrets.token_bytes(1000) * (size // 1000) + b"x" * (size % 1000))
        known[key] = digest(path.read_bytes())
        parts = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
        extra = {"StorageClass": "GLACIER", "ContentType": "application/mxf", "Metadata": {"title": "Der Film"}}
        client.upload_file(str(path), bucket, key, Config=parts, ExtraArgs=extra)
    return known


def gone_from_the_store(place, bucket, keys):
    """Asked with the store's own credential, past every door; also no segment of a large one is left."""
    store = place.behind()
    for key in keys:
        assert refused(store.head_object, Bucket=bucket, Key=key) == "404"
    assert store.list_objects_v2(Bucket=bucket).get("KeyCount") == 0
    if place.store.kind == "swift":
        swift, pair = SwiftEvictor(place.store.endpoint, 5000, 5000), place.store.keys()
        said = swift._ask("HEAD", f"/{bucket}+segments", pair)
        assert int(said.headers.get("x-container-object-count", 0)) == 0


def restore_all(client, bucket, keys, days=1):
    for key in keys:
        wish = {"Days": days, "GlacierJobParameters": {"Tier": "Standard"}}
        assert client.restore_object(Bucket=bucket, Key=key, RestoreRequest=wish)["ResponseMetadata"]["HTTPStatusCode"] == 202


def told(client, bucket, key):
    return client.head_object(Bucket=bucket, Key=key).get("Restore", "")


def test_a_film_goes_to_tape_and_comes_back_and_its_days_end(place, bucket, tmp_path):
    client = place.s3()
    known = films(tmp_path, place, bucket)
    before = {key: client.head_object(Bucket=bucket, Key=key) for key in known}
    place.reach(State.ARCHIVED, bucket, *known)
    gone_from_the_store(place, bucket, known)
    for key, size in FILMS.items():
        head = client.head_object(Bucket=bucket, Key=key)
        assert (head["ContentLength"], head["StorageClass"], head["Metadata"]) == (size, "GLACIER", {"title": "Der Film"})
        assert {name: head[name] for name in ("ETag", "LastModified", "ContentType")} == {
            name: before[key][name] for name in ("ETag", "LastModified", "ContentType")
        }
        assert refused(client.get_object, Bucket=bucket, Key=key) == "InvalidObjectState"
    listed = {item["Key"]: (item["Size"], item["StorageClass"]) for item in client.list_objects_v2(Bucket=bucket)["Contents"]}
    assert listed == {key: (size, "GLACIER") for key, size in FILMS.items()}
    restore_all(client, bucket, known)
    for key, sum_ in known.items():
        until(f"{key} is restored", lambda key=key: told(client, bucket, key).startswith('ongoing-request="false", expiry-date='))
        assert digest(client.get_object(Bucket=bucket, Key=key)["Body"].read()) == sum_
        wish = {"Days": 1, "GlacierJobParameters": {"Tier": "Standard"}}
        again = client.restore_object(Bucket=bucket, Key=key, RestoreRequest=wish)
        assert again["ResponseMetadata"]["HTTPStatusCode"] == 200
    for key in known:
        until(f"the copy of {key} expired", lambda key=key: not told(client, bucket, key))
        assert refused(client.get_object, Bucket=bucket, Key=key) == "InvalidObjectState"
    place.reach(State.ARCHIVED, bucket, *known)
    assert place.disagreements() == []


def test_a_restore_is_ongoing_until_the_library_has_found_it(site, bucket, tmp_path):
    place = site("slow", "swift", more={"archive:tape": {"mount": "3s"}})
    client = place.s3()
    known = films(tmp_path, place, bucket)
    place.reach(State.ARCHIVED, bucket, *known)
    restore_all(client, bucket, known)
    for key in known:
        assert told(client, bucket, key) == 'ongoing-request="true"'
        assert refused(client.get_object, Bucket=bucket, Key=key) == "InvalidObjectState"
        wish = {"Days": 1, "GlacierJobParameters": {"Tier": "Standard"}}
        assert refused(client.restore_object, Bucket=bucket, Key=key, RestoreRequest=wish) == "RestoreAlreadyInProgress"


# The command lines

LINES = {"swift-lines": "swift", "seaweedfs-lines": "seaweedfs", "minio-lines": "minio"}


class Shell:
    """Runs command line clients with the keys of a site in the environment and a home of their own."""

    def __init__(self, place, home):
        key = place.key
        host = place.endpoints[0].removeprefix("http://")
        self.environ = {
            "HOME": str(home), "PATH": f"{BIN}:{os.environ['PATH']}", "AWS_ENDPOINT_URL": place.endpoints[0],
            "AWS_ACCESS_KEY_ID": key["access_key"], "AWS_SECRET_ACCESS_KEY": key["secret_key"], "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true", "RCLONE_CONFIG": str(home / "rclone.conf"), "LC_ALL": "C.UTF-8",
        }  # fmt: skip
        (home / "rclone.conf").write_text(
            f"[s]\ntype = s3\nprovider = AWS\nendpoint = {place.endpoints[0]}\nregion = us-east-1\nforce_path_style = true\n"
            f"access_key_id = {key['access_key']}\nsecret_access_key = {key['secret_key']}\n"
        )
        (home / ".s3cfg").write_text(
            f"[default]\naccess_key = {key['access_key']}\nsecret_key = {key['secret_key']}\nhost_base = {host}\nhost_bucket = {host}\n"
            "use_https = False\nbucket_location = us-east-1\n"
        )

    def __call__(self, *command, code=0):
        done = subprocess.run(command, env=self.environ, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == code, f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr


@pytest.fixture(params=LINES)
def lines(request, site):
    return site(request.param, LINES[request.param])


@pytest.fixture
def on_tape(lines, bucket, tmp_path):
    """A site, a shell and a film in its archive, with the film's digest."""
    client = lines.s3()
    lines.make(bucket)
    body = secrets.token_bytes(3 * MIB)
    client.put_object(Bucket=bucket, Key="dir/film.mxf", Body=body, StorageClass="GLACIER")
    lines.reach(State.ARCHIVED, bucket, "dir/film.mxf")
    return lines, Shell(lines, tmp_path), digest(body)


def restored(place, bucket):
    until("the film is restored", lambda: told(place.s3(), bucket, "dir/film.mxf").startswith('ongoing-request="false"'))


def gets(place):
    """GETs of objects that came through, from the access log of the proxy."""
    lines = [json.loads(line) for line in place.processes["serve-1"].log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("operation") == "GetObject"]


def test_by_the_aws_command_line(on_tape, bucket, tmp_path):
    place, shell, known = on_tape
    before = len(gets(place))
    said = shell("aws", "s3", "cp", "--recursive", f"s3://{bucket}/", str(tmp_path / "back"), code=2)
    assert "GLACIER" in said
    assert len(gets(place)) == before
    request = "Days=1,GlacierJobParameters={Tier=Expedited}"
    shell("aws", "s3api", "restore-object", "--bucket", bucket, "--key", "dir/film.mxf", "--restore-request", request)
    restored(place, bucket)
    shell("aws", "s3", "cp", f"s3://{bucket}/dir/film.mxf", str(tmp_path / "film.back"))
    assert digest((tmp_path / "film.back").read_bytes()) == known


def test_by_rclone(on_tape, bucket, tmp_path):
    place, shell, known = on_tape
    said = shell("rclone", "backend", "restore", f"s:{bucket}/dir", "-o", "priority=Standard", "-o", "lifetime=1")
    assert json.loads(said[said.index("[") : said.rindex("]") + 1]) == [{"Status": "OK", "Remote": "film.mxf"}]
    restored(place, bucket)
    said = shell("rclone", "backend", "restore-status", "-o", "all", f"s:{bucket}/dir")
    status = json.loads(said[said.index("[") : said.rindex("]") + 1])[0]
    assert status["StorageClass"] == "GLACIER"
    assert status["RestoreStatus"]["IsRestoreInProgress"] is False
    assert status["RestoreStatus"]["RestoreExpiryDate"]
    shell("rclone", "copy", f"s:{bucket}/dir", str(tmp_path / "back"))
    assert digest((tmp_path / "back/film.mxf").read_bytes()) == known


def test_by_s3cmd(on_tape, bucket, tmp_path):
    place, shell, known = on_tape
    shell("s3cmd", "get", f"s3://{bucket}/dir/film.mxf", str(tmp_path / "no"), code=77)
    shell("s3cmd", "restore", "--restore-days=1", "--restore-priority=standard", f"s3://{bucket}/dir/film.mxf")
    restored(place, bucket)
    shell("s3cmd", "get", f"s3://{bucket}/dir/film.mxf", str(tmp_path / "film.back"))
    assert digest((tmp_path / "film.back").read_bytes()) == known
