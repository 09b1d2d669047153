from dataclasses import replace

import pytest

from s3shunt.model import Entry, Facts, Interest, ObjectRef, Policy, State
from s3shunt.policy import archive as steps
from s3shunt.policy.archive import Hold, Use
from s3shunt.ports import Copy

REF = ObjectRef("b", "k", "null")
SEEN = Facts(size=10, etag="e", last_modified=1, stamp="1")
OTHER = replace(SEEN, stamp="2")
POLICY = Policy(name="p", buckets=("b",), archive="tape", min_size=5, max_size=20)
HOLD = Hold(token="me", now=100, lease=200)
COPY = Copy(archive_id="id", size=10, checksum="sha256:0", copies=1)
ROW = Entry(ref=REF, facts=SEEN, generation=3)
PINNED = replace(ROW, state=State.ARCHIVING, token="me", lease=200, archive="tape")
VERIFIED = replace(ROW, state=State.VERIFIED, archive="tape", archive_id="id", copies=1)
EVICTING = replace(VERIFIED, state=State.EVICTING, token="me", lease=200)


def new(step):
    return step.swaps[0].new


@pytest.mark.parametrize(
    ("row", "pinned"),
    [
        (None, True),
        (ROW, True),
        (replace(PINNED, token="dead", lease=100), True),
        (replace(PINNED, token="alive", lease=101), False),
        (VERIFIED, False),
        (EVICTING, False),
        (replace(ROW, state=State.ARCHIVED), False),
    ],
)
def test_what_is_online_is_pinned_with_what_the_store_holds(row, pinned):
    step = steps.pin(row, REF, OTHER, POLICY, HOLD)
    assert (step is not None) is pinned
    if step:
        assert (new(step).state, new(step).facts, new(step).token) == (State.ARCHIVING, OTHER, "me")
        assert [(job.kind, job.due) for job in step.jobs] == [("discard", 200)]


def test_a_copy_counts_when_the_store_still_holds_what_was_pinned():
    step = steps.verified(PINNED, SEEN, COPY, POLICY, HOLD)
    assert (new(step).state, new(step).archive_id, new(step).copies, new(step).token) == (State.VERIFIED, "id", 1, None)
    assert [job.kind for job in step.jobs] == ["evict"]
    assert step.released == (("discard", steps.pin(ROW, REF, SEEN, POLICY, HOLD).jobs[0].dedupe),)
    never = steps.verified(PINNED, SEEN, COPY, replace(POLICY, evict_after=None), HOLD)
    assert never.jobs == ()


@pytest.mark.parametrize(("after", "due"), [(0, 2_100), (1_999, 2_100), (2_001, 2_101)])
def test_the_bytes_stay_until_every_proxy_knows_of_the_row(after, due):
    step = steps.verified(PINNED, SEEN, COPY, replace(POLICY, evict_after=after), HOLD)
    assert (new(step).due, [job.due for job in step.jobs]) == (due, [due])


def test_a_copy_of_something_else_does_not_count():
    changed = steps.verified(PINNED, OTHER, COPY, POLICY, HOLD)
    assert (new(changed).state, new(changed).generation, new(changed).archive_id) == (State.ONLINE, 4, None)
    assert [job.kind for job in changed.jobs] == ["archive"]
    assert new(steps.verified(PINNED, None, COPY, POLICY, HOLD)) is None
    assert new(steps.verified(replace(PINNED, writers=1), None, COPY, POLICY, HOLD)).facts is None
    assert steps.verified(replace(PINNED, token="other"), SEEN, COPY, POLICY, HOLD) is None


def test_a_tag_is_the_same_whoever_pins_and_another_after_every_write():
    assert steps.tag(PINNED) == steps.tag(replace(PINNED, token="other", lease=9, revision=7, reason="x"))
    others = [replace(PINNED, generation=4), replace(PINNED, facts=OTHER), replace(PINNED, ref=ObjectRef("b", "k", "v"))]
    assert len({steps.tag(row) for row in (PINNED, *others)}) == 4


@pytest.mark.parametrize(
    ("seen", "asked", "fits"),
    [
        (SEEN, False, True),
        (replace(SEEN, size=4), False, False),
        (replace(SEEN, size=4), True, True),
        (replace(SEEN, size=21), False, False),
        (replace(SEEN, size=21), True, False),
        (replace(SEEN, lock={"mode": "GOVERNANCE"}), True, False),
        (replace(SEEN, sse={"x-amz-server-side-encryption-customer-algorithm": "AES256"}), True, False),
        (replace(SEEN, sse={"x-amz-server-side-encryption": "AES256"}), True, True),
        (replace(SEEN, acl="private"), True, True),
        (replace(SEEN, acl="public-read"), True, False),
    ],
)
def test_what_may_go_to_an_archive(seen, asked, fits):
    assert (steps.unarchivable(seen, replace(POLICY, after=0), asked=asked) == "") is fits


def test_a_policy_without_an_age_takes_objects_by_their_class_only():
    assert steps.unarchivable(SEEN, POLICY, asked=False)
    assert not steps.unarchivable(SEEN, POLICY, asked=True)


def test_foreign_rights_may_be_ignored():
    assert steps.unarchivable(replace(SEEN, acl="public-read"), replace(POLICY, ignore_acl=True), asked=True) == ""


def test_a_failure_goes_back_online_and_a_refusal_stays_there():
    back = steps.failed(PINNED, "why", 900, POLICY, HOLD)
    assert (new(back).state, new(back).reason, new(back).due, back.jobs[0].due) == (State.ONLINE, "why", 900, 900)
    assert steps.failed(replace(PINNED, token="other"), "why", 900, POLICY, HOLD) is None
    assert (new(steps.refused(PINNED, "no")).due, steps.refused(PINNED, "no").jobs) == (None, ())
    assert steps.refused(VERIFIED, "no") is None


@pytest.mark.parametrize(
    ("row", "may"),
    [
        (VERIFIED, True),
        (replace(VERIFIED, writers=1), False),
        (replace(VERIFIED, copies=0), False),
        (replace(VERIFIED, facts=replace(SEEN, lock={"mode": "GOVERNANCE"})), False),
        (replace(VERIFIED, interests=(Interest("a", 1, until=101),)), False),
        (replace(VERIFIED, interests=(Interest("a", 1, until=100),)), True),
        (PINNED, False),
        (EVICTING, False),
        (None, False),
    ],
)
def test_only_what_is_verified_unwritten_and_unwanted_leaves(row, may):
    assert steps.evictable(row, POLICY, 100) is may
    if row is not None:
        assert (steps.evict(row, POLICY, HOLD) is not None) is may


def test_an_eviction_is_looked_after_from_its_beginning():
    step = steps.evict(VERIFIED, POLICY, HOLD)
    assert new(step).state is State.EVICTING
    assert [(job.kind, job.due) for job in step.jobs] == [("sweep", 200)]
    done = steps.evicted(EVICTING, POLICY, HOLD)
    assert done.released == (("sweep", step.jobs[0].dedupe),)
    assert (new(done).state, new(done).storage_class) == (State.ARCHIVED, "GLACIER")
    assert steps.evicted(replace(EVICTING, token="other"), POLICY, HOLD) is None


@pytest.mark.parametrize(
    ("rival", "newest", "current", "passed"),
    [
        (None, True, True, False),
        (None, False, False, False),
        (State.ONLINE, True, True, True),
        (State.VERIFIED, False, False, False),
        (State.ARCHIVED, True, False, False),
        (State.RESTORED, True, False, False),
    ],
)
def test_the_version_that_leaves_is_current_only_if_nothing_newer_is_known(rival, newest, current, passed):
    other = replace(VERIFIED, ref=replace(VERIFIED.ref, version="other"), state=rival) if rival else None
    step = steps.crown(EVICTING, other, HOLD, newest=newest)
    assert (step.swaps[-1].new.current, len(step.swaps) == 2) == (current, passed)
    assert not passed or step.swaps[0].new.current is False
    assert steps.crown(replace(EVICTING, token="other"), other, HOLD, newest=newest) is None


@pytest.mark.parametrize(("seen", "state"), [(None, State.ARCHIVED), (SEEN, State.VERIFIED), (OTHER, State.ONLINE)])
def test_what_the_store_holds_says_how_far_a_dead_evictor_came(seen, state):
    dead = replace(EVICTING, lease=100)
    assert new(steps.sweep(dead, seen, POLICY, 100)).state is state
    assert steps.sweep(dead, seen, POLICY, 99) is None


def test_a_newer_object_takes_the_place_of_what_was_to_be_evicted():
    step = steps.other(EVICTING, OTHER, POLICY, HOLD)
    assert (new(step).state, new(step).facts, new(step).archive_id, new(step).storage_class) == (State.ONLINE, OTHER, None, "STANDARD")
    assert new(steps.other(EVICTING, None, POLICY, HOLD)).state is State.ARCHIVED


def test_a_verified_entry_without_bytes_is_archived_even_beside_a_write():
    assert new(steps.heal(VERIFIED, POLICY, 1)).state is State.ARCHIVED
    assert new(steps.heal(replace(VERIFIED, writers=1), POLICY, 1)).writers == 1
    assert steps.heal(EVICTING, POLICY, 1) is None


@pytest.mark.parametrize(
    ("rows", "tag", "use"),
    [
        ([VERIFIED], "", Use.KEPT),
        ([], "", Use.NONE),
        ([ROW], "", Use.NONE),
        ([PINNED], steps.tag(PINNED), Use.OPEN),
        ([replace(PINNED, state=State.ONLINE)], steps.tag(PINNED), Use.OPEN),
        ([replace(PINNED, generation=4)], steps.tag(PINNED), Use.NONE),
        ([replace(PINNED, state=State.DELETED)], steps.tag(PINNED), Use.OPEN),
        ([replace(VERIFIED, state=State.DELETED)], "", Use.KEPT),
    ],
)
def test_a_copy_is_shredded_only_when_no_entry_can_stand_on_it(rows, tag, use):
    assert steps.use(rows, "tape", "id", tag) is use


def test_a_row_is_kept_alive_by_its_holder_alone():
    assert new(steps.renewed(PINNED, replace(HOLD, lease=900))).lease == 900
    assert steps.renewed(replace(PINNED, token="other"), HOLD) is None
    assert steps.renewed(replace(VERIFIED, token="me"), HOLD) is None


def test_further_copies_are_counted():
    assert new(steps.counted(VERIFIED, replace(COPY, copies=2))).copies == 2
    assert steps.counted(VERIFIED, COPY) is None
    assert steps.counted(VERIFIED, replace(COPY, archive_id="other", copies=2)) is None


@pytest.mark.parametrize(("until", "may"), [(0, True), (100, True), (101, False)])
def test_what_is_pinned_is_not_evicted(until, may):
    assert steps.evictable(replace(VERIFIED, pinned=until), POLICY, 100) is may
