"""Where a bucket has a host name of its own."""

import pytest

from s3shunt import config
from s3shunt.config import ConfigError
from s3shunt.filters.virtual_host import Options, VirtualHost
from s3shunt.model import ObjectRef
from s3shunt.protocol.errors import BadRequest, InvalidBucketName, InvalidURI
from s3shunt.testing.client import Client, call, environ
from s3shunt.testing.house import House
from s3shunt.testing.origin import Origin
from s3shunt.wsgi import Application

OPTIONS = {"domains": "s3.example.org, eu.s3.example.org vrt.example.org = vrt", "trusted": "10.0.0.0/8 ::1 unix"}


def walked(target="/abc/b", given=None, peer="192.0.2.1", raw=None, **fields):
    origin = Origin()
    made = environ("GET", target, fields={name.replace("_", "-"): value for name, value in fields.items()}) | {"REMOTE_ADDR": peer}
    if raw:
        made |= {"RAW_URI": raw}
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
        ("[2001:DB8::1]", "abc", "b"),
        ("xn--flms-eua.s3.example.org", "xn--flms-eua", "abc/b"),
        ("", "abc", "b"),
    ],
)
def test_13_the_host_names_the_bucket_at_a_label_boundary_without_case_port_and_final_dot(host, bucket, key):
    assert walked(host=host).ref == ObjectRef(bucket, key)


def test_the_key_is_the_path_as_it_was_sent():
    request = walked("/a%2F/../c//?versionId=7", host="films.s3.example.org")
    assert request.ref == ObjectRef("films", "a//../c//", "7")
    assert request.target == "/a%2F/../c//?versionId=7"


def test_a_host_alone_names_the_bucket():
    assert walked("/", host="films.s3.example.org").ref == ObjectRef("films")


BELIEVED = ("10.1.2.3", "::1", "::ffff:10.1.2.3", "")
STRANGE = ("192.0.2.1", "::2", "fe80::1%eth0", "::ffff:192.0.2.1", "no address")


@pytest.mark.parametrize("peer", BELIEVED)
def test_13_a_forwarded_host_from_a_trusted_proxy_names_the_bucket(peer):
    request = walked(peer=peer, host="proxy", x_forwarded_host="films.s3.example.org:8443")
    assert request.ref == ObjectRef("films", "abc/b")
    assert request.environ["HTTP_HOST"] == "films.s3.example.org:8443"


@pytest.mark.parametrize(
    ("peer", "said", "scheme"),
    [
        ("::1", "https", "https"), ("::1", "http, HTTPS", "https"), ("::1", "gopher", "http"), ("::1", "https,", "http"),
        ("::2", "https", "http"),
    ],
)  # fmt: skip
def test_how_the_client_came_is_told_by_trusted_proxies_alone(peer, said, scheme):
    assert walked(peer=peer, host="films.s3.example.org", x_forwarded_proto=said).scheme == scheme


@pytest.mark.parametrize("peer", STRANGE)
def test_13_a_forwarded_host_from_anyone_else_is_as_if_it_were_not_there(peer):
    request = walked(peer=peer, host="films.s3.example.org", x_forwarded_host="other.s3.example.org")
    assert request.ref == ObjectRef("films", "abc/b")
    assert request.environ["HTTP_HOST"] == "films.s3.example.org"


def test_13_without_a_word_of_trust_no_peer_is_trusted():
    for peer in (*BELIEVED, *STRANGE):
        given = {"domains": "s3.example.org"}
        assert walked(given=given, peer=peer, host="films.s3.example.org", x_forwarded_host="other.s3.example.org").ref.bucket == "films"


@pytest.mark.parametrize(
    ("forwarded", "proxies", "host"),
    [
        ("evil.s3.example.org, films.s3.example.org", "1", "films.s3.example.org"),
        ("evil.s3.example.org,films.s3.example.org,route.cluster", "2", "films.s3.example.org"),
        ("evil.s3.example.org ,\tfilms.s3.example.org:80 , route.cluster", "2", "films.s3.example.org:80"),
        ("films.s3.example.org", "2", "films.s3.example.org"),
        (", films.s3.example.org", "1", "films.s3.example.org"),
        ("films.s3.example.org, route.cluster", "1", "route.cluster"),
    ],
)
def test_13_of_a_list_counts_what_our_own_proxies_wrote_and_nothing_that_came_before(forwarded, proxies, host):
    request = walked(given={**OPTIONS, "proxies": proxies}, peer="10.1.2.3", host="proxy", x_forwarded_host=forwarded)
    assert request.environ["HTTP_HOST"] == host
    assert request.ref.bucket == ("films" if "films" in host else "abc")


@pytest.mark.parametrize(
    "forwarded", ["", " ", "films.s3.example.org,", "evil, ", "a b", "fílms.s3.example.org", "films..s3.example.org", "h:99999"]
)
def test_13_a_proxy_that_names_no_host_is_no_proxy_of_ours(forwarded):
    with pytest.raises(BadRequest):
        walked(peer="10.1.2.3", host="films.s3.example.org", x_forwarded_host=forwarded)


@pytest.mark.parametrize(
    "host", ["evils3.example.org", "s3.example.org.evil.org", "xs3.example.org", "films-s3.example.org", "s3.example.orgs", "example.org"],
)  # fmt: skip
def test_13_a_domain_that_merely_contains_a_tenants_is_another_domain(host):
    assert walked(host=host).ref == ObjectRef("abc", "b")
    assert walked(peer="10.1.2.3", host="proxy", x_forwarded_host=host).ref == ObjectRef("abc", "b")


@pytest.mark.parametrize(
    "host", ["::1", "a b", "a,b", "a@b", "a/b", "a%2eb", "films..s3.example.org", ".", "[::1", "[1.2.3.4]", "é.example.org"]
)
def test_a_host_that_is_none_is_refused(host):
    with pytest.raises(BadRequest):
        walked(host=host)


def test_an_absolute_target_is_held_against_the_host_it_came_with():
    raw = "http://proxy/abc/b"
    assert walked(peer="10.1.2.3", raw=raw, host="proxy", x_forwarded_host="films.s3.example.org").ref == ObjectRef("films", "abc/b")
    with pytest.raises(InvalidURI):
        walked(peer="10.1.2.3", raw="http://films.s3.example.org/abc/b", host="proxy", x_forwarded_host="films.s3.example.org")


# Domains of accounts


@pytest.mark.parametrize(
    ("host", "ref"),
    [
        ("vrt.example.org", ObjectRef("abc", "b", account="vrt")),
        ("films.vrt.example.org", ObjectRef("films", "abc/b", account="vrt")),
        ("FILMS.VRT.example.org.:443", ObjectRef("films", "abc/b", account="vrt")),
        ("notvrt.example.org", ObjectRef("abc", "b")),
        ("s3.example.org", ObjectRef("abc", "b")),
    ],
)
def test_a_domain_of_an_account_says_whose_bucket_it_is(host, ref):
    assert walked(host=host).ref == ref


@pytest.mark.parametrize(
    "wrong",
    ["vrt.example.org =", "= vrt", "10.0.0.1", "[::1]", "s3.example.org:80", "a b.c=d e..f", "s3.example.org S3.example.org.", "é.org"],
)
def test_a_domain_that_cannot_be_one_stops_the_start(wrong):
    with pytest.raises(ConfigError, match="expected"):
        config.read(Options, "filter:virtual_host", {"domains": wrong})


def test_no_proxies_at_all_cannot_have_written_anything():
    with pytest.raises(ConfigError, match="1 or more"):
        config.read(Options, "filter:virtual_host", {"proxies": "0"})


# Whose signature is checked


class Front:
    """A proxy that asks us under a name of its own and says whom the client asked."""

    def __init__(self, app, peer="10.0.0.1", host="backend:8080", said=None):
        self.app, self.peer, self.host, self.said = app, peer, host, said

    def __call__(self, environ, start_response):
        asked = environ["HTTP_HOST"]
        given = {"REMOTE_ADDR": self.peer, "HTTP_HOST": self.host, "HTTP_X_FORWARDED_HOST": asked if self.said is None else self.said}
        return self.app({**environ, **given}, start_response)


@pytest.fixture
def house(tmp_path):
    given = {"domains": "s3.example.org, main.example.org = main, other.example.org = other", "trusted": "10.0.0.0/8"}
    made = House(tmp_path, options={"virtual_host": given, "grants": {"anonymous_read": "public"}})
    for client in (made.editor, made.stranger):
        client.put("/same")
    made.editor.put("/same/key", b"mine")
    made.stranger.put("/same/key", b"theirs")
    return made


def client(house, app=None, host="same.s3.example.org:8443", key=("AKEDITOR", "editor-secret")):
    return Client(app or house.app, *key, clock=house.clock, host=host)


def test_13_the_signed_host_is_the_one_that_the_client_asked(house):
    assert client(house, Front(house.app)).get("/key").body == b"mine"
    assert client(house, Front(house.app), host="s3.example.org").get("/same/key").body == b"mine"
    assert client(house, Front(house.app), host="elsewhere.org").get("/same/key").body == b"mine"


def test_13_a_stranger_who_forwards_a_host_signs_the_host_he_asked(house):
    assert client(house, Front(house.app, peer="192.0.2.1")).get("/key").code == "SignatureDoesNotMatch"
    kept = Front(house.app, peer="192.0.2.1", host="same.s3.example.org:8443", said="other.example.org")
    assert client(house, kept).get("/key").body == b"mine"


def test_13_a_proxy_that_forgets_the_port_breaks_the_signature(house):
    assert client(house, Front(house.app, said="same.s3.example.org")).get("/key").code == "SignatureDoesNotMatch"


def test_the_same_bucket_and_key_of_two_accounts_are_two_objects(house):
    stranger = ("AKSTRANGER", "stranger-secret")
    assert client(house, host="same.main.example.org").get("/key").body == b"mine"
    assert client(house, host="main.example.org").get("/same/key").body == b"mine"
    assert client(house, host="same.other.example.org", key=stranger).get("/key").body == b"theirs"
    assert client(house, host="same.other.example.org", key=stranger).delete("/key").status == 204
    assert client(house, host="same.other.example.org", key=stranger).get("/key").code == "NoSuchKey"
    assert client(house, host="same.main.example.org").get("/key").body == b"mine"


def test_on_another_accounts_domain_nothing_is_told(house):
    for target in ("/", "/same", "/same/key", "/same/none", "/none/none"):
        assert client(house, host="other.example.org").get(target).code == "AccessDenied", target
    assert client(house, host="same.other.example.org").put("/key", b"mine").code == "AccessDenied"


def test_on_an_accounts_domain_nobody_in_particular_reads_what_it_opened_to_all(house):
    for client_, body in ((house.editor, b"ours"), (house.stranger, b"others")):
        client_.put("/public")
        client_.put("/public/a", body)
    nobody = ("", "")
    assert client(house, host="public.main.example.org", key=nobody).get("/a").body == b"ours"
    assert client(house, host="other.example.org", key=nobody).get("/public/a").body == b"others"
    assert client(house, host="other.example.org", key=nobody).get("/same/key").code == "AccessDenied"


def test_a_host_that_can_name_no_bucket_is_refused():
    with pytest.raises(InvalidBucketName):
        walked(host="-.s3.example.org")


def test_without_domains_nothing_changes():
    assert walked(given={}, host="films.s3.example.org").ref == ObjectRef("abc", "b")


def test_a_network_that_is_none_stops_the_start():
    with pytest.raises(ConfigError, match="expected addresses or networks"):
        config.read(Options, "filter:virtual_host", {"trusted": "10.0.0.0/99"})
