"""Who may do what, on every target a request names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3shunt.model import ANONYMOUS, Grant, Identity, ObjectRef
from s3shunt.policy import grants
from s3shunt.policy.grants import Anonymous, Asked
from s3shunt.protocol.errors import AccessDenied, NotImplemented
from s3shunt.protocol.operations import BY_NAME, OPERATIONS, Right

OWNER = Identity(access_key="AK", account="a", grants=None)
NOBODY = Identity(access_key="AK", account="a", grants=())
FILM = ObjectRef("films", "in/a.mxf")


def may(identity, name, ref=FILM, anonymous=Anonymous(), **asked):
    asked.setdefault("headers", {})
    try:
        return grants.decide(identity, Asked(operation=BY_NAME[name], ref=ref, **asked), anonymous)
    except AccessDenied:
        return None


def holding(*allow, buckets=("films",), prefixes=("",)):
    return Identity(access_key="AK", account="a", grants=(Grant(buckets=buckets, prefixes=prefixes, allow=allow),))


def ref_for(operation):
    return {"service": ObjectRef(), "bucket": ObjectRef("films"), "object": FILM}[operation.scope]


ALL_BUT_ORDINARY = [BY_NAME[name] for name in ("PostObject", "DeleteObjects", "ListBuckets")]
ORDINARY = [o for o in OPERATIONS.values() if o.name not in ("PostObject", "DeleteObjects", "ListBuckets")]


@pytest.mark.parametrize("operation", ORDINARY, ids=str)
def test_each_operation_needs_exactly_its_right(operation):
    ref = ref_for(operation)
    assert may(OWNER, operation.name, ref) is not None
    assert may(NOBODY, operation.name, ref) is None
    for right in Right:
        verdict = may(holding(right), operation.name, ref)
        assert (verdict is not None) == (right is operation.right), right


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=str)
@pytest.mark.parametrize("identity", [OWNER, NOBODY, ANONYMOUS, Identity(account="a", grants=None), holding(*Right)])
def test_what_is_clear_would_be_allowed_on_its_name_and_nothing_else(operation, identity):
    ref = ref_for(operation)
    if grants.clear(identity, operation):
        hostile = {"x-amz-acl": "public-read", "x-amz-copy-source": "other/a", "x-amz-grant-read": "*"}
        assert may(identity, operation.name, ref, headers=hostile) == ({ref}, frozenset())
        assert identity == OWNER
    else:
        assert identity != OWNER or operation in ALL_BUT_ORDINARY or operation.copies


def test_restore_without_read_is_possible_and_read_without_restore():
    assert may(holding("restore"), "RestoreObject")
    assert not may(holding("restore"), "GetObject")
    assert not may(holding("read"), "RestoreObject")


@pytest.mark.parametrize(
    ("buckets", "prefixes", "ref", "fine"),
    [
        (("films",), ("",), FILM, True),
        (("film*",), ("",), FILM, True),
        (("Films",), ("",), FILM, False),
        (("other",), ("",), FILM, False),
        (("films",), ("in/",), FILM, True),
        (("films",), ("in",), FILM, True),
        (("films",), ("out/", "in/"), FILM, True),
        (("films",), ("out/",), FILM, False),
        (("films",), (), FILM, False),
    ],
)
def test_a_grant_reaches_as_far_as_its_buckets_and_prefixes(buckets, prefixes, ref, fine):
    assert (may(holding("read", buckets=buckets, prefixes=prefixes), "GetObject", ref) is not None) is fine


@pytest.mark.parametrize(
    ("prefixes", "asked", "fine"),
    [(("in/",), "in/", True), (("in/",), "in/sub", True), (("in/",), "i", False), (("in/",), "", False), (("",), "", True)],
)
@pytest.mark.parametrize("name", ["ListObjects", "ListObjectVersions", "ListMultipartUploads"])
def test_a_grant_with_prefixes_limits_every_listing(name, prefixes, asked, fine):
    identity = holding("list", prefixes=prefixes)
    assert (may(identity, name, ObjectRef("films"), prefix=asked) is not None) is fine


@pytest.mark.parametrize("name", ["HeadBucket", "GetBucketLocation"])
def test_a_bucket_is_visible_to_who_may_list_any_of_it(name):
    assert may(holding("list", prefixes=("in/",)), name, ObjectRef("films"))
    assert not may(holding("read"), name, ObjectRef("films"))


def test_bucket_configuration_needs_admin_on_the_whole_bucket():
    assert may(holding("admin"), "PutBucketPolicy", ObjectRef("films"))
    assert not may(holding("admin", prefixes=("in/",)), "PutBucketPolicy", ObjectRef("films"))
    assert not may(holding("read", "write", "delete", "list", "restore"), "PutBucketPolicy", ObjectRef("films"))


@pytest.mark.parametrize("name", ["CopyObject", "UploadPartCopy"])
def test_a_copy_needs_the_right_to_read_its_source(name):
    secret = ObjectRef("secret", "b")
    writer = holding("write")
    both = Identity(access_key="AK", grants=(Grant(allow=("write",)), Grant(buckets=("secret",), allow=("read",))))
    assert not may(writer, name, source=secret)
    assert not may(holding("read", buckets=("secret",)), name, source=secret)
    assert may(both, name, source=secret).targets == {FILM, secret}


def test_a_document_is_decided_key_by_key():
    keys = tuple(ObjectRef("films", key) for key in ("in/1", "out/1", "in/2"))
    verdict = may(holding("delete", prefixes=("in/",)), "DeleteObjects", ObjectRef("films"), named=keys)
    assert verdict.targets == {keys[0], keys[2]}
    assert verdict.denied == {keys[1]}


def test_who_may_delete_nothing_is_denied_each_key():
    verdict = may(NOBODY, "DeleteObjects", ObjectRef("films"), named=(FILM,))
    assert (verdict.targets, verdict.denied) == (frozenset(), {FILM})


@pytest.mark.parametrize(
    ("headers", "fine"),
    [
        ({"x-amz-acl": "private"}, True),
        ({"x-amz-acl": "bucket-owner-full-control"}, True),
        ({"x-amz-acl": "public-read"}, False),
        ({"x-amz-grant-read": 'id="1"'}, False),
        ({"X-Amz-Object-Lock-Mode": "COMPLIANCE"}, False),
        ({"x-amz-bypass-governance-retention": "true"}, False),
        ({"x-amz-bypass-governance-retention": "false"}, True),
        ({"x-amz-tagging": "a=b"}, True),
    ],
)
def test_a_writer_may_not_open_or_lock_what_he_writes(headers, fine):
    assert (may(holding("write"), "PutObject", headers=headers) is not None) is fine
    assert may(holding("write", "admin"), "PutObject", headers=headers)


def test_a_deleter_may_not_bypass_a_lock():
    headers = {"x-amz-bypass-governance-retention": "true"}
    assert not may(holding("delete"), "DeleteObjects", ObjectRef("films"), named=(FILM,), headers=headers).targets
    assert may(holding("delete", "admin"), "DeleteObjects", ObjectRef("films"), named=(FILM,), headers=headers).targets


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=str)
def test_the_anonymous_may_only_what_the_operator_says(operation):
    if operation.name == "PostObject":
        return
    everything = Anonymous(read=("*",), list=("*",))
    assert may(ANONYMOUS, operation.name, ref_for(operation)) is None
    public = {"GetObject", "HeadObject", "ListObjects", "HeadBucket"}
    assert (may(ANONYMOUS, operation.name, ref_for(operation), everything) is not None) == (operation.name in public)


def test_the_anonymous_read_only_the_named_buckets_and_current_versions():
    public = Anonymous(read=("pub-*",))
    assert may(ANONYMOUS, "GetObject", ObjectRef("pub-1", "a"), public)
    assert not may(ANONYMOUS, "GetObject", ObjectRef("pub-1", "a", "v1"), public)
    assert not may(ANONYMOUS, "GetObject", ObjectRef("films", "a"), public)
    assert not may(ANONYMOUS, "ListObjects", ObjectRef("pub-1"), public)


def test_even_with_grants_the_anonymous_are_anonymous():
    assert not may(Identity(grants=None), "GetObject")
    assert not grants.allows(Identity(grants=None), Right.READ, FILM)


def test_buckets_are_listed_by_who_may_list_and_named_where_he_may():
    assert may(OWNER, "ListBuckets", ObjectRef())
    assert not may(NOBODY, "ListBuckets", ObjectRef())
    assert not may(holding("read", "restore"), "ListBuckets", ObjectRef())
    lister = holding("list", prefixes=("in/",))
    assert may(lister, "ListBuckets", ObjectRef())
    assert (grants.shows(lister, "films"), grants.shows(lister, "other"), grants.shows(OWNER, "other")) == (True, False, True)


@pytest.mark.parametrize("operation", [o for o in ORDINARY if o.scope == "bucket" and o.right is Right.ADMIN], ids=str)
def test_a_prefix_beside_an_operation_on_the_whole_bucket_gives_no_right(operation):
    """``DELETE /films?prefix=in/`` is a DeleteBucket all the same."""
    assert may(holding("admin", prefixes=("in/",)), operation.name, ObjectRef("films"), prefix="in/") is None


@pytest.mark.parametrize("name", sorted(grants.LISTINGS))
def test_a_listing_is_allowed_within_its_prefix(name):
    assert may(holding("list", prefixes=("in/",)), name, ObjectRef("films"), prefix="in/x")
    assert may(holding("list", prefixes=("in/",)), name, ObjectRef("films"), prefix="i") is None


def test_uploads_by_form_are_refused_until_their_policy_is_read():
    with pytest.raises(NotImplemented):
        may(OWNER, "PostObject", ObjectRef("films"))


rights = st.lists(st.sampled_from([r.value for r in Right]), max_size=3).map(tuple)
grant = st.builds(Grant, buckets=st.sampled_from([("films",), ("*",), ()]), prefixes=st.sampled_from([("",), ("in/",), ()]), allow=rights)


@given(st.lists(grant, max_size=3), grant, st.sampled_from(list(Right)), st.sampled_from(["in/a", "out/a"]))
def test_a_further_grant_never_takes_away(held, more, right, key):
    ref = ObjectRef("films", key)
    before = Identity(access_key="AK", grants=tuple(held))
    after = Identity(access_key="AK", grants=(*held, more))
    assert grants.allows(after, right, ref) or not grants.allows(before, right, ref)
