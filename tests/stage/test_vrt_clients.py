"""The clients of a broadcaster: Ruby's SDK, and loops that ask again until the busy document turns into a film."""

import json
import secrets
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest
from lxml import etree

from s3shunt.model import State
from s3shunt.testing.stage.process import until

from .tape import Asked
from .test_clients import Shell

pytestmark = [
    pytest.mark.stage,
    pytest.mark.skipif(
        subprocess.run(["ruby", "-e", 'require "aws-sdk-s3"'], capture_output=True, check=False).returncode != 0
        if Path("/usr/bin/ruby").exists() else True,
        reason="ruby-aws-sdk-s3 is not installed",
    ),
]  # fmt: skip
MIB = 1 << 20
STORES = ["swift", "seaweedfs"]
BUSY = {"filter:shunt": {"archived_get": "busy", "retry_after": "1s", "restore_days": "3"}, "archive:tape": {"mount": "2s"}}


@pytest.fixture(params=STORES)
def place(request, site):
    return site(f"ruby-{request.param}", request.param)


@pytest.fixture(params=STORES)
def busy(request, site):
    return site(f"busy-{request.param}", request.param, more=BUSY)


def ruby(place, folder):
    shell = Shell(place, folder)
    return lambda *words: json.loads(shell("ruby", str(Path(__file__).with_name("s3.rb")), *words).splitlines()[-1])


def written(path, size):
    path.write_bytes(secrets.token_bytes(size))
    return sha256(path.read_bytes()).hexdigest()


def test_by_the_ruby_sdk_a_film_goes_to_tape_and_comes_back(place, bucket, tmp_path):
    run, path, back = ruby(place, tmp_path), tmp_path / "film", str(tmp_path / "back")
    place.s3().create_bucket(Bucket=bucket)
    known = {"reel ü+1.mxf": written(path, 300_001)}
    etag = run("put", bucket, "reel ü+1.mxf", str(path))["etag"]
    known["parts/long.mxf"] = written(path, 11 * MIB)
    assert run("upload", bucket, "parts/long.mxf", str(path)) == {"done": True}
    place.reach(State.ARCHIVED, bucket, *known)
    seen = run("head", bucket, "reel ü+1.mxf")
    assert seen == {
        "size": 300_001, "etag": etag, "storage_class": "GLACIER", "restore": None,
        "metadata": {"title": "Der Film"}, "type": "application/mxf",
    }  # fmt: skip
    assert run("head", bucket, "parts/long.mxf")["etag"].endswith('-3"')
    listed = [["parts/long.mxf", 11 * MIB, "GLACIER"]], [["reel ü+1.mxf", 300_001, "GLACIER"]]
    assert run("list", bucket, "")["pages"] == list(listed)
    for key in known:
        assert run("get", bucket, key, back) == {"error": "InvalidObjectState", "status": 403}
        assert run("presigned", bucket, key)["status"] == 403
        assert run("restore", bucket, key) == {"asked": True}
    for key, digest in known.items():
        until(f"{key} is back", lambda key=key: (run("head", bucket, key)["restore"] or "").startswith('ongoing-request="false"'))
        assert run("get", bucket, key, back) == {"sha256": digest}
        assert run("presigned", bucket, key)["sha256"] == digest
        assert len(run("range", bucket, key)["body"]) == 4


def test_by_the_ruby_sdk_what_is_not_there_is_said_to_be_so(place, bucket, tmp_path):
    run = ruby(place, tmp_path)
    assert run("get", bucket, "none", str(tmp_path / "x")) == {"error": "NoSuchBucket", "status": 404}
    place.s3().create_bucket(Bucket=bucket)
    assert run("get", bucket, "none", str(tmp_path / "x")) == {"error": "NoSuchKey", "status": 404}
    assert run("restore", bucket, "none") == {"error": "NoSuchKey", "status": 404}
    assert run("head", bucket, "none")["status"] == 404


def test_by_the_ruby_sdk_a_signed_link_uploads(place, bucket, tmp_path):
    run, path = ruby(place, tmp_path), tmp_path / "film"
    place.s3().create_bucket(Bucket=bucket)
    digest = written(path, 100_000)
    assert run("presigned_put", bucket, "a b", str(path)) == {"status": 200, "body": ""}
    assert run("presigned", bucket, "a b")["sha256"] == digest


# Loops


CURL = """
times=0
while :; do
    code=$(curl -s -o "$2" -w '%{http_code}' "$1") || exit 3
    [ "$code" = 200 ] && { echo "$times"; exit 0; }
    [ "$code" = 202 ] && grep -q '<Status>busy</Status>' "$2" || { echo "$code"; cat "$2"; exit 4; }
    times=$((times + 1))
    sleep 0.2
done
"""


def by_curl(url, folder):
    """How often it was busy, and what came in the end."""
    path = folder / f"curl-{threading.get_ident()}"
    done = subprocess.run(["bash", "-c", CURL, "loop", url, str(path)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
    return int(done.stdout), sha256(path.read_bytes()).hexdigest()


def by_urllib(url, folder):  # it keeps nothing
    count = 0
    while True:
        with build_opener(ProxyHandler({})).open(url, timeout=60) as answer:
            body = answer.read()
        if answer.status == 200:
            return count, sha256(body).hexdigest()
        assert (answer.status, answer.headers["Content-Type"], answer.headers["Retry-After"]) == (202, "application/xml", "1")
        document = etree.fromstring(body)
        assert document.findtext("Status") == "busy"
        assert document.findtext("Url") == url.partition("?")[0]
        count += 1
        time.sleep(int(answer.headers["Retry-After"]) / 5)


@pytest.fixture
def film(busy, bucket, tmp_path):
    """A film on tape, and its digest."""
    busy.s3().create_bucket(Bucket=bucket)
    digest = written(tmp_path / "film", 3 * MIB)
    busy.s3().put_object(Bucket=bucket, Key="dir/film.mxf", Body=(tmp_path / "film").read_bytes(), StorageClass="GLACIER")
    busy.reach(State.ARCHIVED, bucket, "dir/film.mxf")
    return digest


def link(place, bucket):
    film = {"Bucket": bucket, "Key": "dir/film.mxf"}
    return place.s3(signature_version="s3v4").generate_presigned_url("get_object", Params=film, ExpiresIn=600)


@pytest.mark.parametrize("loop", [by_curl, by_urllib])
def test_a_loop_that_asks_again_gets_the_film_in_the_end(busy, bucket, film, tmp_path, loop):
    asked = Asked(busy)
    count, digest = loop(link(busy, bucket), tmp_path)
    assert count > 0
    assert digest == film
    assert len(asked.requests()) == 1
    assert loop(link(busy, bucket), tmp_path) == (0, film)


def test_a_loop_by_the_ruby_sdk_gets_the_film_in_the_end(busy, bucket, film, tmp_path):
    asked = Asked(busy)
    seen = ruby(busy, tmp_path)("wait", bucket, "dir/film.mxf")
    assert seen["busy"] > 0
    assert seen["sha256"] == film
    assert len(asked.requests()) == 1


def test_many_loops_for_one_film_are_one_request_to_the_archive(busy, bucket, film, tmp_path):
    asked, url = Asked(busy), link(busy, bucket)
    with ThreadPoolExecutor(12) as crowd:
        ends = list(crowd.map(lambda number: (by_curl, by_urllib)[number % 2](url, tmp_path), range(12)))
    assert {digest for _, digest in ends} == {film}
    assert len(asked.requests()) == 1
