"""The decision, taken once on everything a request names."""

import pytest

from s3shunt import config, connect
from s3shunt.catalog.memory import MemoryCatalog
from s3shunt.config import Ini
from s3shunt.filters.grants import Grants, Options
from s3shunt.model import Bucket, Grant, Identity, ObjectRef
from s3shunt.protocol.errors import (
    AccessDenied,
    BucketAlreadyExists,
    InvalidURI,
    MalformedXML,
    NoSuchBucket,
    NotImplemented,
    ServiceUnavailable,
)
from s3shunt.testing.client import environ
from s3shunt.testing.clock import HandClock
from s3shunt.testing.origin import HttpOrigin, Origin, Reply
from s3shunt.wsgi import Request, Response

EDITOR = Identity(access_key="AK", account="desk", grants=None)


class Upstream:
    region = "us-east-1"

    def __init__(self, endpoint="http://127.0.0.1:1", per_account=True):
        self.endpoint, self.endpoints, self.per_account = endpoint, [endpoint], per_account

    def credential(self, account):
        if not account:
            raise AccessDenied
        return f"store-{account}", "secret"


class Away(MemoryCatalog):
    def bucket(self, account, name):
        raise ServiceUnavailable


@pytest.fixture
def site(tmp_path):
    """A door, and what passed it: ``site(identity, upstream=..., **options)``."""

    def make(upstream=None, catalog=None, **options):
        path = tmp_path / "ini"
        path.write_text(f"[DEFAULT]\nstate = {tmp_path}\n")
        house = connect.House(Ini(path, {}), HandClock())
        house.put("store", "main", upstream or Upstream())
        house.put("catalog", "main", catalog or MemoryCatalog())
        origin = Origin()
        return Grants(origin, config.read(Options, "filter:grants", options), house), origin, house

    return make


def asked(method, target, identity=EDITOR, body=b"", **fields):
    request = Request(environ(method, target, body, {name.replace("_", "-"): value for name, value in fields.items()}))
    request.context.identity = identity
    return request


def test_what_is_allowed_goes_on_with_its_decision(site):
    door, origin, _ = site()
    door(asked("GET", "/films/a"))
    ref = ObjectRef("films", "a", None, "desk")
    decision = origin.requests[0].context.decision
    assert (decision.identity, decision.operation.name, decision.ref, decision.targets) == (EDITOR, "GetObject", ref, frozenset())
    assert origin.requests[0].ref == ref


def test_bucket_names_that_are_global_have_no_account(site):
    door, origin, house = site(Upstream(per_account=False))
    house.truth().save_bucket(Bucket(name="films", owner="desk"))
    door(asked("GET", "/films/a"))
    assert origin.requests[0].ref == ObjectRef("films", "a")


@pytest.mark.parametrize("identity", [None, Identity(access_key="AK", account="desk", grants=())])
def test_who_is_nobody_or_has_no_grant_goes_nowhere(site, identity):
    door, origin, _ = site()
    with pytest.raises(AccessDenied):
        door(asked("GET", "/films/a", identity))
    assert not origin.requests


def test_the_anonymous_go_where_the_operator_says_as_the_account_he_names(site):
    door, origin, _ = site(anonymous_read="pub-*", anonymous_account="web")
    door(asked("GET", "/pub-1/a", None))
    decision = origin.requests[0].context.decision
    assert decision.identity.anonymous
    assert (decision.identity.account, decision.ref.account) == ("web", "web")
    with pytest.raises(AccessDenied):
        door(asked("GET", "/films/a", None))
    with pytest.raises(AccessDenied):
        door(asked("PUT", "/pub-1/a", None))


@pytest.mark.parametrize("per_account", [True, False])
def test_the_domain_of_an_account_is_nobody_elses(site, per_account):
    door, origin, house = site(Upstream(per_account=per_account), anonymous_read="films", ownership="catalog")
    house.truth().save_bucket(Bucket(name="films", owner="desk"))
    stranger = Identity(access_key="B", account="b", grants=None)
    own, strange, nobody = (asked("GET", "/films/a", identity) for identity in (EDITOR, stranger, None))
    for request in (own, strange, nobody):
        request.at(ObjectRef("films", "a", account="desk"))
    door(own)
    door(nobody)
    assert {request.context.decision.identity.account for request in origin.requests} == {"desk"}
    assert {request.ref.account for request in origin.requests} == {"desk" if per_account else ""}
    with pytest.raises(AccessDenied):
        door(strange)
    assert len(origin.requests) == 2


def test_a_copy_source_is_a_target(site):
    door, origin, _ = site()
    door(asked("PUT", "/films/a", x_amz_copy_source="/other/b%20c?versionId=7"))
    targets = origin.requests[0].context.decision.targets
    assert targets == {ObjectRef("films", "a", None, "desk"), ObjectRef("other", "b c", "7", "desk")}
    writer = Identity(access_key="AK", account="desk", grants=(Grant(buckets=("films",), allow=("write", "read")),))
    with pytest.raises(AccessDenied):
        door(asked("PUT", "/films/a", writer, x_amz_copy_source="other/b"))


def test_a_document_is_decided_key_by_key(site):
    door, origin, _ = site()
    identity = Identity(access_key="AK", account="desk", grants=(Grant(prefixes=("in/",), allow=("delete",)),))
    document = b"<Delete><Object><Key>in/1</Key></Object><Object><Key>out/1</Key><VersionId>v</VersionId></Object></Delete>"
    door(asked("POST", "/films?delete", identity, document))
    decision = origin.requests[0].context.decision
    assert decision.targets == {ObjectRef("films", "in/1", None, "desk")}
    assert decision.denied == {ObjectRef("films", "out/1", "v", "desk")}
    assert origin.bodies == [document]


def test_a_document_that_cannot_be_read_is_refused(site):
    door, _, _ = site()
    with pytest.raises(MalformedXML):
        door(asked("POST", "/films?delete", body=b"<Delete>"))


def test_a_form_upload_is_refused(site):
    door, _, _ = site()
    with pytest.raises(NotImplemented):
        door(asked("POST", "/films"))


def test_a_listing_is_limited_to_the_granted_prefix(site):
    door, origin, _ = site()
    identity = Identity(access_key="AK", account="desk", grants=(Grant(prefixes=("in/",), allow=("list",)),))
    door(asked("GET", "/films?prefix=in/2026", identity))
    for target in ("/films", "/films?prefix=i", "/films?prefix=out/&prefix=in/", "/films?versions"):
        with pytest.raises(AccessDenied):
            door(asked("GET", target, identity))
    assert len(origin.requests) == 1


@pytest.mark.parametrize(("owner", "fine"), [("desk", True), ("other", False), ("", False)])
@pytest.mark.parametrize("name", ["x_amz_expected_bucket_owner", "x_amz_source_expected_bucket_owner"])
def test_an_expected_owner_must_be_the_owner(site, name, owner, fine):
    door, origin, _ = site()
    request = asked("PUT", "/films/a", x_amz_copy_source="other/b", **{name: owner})
    if fine:
        door(request)
    else:
        with pytest.raises(AccessDenied):
            door(request)
    assert bool(origin.requests) is fine


def test_a_bucket_of_another_account_is_refused_without_asking_the_store(site):
    door, origin, house = site(Upstream(per_account=False))
    house.truth().save_bucket(Bucket(name="films", owner="other"))
    with pytest.raises(AccessDenied):
        door(asked("GET", "/films/a"))
    assert not origin.requests


@pytest.mark.parametrize(
    ("status", "error"), [(200, None), (403, AccessDenied), (404, NoSuchBucket), (301, AccessDenied), (503, ServiceUnavailable)]
)
def test_the_store_says_whose_bucket_it_is(site, status, error):
    with HttpOrigin([Reply(status)]) as store:
        door, origin, _ = site(Upstream(store.endpoint, per_account=False))
        if error is None:
            door(asked("GET", "/films/a"))
        else:
            with pytest.raises(error):
                door(asked("GET", "/films/a"))
        head = store.requests[0]
        assert (head.method, head.target) == ("HEAD", "/films")
        assert "Credential=store-desk/" in head.fields["authorization"]
        assert bool(origin.requests) is (error is None)


def test_the_stores_yes_is_remembered_for_a_while_and_its_no_is_not(site):
    with HttpOrigin([Reply(404), Reply(200), Reply(200)]) as store:
        door, _, house = site(Upstream(store.endpoint, per_account=False))
        with pytest.raises(NoSuchBucket):
            door(asked("GET", "/films/a"))
        door(asked("GET", "/films/a"))
        door(asked("GET", "/films/b"))
        assert len(store.requests) == 2
        house.clock.later(60_000)
        door(asked("GET", "/films/a"))
        assert len(store.requests) == 3


def test_the_catalogs_word_is_believed_for_a_second(site):
    door, _, house = site(Upstream(per_account=False), ownership="catalog")
    house.truth().save_bucket(Bucket(name="films", owner="desk"))
    door(asked("GET", "/films/a"))
    house.truth().save_bucket(Bucket(name="films", owner="other"))
    house.clock.later(1000)
    with pytest.raises(AccessDenied):
        door(asked("GET", "/films/a"))


def test_the_yes_to_one_account_is_none_to_another(site):
    with HttpOrigin([Reply(200), Reply(403)]) as store:
        door, _, _ = site(Upstream(store.endpoint, per_account=False))
        door(asked("GET", "/films/a"))
        with pytest.raises(AccessDenied):
            door(asked("GET", "/films/a", Identity(access_key="AK2", account="other", grants=None)))


def test_the_bucket_of_a_copy_source_is_asked_for_too(site):
    with HttpOrigin([Reply(200), Reply(200)]) as store:
        door, _, _ = site(Upstream(store.endpoint, per_account=False))
        door(asked("PUT", "/films/a", x_amz_copy_source="other/b"))
        assert {request.target for request in store.requests} == {"/films", "/other"}


def test_a_key_with_its_own_store_credential_asks_with_that(site):
    with HttpOrigin([Reply(200)]) as store:
        door, _, _ = site(Upstream(store.endpoint, per_account=False))
        door(asked("GET", "/films/a", Identity(access_key="AK", account="d", grants=None, store_access_key="OWN", store_secret_key="s")))
        assert "Credential=OWN/" in store.requests[0].fields["authorization"]


def test_a_bucket_that_does_not_exist_yet_may_be_created(site):
    door, origin, _ = site(Upstream(per_account=False))
    door(asked("PUT", "/films"))
    assert origin.requests


@pytest.mark.parametrize(("ownership", "fine"), [("open", True), ("catalog", False)])
def test_ownership_may_be_nobodys_or_the_catalogs_to_say(site, ownership, fine):
    door, _, house = site(Upstream(per_account=False), ownership=ownership)
    if fine:
        door(asked("GET", "/films/a"))
        return
    with pytest.raises(AccessDenied):
        door(asked("GET", "/films/a"))
    house.truth().save_bucket(Bucket(name="films", owner="desk"))
    door(asked("GET", "/films/a"))


def test_without_the_catalog_the_store_is_asked_unless_the_catalog_alone_decides(site):
    with HttpOrigin([Reply(200)]) as store:
        door, origin, _ = site(Upstream(store.endpoint, per_account=False), Away())
        door(asked("GET", "/films/a"))
        assert origin.requests
    door, _, _ = site(Upstream(per_account=False), Away(), ownership="catalog")
    with pytest.raises(ServiceUnavailable):
        door(asked("GET", "/films/a"))


def test_what_the_catalog_said_of_a_bucket_holds_while_it_is_away(site):
    class Sometimes(MemoryCatalog):
        away = False

        def bucket(self, account, name):
            if self.away:
                raise ServiceUnavailable
            return super().bucket(account, name)

    catalog = Sometimes()
    for name, owner in (("films", "desk"), ("others", "other"), ("given", "desk")):
        catalog.save_bucket(Bucket(name=name, owner=owner))
    door, _, house = site(Upstream(per_account=False), catalog, ownership="catalog")
    door(asked("GET", "/films/a"))
    door(asked("GET", "/given/a"))
    with pytest.raises(AccessDenied):
        door(asked("GET", "/others/a"))
    catalog.save_bucket(Bucket(name="given", owner="other"))
    house.clock.later(2000)
    with pytest.raises(AccessDenied):
        door(asked("GET", "/given/a"))
    catalog.away = True
    house.clock.later(3_600_000)
    door(asked("GET", "/films/a"))
    for bucket, error in (("others", AccessDenied), ("given", AccessDenied), ("unseen", ServiceUnavailable)):
        with pytest.raises(error):
            door(asked("GET", f"/{bucket}/a"))


@pytest.mark.parametrize(
    ("owner", "there", "fine"),
    [("desk", 200, True), ("other", 200, False), ("other", 404, False), ("", 200, False), ("", 403, False), ("", 404, True)],
)
def test_where_all_share_one_credential_no_bucket_is_made_twice(site, owner, there, fine):
    with HttpOrigin([Reply(there)]) as store:
        door, origin, house = site(Upstream(store.endpoint, per_account=False), ownership="catalog")
        if owner:
            house.truth().save_bucket(Bucket(name="films", owner=owner))
        if fine:
            door(asked("PUT", "/films"))
        else:
            with pytest.raises(BucketAlreadyExists):
                door(asked("PUT", "/films"))
        assert bool(origin.requests) is fine


ROWS = b"<Bucket><Name>mine</Name></Bucket><Bucket><Name>other</Name></Bucket>"
LIST = b"<ListAllMyBucketsResult><Buckets>" + ROWS + b"</Buckets></ListAllMyBucketsResult>"


@pytest.mark.parametrize(("ownership", "shown"), [("catalog", [b"mine"]), ("store", [b"mine", b"other"])])
def test_where_all_share_one_credential_each_sees_his_own_buckets(site, ownership, shown):
    door, origin, house = site(Upstream(per_account=False), ownership=ownership)
    house.truth().save_bucket(Bucket(name="mine", owner="desk"))
    origin.script.append(Response(status=200, headerlist=[("Content-Length", str(len(LIST)))], app_iter=[LIST]))
    response = door(asked("GET", "/"))
    body = b"".join(response.app_iter)
    assert [name for name in (b"mine", b"other") if name in body] == shown
    assert response.headers["Content-Length"] == str(len(body))


@pytest.mark.parametrize(("status", "error"), [(200, ServiceUnavailable), (503, None)])
def test_a_list_of_buckets_that_is_none_is_not_shown(site, status, error):
    door, origin, _ = site(Upstream(per_account=False), ownership="catalog")
    origin.script.append(Response(status=status, app_iter=[b"<Other/>"]))
    if error is None:
        assert door(asked("GET", "/")).status_int == 503
    else:
        with pytest.raises(error):
            door(asked("GET", "/"))


def test_a_list_of_buckets_names_those_in_which_one_may_list(site):
    rows = b"<Bucket><Name>films</Name></Bucket><Bucket><Name>secret</Name></Bucket>"
    listed = b"<ListAllMyBucketsResult><Buckets>%s</Buckets></ListAllMyBucketsResult>" % rows
    door, origin, _ = site()
    origin.script = [Response(status=200, body=listed, content_type="application/xml") for _ in range(2)]
    desk = Identity(access_key="AK", account="desk", grants=(Grant(buckets=("films",), prefixes=("in/",), allow=("list",)),))
    told = b"".join(door(asked("GET", "/", desk)).app_iter)
    assert b"films" in told
    assert b"secret" not in told
    assert b"secret" in b"".join(door(asked("GET", "/")).app_iter)


def test_of_the_anonymous_no_document_is_read(site):
    door, origin, _ = site(anonymous_read="*", anonymous_list="*")
    request = asked("POST", "/films?delete", None, b"<Delete>")
    with pytest.raises(AccessDenied):
        door(request)
    assert (request.taken, origin.requests) == (0, [])


@pytest.mark.parametrize("key", ["a//b", "a%5Cb", "./a", "a/../b", "//a"])
def test_a_key_that_the_store_would_take_for_another_is_refused(site, key):
    upstream = Upstream()
    upstream.paths = True
    door, origin, _ = site(upstream)
    document = f"<Delete><Object><Key>{key.replace('%5C', chr(92))}</Key></Object></Delete>".encode()
    for request in (
        asked("GET", f"/films/{key}"), asked("PUT", f"/films/{key}"), asked("PUT", "/films/c", x_amz_copy_source=f"films/{key}"),
        asked("POST", "/films?delete", body=document),
    ):  # fmt: skip
        with pytest.raises(InvalidURI):
            door(request)
    assert not origin.requests
    door(asked("GET", "/films/a/b/"))
    site()[0](asked("GET", f"/films/{key}"))


@pytest.mark.parametrize("ownership", ["store", "open"])
def test_no_client_names_the_bucket_where_recalled_copies_land(site, tmp_path, ownership):
    """One credential for all would open it, and with it everybody's films."""
    door, origin, house = site(Upstream(per_account=False), ownership=ownership)
    landing = tmp_path / "landing"
    landing.write_text(f"[DEFAULT]\nstate = {tmp_path}\n[store:landing]\nlike = main\nbucket = landing-1\n")
    house.ini = Ini(landing, {})
    door = Grants(origin, door.options, house)
    for request in (
        asked("GET", "/landing-1/r/1/t"), asked("GET", "/landing-1"), asked("PUT", "/landing-1"), asked("DELETE", "/landing-1/r/1/t"),
        asked("PUT", "/films/a", x_amz_copy_source="landing-1/r/1/t"),
    ):  # fmt: skip
        with pytest.raises(AccessDenied):
            door(request)
    assert not origin.requests


def test_a_bucket_that_was_deleted_is_asked_about_anew(site):
    with HttpOrigin([Reply(200), Reply(403)]) as store:
        door, _, _ = site(Upstream(store.endpoint, per_account=False))
        door(asked("DELETE", "/films"))
        with pytest.raises(AccessDenied):
            door(asked("GET", "/films/a"))
        door.owners.relay.close()
