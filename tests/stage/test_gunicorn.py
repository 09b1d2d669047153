"""The whole pipeline under gunicorn's threads, unmodified, in front of a real Swift: no eventlet, the same answers."""

import gc
import json
import secrets
import socket
import subprocess
import sys
import time
import uuid
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import quote, urlsplit
from zlib import crc32

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from paste.deploy import loadapp

from s3shunt import connect
from s3shunt.config import Ini
from s3shunt.jobs.runner import Runner
from s3shunt.model import State
from s3shunt.testing.client import Client
from s3shunt.testing.house import validated

pytestmark = pytest.mark.stage

DOORS = ("access_log", "errors", "health", "virtual_host", "sigv4", "grants", "lookup", "restore", "listing", "record", "shunt")
INI = f"""\
[DEFAULT]
state = {{state}}
[pipeline:main]
pipeline = {' '.join(DOORS)} proxy
[app:proxy]
use = egg:s3shunt#proxy
[catalog:main]
url = sqlite:///${{{{state}}}}/catalog.db
[keys:main]
url = file://${{{{state}}}}/keys.json
[store:main]
url = s3+{{store}}
credentials = ${{{{state}}}}/store.json
buckets = per account
evict = swift
swift = {{store}}
acl = no
[store:landing]
like = main
bucket = landing
[archive:tape]
url = tape://${{{{state}}}}/tape
mount = 100ms
seek = 0ms
[policy:all]
buckets = *
archive = tape
evict = at once
""" + "".join(f"[filter:{door}]\nuse = egg:s3shunt#{door}\n" for door in DOORS)
S3 = Config(signature_version="s3v4", retries={"max_attempts": 0}, s3={"addressing_style": "path"})
FILM = bytes(range(256)) * 4000
ENDS = ("setpriv", "--pdeathsig", "TERM")
BIN = Path(sys.executable).parent


@dataclass
class Site:
    endpoint: str
    access_key: str
    secret_key: str
    runner: Runner
    log: Path

    def s3(self, secret=None):
        return boto3.client(
            "s3", endpoint_url=self.endpoint, region_name="us-east-1", aws_access_key_id=self.access_key,
            aws_secret_access_key=secret or self.secret_key, config=S3,
        )  # fmt: skip

    def head(self, method, target, secret=None, **fields):
        """The head of a signed request, as bytes; ``fields`` are signed."""
        client = Client(None, self.access_key, secret or self.secret_key, host=urlsplit(self.endpoint).netloc)
        sent = {"host": client.host, **{name.replace("_", "-"): value for name, value in fields.items()}}
        signed = client._signed(method, target, b"", sent)
        return "".join([f"{method} {target} HTTP/1.1\r\n", *(f"{name}: {value}\r\n" for name, value in signed.items()), "\r\n"]).encode()

    def line(self):
        address = urlsplit(self.endpoint)
        return socket.create_connection((address.hostname, address.port), timeout=20)

    def work(self, done):
        deadline = time.monotonic() + 30
        while not done():
            assert time.monotonic() < deadline, "the workers did not come to it"
            self.runner.run_due()
            time.sleep(0.05)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    state = tmp_path_factory.mktemp("gunicorn")
    keys = [{"access_key": "AKFILMS", "secret_key": secrets.token_hex(16), "account": "films"}]
    private(state / "keys.json", keys)
    names = {"films": "films", "": "worker"}
    private(state / "store.json", {name: {"access_key": f"{own}:x", "secret_key": secrets.token_hex(8)} for name, own in names.items()})
    command = [*ENDS, sys.executable, "-m", "s3shunt.swift.allinone", "--home", str(state / "swift"), "--port", "0"]
    with (state / "swift.log").open("wb") as said, subprocess.Popen(
        [*command, "--accounts", str(state / "store.json")], stdout=subprocess.PIPE, stderr=said
    ) as child:
        line = child.stdout.readline()
        assert line, (state / "swift.log").read_text()
        ini = state / "proxy.ini"
        ini.write_text(INI.format(state=state, store=json.loads(line)["endpoint"]))
        house = connect.House(Ini(ini, {}))
        house.truth().upgrade()
        port, log = free_port(), state / "gunicorn.log"
        with log.open("wb") as told, subprocess.Popen(command_of(ini, port), stdout=told, stderr=told) as server:
            try:
                made = Site(f"http://127.0.0.1:{port}", keys[0]["access_key"], keys[0]["secret_key"], Runner(house), log)
                await_live(made, server)
                yield made
            finally:
                server.terminate()
                child.terminate()


def command_of(ini, port):
    """As docs/serve.md has it."""
    return [
        *ENDS, str(BIN / "gunicorn"), "--worker-class", "gthread", "--workers", "2", "--threads", "16",
        "--limit-request-line", "8190", "--keep-alive", "75", "--graceful-timeout", "60", "--no-control-socket",
        "--bind", f"127.0.0.1:{port}", "--paste", f"{ini}#main",
    ]  # fmt: skip


def private(path, content):
    path.touch(mode=0o600)
    path.write_text(json.dumps(content))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def await_live(made, server):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with made.line() as line:
                line.sendall(b"GET /-/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                if answer(line)[0] == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(made.log.read_text()[-5000:])


def answer(line, method="GET"):
    """Status and body."""
    response = HTTPResponse(line, method=method)
    response.begin()
    return response.status, response.read()


@pytest.fixture
def bucket(site):
    name = f"b-{uuid.uuid4().hex[:12]}"
    site.s3().create_bucket(Bucket=name)
    return name


def code(refused):
    return refused.value.response["Error"]["Code"]


def test_a_film_goes_to_tape_and_comes_back(site, bucket):
    s3, film = site.s3(), {"Bucket": bucket, "Key": "reel/1.mxf"}
    s3.put_object(**film, Body=FILM, StorageClass="GLACIER", Metadata={"pid": "p1"}, ContentType="application/mxf")
    entries = site.runner.house.catalog().select
    site.work(lambda: [entry.state for entry in entries()] == [State.ARCHIVED])
    assert s3.head_object(**film)["StorageClass"] == "GLACIER"
    assert [item["StorageClass"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["GLACIER"]
    with pytest.raises(ClientError) as refused:
        s3.get_object(**film)
    assert code(refused) == "InvalidObjectState"

    asked = {"Days": 1, "GlacierJobParameters": {"Tier": "Standard"}}
    assert s3.restore_object(**film, RestoreRequest=asked)["ResponseMetadata"]["HTTPStatusCode"] == 202
    with pytest.raises(ClientError) as refused:
        s3.restore_object(**film, RestoreRequest=asked)
    assert code(refused) == "RestoreAlreadyInProgress"
    site.work(lambda: 'ongoing-request="false"' in s3.head_object(**film)["Restore"])
    read = s3.get_object(**film)
    assert (read["Body"].read(), read["Metadata"], read["ContentType"]) == (FILM, {"pid": "p1"}, "application/mxf")
    assert s3.get_object(**film, Range="bytes=1000-1999")["Body"].read() == FILM[1000:2000]
    s3.delete_object(**film)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


@pytest.mark.parametrize("key", ["a%2Fb", "a//b", "//a//", "a+b c", "ünïcode/日本", "./../a", "%", "a?b#c&d=e", "k" * 1024, "日" * 341])
def test_a_key_is_kept_as_it_was_written(site, bucket, key):
    s3 = site.s3()
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    link = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})
    with site.line() as line:
        line.sendall(f"GET {link.removeprefix(site.endpoint)} HTTP/1.1\r\nHost: {urlsplit(link).netloc}\r\n\r\n".encode())
        assert answer(line) == (200, key.encode())
    s3.delete_object(Bucket=bucket, Key=key)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_an_upload_in_parts_is_put_together(site, bucket):
    s3, at = site.s3(), {"Bucket": bucket, "Key": "large"}
    upload = s3.create_multipart_upload(**at)["UploadId"]
    bodies = [FILM * 6, b"end"]
    etags = [s3.upload_part(**at, UploadId=upload, PartNumber=n, Body=body)["ETag"] for n, body in enumerate(bodies, 1)]
    parts = [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, 1)]
    s3.complete_multipart_upload(**at, UploadId=upload, MultipartUpload={"Parts": parts})
    assert s3.get_object(**at)["Body"].read() == b"".join(bodies)


STREAMED = {
    "x_amz_content_sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    "x_amz_trailer": "x-amz-checksum-crc32",
    "transfer_encoding": "chunked",
}


def streamed(data, checksum):
    """aws-chunked with a trailer, in HTTP chunks that are cut elsewhere."""
    inner = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (data[:65536], data[65536:]) if piece)
    inner += b"0\r\nx-amz-checksum-crc32:%b\r\n\r\n" % checksum
    pieces = [inner[at : at + 10_007] for at in range(0, len(inner), 10_007)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@pytest.mark.parametrize("told", [True, False], ids=["its length in advance", "no length at all"])
@pytest.mark.parametrize("right", [True, False], ids=["right checksum", "wrong checksum"])
def test_an_upload_without_a_length_is_stored_if_its_trailer_is_right(site, bucket, told, right):
    data = FILM[:100_000]
    fields = STREAMED | ({"x_amz_decoded_content_length": str(len(data))} if told else {})
    checksum = b64encode((crc32(data) ^ (not right)).to_bytes(4, "big"))
    with site.line() as line:
        line.sendall(site.head("PUT", f"/{bucket}/a", **fields) + streamed(data, checksum))
        status, body = answer(line)
    assert (status, b"BadDigest" in body) == ((200, False) if right else (400, True))
    assert kept(site, bucket) == ([data] if right else [])


def kept(site, bucket):
    s3 = site.s3()
    return [s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read() for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


UNSIGNED = {"x_amz_content_sha256": "UNSIGNED-PAYLOAD"}


def test_who_waits_for_100_continue_gets_it(site, bucket):
    with site.line() as line:
        line.sendall(site.head("PUT", f"/{bucket}/a", **UNSIGNED, content_length="5", expect="100-continue"))
        assert line.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        line.sendall(b"bytes")
        assert answer(line)[0] == 200
    assert kept(site, bucket) == [b"bytes"]


@pytest.mark.parametrize("size", [1000, 3_000_000])
def test_a_refused_upload_is_told_so_and_stores_nothing(site, bucket, size):
    with site.line() as line:
        line.sendall(site.head("PUT", f"/{bucket}/a", "wrong secret", **UNSIGNED, content_length=str(size)))
        status, body = answer(line)
        assert (status, b"<Code>SignatureDoesNotMatch</Code>" in body) == (403, True)
    with pytest.raises(ClientError) as refused:
        site.s3("wrong secret").put_object(Bucket=bucket, Key="a", Body=bytes(1000))
    assert code(refused) == "SignatureDoesNotMatch"
    assert kept(site, bucket) == []


def test_what_a_refused_client_sends_on_is_not_taken_for_a_request(site, bucket):
    inner = site.head("PUT", f"/{bucket}/smuggled", **UNSIGNED, content_length="0")
    outer = site.head("PUT", f"/{bucket}/a", "wrong secret", **UNSIGNED, content_length=str(len(inner)))
    with site.line() as line:
        line.sendall(outer + inner)
        assert answer(line)[0] == 403
        line.settimeout(1)
        with suppress(TimeoutError, ConnectionResetError):
            assert not line.recv(1)
    assert kept(site, bucket) == []


@pytest.mark.parametrize("framing", [{"content_length": "2000000"}, {"transfer_encoding": "chunked"}], ids=["length", "chunked"])
def test_a_torn_upload_stores_nothing_and_leaves_the_old_object(site, bucket, framing):
    site.s3().put_object(Bucket=bucket, Key="a", Body=b"old")
    body = FILM if "content_length" in framing else b"%x\r\n%b\r\n" % (len(FILM), FILM)
    for key in ("a", "b"):
        with site.line() as line:
            line.sendall(site.head("PUT", f"/{bucket}/{key}", **UNSIGNED, **framing) + body)
    time.sleep(0.5)
    assert kept(site, bucket) == [b"old"]


@pytest.mark.parametrize(
    "framing",
    ["Content-Length: 4\r\nContent-Length: 5", "Content-Length: 4\r\nTransfer-Encoding: chunked", "Transfer-Encoding: gzip",
     "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "Content-Length : 4", "Content-Length: 4\r\n folded: x",
     "Content-Length: +4", "Content-Length: 4_0", "Content-Length: 4\r\nHost: other"],
)  # fmt: skip
def test_what_could_be_framed_in_two_ways_is_refused(site, bucket, framing):
    head = site.head("PUT", f"/{bucket}/a", **UNSIGNED)[:-2]
    with site.line() as line:
        line.sendall(head + framing.encode() + b"\r\n\r\nbody")
        status, _ = answer(line)
        assert 400 <= status < 600
    assert kept(site, bucket) == []


def test_an_absolute_target_must_name_the_host(site, bucket):
    site.s3().put_object(Bucket=bucket, Key="a", Body=b"x")
    head = site.head("GET", f"/{bucket}/a").decode()
    for named, status in ((site.endpoint, 200), ("http://other", 400)):
        with site.line() as line:
            line.sendall(head.replace(f"GET /{bucket}", f"GET {named}/{bucket}").encode())
            assert answer(line)[0] == status


def test_many_clients_at_a_time_get_what_each_has_put(site, bucket):
    def one(number):
        s3, at = site.s3(), {"Bucket": bucket, "Key": quote(f"k {number}")}
        body = bytes([number]) * 100_000
        s3.put_object(**at, Body=body)
        return s3.get_object(**at)["Body"].read() == body

    with ThreadPoolExecutor(16) as many:
        assert all(many.map(one, range(40)))


def test_the_whole_pipeline_with_its_store_keeps_pep_3333(site, bucket, monkeypatch):
    found = []
    monkeypatch.setattr(sys, "unraisablehook", lambda event: found.append(event.exc_value))
    app = validated(loadapp(f"config:{site.runner.house.ini.path}", name="main"))
    client = Client(app, site.access_key, site.secret_key)
    assert client.put(f"/{bucket}/a", FILM).status == 200
    assert client.get(f"/{bucket}/a").body == FILM
    assert client.get(f"/{bucket}/a", range="bytes=1-3").status == 206
    assert client.get(f"/{bucket}/a", if_none_match=client.head(f"/{bucket}/a").headers["etag"]).status == 304
    assert len(list(client.get(f"/{bucket}").xml.iter("{*}Contents"))) == 1
    assert client.delete(f"/{bucket}/a").status == 204
    assert (client.get(f"/{bucket}/a").code, client.head(f"/{bucket}/a").status) == ("NoSuchKey", 404)
    gc.collect()
    assert not found


def test_nothing_went_wrong_unsaid(site):
    said = site.log.read_text()
    assert "Traceback" not in said, said
