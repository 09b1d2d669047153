"""The configurations that we ship for nginx, under a real one, between real clients and real stores."""

import json
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from base64 import b64encode
from contextlib import ExitStack, suppress
from hashlib import sha256
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit
from zlib import crc32

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

from s3shunt import connect
from s3shunt.config import Ini
from s3shunt.jobs.runner import Runner
from s3shunt.model import State
from s3shunt.testing.client import Client
from s3shunt.testing.origin import HttpOrigin, Reply
from s3shunt.testing.services import nginx
from s3shunt.testing.stage.process import until
from s3shunt.testing.stage.stores import private

pytestmark = [pytest.mark.stage, pytest.mark.skipif(not nginx.installed(), reason="nginx is not installed")]

CONFIGURATIONS = Path(__file__).parent.parent.parent / "containers/nginx"
BIN = Path(sys.executable).parent
MIB = 1 << 20
PEER = "127.0.0.2"
"""From where nginx asks here: the tests themselves come from another address."""

ODD = ["a%2Fb", "a+b c", "ünï/日本", "%", "a?b#c&d=e", "[x]", "~'()*!", "k" * 1000]
PATHS = ["a//b", "//a//", "x/./y"]
"""Keys that a store which keeps files does not take."""


def conf(name):
    """A configuration as it is shipped, but that nginx asks from ``PEER``."""
    return f"proxy_bind {PEER};\n{(CONFIGURATIONS / f'{name}.conf').read_text()}"


class Front:
    """A site behind nginx."""

    def __init__(self, site, running, log):
        self.site, self.nginx, self.log = site, running, log

    @property
    def host(self):
        return urlsplit(self.nginx.url).netloc

    def s3(self, secret=None, pair=None, **settings):
        access_key, secret_key = pair or (self.site.key["access_key"], secret or self.site.key["secret_key"])
        given = {"signature_version": "s3v4", "retries": {"max_attempts": 0}, "s3": {"addressing_style": "path"}, **settings}
        return boto3.client(
            "s3", endpoint_url=self.nginx.url, region_name="us-east-1", aws_access_key_id=access_key, aws_secret_access_key=secret_key,
            verify=self.nginx.certificate, config=Config(**given),
        )  # fmt: skip

    def lines(self, **wanted):
        """What s3shunt's own log says of requests like these; a line is written just after the answer was sent."""
        time.sleep(0.2)
        known = [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []
        return [line for line in known if all(line.get(name) == value for name, value in wanted.items())]

    def head(self, method, target, secret=None, **fields):
        """The head of a signed request, as bytes."""
        client = Client(None, self.site.key["access_key"], secret or self.site.key["secret_key"], host=self.host)
        signed = client._signed(method, target, b"", {"host": self.host, **{name.replace("_", "-"): text for name, text in fields.items()}})
        return head(method, target, signed)

    def line(self, url=None):
        return line(url or self.nginx.url, self.nginx.certificate)

    def ask(self, sent, method="GET", url=None):
        with self.line(url) as to:
            to.sendall(sent)
            return answer(to, method)


def head(method, target, fields):
    return "".join([f"{method} {target} HTTP/1.1\r\n", *(f"{name}: {value}\r\n" for name, value in fields.items()), "\r\n"]).encode()


def line(url, certificate=None):
    address = urlsplit(url)
    plain = socket.create_connection((address.hostname, address.port), timeout=30)
    if address.scheme == "http":
        return plain
    return ssl.create_default_context(cafile=certificate).wrap_socket(plain, server_hostname=address.hostname)


def answer(to, method="GET"):
    """Status, headers by lower-case name, body."""
    response = HTTPResponse(to, method=method)
    response.begin()
    return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()


def refused(call, **given):
    with pytest.raises(ClientError) as caught:
        call(**given)
    return caught.value.response["Error"]["Code"]


def address(url):
    return url.partition("://")[2]


@pytest.fixture(scope="module")
def front(site, tmp_path_factory):
    """``front("accel", "swift")``: a configuration before a site before a store; one site for each ``name`` and store."""
    made = {}
    with ExitStack() as stack:

        def make(file, kind, more=None, name=None, **given):
            name = name or file
            if (name, kind) in made:
                return made[name, kind]
            folder = tmp_path_factory.mktemp(f"{name}-{kind}")
            own = {"filter:access_log": {"path": str(folder / "access.log"), "flush": "0ms"}, "policy:all": {"buckets": "films-*"}}
            place = site(f"{name}-{kind}", kind, more={**own, **(more or {})})
            known = {"PROXY": address(place.endpoints[0]), "STORE": address(place.store.endpoint), **given}
            text = conf(file)
            running = stack.enter_context(nginx.nginx(text, **{key: value for key, value in known.items() if f"@{key}@" in text}))
            made[name, kind] = Front(place, running, folder / "access.log")
            return made[name, kind]

        yield make


ACCEL = {"app:proxy": {"offload": "accel", "accel_peers": PEER}}


@pytest.fixture(params=["swift", "seaweedfs"])
def tls(front, request):
    return front("tls", request.param)


@pytest.fixture(params=["swift", "seaweedfs"])
def accel(front, request):
    return front("accel", request.param, ACCEL)


@pytest.fixture(params=["plain", "films"], ids=["plain", "with a policy"])
def bucket(request):
    return f"{request.param}-{secrets.token_hex(4)}"


# TLS in front, and accel: what holds for both


@pytest.fixture(params=["tls", "accel"])
def either(front, request):
    return front(request.param, "swift", ACCEL if request.param == "accel" else None)


def test_keys_arrive_as_they_were_written(either, bucket):
    s3 = either.s3()
    s3.create_bucket(Bucket=bucket)
    keys = [*ODD, *PATHS]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode() * 100, Metadata={"title": "Der Film"})
    for key in keys:
        read = s3.get_object(Bucket=bucket, Key=key)
        assert (read["Body"].read(), read["Metadata"]) == (key.encode() * 100, {"title": "Der Film"})
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == sorted(keys, key=str.encode)
    link = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a%2Fb"})
    assert either.ask(head("GET", link.removeprefix(either.nginx.url), {"Host": either.host}))[::2] == (200, b"a%2Fb" * 100)


def test_a_flipped_bit_of_the_signature_is_refused(either, bucket):
    s3 = either.s3()
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="a", Body=b"bytes")
    good = either.head("GET", f"/{bucket}/a")
    at = good.index(b"Signature=") + 10
    assert either.ask(good)[::2] == (200, b"bytes")
    status, _, body = either.ask(good[:at] + (b"0" if good[at : at + 1] != b"0" else b"1") + good[at + 1 :])
    assert (status, b"<Code>SignatureDoesNotMatch</Code>" in body) == (403, True)


def test_a_large_body_is_the_same_on_the_way_back(tls, bucket, tmp_path):
    there_and_back(tls, bucket, tmp_path)


def test_a_large_body_is_the_same_when_nginx_fetches_it(accel, bucket, tmp_path):
    there_and_back(accel, bucket, tmp_path)
    assert accel.lines(bucket=bucket, operation="GetObject", offload="accel")


def there_and_back(front, bucket, folder):
    s3, path = front.s3(), folder / "film"
    path.write_bytes(os.urandom(MIB) * 48 + b"end")
    s3.create_bucket(Bucket=bucket)
    s3.upload_file(str(path), bucket, "parts", Config=TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=8 * MIB))
    with path.open("rb") as file:
        s3.put_object(Bucket=bucket, Key="whole", Body=file)
    wanted = sha256(path.read_bytes()).digest()
    for key in ("parts", "whole"):
        read = s3.get_object(Bucket=bucket, Key=key)
        got = sha256()
        for piece in read["Body"].iter_chunks(MIB):
            got.update(piece)
        assert (read["ContentLength"], got.digest()) == (path.stat().st_size, wanted)


def test_the_aws_cli_puts_and_gets(either, bucket, tmp_path):
    either.s3().create_bucket(Bucket=bucket)
    film, back = tmp_path / "film", tmp_path / "back"
    film.write_bytes(os.urandom(9 * MIB))
    aws(either, tmp_path, str(film), f"s3://{bucket}/film")
    aws(either, tmp_path, f"s3://{bucket}/film", str(back))
    assert sha256(back.read_bytes()).digest() == sha256(film.read_bytes()).digest()


def aws(front, folder, source, target):
    """``aws s3 cp``."""
    key = front.site.key
    own = {"AWS_ACCESS_KEY_ID": key["access_key"], "AWS_SECRET_ACCESS_KEY": key["secret_key"], "AWS_DEFAULT_REGION": "us-east-1"}
    command = [str(BIN / "aws"), "--endpoint-url", front.nginx.url, "--ca-bundle", front.nginx.certificate, "s3", "cp", source, target]
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), **own}
    subprocess.run([*command, "--only-show-errors"], env=environ, check=True, timeout=120)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_http_2_carries_both_ways(either, bucket, tmp_path):
    s3, film = either.s3(), tmp_path / "film"
    s3.create_bucket(Bucket=bucket)
    film.write_bytes(os.urandom(5 * MIB))
    link = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "a%2F+ b"})
    assert curl(either, "--http2", "-T", str(film), link, folder=tmp_path)[0] == "200 0 2"
    link = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a%2F+ b"})
    said, got = curl(either, "--http2", link, folder=tmp_path)
    assert (said, got == film.read_bytes()) == ("200 0 2", True)


UNSIGNED = {"x_amz_content_sha256": "UNSIGNED-PAYLOAD"}


def test_who_waits_for_100_continue_gets_it(tls, bucket):
    s3 = tls.s3()
    s3.create_bucket(Bucket=bucket)
    with tls.line() as to:
        to.sendall(tls.head("PUT", f"/{bucket}/a", **UNSIGNED, content_length="5")[:-2] + b"Expect: 100-continue\r\n\r\n")
        assert to.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        to.sendall(b"bytes")
        assert answer(to)[0] == 200
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"bytes"


def test_an_upload_in_chunks_of_http_arrives(tls, bucket):
    s3, body = tls.s3(), os.urandom(5 * MIB)
    s3.create_bucket(Bucket=bucket)
    with tls.line() as to:
        to.sendall(tls.head("PUT", f"/{bucket}/a", **UNSIGNED, transfer_encoding="chunked"))
        for at in range(0, len(body), MIB):
            to.sendall(b"%x\r\n%b\r\n" % (MIB, body[at : at + MIB]))
        to.sendall(b"0\r\n\r\n")
        assert answer(to)[0] == 200
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == body


def test_a_refused_upload_is_told_why_however_large(tls, bucket):
    tls.s3().create_bucket(Bucket=bucket)
    body, s3 = os.urandom(5 * MIB), tls.s3("wrong secret")
    assert {refused(s3.put_object, Bucket=bucket, Key="a", Body=body) for _ in range(20)} == {"SignatureDoesNotMatch"}
    assert tls.s3().list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_a_reload_under_load_fails_no_request(either, bucket):
    """Whose connection was idle and is closed asks again, as every S3 client does."""
    bodies = {f"k{number}": os.urandom(200_000) for number in range(4)}
    either.s3().create_bucket(Bucket=bucket)
    done, wrong, end = [], [], threading.Event()

    def run(key, body):
        s3 = either.s3(retries={"max_attempts": 2, "mode": "standard"})
        while not end.is_set():
            s3.put_object(Bucket=bucket, Key=key, Body=body)
            (done if s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body else wrong).append(key)

    threads = [threading.Thread(target=run, args=item) for item in bodies.items()]
    for thread in threads:
        thread.start()
    try:
        for number in range(1, 6):
            until("some more were served", lambda n=number: len(done) >= 4 * n or not any(t.is_alive() for t in threads))
            either.nginx.reload()
    finally:
        end.set()
        for thread in threads:
            thread.join(60)
    assert (wrong, len(done) >= 20) == ([], True)


# accel


def test_nginx_fetches_ranges_and_answers_conditions(accel, bucket):
    s3, body = accel.s3(), os.urandom(300_000)
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="a", Body=body, ContentType="application/mxf", Metadata={"title": "A"}, CacheControl="max-age=5")
    read = s3.get_object(Bucket=bucket, Key="a")
    etag, modified = read["ETag"], read["LastModified"]
    assert (read["Body"].read(), read["ContentType"], read["Metadata"], read["CacheControl"]) == (
        body, "application/mxf", {"title": "A"}, "max-age=5",
    )  # fmt: skip
    assert "x-amz-restore" not in read["ResponseMetadata"]["HTTPHeaders"]
    for asked, start, end in (("bytes=0-99", 0, 100), ("bytes=299990-", 299_990, 300_000), ("bytes=-7", 299_993, 300_000)):
        part = s3.get_object(Bucket=bucket, Key="a", Range=asked)
        assert (part["Body"].read(), part["ContentRange"]) == (body[start:end], f"bytes {start}-{end - 1}/300000")
    assert s3.get_object(Bucket=bucket, Key="a", IfMatch=etag)["Body"].read() == body
    assert s3.get_object(Bucket=bucket, Key="a", IfModifiedSince=modified.replace(year=2020))["Body"].read() == body
    assert refused(s3.get_object, Bucket=bucket, Key="a", IfNoneMatch=etag) == "304"
    assert refused(s3.get_object, Bucket=bucket, Key="a", IfModifiedSince=modified) == "304"
    assert refused(s3.get_object, Bucket=bucket, Key="a", IfMatch='"other"') == "PreconditionFailed"
    assert refused(s3.get_object, Bucket=bucket, Key="a", Range="bytes=300000-") == "InvalidRange"
    named = s3.get_object(Bucket=bucket, Key="a", ResponseContentDisposition='attachment; filename="a.mxf"')
    assert named["ContentDisposition"] == 'attachment; filename="a.mxf"'
    assert refused(s3.get_object, Bucket=bucket, Key="nothing") == "NoSuchKey"
    assert refused(s3.get_object, Bucket=f"{bucket}-none", Key="a") in ("NoSuchBucket", "AccessDenied")
    bytes_of_ours = [line.get("out", 0) for line in accel.lines(bucket=bucket, operation="GetObject", status=200)]
    assert set(bytes_of_ours) == {0}


def test_an_object_on_tape_is_refused_and_comes_back(accel):
    s3, bucket, site = accel.s3(), f"films-{secrets.token_hex(4)}", accel.site
    body = os.urandom(3 * MIB)
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="reel", Body=body, StorageClass="GLACIER", Metadata={"pid": "p1"})
    assert refused(s3.get_object, Bucket=bucket, Key="reel") == "InvalidObjectState"
    site.reach(State.ARCHIVED, bucket, "reel")
    assert refused(s3.get_object, Bucket=bucket, Key="reel") == "InvalidObjectState"
    s3.restore_object(Bucket=bucket, Key="reel", RestoreRequest={"Days": 1, "GlacierJobParameters": {"Tier": "Standard"}})
    site.reach(State.RESTORED, bucket, "reel")
    read = s3.get_object(Bucket=bucket, Key="reel")
    assert (read["Body"].read(), read["Metadata"], read["StorageClass"]) == (body, {"pid": "p1"}, "GLACIER")
    assert 'ongoing-request="false"' in read["Restore"]
    assert s3.get_object(Bucket=bucket, Key="reel", Range="bytes=5-9")["Body"].read() == body[5:10]
    assert not accel.lines(bucket=bucket, key="reel", offload="accel")


def test_an_object_that_left_the_store_while_nginx_asked_is_told_by_us(accel):
    """Behind the catalog's back, where nobody can know it beforehand."""
    s3, bucket = accel.s3(), f"films-{secrets.token_hex(4)}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="a", Body=b"bytes")
    accel.site.behind().delete_object(Bucket=bucket, Key="a")
    status, _, body = accel.ask(accel.head("GET", f"/{bucket}/a"))
    assert (status, b"<Code>NoSuchKey</Code>" in body) == (404, True)
    assert [line.get("offload") for line in accel.lines(bucket=bucket, operation="GetObject")] == ["accel", None]


ASKED_FOR = {"X-Accel-Redirect": "@s3shunt_store", "X-S3shunt-Target": "/other/key", "X-S3shunt-Offload": "accel", "X-S3shunt-Host": "evil"}


def test_a_client_that_says_what_nginx_or_we_say_gets_nothing_by_it(accel, bucket):
    s3 = accel.s3()
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="a", Body=b"bytes")
    given = {name.replace("-", "_").lower(): value for name, value in ASKED_FOR.items()}
    status, fields, body = accel.ask(accel.head("GET", f"/{bucket}/a", **given))
    assert (status, body) == (200, b"bytes")
    assert not [name for name in fields if name.startswith(("x-accel", "x-s3shunt"))]
    own = Client(None, accel.site.key["access_key"], accel.site.key["secret_key"], host=address(accel.site.endpoints[0]))
    signed = own._signed("GET", f"/{bucket}/a", b"", {"host": own.host, **{name.lower(): value for name, value in ASKED_FOR.items()}})
    with line(accel.site.endpoints[0]) as past_nginx:
        past_nginx.sendall(head("GET", f"/{bucket}/a", signed))
        status, fields, body = answer(past_nginx)
    assert (status, body) == (200, b"bytes")
    assert not [name for name in fields if name.startswith(("x-accel", "x-s3shunt"))]


@pytest.mark.parametrize("target", ["/@s3shunt_store", "/-/accel", "/%40s3shunt_store", "/@s3shunt_store/plain/a"])
def test_there_is_no_way_into_where_nginx_asks_the_store(accel, target):
    for sent in (accel.head("GET", target), head("GET", target, {"Host": accel.host})):
        status, fields, _ = accel.ask(sent)
        assert (400 <= status < 500, "x-accel-redirect" in fields) == (True, False)


def test_a_store_directs_nobody(accel, bucket):
    """What it answers beside S3 is neither obeyed nor shown."""
    s3 = accel.s3()
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="a", Body=b"bytes")
    said = [
        ("X-Accel-Redirect", "/-/live"), ("X-Accel-Limit-Rate", "1"), ("Set-Cookie", "a=b"), ("x-amz-restore", 'ongoing-request="true"'),
        ("x-amz-storage-class", "GLACIER"), ("X-S3shunt-Target", "/x"), ("ETag", '"e"'), ("x-amz-request-id", "STORE"),
    ]  # fmt: skip
    with HttpOrigin() as store:
        store.script.append(Reply(200, b"other", said))
        given = {"PROXY": address(accel.site.endpoints[0]), "STORE": address(store.endpoint)}
        with nginx.nginx(conf("accel"), **given) as running:
            here = Front(accel.site, running, accel.log)
            status, fields, body = here.ask(here.head("GET", f"/{bucket}/a", cookie="secret", x_odd="1"))
        asked = store.requests[0]
    assert (status, body, fields["etag"]) == (200, b"other", '"e"')
    hidden = {"x-accel-redirect", "x-accel-limit-rate", "set-cookie", "x-amz-restore", "x-amz-storage-class", "x-s3shunt-target"}
    assert not hidden & fields.keys()
    assert fields["x-amz-request-id"] != "STORE"
    assert not {"cookie", "x-odd", "x-s3shunt-offload"} & asked.fields.keys()


def test_a_store_with_archives_of_its_own_tells_of_them(front):
    here = front("accel", "seaweedfs", {**ACCEL, "filter:restore": {"restore": "store"}}, name="own-archives")
    bucket = f"plain-{secrets.token_hex(4)}"
    here.s3().create_bucket(Bucket=bucket)
    said = [("x-amz-restore", 'ongoing-request="false", expiry-date="x"'), ("x-amz-storage-class", "GLACIER")]
    with HttpOrigin() as store:
        store.script.append(Reply(200, b"bytes", said))
        given = {"PROXY": address(here.site.endpoints[0]), "STORE": address(store.endpoint)}
        with nginx.nginx(conf("accel"), **given) as running:
            there = Front(here.site, running, here.log)
            _, fields, body = there.ask(there.head("GET", f"/{bucket}/a"))
    assert (body, fields["x-amz-restore"], fields["x-amz-storage-class"]) == (b"bytes", *[value for _, value in said])
    assert "x-s3shunt-archives" not in fields


def test_a_store_that_redirects_or_is_away_is_hidden_by_us(accel, bucket):
    s3 = accel.s3()
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="a", Body=b"bytes")
    given = {"PROXY": address(accel.site.endpoints[0])}
    with HttpOrigin() as store:
        store.script.append(Reply(307, b"", [("Location", "http://evil/")]))
        with nginx.nginx(conf("accel"), STORE=address(store.endpoint), **given) as running:
            here = Front(accel.site, running, accel.log)
            assert here.ask(here.head("GET", f"/{bucket}/a"))[::2] == (200, b"bytes")
    with nginx.nginx(conf("accel"), STORE="127.0.0.1:1", **given) as running:
        here = Front(accel.site, running, accel.log)
        assert here.ask(here.head("GET", f"/{bucket}/a"))[::2] == (200, b"bytes")


# Uploads past us, and links


VERIFIES = {"swift": "sha256 checksums trailers", "seaweedfs": "checksums"}
"""SeaweedFS stores a body whose SHA-256 is another than was signed, and keeps aws-chunked as its Content-Encoding."""


@pytest.fixture(params=VERIFIES)
def direct(front, request):
    """Both ways of an upload, before a store that verifies bodies, and one that is trusted with checksums in headers alone."""
    permit, public = nginx.free_port(), nginx.free_port()
    more = {
        "pipeline:permission": {"pipeline": "access_log errors virtual_host sigv4 grants lookup permit"},
        "listen:permission": {"address": f"127.0.0.1:{permit}", "app": "permission"},
        "job:scan": {"every": "200ms"},
        "app:permit": {"use": "egg:s3shunt#permit", "peers": PEER, "verifies": VERIFIES[request.param]},
        "app:proxy": {"offload": "redirect", "public": f"https://localhost:{public}", "redirect_uploads": "yes"},
    }
    return front("direct-upload", request.param, more, PERMIT=f"127.0.0.1:{permit}", PUBLIC=f"127.0.0.1:{public}")


def put(front, target, body, secret=None, **fields):
    """Status, headers and body of the answer to an upload that signs nothing of its body."""
    with front.line() as to:
        to.sendall(front.head("PUT", target, secret, **{**UNSIGNED, "content_length": str(len(body)), **fields}) + body)
        return answer(to)


def test_an_upload_to_a_plain_bucket_goes_to_the_store_past_us(direct):
    s3, bucket, body = direct.s3(), f"plain-{secrets.token_hex(4)}", os.urandom(5 * MIB)
    s3.create_bucket(Bucket=bucket)
    for key, encoded in (("a", "a"), ("ü +b", "%C3%BC%20%2Bb"), ("a%2Fb", "a%252Fb")):
        status, fields, _ = put(direct, f"/{bucket}/{encoded}", body, content_type="application/mxf", x_amz_meta_title="Der  Film")
        read = s3.get_object(Bucket=bucket, Key=key)
        assert (status, fields["etag"]) == (200, read["ETag"])
        assert (read["Body"].read() == body, read["ContentType"], " ".join(read["Metadata"]["title"].split())) == (
            True, "application/mxf", "Der Film",
        )  # fmt: skip
    uploads = direct.lines(bucket=bucket, operation="PutObject")
    assert [(line["status"], line.get("offload"), line.get("in", 0)) for line in uploads] == [(204, "permit", 0)] * 3
    link = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "by-link"})
    sent = head("PUT", link.removeprefix(direct.nginx.url), {"Host": direct.host, "Content-Length": "5"}) + b"bytes"
    assert direct.ask(sent)[0] == 200
    assert s3.get_object(Bucket=bucket, Key="by-link")["Body"].read() == b"bytes"


def test_an_upload_that_is_refused_is_told_why_and_stores_nothing(direct):
    s3, bucket = direct.s3(), f"plain-{secrets.token_hex(4)}"
    s3.create_bucket(Bucket=bucket)
    status, _, body = put(direct, f"/{bucket}/a", b"bytes", "wrong secret")
    assert (status, b"<Code>SignatureDoesNotMatch</Code>" in body) == (403, True)
    status, _, body = put(direct, f"/{bucket}-none/a", b"bytes")
    assert (status, b"Code>NoSuchBucket<" in body or b"Code>AccessDenied<" in body) in ((404, True), (403, True))
    assert direct.ask(head("PUT", f"/{bucket}/a", {"Host": direct.host, "Content-Length": "5"}) + b"bytes")[0] == 403
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_an_upload_that_cannot_go_past_us_goes_through_us(direct):
    s3, body = direct.s3(), os.urandom(MIB)
    plain, films = (f"{kind}-{secrets.token_hex(4)}" for kind in ("plain", "films"))
    for bucket in (plain, films):
        s3.create_bucket(Bucket=bucket)
    assert put(direct, f"/{films}/a", body)[0] == 200
    s3.put_object(Bucket=plain, Key="b", Body=body)
    s3.copy_object(Bucket=plain, Key="c", CopySource={"Bucket": plain, "Key": "b"})
    assert put(direct, f"/{plain}/d", body, x_copy_from="/other/a")[0] == 200
    with direct.line() as to:
        to.sendall(direct.head("PUT", f"/{plain}/e", **UNSIGNED, transfer_encoding="chunked"))
        to.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        assert answer(to)[0] == 200
    assert refused(s3.put_object, Bucket=plain, Key="f", Body=body, StorageClass="GLACIER") == "InvalidStorageClass"
    for bucket, key in ((films, "a"), *((plain, key) for key in "bcde")):
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body
    assert [line["in"] for line in direct.lines(bucket=films, operation="PutObject", status=200)] == [MIB]
    assert not direct.lines(bucket=films, offload="permit")


def test_a_body_is_checked_by_the_store_or_by_us(direct):
    """Its SHA-256 is signed and wrong: a store that would not notice is not sent it."""
    s3, bucket = direct.s3(), f"plain-{secrets.token_hex(4)}"
    s3.create_bucket(Bucket=bucket)
    status, _, body = put(direct, f"/{bucket}/a", b"bytes", x_amz_content_sha256=sha256(b"other").hexdigest())
    assert (status, b"<Code>XAmzContentSHA256Mismatch</Code>" in body) == (400, True)
    assert put(direct, f"/{bucket}/b", b"bytes", x_amz_content_sha256=sha256(b"bytes").hexdigest())[0] == 200
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["b"]
    permitted = bool(direct.lines(bucket=bucket, offload="permit"))
    assert permitted is (direct.site.store.kind == "swift")


def test_what_went_past_us_is_found_when_its_bucket_gets_a_policy(direct):
    s3, bucket, site, body = direct.s3(), f"plain-{secrets.token_hex(4)}", direct.site, os.urandom(MIB)
    s3.create_bucket(Bucket=bucket)
    assert put(direct, f"/{bucket}/a", body, x_amz_meta_pid="p1")[0] == 200
    assert [line["status"] for line in direct.lines(bucket=bucket, operation="PutObject")] == [204]
    account = site.ref(bucket, "a").account
    late = f"[policy:late]\nbuckets = {bucket}\narchive = tape\nafter = 1ms\n"
    scan = f"[job:scan]\nbuckets = {account}/{bucket}\n"
    (site.home / "late.ini").write_text(f"{site.ini.read_text()}\n{late}".replace("[job:scan]\n", scan))
    runner = Runner(connect.House(Ini(site.home / "late.ini", {})))

    def archived():
        runner.run_due()
        row = site.row(bucket, "a")
        return row is not None and row.state is State.ARCHIVED

    site.stop("work-1")  # it knows nothing of the new policy, and would let go of what this one found
    try:
        until("it was found and is on tape", archived)
    finally:
        site.start("work-1")
    assert refused(s3.get_object, Bucket=bucket, Key="a") == "InvalidObjectState"
    assert s3.head_object(Bucket=bucket, Key="a")["Metadata"] == {"pid": "p1"}
    assert put(direct, f"/{bucket}/b", body)[0] == 200
    assert [line.get("offload") for line in direct.lines(bucket=bucket, key="b", status=200)] == [None]


def trailed(body, checksum):
    return b"%x\r\n%b\r\n0\r\nx-amz-checksum-crc32:%b\r\n\r\n" % (len(body), body, b64encode(checksum.to_bytes(4, "big")))


def test_what_sdks_send_goes_to_a_store_that_verifies_it(direct, tmp_path):
    s3, bucket, body = direct.s3(), f"plain-{secrets.token_hex(4)}", os.urandom(3 * MIB)
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="sdk", Body=body, ContentEncoding="gzip")
    s3.put_object(Bucket=bucket, Key="empty", Body=b"")
    film = tmp_path / "film"
    film.write_bytes(body)
    aws(direct, tmp_path, str(film), f"s3://{bucket}/cli")
    told = {"x_amz_content_sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "x_amz_trailer": "x-amz-checksum-crc32"}
    sizes = {"content_encoding": "aws-chunked", "x_amz_decoded_content_length": "5", "content_length": str(len(trailed(b"bytes", 0)))}
    status, _, said = put(direct, f"/{bucket}/wrong", trailed(b"bytes", crc32(b"other")), **told, **sizes)
    assert (status, b"<Code>BadDigest</Code>" in said) == (400, True)
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["cli", "empty", "sdk"]
    read = s3.get_object(Bucket=bucket, Key="sdk")
    assert (read["Body"].read(), read["ContentEncoding"]) == (body, "gzip")
    assert s3.get_object(Bucket=bucket, Key="cli")["Body"].read() == body
    past = {line["key"] for line in direct.lines(bucket=bucket, offload="permit")}
    assert past == ({"sdk", "cli", "wrong"} if direct.site.store.kind == "swift" else set())


def test_an_upload_that_breaks_off_stores_nothing(direct):
    s3, bucket = direct.s3(), f"plain-{secrets.token_hex(4)}"
    s3.create_bucket(Bucket=bucket)
    with direct.line() as to:
        to.sendall(direct.head("PUT", f"/{bucket}/a", **UNSIGNED, content_length=str(5 * MIB)) + bytes(MIB))
        until("it was permitted", lambda: direct.lines(bucket=bucket, offload="permit"), 10)
    time.sleep(1)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


@pytest.mark.parametrize("target", ["/-/permit", "/-/permit/plain/a", "/@s3shunt"])
def test_a_client_cannot_ask_for_permission_itself(direct, target):
    for method in ("GET", "PUT"):
        status, fields, _ = direct.ask(direct.head(method, target, content_length="0"), method)
        assert (400 <= status < 500, [name for name in fields if name.startswith("x-s3shunt")]) == (True, [])
    bucket = f"plain-{secrets.token_hex(4)}"
    direct.s3().create_bucket(Bucket=bucket)
    permit = f"http://{direct.site.house.ini.section('listen', 'permission')['address']}"
    own = Client(None, direct.site.key["access_key"], direct.site.key["secret_key"], host=address(permit))
    signed = own._signed("PUT", f"/{bucket}/a", b"", {"host": own.host, "x-amz-content-sha256": "UNSIGNED-PAYLOAD", "content-length": "0"})
    with line(permit) as to:
        to.sendall(head("PUT", f"/{bucket}/a", signed))
        status, fields, body = answer(to)
    assert (status, b"AccessDenied" in body, [name for name in fields if name.startswith("x-s3shunt")]) == (403, True, [])


def curl(front, *words, folder):
    """Status, redirects followed and HTTP version; and what came."""
    out = folder / "out"
    told = "%{http_code} %{num_redirects} %{http_version}"
    command = ["curl", "-sS", "-L", "--cacert", front.nginx.certificate, "-o", str(out), "-w", told, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env={"PATH": os.environ["PATH"]})
    return done.stdout, out.read_bytes() if out.exists() else b""


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_follows_a_link_to_the_store_and_back(direct, tmp_path):
    s3, bucket, body = direct.s3(), f"plain-{secrets.token_hex(4)}", os.urandom(3 * MIB)
    s3.create_bucket(Bucket=bucket)
    film = tmp_path / "film"
    film.write_bytes(body)
    link = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "a b", "ContentType": "application/mxf"})
    past_permission = link.replace(direct.nginx.url, direct.site.endpoints[0])
    named = ("-H", "Content-Type: application/mxf", "-H", f"Host: {direct.host}")
    said, _ = curl(direct, "-T", str(film), *named, past_permission, folder=tmp_path)
    assert said == "200 1 1.1"
    link = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a b", "ResponseContentType": "a/b"})
    assert curl(direct, link, folder=tmp_path) == ("200 1 1.1", body)
    assert curl(direct, "-r", "5-9", link, folder=tmp_path) == ("206 1 1.1", body[5:10])
    assert curl(direct, link[:-1] + ("0" if link[-1] != "0" else "1"), folder=tmp_path)[0] == "403 0 2"
    assert s3.head_object(Bucket=bucket, Key="a b")["ContentType"] == "application/mxf"


def test_sdks_sign_headers_and_are_not_sent_away(direct):
    s3, bucket = direct.s3(), f"plain-{secrets.token_hex(4)}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="a", Body=b"bytes")
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"bytes"
    assert not direct.lines(bucket=bucket, offload="redirect")


def test_a_link_to_an_object_on_tape_is_refused_by_us(direct):
    s3, bucket = direct.s3(), f"films-{secrets.token_hex(4)}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="reel", Body=b"bytes", StorageClass="GLACIER")
    link = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "reel"})
    for _ in range(2):
        status, _, body = direct.ask(head("GET", link.removeprefix(direct.nginx.url), {"Host": direct.host}))
        assert (status, b"<Code>InvalidObjectState</Code>" in body) == (403, True)
        direct.site.reach(State.ARCHIVED, bucket, "reel")
    assert direct.ask(head("GET", link.replace("reel", "none").removeprefix(direct.nginx.url), {"Host": direct.host}))[0] in (403, 404)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
def test_the_stores_own_name_is_for_links_alone(direct, method):
    public = direct.site.house.ini.section("app", "proxy")["public"]
    pair = direct.site.store.keys()
    own = Client(None, *pair, host=address(public))
    signed = own._signed(method, "/plain-x/a", b"", {"host": own.host, "content-length": "0"})
    assert direct.ask(head(method, "/plain-x/a", signed), method, public)[0] == 403


def test_who_holds_a_link_adds_nothing_to_what_was_signed(direct):
    s3, bucket = direct.s3(), f"plain-{secrets.token_hex(4)}"
    s3.create_bucket(Bucket=bucket)
    link = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "a"}).removeprefix(direct.nginx.url)
    past_permission = head("PUT", link, {"Host": direct.host, "Content-Length": "5"})
    with direct.line(direct.site.endpoints[0]) as to:
        to.sendall(past_permission + b"bytes")
        status, told, _ = answer(to)
    assert status == 307
    public = urlsplit(told["location"])
    fields = {"Host": public.netloc, "X-Amz-Storage-Class": "GLACIER", "X-Amz-Website-Redirect-Location": "/evil", "Content-Length": "5"}
    sent = head("PUT", f"{public.path}?{public.query}", fields) + b"bytes"
    assert direct.ask(sent, "PUT", f"https://{public.netloc}")[0] in (200, 201)
    read = s3.head_object(Bucket=bucket, Key="a")
    assert (read.get("StorageClass", "STANDARD"), "WebsiteRedirectLocation" in read) == ("STANDARD", False)


# The store first


@pytest.fixture
def first(front):
    """The client has one pair at the store and here."""
    made = front("store-first", "seaweedfs", {"store:landing": {"bucket": "landing-first"}}, LANDING="landing-first")
    access_key, secret_key = made.site.store.keys()
    made.site.key = {"access_key": access_key, "secret_key": secret_key, "account": "main"}
    private(made.site.home / "state/keys.json", [made.site.key])
    until("the key is known here", lambda: made.ask(made.head("HEAD", "/first-none"), "HEAD")[0] == 404, 20)
    return made


def gets(front, bucket):
    return [(line.get("key"), line["status"]) for line in front.lines(bucket=bucket, operation="GetObject")]


def test_the_store_answers_reads_of_what_it_has_and_we_the_rest(first):
    s3, bucket, body = first.s3(), f"films-{secrets.token_hex(4)}", os.urandom(2 * MIB)
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="here", Body=body)
    s3.put_object(Bucket=bucket, Key="reel", Body=body, StorageClass="GLACIER", Metadata={"pid": "p1"})
    first.site.reach(State.ARCHIVED, bucket, "reel")
    assert s3.get_object(Bucket=bucket, Key="here")["Body"].read() == body
    assert s3.get_object(Bucket=bucket, Key="here", Range="bytes=1-5")["Body"].read() == body[1:6]
    assert gets(first, bucket) == []
    assert refused(s3.get_object, Bucket=bucket, Key="reel") == "InvalidObjectState"
    assert refused(s3.get_object, Bucket=bucket, Key="none") == "NoSuchKey"
    assert gets(first, bucket) == [("reel", 403), ("none", 404)]
    assert s3.head_object(Bucket=bucket, Key="reel")["StorageClass"] == "GLACIER"
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["here", "reel"]
    s3.restore_object(Bucket=bucket, Key="reel", RestoreRequest={"Days": 1})
    first.site.reach(State.RESTORED, bucket, "reel")
    read = s3.get_object(Bucket=bucket, Key="reel")
    assert (read["Body"].read(), read["Metadata"]) == (body, {"pid": "p1"})


def test_the_store_checks_who_asks_it(first):
    """The price that the configuration names, and what keeps it payable."""
    s3, bucket = first.s3(), f"plain-{secrets.token_hex(4)}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="a", Body=b"bytes")
    good = first.head("GET", f"/{bucket}/a")
    at = good.index(b"Signature=") + 10
    assert first.ask(good)[::2] == (200, b"bytes")
    assert first.ask(good[:at] + (b"0" if good[at : at + 1] != b"0" else b"1") + good[at + 1 :])[0] == 403
    assert first.ask(head("GET", f"/{bucket}/a", {"Host": first.host}))[0] == 403
    link = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a"}).removeprefix(first.nginx.url)
    assert first.ask(head("GET", link, {"Host": first.host}))[::2] == (200, b"bytes")


@pytest.mark.parametrize(
    "target",
    ["/landing-first/{}", "/%6canding-first/{}", "//landing-first/{}", "/plain-x/../landing-first/{}", "/plain-x/%2e%2e/landing-first/{}"],
)
def test_what_others_restored_is_nobodys(first, target):
    store = first.site.behind()
    with suppress(store.exceptions.BucketAlreadyOwnedByYou):
        store.create_bucket(Bucket="landing-first")
    store.put_object(Bucket="landing-first", Key="1", Body=b"theirs")
    status, _, body = first.ask(first.head("GET", target.format("1")))
    assert (400 <= status < 500, b"theirs" in body) == (True, False)
