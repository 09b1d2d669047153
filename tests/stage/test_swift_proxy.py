"""Our doors within an unmodified ``swift-proxy-server``, between its authentication and its large objects: nobody notices."""

import json
import re
import secrets
import socket
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
import requests
from botocore.config import Config

from s3shunt import __version__

pytestmark = pytest.mark.stage

DOORS = ["access_log", "errors", "health", "virtual_host", "sigv4", "grants", "lookup", "restore", "listing", "record", "shunt"]
PIPELINE = (
    "catch_errors gatekeeper healthcheck proxy-logging cache listing_formats metadata bulk "
    f"s3api tempauth {' '.join(DOORS)} copy slo dlo versioned_writes symlink proxy-logging proxy-server"
)
TEMPAUTH = """\
[filter:tempauth]
use = egg:swift#tempauth
set log_name = auth
user_films_worker = {secret} .admin

"""
BODY = bytes(range(256)) * 400
PART = bytes(range(256)) * (20 << 10)
ENDS = ("setpriv", "--pdeathsig", "TERM")


@dataclass
class Cluster:
    """``ours`` is the proxy with our doors, ``theirs`` the one without."""

    ours: str
    theirs: str
    secret: str
    log: Path

    def s3(self, endpoint=None):
        return boto3.client(
            "s3", endpoint_url=endpoint or self.ours, region_name="us-east-1", aws_access_key_id="films:worker",
            aws_secret_access_key=self.secret, config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
        )  # fmt: skip

    def swift(self, endpoint=None):
        """A function that asks the Swift API of the account with a token."""
        endpoint, session = endpoint or self.ours, requests.Session()
        session.trust_env = False
        login = session.get(f"{endpoint}/auth/v1.0", headers={"X-Auth-User": "films:worker", "X-Auth-Key": self.secret})
        assert login.status_code == 200, login.text
        session.headers["X-Auth-Token"] = login.headers["X-Auth-Token"]
        return lambda method, path, body=None, **headers: session.request(
            method, f"{endpoint}/v1/AUTH_films{path}", data=body, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    home = tmp_path_factory.mktemp("swift")
    secret, accounts = secrets.token_hex(8), home / "accounts.json"
    accounts.write_text(json.dumps({"films": {"access_key": "films:worker", "secret_key": secret}}))
    command = [*ENDS, sys.executable, "-m", "s3shunt.swift.allinone", "--home", str(home), "--port", "0"]
    with (home / "swift.log").open("wb") as said, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said) as child:
        line = child.stdout.readline()
        assert line, (home / "swift.log").read_text()
        port, log = free_port(), home / "proxy.log"
        conf = configured(home, port, secret)
        command = [*ENDS, str(Path(sys.executable).parent / "swift-proxy-server"), str(conf), "-v"]
        with log.open("wb") as told, subprocess.Popen(command, stdout=told, stderr=told) as proxy:
            try:
                await_health(f"http://127.0.0.1:{port}", proxy, log)
                yield Cluster(f"http://127.0.0.1:{port}", json.loads(line)["endpoint"], secret, log)
            finally:
                proxy.terminate()
                child.terminate()


def configured(home, port, secret):
    """The configuration of the cluster's own proxy, with our doors and Swift's own tempauth."""
    text = (home / "proxy-server.conf").read_text()
    text = re.sub(r"(?m)^bind_port = .*", f"bind_port = {port}", text)
    text = re.sub(r"(?m)^pipeline = .*", f"pipeline = {PIPELINE}", text)
    text = re.sub(r"\[filter:tempauth\][^\[]*", TEMPAUTH.format(secret=secret), text)
    text += "".join(f"\n[filter:{door}]\nuse = egg:s3shunt#{door}\n" for door in DOORS)
    (home / "with-doors.conf").write_text(text)
    return home / "with-doors.conf"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def await_health(endpoint, process, log):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if requests.get(f"{endpoint}/healthcheck", timeout=5, proxies={"http": ""}).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise AssertionError(log.read_text()[-5000:])


def new_name():
    return f"b-{uuid.uuid4().hex[:12]}"


@pytest.fixture(autouse=True)
def no_errors(cluster):
    """What the proxy says while a test runs is nothing to worry about."""
    before = cluster.log.stat().st_size
    yield
    said = cluster.log.read_bytes()[before:].decode()
    assert not re.search(r"Traceback|ERROR|Error|WARNING", said), said


def test_swifts_info_shows_us_and_our_doors(cluster):
    info = requests.get(f"{cluster.ours}/info", timeout=5, proxies={"http": ""}).json()
    assert info["s3shunt"] == {"version": __version__, "doors": sorted(DOORS)}
    theirs = requests.get(f"{cluster.theirs}/info", timeout=5, proxies={"http": ""}).json()
    assert info.keys() - theirs.keys() == {"s3shunt"}


@pytest.mark.parametrize("key", ["reel/1.mxf", "a//b", "a+b c%2F", "ünïcode/日本", "-/live", "archived"])
def test_an_object_of_an_s3_client_comes_and_goes_as_without_us(cluster, key):
    ours, theirs, bucket = cluster.s3(), cluster.s3(cluster.theirs), new_name()
    ours.create_bucket(Bucket=bucket)
    ours.put_object(Bucket=bucket, Key=key, Body=BODY, Metadata={"title": "A film"}, ContentType="video/mxf")
    for client in (ours, theirs):
        read = client.get_object(Bucket=bucket, Key=key)
        assert (read["Body"].read(), read["Metadata"], read["ContentType"]) == (BODY, {"title": "A film"}, "video/mxf")
        assert client.get_object(Bucket=bucket, Key=key, Range="bytes=10-19")["Body"].read() == BODY[10:20]
        assert [item["Key"] for item in client.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    ours.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    assert theirs.get_object(Bucket=bucket, Key="copy")["Body"].read() == BODY
    ours.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}, {"Key": "copy"}]})
    assert theirs.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    ours.delete_bucket(Bucket=bucket)


def test_what_an_s3_client_is_refused_is_refused_as_without_us(cluster):
    bucket = new_name()
    cluster.s3().create_bucket(Bucket=bucket)
    for endpoint in (cluster.ours, cluster.theirs):
        client = cluster.s3(endpoint)
        with pytest.raises(client.exceptions.NoSuchKey):
            client.get_object(Bucket=bucket, Key="none")
        with pytest.raises(client.exceptions.ClientError) as refused:
            client.put_object(Bucket=bucket, Key="a", Body=b"x", StorageClass="GLACIER")
        assert refused.value.response["Error"]["Code"] == "InvalidStorageClass"
        assert requests.get(f"{endpoint}/{bucket}/none", timeout=5, proxies={"http": ""}).status_code == 400


def test_a_multipart_upload_is_the_same_on_both_sides(cluster):
    ours, bucket = cluster.s3(), new_name()
    ours.create_bucket(Bucket=bucket)
    upload = ours.create_multipart_upload(Bucket=bucket, Key="large")["UploadId"]
    part = {"Bucket": bucket, "Key": "large", "UploadId": upload}
    etags = [ours.upload_part(**part, PartNumber=n, Body=body)["ETag"] for n, body in ((1, PART), (2, b"end"))]
    parts = [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, 1)]
    assert len(ours.list_parts(**part)["Parts"]) == 2
    assert ours.complete_multipart_upload(**part, MultipartUpload={"Parts": parts})["ETag"].endswith('-2"')
    for endpoint in (cluster.ours, cluster.theirs):
        assert cluster.s3(endpoint).get_object(Bucket=bucket, Key="large")["Body"].read() == PART + b"end"
    ours.delete_object(Bucket=bucket, Key="large")


def test_versions_are_kept_and_read_one_by_one(cluster):
    ours, theirs, bucket = cluster.s3(), cluster.s3(cluster.theirs), new_name()
    ours.create_bucket(Bucket=bucket)
    ours.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = ours.put_object(Bucket=bucket, Key="a", Body=b"first")["VersionId"]
    ours.put_object(Bucket=bucket, Key="a", Body=b"second")
    assert ours.delete_object(Bucket=bucket, Key="a")["DeleteMarker"]
    for client in (ours, theirs):
        shown = client.list_object_versions(Bucket=bucket)
        assert (len(shown["Versions"]), len(shown["DeleteMarkers"])) == (2, 1)
        assert client.get_object(Bucket=bucket, Key="a", VersionId=first)["Body"].read() == b"first"


def test_an_object_of_a_swift_client_comes_and_goes_as_without_us(cluster):
    ours, theirs, box = cluster.swift(), cluster.swift(cluster.theirs), f"/{new_name()}"
    assert ours("PUT", box).status_code == 201
    assert ours("PUT", f"{box}/a%2Fb", BODY, X_Object_Meta_Title="A").status_code == 201
    assert ours("POST", f"{box}/a%2Fb", X_Object_Meta_Title="B").status_code == 202
    assert ours("COPY", f"{box}/a%2Fb", Destination=f"{box}/copy").status_code == 201
    for ask in (ours, theirs):
        read = ask("GET", f"{box}/a%2Fb")
        assert (read.content, read.headers["X-Object-Meta-Title"]) == (BODY, "B")
        assert ask("HEAD", f"{box}/copy").headers["Content-Length"] == str(len(BODY))
        assert ask("GET", box).text.split() == ["a/b", "copy"]
        assert ask("GET", f"{box}/a%2Fb", Range="bytes=0-9").content == BODY[:10]
        assert ask("TEST", box).status_code == 405
        assert ask("OPTIONS", box).status_code == 200
        assert ask("GET", "/-/live").status_code == 404
    for name in ("a%2Fb", "copy"):
        assert ours("DELETE", f"{box}/{name}").status_code == 204
    assert theirs("DELETE", box).status_code == 204


def test_a_body_of_unknown_length_passes(cluster):
    ours, box = cluster.swift(), f"/{new_name()}"
    ours("PUT", box)
    assert ours("PUT", f"{box}/a", iter([b"one", b"two"])).status_code == 201
    assert cluster.swift(cluster.theirs)("GET", f"{box}/a").content == b"onetwo"


def test_large_objects_of_both_kinds_are_put_together(cluster):
    ours, theirs, box = cluster.swift(), cluster.swift(cluster.theirs), f"/{new_name()}"
    ours("PUT", box)
    for number in (1, 2):
        assert ours("PUT", f"{box}/seg/{number}", BODY).status_code == 201
    manifest = json.dumps([{"path": f"{box}/seg/{number}", "size_bytes": len(BODY)} for number in (1, 2)])
    assert ours("PUT", f"{box}/slo?multipart-manifest=put", manifest).status_code == 201
    assert ours("PUT", f"{box}/dlo", b"", X_Object_Manifest=f"{box[1:]}/seg/").status_code == 201
    for ask in (ours, theirs):
        assert ask("GET", f"{box}/slo").content == BODY * 2
        assert ask("GET", f"{box}/dlo").content == BODY * 2
        assert len(ask("GET", f"{box}/slo?multipart-manifest=get").json()) == 2
    assert ours("DELETE", f"{box}/slo?multipart-manifest=delete", Accept="application/json").json()["Number Deleted"] == 3


def test_who_has_no_token_is_refused_by_swift(cluster):
    for endpoint in (cluster.ours, cluster.theirs):
        assert requests.get(f"{endpoint}/v1/AUTH_films", timeout=5, proxies={"http": ""}).status_code == 401
