"""Behind OpenShift's router, with another proxy before it and without: the Host that the client signed is the one that counts."""

from http.client import HTTPConnection

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from s3shunt.model import State
from s3shunt.testing.services import haproxy
from s3shunt.testing.stage.process import until

pytestmark = pytest.mark.stage
HOST = "films.s3.example.org"
TRUST = {"domains": "s3.example.org", "trusted": "127.0.0.1"}
FRONT = """
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header Host route.apps.cluster.example.org
"""
"""A proxy before the router: it asks the router under the route's own name."""


@pytest.fixture
def place(site):
    return ready(site("openshift", "seaweedfs", more={"filter:virtual_host": TRUST}))


@pytest.fixture
def two(site):
    """The same, told that two proxies in a row write the header."""
    return ready(site("openshift-two", "seaweedfs", more={"filter:virtual_host": {**TRUST, "proxies": "2"}}))


def ready(place):
    if "films" not in {bucket["Name"] for bucket in place.s3().list_buckets()["Buckets"]}:
        place.s3().create_bucket(Bucket="films")
    place.s3().put_object(Bucket="films", Key="a", Body=b"frames")
    return place


def port(place):
    return int(place.endpoints[0].rpartition(":")[2])


def asked(place, through, method, target, body=b"", host=HOST, **unsigned):
    """Status and body; the client signs the Host it asks, wherever the connection leads."""
    request = AWSRequest(method, f"http://{host}{target}", data=body)
    S3SigV4Auth(Credentials(place.key["access_key"], place.key["secret_key"]), "s3", "us-east-1").add_auth(request)
    fields = {"Host": host, **dict(request.headers.items()), **{name.replace("_", "-"): value for name, value in unsigned.items()}}
    link = HTTPConnection("127.0.0.1", through, timeout=30)
    try:
        link.request(method, target, body, fields)
        answer = link.getresponse()
        return answer.status, answer.read()
    finally:
        link.close()


@pytest.mark.parametrize("policy", haproxy.ROUTER)
def test_13_the_router_alone_is_passed_whatever_it_does_with_the_header(place, policy):
    with haproxy.haproxy(port(place), haproxy.ROUTER[policy]) as router:
        assert asked(place, router.port, "GET", "/a") == (200, b"frames")
        assert asked(place, router.port, "GET", "/films/a", host="s3.example.org") == (200, b"frames")
        assert asked(place, router.port, "GET", "/films/a", host="elsewhere.org:8443") == (200, b"frames")
        assert asked(place, router.port, "PUT", f"/{policy}", b"x" * 100_000)[0] == 200
        assert place.s3().get_object(Bucket="films", Key=policy)["ContentLength"] == 100_000


@pytest.mark.parametrize(("policy", "status"), [("append", 200), ("replace", 200), ("if-none", 403), ("never", 403)])
def test_13_a_client_that_forwards_a_host_itself_never_gets_past_its_own_signature(place, policy, status):
    """Either it does not count, or it counts and is not what was signed."""
    with haproxy.haproxy(port(place), haproxy.ROUTER[policy]) as router:
        said, body = asked(place, router.port, "GET", "/a", X_Forwarded_Host="evil.s3.example.org")
        assert said == status
        assert body == b"frames" if status == 200 else b"SignatureDoesNotMatch" in body


@pytest.mark.parametrize(("policy", "status"), [("if-none", 200), ("never", 200), ("append", 403), ("replace", 403)])
def test_13_behind_another_proxy_the_router_must_leave_the_header_alone(place, policy, status):
    with haproxy.haproxy(port(place), haproxy.ROUTER[policy]) as router, haproxy.haproxy(router.port, FRONT) as front:
        said, body = asked(place, front.port, "GET", "/a", X_Forwarded_Host="evil.s3.example.org")
        assert said == status
        assert body == b"frames" if status == 200 else b"SignatureDoesNotMatch" in body


def test_13_a_router_that_appends_is_passed_when_two_proxies_are_announced(two):
    with haproxy.haproxy(port(two), haproxy.ROUTER["append"]) as router, haproxy.haproxy(router.port, FRONT) as front:
        assert asked(two, front.port, "GET", "/a", X_Forwarded_Host="evil.s3.example.org") == (200, b"frames")
        assert asked(two, router.port, "GET", "/a") == (200, b"frames")


def test_a_film_goes_to_tape_and_comes_back_through_two_proxies(place):
    wish = b"<RestoreRequest><Days>1</Days></RestoreRequest>"
    with haproxy.haproxy(port(place), haproxy.ROUTER["if-none"]) as router, haproxy.haproxy(router.port, FRONT) as front:
        place.s3().put_object(Bucket="films", Key="reel", Body=b"film" * 100_000, StorageClass="GLACIER")
        place.reach(State.ARCHIVED, "films", "reel")
        status, body = asked(place, front.port, "GET", "/reel")
        assert (status, b"InvalidObjectState" in body) == (403, True)
        assert asked(place, front.port, "POST", "/reel?restore=", wish)[0] == 202
        until("the film is back", lambda: asked(place, front.port, "GET", "/reel") == (200, b"film" * 100_000))


def test_no_header_of_an_untrusted_peer_is_read(site):
    stranger = ready(site("openshift-stranger", "seaweedfs", more={"filter:virtual_host": {**TRUST, "trusted": "10.0.0.0/8"}}))
    with haproxy.haproxy(port(stranger), haproxy.ROUTER["never"]) as router:
        assert asked(stranger, router.port, "GET", "/a", X_Forwarded_Host="evil.s3.example.org") == (200, b"frames")
    with haproxy.haproxy(port(stranger), haproxy.ROUTER["if-none"]) as router, haproxy.haproxy(router.port, FRONT) as front:
        assert asked(stranger, front.port, "GET", "/a")[0] == 403
