from dataclasses import replace

import pytest

from s3shunt.model import Entry, Facts, Interest, ObjectRef, Place, Recall, RecallState, State
from s3shunt.policy import recall as steps
from s3shunt.policy.archive import Hold, Use

REF = ObjectRef("b", "k", "null")
RECALL = Recall(id="r", ref=REF, generation=2, archive="tape", archive_id="id")
ROW = Entry(
    ref=REF, state=State.QUEUED, facts=Facts(size=1, etag="e", last_modified=1), generation=2, archive="tape", archive_id="id",
    interests=(Interest("a", 1), Interest("b", 3)),
)  # fmt: skip
HOLD = Hold(token="me", now=100, lease=200)
PLACE = steps.landing_place(RECALL, "landing", HOLD)
LANDING = replace(ROW, state=State.LANDING, token="me", lease=200)
RECALLING = replace(ROW, state=State.RECALLING, token="r")


@pytest.mark.parametrize(
    ("row", "recall", "overtaken"),
    [
        (ROW, RECALL, False),
        (None, RECALL, True),
        (replace(ROW, generation=3), RECALL, True),
        (replace(ROW, ref=ObjectRef("b", "k", "v2")), RECALL, True),
        (ROW, replace(RECALL, state=RecallState.CANCELLED), True),
        (ROW, replace(RECALL, state=RecallState.FAILED), False),
    ],
)
def test_a_recall_is_overtaken_by_a_write_a_delete_or_its_end(row, recall, overtaken):
    assert steps.overtaken(row, recall) is overtaken


def test_the_archive_is_asked_only_for_what_waits():
    step = steps.asked(ROW, RECALL, "q")
    assert (step.swaps[0].new.state, step.swaps[0].new.token) == (State.RECALLING, "r")
    assert (step.recalls[0].request_id, step.recalls[0].attempts, step.recalls[0].state) == ("q", 1, RecallState.ASKED)
    assert steps.asked(RECALLING, RECALL, "q") is None


def test_a_place_is_named_by_recall_generation_and_lander():
    assert Place("landing", "r/2/me") == PLACE


@pytest.mark.parametrize(
    ("row", "taken"),
    [
        (RECALLING, True),
        (replace(RECALLING, token="another recall"), False),
        (replace(LANDING, token="dead", lease=100), True),
        (replace(LANDING, token="alive", lease=101), False),
        (ROW, False),
    ],
)
def test_a_landing_is_taken_when_ready_or_from_the_dead(row, taken):
    step = steps.landing(row, RECALL, PLACE, HOLD)
    assert (step is not None) is taken
    if step:
        assert step.swaps[0].new.token == "me"
        assert [(job.kind, job.due) for job in step.jobs] == [("discard", 200)]


def test_what_landed_is_published_with_the_days_of_each_who_asked():
    step = steps.landed(LANDING, RECALL, PLACE, HOLD, 1000)
    new = step.swaps[0].new
    assert (new.state, new.place, new.token) == (State.RESTORED, PLACE, None)
    assert [interest.until for interest in new.interests] == [2000, 4000]
    assert new.restored_until == 4000
    assert [(job.kind, job.due) for job in step.jobs] == [("expire", 4000)]
    assert step.recalls[0].state is RecallState.LANDED
    taken = steps.landing(RECALLING, RECALL, PLACE, HOLD)
    assert step.released == ((taken.jobs[0].kind, taken.jobs[0].dedupe),)


@pytest.mark.parametrize("row", [replace(LANDING, token="other"), RECALLING, replace(LANDING, state=State.DELETED)])
def test_who_lost_the_landing_publishes_nothing(row):
    assert steps.landed(row, RECALL, PLACE, HOLD, 1000) is None


@pytest.mark.parametrize(
    ("row", "use"),
    [
        (None, Use.NONE),
        (replace(ROW, place=PLACE), Use.KEPT),
        (LANDING, Use.OPEN),
        (replace(LANDING, token="next"), Use.NONE),
        (replace(LANDING, state=State.DELETED), Use.OPEN),
        (ROW, Use.NONE),
    ],
)
def test_a_landed_copy_goes_only_when_nobody_can_publish_it(row, use):
    assert steps.use(row, PLACE) is use


@pytest.mark.parametrize("row", [ROW, RECALLING, LANDING])
def test_a_failure_is_asked_again_or_given_up(row):
    again = steps.again(row, replace(RECALL, request_id="q", attempts=1), "why", 500)
    assert again.swaps[0].new.state is State.QUEUED
    assert (again.recalls[0].request_id, again.recalls[0].due, again.recalls[0].active) == (None, 500, True)
    ended = steps.give_up(row, RECALL, "why", 500)
    assert (ended.swaps[0].new.state, ended.swaps[0].new.interests) == (State.ARCHIVED, ())
    assert ended.recalls[0].state is RecallState.DEAD
    cancelled = steps.cancelled(row, RECALL, 500)
    assert (cancelled.recalls[0].state, cancelled.released) == (RecallState.CANCELLED, (("recall", "r"),))


@pytest.mark.parametrize("state", [State.ARCHIVED, State.RESTORED, State.ONLINE, State.DELETED])
def test_what_is_not_in_progress_is_left_alone(state):
    row = replace(ROW, state=state)
    assert steps.again(row, RECALL, "", 0) is steps.give_up(row, RECALL, "", 0) is steps.cancelled(row, RECALL, 0) is None


def test_a_missing_copy_is_recalled_for_those_who_still_want_it():
    row = replace(ROW, state=State.RESTORED, place=PLACE, interests=(Interest("a", 1, until=50), Interest("b", 3, until=150)))
    step = steps.missing(row, "r2", 100)
    assert [interest.identity for interest in step.swaps[0].new.interests] == ["b"]
    assert (step.swaps[0].new.state, step.swaps[0].new.place, step.recalls[0].id) == (State.QUEUED, None, "r2")
    assert steps.missing(row, "r2", 200) is None
