"""A film goes to tape and comes back: by real clients, on real stores, with an index and without."""

import json
import os
import re
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
MC = os.environ.get("S3SHUNT_MC")
SITES = {
    "swift-redis": ("swift", {"day": "6s"}),
    "swift": ("swift", {"day": "6s", "index": False}),
    "seaweedfs-redis": ("seaweedfs", {"day": "6s"}),
    "seaweedfs": ("seaweedfs", {"day": "6s", "index": False}),
    "minio-redis": ("minio", {"day": "6s"}),
    "radosgw-redis": ("radosgw", {"day": "6s"}),
    "posix-redis": ("swift", {"day": "6s", "posix": True}),
    "posix": ("seaweedfs", {"day": "6s", "posix": True, "index": False}),
}
LEGAL = re.compile(r'ongoing-request="false", expiry-date="(\w{3}, \d\d \w{3} \d{4} 00:00:00 GMT)"')
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


KINDS = ("swift", "seaweedfs", "minio", "radosgw")
CHANGES = ("ResponseMetadata", "Restore", "StorageClass", "AcceptRanges", "TagCount")
"""What HEAD says otherwise of an archived object, and what is not of the object."""


@pytest.fixture(params=KINDS)
def plain_place(request, site):
    name = {"minio": "minio-redis", "radosgw": "radosgw-redis"}.get(request.param, request.param)  # those that there are already
    return site(name, request.param, day="6s")


def all_that_is_known(place, name):
    """HEAD, sizes of parts, versions, tags. radosgw knows no parts; SeaweedFS lists a multipart object with an ETag of another."""
    client, kind = place.s3(), place.store.kind
    seen = {field: value for field, value in client.head_object(**name, ChecksumMode="ENABLED").items() if field not in CHANGES}
    numbers = (1, 2) if seen["ETag"].endswith('-2"') and kind != "radosgw" else ()
    parts = [client.head_object(**name, PartNumber=number)["ContentLength"] for number in numbers]
    listed = client.list_object_versions(Bucket=name["Bucket"], Prefix=name["Key"]).get("Versions", [])
    versions = [(item["VersionId"], item["Size"], item["IsLatest"]) for item in listed]
    return seen, parts, versions, client.get_object_tagging(**name).get("TagSet") or [] if kind != "swift" else []


def test_all_that_a_client_knows_of_an_object_is_the_same_before_and_after_tape(plain_place, bucket, tmp_path):
    place, client = plain_place, plain_place.s3()
    place.make(bucket)
    small, large = ({"Bucket": bucket, "Key": key} for key in ("a/small ü", "large"))
    more = {"StorageClass": "GLACIER", "Metadata": {"pid": "qs1"}, "ContentType": "video/mxf", "CacheControl": "no-store"}
    more |= {"Tagging": "kind=mezzanine"} if place.store.kind != "swift" else {}
    client.put_object(**small, Body=b"reel", ChecksumAlgorithm="SHA256", **more)
    (tmp_path / "large").write_bytes(secrets.token_bytes(7 * MIB))
    cut = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    client.upload_file(str(tmp_path / "large"), bucket, "large", Config=cut, ExtraArgs=more)
    before = [all_that_is_known(place, name) for name in (small, large)]
    place.reach(State.ARCHIVED, bucket, small["Key"], large["Key"])
    assert [all_that_is_known(place, name) for name in (small, large)] == before
    restore_all(client, bucket, [small["Key"], large["Key"]], days=9)
    for name in (small, large):
        until("it is restored", lambda name=name: told(client, bucket, name["Key"]).startswith('ongoing-request="false"'))
    assert [all_that_is_known(place, name) for name in (small, large)] == before
    assert client.get_object(**large)["Body"].read() == (tmp_path / "large").read_bytes()
    client.copy_object(Bucket=bucket, Key="copy", CopySource=large)
    copied = client.get_object(Bucket=bucket, Key="copy")
    assert (copied["Body"].read(), copied["Metadata"]) == ((tmp_path / "large").read_bytes(), {"pid": "qs1"})


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


# The table of restores, as a client's library sees it


class Bare:
    """boto3 without its retries, and what was truly said: status, code, headers, document."""

    def __init__(self, place, bucket):
        self.client, self.bucket = place.s3(retries={"max_attempts": 1, "mode": "standard"}), bucket

    def __call__(self, method, key, **more):
        try:
            told = getattr(self.client, method)(Bucket=self.bucket, Key=key, **more)
        except ClientError as error:
            told = error.response
            http = told["ResponseMetadata"]
            if method != "head_object":
                assert http["HTTPHeaders"]["content-type"] == "application/xml"
                assert http["RequestId"]
                assert told["Error"]["Message"]
        http = told["ResponseMetadata"]
        assert http["HTTPHeaders"]["x-amz-request-id"] == http["RequestId"]
        return http["HTTPStatusCode"], told.get("Error", {}).get("Code"), told

    def restore(self, key, days=1, tier="Standard", **more):
        wish = {"Days": days, "GlacierJobParameters": {"Tier": tier}} if days is not None else {}
        return self("restore_object", key, RestoreRequest=wish | more)[:2]


@pytest.mark.parametrize("kind", ["swift", "seaweedfs"])
def test_01_each_row_of_the_restore_table_is_answered_to_boto3_with_its_status_code_and_headers(site, bucket, kind):
    place = site(f"table-{kind}", kind, more={"archive:tape": {"mount": "2s"}})
    ask = Bare(place, bucket)
    ask.client.create_bucket(Bucket=bucket)
    for key in ("film", "second", "slow", "gone", "new"):
        ask.client.put_object(Bucket=bucket, Key=key, Body=b"frames" * 1000, StorageClass="GLACIER", Metadata={"pid": key})
    ask.client.put_object(Bucket=bucket, Key="deep", Body=b"deep", StorageClass="DEEP_ARCHIVE")
    ask.client.put_object(Bucket=bucket, Key="online", Body=b"online")
    place.reach(State.ARCHIVED, bucket, "film", "second", "slow", "gone", "new", "deep")
    never_asked(ask)
    refused_restores(ask)
    for key in ("film", "slow", "gone", "new"):
        assert ask.restore(key, tier="Bulk" if key == "slow" else "Standard") == (202, None)
    in_progress(ask)
    until("the film is back", lambda: told(ask.client, bucket, "film").startswith('ongoing-request="false"'))
    is_back(ask)
    for key in ("gone", "new"):
        until(f"{key} ended", lambda key=key: not place.house.truth().recalls(ref=place.ref(bucket, key)))
    assert ask("get_object", "gone")[:2] == (404, "NoSuchKey")
    assert ask("get_object", "new")[2]["Body"].read() == b"newer"
    assert place.disagreements() == []


def never_asked(ask):
    status, _, head = ask("head_object", "film")
    assert (status, head["ContentLength"], head["StorageClass"], head["Metadata"]) == (200, 6000, "GLACIER", {"pid": "film"})
    assert "Restore" not in head
    status, code, document = ask("get_object", "film")
    assert (status, code, document["Error"]["StorageClass"]) == (403, "InvalidObjectState", "GLACIER")
    assert ask("get_object", "film", Range="bytes=0-1")[:2] == (403, "InvalidObjectState")
    assert ask("copy_object", "copy", CopySource=f"{ask.bucket}/film")[:2] == (403, "InvalidObjectState")
    upload = ask.client.create_multipart_upload(Bucket=ask.bucket, Key="copy")["UploadId"]
    part = {"UploadId": upload, "PartNumber": 1, "CopySource": f"{ask.bucket}/film"}
    assert ask("upload_part_copy", "copy", **part)[:2] == (403, "InvalidObjectState")
    assert ask("get_object_tagging", "film")[:2] == (200, None)
    assert ask("get_object_attributes", "film", ObjectAttributes=["StorageClass", "ObjectSize"])[2]["StorageClass"] == "GLACIER"


def refused_restores(ask):
    assert ask.restore("online") == (403, "InvalidObjectState")
    assert ask.restore("none") == (404, "NoSuchKey")
    assert ask.restore("deep", tier="Expedited") == (400, "InvalidArgument")
    assert ask.restore("second", days=None) == (400, "MalformedXML")
    assert ask.restore("second", days=0) == (400, "InvalidArgument")
    output = {"S3": {"BucketName": ask.bucket, "Prefix": "p"}}
    assert ask.restore("second", days=None, OutputLocation=output) == (400, "MalformedXML")
    assert ask.restore("second", days=None, Type="SELECT") == (501, "NotImplemented")
    assert "Restore" not in ask("head_object", "second")[2]


def in_progress(ask):
    assert ask("head_object", "film")[2]["Restore"] == 'ongoing-request="true"'
    assert ask("get_object", "film")[:2] == (403, "InvalidObjectState")
    assert ask.restore("film", days=5) == (409, "RestoreAlreadyInProgress")
    assert ask.restore("slow", tier="Bulk") == (409, "RestoreAlreadyInProgress")
    assert ask.restore("slow", tier="Expedited") == (202, None)
    asked = ask.client.list_objects_v2(Bucket=ask.bucket, OptionalObjectAttributes=["RestoreStatus"])["Contents"]
    status = {item["Key"]: item.get("RestoreStatus", {}).get("IsRestoreInProgress") for item in asked}
    assert (status["film"], status["second"]) == (True, None)
    assert ask("put_object", "new", Body=b"newer")[0] == 200
    assert ask("delete_object", "gone")[0] == 204


def is_back(ask):
    status, _, got = ask("get_object", "film")
    assert (status, got["Body"].read(), got["StorageClass"], got["Metadata"]) == (200, b"frames" * 1000, "GLACIER", {"pid": "film"})
    end = LEGAL.fullmatch(got["Restore"])[1]
    assert ask("get_object", "film", Range="bytes=0-5")[0] == 206
    assert ask.restore("film", days=9) == (200, None)
    assert LEGAL.fullmatch(ask("head_object", "film")[2]["Restore"])[1] != end
    assert ask("copy_object", "copy", CopySource=f"{ask.bucket}/film")[0] == 200
    head = ask("head_object", "copy")[2]
    assert (head.get("StorageClass", "STANDARD"), head.get("Restore")) == ("STANDARD", None)


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


def test_04_the_aws_command_line_warns_and_asks_for_no_bytes_on_tape_and_copies_what_is_back_without_force(on_tape, bucket, tmp_path):
    place, shell, known = on_tape
    before, film = len(gets(place)), f"s3://{bucket}/dir/film.mxf"
    assert "GLACIER" in shell("aws", "s3", "cp", film, str(tmp_path / "one"), code=2)
    assert "GLACIER" in shell("aws", "s3", "cp", "--recursive", f"s3://{bucket}/", str(tmp_path / "many"), code=2)
    assert "GLACIER" in shell("aws", "s3", "sync", f"s3://{bucket}/", str(tmp_path / "same"), code=2)
    assert len(gets(place)) == before
    request = "Days=1,GlacierJobParameters={Tier=Expedited}"
    shell("aws", "s3api", "restore-object", "--bucket", bucket, "--key", "dir/film.mxf", "--restore-request", request)
    restored(place, bucket)
    shell("aws", "s3", "cp", film, str(tmp_path / "film.back"))
    assert digest((tmp_path / "film.back").read_bytes()) == known
    shell("aws", "s3", "sync", "--force-glacier-transfer", f"s3://{bucket}/", str(tmp_path / "synced"))
    assert digest((tmp_path / "synced/dir/film.mxf").read_bytes()) == known


@pytest.mark.skipif(MC is None, reason="no mc: S3SHUNT_MC names MinIO's client")
def test_05_mc_restores_and_reads_the_status_as_strictly_as_minio_does(on_tape, bucket, tmp_path):
    place, shell, known = on_tape
    key = place.key
    mc = (MC, "--config-dir", str(tmp_path / "mc"), "--no-color", "--json")
    shell(*mc, "alias", "set", "s", place.endpoints[0], key["access_key"], key["secret_key"], "--api", "S3v4", "--path", "on")
    film = f"s/{bucket}/dir/film.mxf"
    shell(*mc, "ilm", "restore", film, "--days", "1")  # comes back when the film has, as its strict reading of x-amz-restore tells it
    assert told(place.s3(), bucket, "dir/film.mxf").startswith('ongoing-request="false"')
    shell(*mc, "get", film, str(tmp_path / "film.back"))
    assert digest((tmp_path / "film.back").read_bytes()) == known


def test_05_rclone_restores_tells_the_status_and_copies(on_tape, bucket, tmp_path):
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


def test_05_s3cmd_restores_and_gets(on_tape, bucket, tmp_path):
    place, shell, known = on_tape
    shell("s3cmd", "get", f"s3://{bucket}/dir/film.mxf", str(tmp_path / "no"), code=77)
    shell("s3cmd", "restore", "--restore-days=1", "--restore-priority=standard", f"s3://{bucket}/dir/film.mxf")
    restored(place, bucket)
    shell("s3cmd", "get", f"s3://{bucket}/dir/film.mxf", str(tmp_path / "film.back"))
    assert digest((tmp_path / "film.back").read_bytes()) == known
