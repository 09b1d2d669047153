"""Uploads that nobody needs to see, through a real site to a real store: the same bytes, or nothing."""

import http.client
import random
import secrets
import socket
from hashlib import sha256
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.stage

PIECE, PIPE = 64 << 10, 1 << 20
SIZES = [1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 1, PIPE - 1, PIPE, PIPE + 1, PIPE + PIECE, PIPE + PIECE + 1, (9 << 20) + 1]
LARGE = random.Random(11).randbytes(SIZES[-1])


@pytest.fixture(params=["swift", "seaweedfs"])
def place(site, request):
    return site(f"uploads-{request.param}", request.param)


@pytest.fixture(params=["films", "raw"])
def held(place, request):
    """A bucket with a policy, whose writes are announced and recorded, and one without."""
    name = f"{request.param}-{secrets.token_hex(4)}"
    place.make(name)
    return name


def link(place, bucket, key):
    """The address of an upload whose payload is not signed."""
    return urlsplit(place.s3(signature_version="s3v4").generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": key}))


def cut(place, bucket, key, there):
    """What a client is told that breaks off after so many bytes."""
    to = link(place, bucket, key)
    head = f"PUT {to.path}?{to.query} HTTP/1.1\r\nHost: {to.netloc}\r\nContent-Length: {len(LARGE)}\r\n\r\n".encode()
    with socket.create_connection((to.hostname, to.port), timeout=60) as sock:
        sock.sendall(head + LARGE[:there])
        sock.shutdown(socket.SHUT_WR)
        return sock.recv(4096)


def put(place, bucket, key, data):
    to = link(place, bucket, key)
    connection = http.client.HTTPConnection(to.netloc, timeout=60)
    connection.request("PUT", f"{to.path}?{to.query}", data)
    status = connection.getresponse().status
    connection.close()
    return status


def test_what_arrives_is_what_was_sent(place, held):
    for size in SIZES:
        key = f"{size}.mxf"
        assert put(place, held, key, LARGE[:size]) == 200
        assert sha256(place.s3().get_object(Bucket=held, Key=key)["Body"].read()).digest() == sha256(LARGE[:size]).digest(), size


def test_an_upload_that_is_cut_stores_nothing(place, held):
    for there in (0, 1, PIECE, PIECE + 1, PIPE, PIPE + PIECE, len(LARGE) - 1):
        key = f"cut-{there}"
        assert b" 200 " not in cut(place, held, key, there)
        with pytest.raises(ClientError, match="404"):
            place.s3().head_object(Bucket=held, Key=key)
        with pytest.raises(ClientError, match="404"):
            place.behind().head_object(Bucket=held, Key=key)


def test_an_upload_that_is_cut_leaves_what_was_there(place, held):
    assert put(place, held, "a.mxf", b"the one before") == 200
    assert b" 200 " not in cut(place, held, "a.mxf", len(LARGE) - 1)
    assert place.s3().get_object(Bucket=held, Key="a.mxf")["Body"].read() == b"the one before"
