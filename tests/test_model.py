"""The nouns: values that compare."""

from dataclasses import replace

from s3shunt.model import Facts, Identity, Key, ObjectRef, Recall, RecallState


def test_the_same_bytes_put_again_are_another_version():
    first = Facts(size=3, etag='"a"', last_modified=1000, headers={"content-type": "a/b"}, metadata={"m": "1"})
    assert first.fingerprint == replace(first, tags={"t": "1"}).fingerprint
    for other in (
        replace(first, last_modified=2000),
        replace(first, etag='"b"'),
        replace(first, metadata={"m": "2"}),
        replace(first, headers={}),
        replace(first, stamp="1"),
    ):
        assert other.fingerprint != first.fingerprint


def test_a_ref_reads_like_a_target():
    assert str(ObjectRef("films", "a/b", "v1")) == "films/a/b?versionId=v1"
    assert str(ObjectRef("films", "a/b")) == "films/a/b"


def test_secrets_are_not_shown():
    key = Key(access_key="AK", secret_key="hidden", account="a", session_token="hidden", store_secret_key="hidden")
    assert "hidden" not in repr(key)
    assert "hidden" not in repr(Identity(access_key="AK", store_secret_key="hidden"))


def test_who_has_no_key_is_anonymous():
    assert Identity().anonymous
    assert not Identity(access_key="AK").anonymous


def test_a_recall_is_active_until_it_ended():
    recall = Recall(id="r", ref=ObjectRef("b", "k"), generation=1, archive="tape", archive_id="1")
    ended = {state for state in RecallState if not replace(recall, state=state).active}
    assert ended == {RecallState.LANDED, RecallState.CANCELLED, RecallState.DEAD}
