from dataclasses import replace

import pytest

from s3shunt.model import Facts, Interest, ObjectRef, Place, Policy, State
from s3shunt.policy.adopt import adopted, alone, candidates, withdrawn
from s3shunt.ports import Copy

REF = ObjectRef("films", "a", None, "acc")
POLICY = Policy(name="p", buckets=("films",), archive="tape", storage_class="DEEP_ARCHIVE")


def copy(**more):
    return Copy(**{"archive_id": "id", "size": 3, "checksum": "md5:" + "a" * 32, "copies": 2, **more})


def test_each_archive_of_the_key_is_asked_once():
    twice = Policy(name="q", buckets=("f*",), archive="tape")
    other = Policy(name="r", buckets=("f*",), archive="cloud")
    far = Policy(name="s", buckets=("f*",), archive="far", prefix="z")
    assert [policy.name for policy in candidates((POLICY, twice, other, far), REF)] == ["p", "r"]


def test_what_is_adopted_is_archived_under_its_policy():
    (swap,) = adopted(REF, copy(), POLICY, "main", 7).swaps
    row = swap.new
    assert swap.old is None
    assert (row.state, row.storage_class, row.archive, row.archive_id, row.copies) == (State.ARCHIVED, "DEEP_ARCHIVE", "tape", "id", 2)
    assert (row.ref.version, row.facts.size, row.facts.last_modified) == ("null", 3, 7)


def test_the_archives_facts_are_kept():
    facts = Facts(size=3, etag='"e"', last_modified=1)
    assert adopted(REF, copy(facts=facts), POLICY, "main", 7).swaps[0].new.facts == facts


@pytest.mark.parametrize(
    ("facts", "said", "kind"),
    [
        (None, "", None),
        (None, "Video", "video"),
        (Facts(size=3, etag="", last_modified=1, headers={"content-type": "audio/wav"}), "", "audio"),
        (Facts(size=3, etag="", last_modified=1, headers={"content-type": "image/png"}), "Video", "video"),
    ],
)
def test_its_kind_is_what_the_archive_says_or_else_a_guess(facts, said, kind):
    assert adopted(REF, copy(facts=facts, kind=said), POLICY, "main", 7).swaps[0].new.media_kind == kind


def test_an_external_id_is_told_to_it():
    assert adopted(REF, copy(), POLICY, "main", 7, external_id="pid").swaps[0].new.external_id == "pid"
    assert adopted(REF, copy(), POLICY, "main", 7).swaps[0].new.external_id is None


@pytest.mark.parametrize(("checksum", "etag"), [("md5:" + "a" * 32, f'"{"a" * 32}"'), ("sha256:" + "b" * 64, f'"{"b" * 32}-1"')])
def test_an_etag_is_an_md5_or_looks_like_none(checksum, etag):
    assert adopted(REF, copy(checksum=checksum), POLICY, "main", 7).swaps[0].new.facts.etag == etag


SEEN = Facts(size=5, etag='"e"', last_modified=1)


@pytest.mark.parametrize(
    ("seen", "changed", "taken_back"),
    [
        (SEEN, {}, True), (SEEN, {"state": State.QUEUED}, True), (SEEN, {"state": State.RESTORED}, True),
        (None, {}, False), (SEEN, {"state": State.ONLINE}, False), (SEEN, {"writers": 1}, False), (SEEN, {"generation": 2}, False),
    ],
    ids=str,
)  # fmt: skip
def test_what_the_store_has_after_all_is_taken_back_unless_somebody_changed_it(seen, changed, taken_back):
    row = replace(adopted(REF, copy(), POLICY, "main", 7).swaps[0].new, **changed)
    step = withdrawn(row, seen)
    assert (step is not None and step.swaps[0].old == row and step.swaps[0].new is None) == taken_back
    assert withdrawn(None, SEEN) is None


@pytest.mark.parametrize(
    ("state", "then"),
    [
        (State.ONLINE, State.ONLINE), (State.ARCHIVING, State.ONLINE), (State.VERIFIED, State.VERIFIED), (State.EVICTING, State.VERIFIED),
        (State.ARCHIVED, State.ARCHIVED), (State.QUEUED, State.ARCHIVED), (State.RECALLING, State.ARCHIVED),
        (State.LANDING, State.ARCHIVED),
        (State.RESTORED, State.RESTORED), (State.EXPIRING, State.ARCHIVED), (State.LOST, State.LOST), (State.DELETED, State.DELETED),
    ],
)  # fmt: skip
def test_a_row_without_those_who_were_at_work_on_it_is_as_it_was_before_they_began(state, then):
    place, interests = Place("landing", "r"), (Interest("AK", 1, until=9), Interest("AL", 1))
    row = replace(
        adopted(REF, copy(), POLICY, "main", 7).swaps[0].new, state=state, token="t", lease=5, writers=2, place=place, interests=interests,
        restored_until=9,
    )  # fmt: skip
    found = alone(row)
    assert (found.state, found.token, found.lease, found.writers) == (then, None, None, 0)
    assert (found.facts, found.archive_id, found.generation) == (row.facts, row.archive_id, row.generation)
    recalled = then is State.ARCHIVED and state is not then
    assert (found.place, found.restored_until, found.interests) == ((None, None, ()) if recalled else (place, 9, interests))
