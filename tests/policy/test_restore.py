"""Table 'restore' as decisions, and what of a restore may be shown."""

from dataclasses import replace

import pytest

from s3shunt.model import IN_PROGRESS, Entry, Facts, Interest, ObjectRef, Place, Recall, State
from s3shunt.policy.record import Wait
from s3shunt.policy.restore import Granted, Standing, Wish, decide, release, standing
from s3shunt.protocol.errors import InvalidArgument, InvalidObjectState, NoSuchKey, ObjectLost, RestoreAlreadyInProgress

DAY = 86_400_000
NOW = 20_000 * DAY + 5
PLACE = Place("landing", "r/1/t")
WISH = Wish(days=1, tier="Standard", identity="me", now=NOW, day=DAY, recall_id="r2")
S = State


def entry(state, **more):
    kept = {"facts": Facts(size=1, etag='"e"', last_modified=1), "storage_class": "GLACIER", "archive": "tape", "archive_id": "id"}
    return Entry(ref=ObjectRef("b", "k", "null"), state=state, **{**kept, **more})


def recall(tier="Standard"):
    return Recall(id="r1", ref=ObjectRef("b", "k", "null"), generation=0, archive="tape", archive_id="id", tier=tier)


def granted(row, wish=WISH, known=None):
    found = decide(row, wish, known)
    assert isinstance(found, Granted)
    return found.status, found.step.swaps[0].new


@pytest.mark.parametrize(
    ("row", "wish", "error"),
    [
        (None, WISH, NoSuchKey),
        (entry(S.DELETED), WISH, NoSuchKey),
        (entry(S.LOST), WISH, ObjectLost),
        (entry(S.ONLINE, storage_class="STANDARD"), WISH, InvalidObjectState),
        (entry(S.VERIFIED, storage_class="STANDARD"), WISH, InvalidObjectState),
        (entry(S.ARCHIVED, storage_class="DEEP_ARCHIVE"), replace(WISH, tier="Expedited"), InvalidArgument),
        (entry(S.EXPIRING, interests=(Interest("you", 1),)), WISH, RestoreAlreadyInProgress),
    ],
)
def test_a_restore_is_refused(row, wish, error):
    with pytest.raises(error):
        decide(row, wish)


def test_a_restore_waits_for_an_eviction():
    assert decide(entry(S.EVICTING, lease=7), WISH) == Wait(7)


def test_an_archived_object_is_queued_with_a_recall_and_a_job():
    found = decide(entry(S.ARCHIVED), WISH)
    assert (found.status, found.step.swaps[0].new.state) == (202, S.QUEUED)
    assert [(r.id, r.tier) for r in found.step.recalls] == [("r2", "Standard")]
    assert [(j.kind, j.dedupe) for j in found.step.jobs] == [("recall", "r2")]
    assert [event.name for event in found.step.events] == ["s3:ObjectRestore:Post"]


@pytest.mark.parametrize("state", sorted(IN_PROGRESS))
@pytest.mark.parametrize(
    ("running", "asked", "faster"),
    [(r, a, order.index(a) > order.index(r)) for order in [("Bulk", "Standard", "Expedited")] for r in order for a in order],
)
def test_only_a_faster_tier_hurries_a_recall(state, running, asked, faster):
    wish = replace(WISH, tier=asked)
    if not faster:
        with pytest.raises(RestoreAlreadyInProgress):
            decide(entry(state), wish, recall(running))
        return
    found = decide(entry(state), wish, recall(running))
    assert (found.status, found.step.recalls[0].tier, found.step.swaps[0].new.state) == (202, asked, state)


def test_one_moves_ones_own_date_only_and_the_copy_lives_to_the_last():
    far = NOW + 9 * DAY
    interests = (Interest("you", 9, until=far), Interest("me", 5, until=NOW + 5 * DAY))
    row = entry(S.RESTORED, place=PLACE, restored_until=far, interests=interests)
    status, kept = granted(row)
    assert status == 200
    assert kept.restored_until == far
    assert {i.identity: i.days for i in kept.interests} == {"you": 9, "me": 1}
    _, longer = granted(row, replace(WISH, days=20))
    assert longer.restored_until > far


def test_bytes_past_their_date_are_used_again_with_202():
    status, kept = granted(entry(S.RESTORED, place=PLACE, restored_until=NOW))
    assert (status, kept.state) == (202, S.RESTORED)
    assert kept.restored_until > NOW


def test_a_restore_of_bytes_that_have_not_left_keeps_them():
    status, kept = granted(entry(S.VERIFIED))
    assert (status, kept.state, kept.interests[0].until) == (202, S.VERIFIED, (NOW // DAY + 2) * DAY)
    assert granted(kept)[0] == 200


def test_a_restore_that_meets_the_expiry_waits_for_its_end():
    status, kept = granted(entry(S.EXPIRING, place=PLACE))
    assert (status, kept.state, kept.interests) == (202, S.EXPIRING, (Interest("me", 1),))


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        (entry(S.ARCHIVED), None),
        (entry(S.QUEUED), Standing(None)),
        (entry(S.RECALLING), Standing(None)),
        (entry(S.LANDING), Standing(None)),
        (entry(S.RESTORED, place=PLACE, restored_until=NOW + 1), Standing(NOW + 1)),
        (entry(S.RESTORED, place=PLACE, restored_until=NOW), None),
        (entry(S.EXPIRING), None),
        (entry(S.EXPIRING, interests=(Interest("x", 1),)), Standing(None)),
        (entry(S.VERIFIED), None),
        (entry(S.VERIFIED, interests=(Interest("x", 1, until=NOW + 1),)), Standing(NOW + 1)),
        (entry(S.VERIFIED, storage_class="STANDARD", interests=(Interest("x", 1, until=NOW + 1),)), None),
        (entry(S.DELETED), None),
        (entry(S.LOST), None),
    ],
)
def test_what_a_client_sees_of_it(row, shown):
    assert standing(row, NOW) == shown


def test_who_releases_does_not_hurt_the_others():
    mine, yours = Interest("me", 1, until=NOW + DAY), Interest("you", 2, until=NOW + 2 * DAY)
    row = entry(S.RESTORED, place=PLACE, restored_until=yours.until, interests=(mine, yours))
    assert release(row, "you", NOW).swaps[0].new.restored_until == mine.until
    assert release(row, "nobody", NOW) is None
