"""Where a bucket has a host name of its own."""

import pytest

from s3shunt import config
from s3shunt.config import ConfigError
from s3shunt.filters.virtual_host import Options, VirtualHost
from s3shunt.model import ObjectRef
from s3shunt.protocol.errors import InvalidBucketName
from s3shunt.testing.client import call, environ
from s3shunt.testing.origin import Origin
from s3shunt.wsgi import Application

OPTIONS = {"domains": "s3.example.org eu.s3.example.org", "trusted": "10.0.0.0/8 ::1"}


def walked(target="/abc/b", given=None, peer="192.0.2.1", **fields):
    origin = Origin()
    made = environ("GET", target, fields={name.replace("_", "-"): value for name, value in fields.items()}) | {"REMOTE_ADDR": peer}
    call(Application(VirtualHost(origin, config.read(Options, "filter:virtual_host", OPTIONS if given is None else given))), made)
    return origin.requests[0]


@pytest.mark.parametrize(
    ("host", "bucket", "key"),
    [
        ("films.s3.example.org", "films", "abc/b"),
        ("FILMS.S3.Example.ORG:8080", "films", "abc/b"),
        ("films.s3.example.org.", "films", "abc/b"),
        ("films.2026.s3.example.org", "films.2026", "abc/b"),
        ("films.eu.s3.example.org", "films", "abc/b"),
        ("s3.example.org", "abc", "b"),
        ("s3.example.org:80", "abc", "b"),
        ("eu.s3.example.org", "abc", "b"),
        ("evils3.example.org", "abc", "b"),
        ("films.s3.example.org.evil.org", "abc", "b"),
        ("127.0.0.1:8080", "abc", "b"),
        ("[::1]:8080", "abc", "b"),
        ("[::1]", "abc", "b"),
        ("", "abc", "b"),
    ],
)
def test_the_host_names_the_bucket_at_a_label_boundary(host, bucket, key):
    assert walked(host=host).ref == ObjectRef(bucket, key)


def test_the_key_is_the_path_as_it_was_sent():
    request = walked("/a%2F/../c//?versionId=7", host="films.s3.example.org")
    assert request.ref == ObjectRef("films", "a//../c//", "7")
    assert request.target == "/a%2F/../c//?versionId=7"


def test_a_host_alone_names_the_bucket():
    assert walked("/", host="films.s3.example.org").ref == ObjectRef("films")


@pytest.mark.parametrize(
    ("peer", "forwarded", "bucket"),
    [
        ("10.1.2.3", "films.s3.example.org", "films"),
        ("::1", "films.s3.example.org", "films"),
        ("192.0.2.1", "films.s3.example.org", "abc"),
        ("", "films.s3.example.org", "abc"),
        ("10.1.2.3", "films.s3.example.org, other.s3.example.org", "abc"),
    ],
)
def test_a_forwarded_host_is_believed_from_trusted_peers_when_it_is_one(peer, forwarded, bucket):
    assert walked(peer=peer, host="proxy", x_forwarded_host=forwarded).ref.bucket == bucket


def test_a_host_that_can_name_no_bucket_is_refused():
    with pytest.raises(InvalidBucketName):
        walked(host="-.s3.example.org")


def test_without_domains_nothing_changes():
    assert walked(given={}, host="films.s3.example.org").ref == ObjectRef("abc", "b")


def test_a_network_that_is_none_stops_the_start():
    with pytest.raises(ConfigError, match="expected addresses or networks"):
        config.read(Options, "filter:virtual_host", {"trusted": "10.0.0.0/99"})
