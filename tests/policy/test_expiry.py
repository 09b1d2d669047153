from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3shunt.model import Entry, Facts, Interest, ObjectRef, Place, State
from s3shunt.policy import expiry
from s3shunt.policy.archive import Hold

DAY = 86_400_000
MONDAY = 20_458 * DAY  # a midnight, UTC
ROW = Entry(
    ref=ObjectRef("b", "k", "null"), state=State.RESTORED, facts=Facts(size=1, etag="e", last_modified=1), generation=4, archive="tape",
    archive_id="id", place=Place("landing", "r/1"), restored_until=MONDAY, interests=(Interest("a", 1, until=MONDAY),),
)  # fmt: skip
HOLD = Hold(token="me", now=MONDAY, lease=MONDAY + 5)


@pytest.mark.parametrize(
    ("now", "days", "end"),
    [
        (MONDAY + 10 * 3_600_000, 3, MONDAY + 4 * DAY),
        (MONDAY, 1, MONDAY + DAY),
        (MONDAY + 1, 1, MONDAY + 2 * DAY),
        (MONDAY - 1, 1, MONDAY + DAY),
    ],
)
def test_40_a_restore_ends_with_the_next_full_day_after_its_days(now, days, end):
    assert expiry.until(now, days, DAY) == end


@given(st.integers(0, 10**14), st.integers(1, 30_000), st.sampled_from([DAY, 10_000, 7]))
def test_40_an_end_is_a_full_day_and_never_early_nor_a_day_late(now, days, day):
    end = expiry.until(now, days, day)
    assert end % day == 0
    assert now + days * day <= end < now + (days + 1) * day


@pytest.mark.parametrize(
    ("row", "taken"),
    [
        (None, False),
        (ROW, True),
        (replace(ROW, restored_until=MONDAY + 1), False),
        (replace(ROW, state=State.ARCHIVED), False),
        (replace(ROW, state=State.EXPIRING, token="other", lease=MONDAY), True),
        (replace(ROW, state=State.EXPIRING, token="other", lease=MONDAY + 1), False),
    ],
)
def test_a_copy_is_taken_past_its_date_or_from_the_dead(row, taken):
    step = expiry.expire(row, HOLD)
    assert (step is not None) is taken
    if step:
        assert (step.swaps[0].new.state, step.swaps[0].new.token) == (State.EXPIRING, "me")
        assert step.swaps[0].new.place == ROW.place


EXPIRING = replace(ROW, state=State.EXPIRING, token="me", lease=MONDAY + 5)


def test_only_the_holder_says_that_the_copy_is_gone():
    assert expiry.expired(replace(EXPIRING, token="other"), HOLD, "r") is None
    assert expiry.expired(ROW, HOLD, "r") is None


def test_a_copy_that_is_gone_leaves_an_archived_entry_and_one_event():
    step = expiry.expired(EXPIRING, HOLD, "r")
    new = step.swaps[0].new
    assert (new.state, new.place, new.restored_until, new.interests, new.archive_id) == (State.ARCHIVED, None, None, (), "id")
    assert [event.name for event in step.events] == ["s3:ObjectRestore:Delete"]
    assert step.jobs == step.recalls == ()


def test_who_asked_meanwhile_gets_a_recall():
    row = replace(EXPIRING, interests=(*ROW.interests, Interest("b", 2, "Expedited"), Interest("c", 1, "Bulk")))
    step = expiry.expired(row, HOLD, "r")
    assert step.swaps[0].new.state is State.QUEUED
    assert [interest.identity for interest in step.swaps[0].new.interests] == ["b", "c"]
    assert [(recall.id, recall.tier, recall.generation) for recall in step.recalls] == [("r", "Expedited", 4)]
    assert [(job.kind, job.dedupe) for job in step.jobs] == [("recall", "r")]
