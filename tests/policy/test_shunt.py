"""Where the bytes come from, for every state there is."""

import pytest

from s3shunt.model import Entry, Facts, Interest, ObjectRef, Place, State
from s3shunt.policy.restore import standing
from s3shunt.policy.shunt import Absent, Forward, Lost, Refuse, Serve, decide, ordinary

NOW = 1000
PLACE = Place("landing", "r/1/t")
S = State


def entry(state, **more):
    kept = {"facts": Facts(size=1, etag='"e"', last_modified=1), "storage_class": "GLACIER"}
    return Entry(ref=ObjectRef("b", "k", "null"), state=state, **{**kept, **more})


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (None, Forward()),
        (entry(S.ONLINE, facts=None), Forward()),
        (entry(S.ONLINE, storage_class="STANDARD"), Forward()),
        (entry(S.EVICTING, storage_class="STANDARD"), Forward()),
        (entry(S.ONLINE), Refuse("GLACIER")),
        (entry(S.VERIFIED), Refuse("GLACIER")),
        (entry(S.VERIFIED, interests=(Interest("x", 1, until=NOW + 1),)), Forward()),
        (entry(S.VERIFIED, interests=(Interest("x", 1, until=NOW),)), Refuse("GLACIER")),
        (entry(S.ARCHIVED), Refuse("GLACIER")),
        (entry(S.QUEUED), Refuse("GLACIER", ongoing=True)),
        (entry(S.RECALLING), Refuse("GLACIER", ongoing=True)),
        (entry(S.LANDING), Refuse("GLACIER", ongoing=True)),
        (entry(S.RESTORED, place=PLACE, restored_until=NOW + 1), Serve(PLACE)),
        (entry(S.RESTORED, place=PLACE, restored_until=NOW), Refuse("GLACIER")),
        (entry(S.RESTORED, place=None, restored_until=NOW + 1), Refuse("GLACIER")),
        (entry(S.EXPIRING, place=PLACE, restored_until=NOW + 1), Refuse("GLACIER")),
        (entry(S.DELETED), Absent()),
        (entry(S.DELETED, facts=None), Absent()),
        (entry(S.LOST), Lost()),
    ],
    ids=str,
)
def test_the_bytes_come_from(row, verdict):
    assert decide(row, NOW) == verdict


def test_every_state_has_a_verdict():
    assert all(decide(entry(state), NOW) for state in State)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("storage_class", ["STANDARD", "STANDARD_IA", "GLACIER", "DEEP_ARCHIVE"])
@pytest.mark.parametrize("interests", [(), (Interest("x", 1, until=NOW + 1),), (Interest("x", 1),)], ids=str)
def test_of_what_is_ordinary_there_is_nothing_to_decide_or_tell(state, storage_class, interests):
    row = entry(state, storage_class=storage_class, interests=interests, place=PLACE, restored_until=NOW + 1)
    assert ordinary(row) is (state is S.ONLINE and storage_class.startswith("STANDARD"))
    if ordinary(row):
        assert decide(row, NOW) == Forward()
        assert standing(row, NOW) is None
    assert ordinary(None)
