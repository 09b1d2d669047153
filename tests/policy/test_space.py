from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3shunt.model import Entry, Facts, Interest, ObjectRef, Pin, Place, Policy, Recall, Room, State, Swap
from s3shunt.policy import space
from s3shunt.policy.space import Admission, Drain, Kind

FACTS = Facts(size=10, etag="e", last_modified=1)
REF = ObjectRef("b", "k", "null")
VERIFIED = Entry(ref=REF, state=State.VERIFIED, facts=FACTS, archive="tape", archive_id="id", copies=1, generation=3)
POLICY = Policy(name="p", buckets=("b",), archive="tape", high=80, low=50, evict_after=None)
QUEUED = replace(VERIFIED, state=State.QUEUED)
LANDED = {"place": Place("landing", "r/1"), "restored_until": 900, "interests": (Interest("i", 1, "Bulk", 900),)}
RESTORED = replace(VERIFIED, state=State.RESTORED, **LANDED)
RECALL = Recall(id="r", ref=VERIFIED.ref, generation=3, archive="tape", archive_id="id", created=5)


def rows(count, **more):
    return [replace(VERIFIED, ref=ObjectRef("b", f"{n}", "null"), **more) for n in range(count)]


def drain(*policies, used, capacity=100, batch=1000, pins=(), now=100):
    return Drain(policies or (POLICY,), capacity, used, batch, pins, now)


def chosen(walk, found):
    return [row.ref.key for row in found if walk.choose(row)]


# Marks


@pytest.mark.parametrize(
    ("used", "before", "drains"),
    [(80, False, False), (81, False, True), (100, False, True), (80, True, True), (51, True, True), (50, True, False), (0, True, False)],
)
def test_45_a_store_empties_from_above_the_high_mark_until_the_low_one(used, before, drains):
    assert space.draining([POLICY], used, 100, ["p"] if before else []) == (frozenset({"p"}) if drains else frozenset())


def test_a_policy_without_marks_never_drains():
    assert space.draining([replace(POLICY, high=None, low=None)], 100, 100, ["p"]) == frozenset()


def test_45_the_coldest_leave_until_the_low_mark_is_reached():
    walk = drain(used=81)
    assert chosen(walk, rows(9)) == ["0", "1", "2", "3"]
    assert walk.done


def test_what_an_earlier_policy_never_evicts_stays_whatever_a_later_one_says():
    keep = replace(POLICY, name="keep", prefix="1", high=None, low=None)
    after = replace(keep, evict_after=0)
    found = rows(3)
    assert chosen(replace(drain(used=90), before=(keep, POLICY)), found) == ["0", "2"]
    assert chosen(replace(drain(used=90), before=(POLICY, keep)), found) == ["0", "1", "2"]
    assert chosen(replace(drain(used=90), before=(after, POLICY)), found) == ["0", "1", "2"]
    assert chosen(replace(drain(used=90), before=(replace(keep, archive="other"), POLICY)), found) == ["0", "1", "2"]


def test_two_policies_that_share_a_store_share_the_excess():
    one, other = replace(POLICY, buckets=("b",)), replace(POLICY, name="q", buckets=("c",))
    mixed = [replace(row, ref=replace(row.ref, bucket="bc"[n % 2])) for n, row in enumerate(rows(10))]
    walk = drain(one, other, used=90)
    assert [walk.choose(row) and row.ref.key for row in mixed] == ["0", "1", "2", "3", None, None, None, None, None, None]


def test_each_policy_stops_at_a_low_mark_of_its_own():
    deep = replace(POLICY, name="deep", buckets=("c",), low=30)
    mixed = [replace(row, ref=replace(row.ref, bucket="bc"[n % 2])) for n, row in enumerate(rows(14))]
    assert chosen(drain(POLICY, deep, used=90), mixed) == ["0", "1", "2", "3", "5", "7"]


def test_no_more_than_a_batch_is_chosen():
    assert len(chosen(drain(used=1000, batch=3), rows(9))) == 3


@pytest.mark.parametrize(
    "kept",
    [
        {"state": State.ARCHIVING}, {"state": State.ONLINE}, {"state": State.EVICTING}, {"copies": 0}, {"writers": 1}, {"pinned": 101},
        {"interests": (Interest("i", 1, "Bulk", 101),)}, {"archive": "other"}, {"facts": None}, {"facts": replace(FACTS, lock={"a": "b"})},
    ],
)  # fmt: skip
def test_44_nothing_that_is_not_on_tape_is_ever_evicted(kept):
    walk = drain(used=100)
    assert walk.choose(replace(VERIFIED, **kept)) is None
    assert walk.left == 100


def test_the_pin_of_a_prefix_keeps_what_was_written_after_it():
    assert chosen(drain(used=100, pins=[Pin("b", "1", 101)]), rows(12)) == ["0", "2", "3", "4", "5"]
    assert chosen(drain(used=100, pins=[Pin("b", "", 100), Pin("c"), Pin("b", account="other")]), rows(2)) == ["0", "1"]


@given(
    sizes=st.lists(st.integers(0, 40), max_size=30), used=st.integers(0, 400), marks=st.tuples(st.integers(0, 100), st.integers(0, 100)),
    batch=st.integers(0, 40),
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_45_what_leaves_is_the_least_that_reaches_the_low_mark_and_the_coldest(sizes, used, marks, batch):
    low, high = sorted(marks)
    policy = replace(POLICY, high=high, low=low)
    found = [replace(row, facts=replace(FACTS, size=size)) for row, size in zip(rows(len(sizes)), sizes, strict=True)]
    gone = chosen(drain(policy, used=used, capacity=200, batch=batch), found)
    assert gone == [row.ref.key for row in found[: len(gone)]], "in the order of their last use, nobody passed over"
    assert len(gone) <= batch
    left = used - sum(sizes[: len(gone)])
    enough = left * 100 <= 200 * low
    assert enough or len(gone) in (batch, len(found))
    if gone:
        assert (left + sizes[len(gone) - 1]) * 100 > 200 * low, "the last one was still needed"


# Room


@pytest.mark.parametrize(
    ("row", "shares"),
    [
        (None, ()),
        (replace(VERIFIED, facts=None), ()),
        (VERIFIED, (("main", Kind.HELD),)),
        (replace(VERIFIED, state=State.ARCHIVED), ()),
        (RESTORED, (("landing", Kind.LANDED),)),
        (replace(RESTORED, state=State.EXPIRING), (("landing", Kind.LANDED),)),
        (QUEUED, ()),
        (replace(QUEUED, token="r"), (("", Kind.COMING),)),
        (replace(QUEUED, state=State.RECALLING), (("", Kind.COMING),)),
        (replace(QUEUED, state=State.LANDING), (("", Kind.COMING),)),
    ],
)
def test_44_where_the_bytes_of_a_row_take_room(row, shares):
    assert space.shares(row) == shares


def test_44_a_step_says_by_how_much_it_changes_what_lies_where():
    bigger = replace(VERIFIED, facts=replace(FACTS, size=30))
    assert space.moved([Swap(VERIFIED, bigger)]) == {("main", Kind.HELD): (20, 0)}
    assert space.moved([Swap(VERIFIED, replace(VERIFIED, reason="x"))]) == {}
    assert space.moved([Swap(None, VERIFIED), Swap(RESTORED, None)]) == {("landing", Kind.LANDED): (-10, -1), ("main", Kind.HELD): (10, 1)}


# Landing


@pytest.mark.parametrize(
    ("row", "room", "verdict"),
    [
        (QUEUED, Room(), Admission.NOW),
        (QUEUED, Room(landed=40, coming=50), Admission.NOW),
        (QUEUED, Room(landed=41, coming=50), Admission.LATER),
        (QUEUED, Room(held=1000), Admission.NOW),
        (replace(QUEUED, token="r"), Room(landed=40, coming=60), Admission.NOW),
        (replace(QUEUED, token="r"), Room(landed=41, coming=60), Admission.LATER),
        (replace(QUEUED, facts=replace(FACTS, size=101)), Room(), Admission.NEVER),
        (replace(QUEUED, facts=None), Room(landed=100), Admission.NOW),
    ],
)
def test_44_a_recall_is_admitted_only_when_it_fits(row, room, verdict):
    assert space.admission(row, room, 100) is verdict


def test_44_a_recall_that_waits_for_room_stays_queued_and_says_why():
    step = space.wait(replace(QUEUED, token="r"), RECALL)
    assert (step.swaps[0].new.state, step.swaps[0].new.token) == (State.QUEUED, None)
    assert step.recalls[0].reason == step.swaps[0].new.reason == space.WAITS
    assert space.wait(QUEUED, step.recalls[0]) is None, "said once"
    assert space.wait(replace(QUEUED, state=State.RECALLING), RECALL) is None
    kept = space.promise(QUEUED, step.recalls[0])
    assert (kept.swaps[0].new.token, kept.recalls[0].reason) == ("r", "")
    assert space.promise(kept.swaps[0].new, RECALL) is None


def test_an_old_recall_that_waits_for_room_is_not_passed_for_ever():
    old = replace(RECALL, id="old", created=1, reason=space.WAITS)
    assert not space.behind(RECALL, [old, RECALL], 100, 100)
    assert space.behind(RECALL, [old, RECALL], 101, 100)
    assert not space.behind(old, [old, replace(RECALL, reason=space.WAITS)], 1000, 100)
    assert not space.behind(RECALL, [replace(old, reason="")], 1000, 100)


# Read once

ONCE = replace(POLICY, read_once=True)


def test_45_a_cache_copy_leaves_after_it_was_read_whole_where_the_policy_says_so():
    step = space.spent(VERIFIED, VERIFIED, ONCE, 100)
    assert [(job.kind, job.due) for job in step.jobs] == [("evict", 2100)]
    assert space.spent(VERIFIED, VERIFIED, POLICY, 100) is None


def test_45_a_restored_copy_ends_after_it_was_read_whole_where_the_policy_says_so():
    step = space.spent(RESTORED, RESTORED, ONCE, 100)
    assert step.swaps[0].new.restored_until == 100
    assert [i.until for i in step.swaps[0].new.interests] == [100]
    assert [(job.kind, job.due) for job in step.jobs] == [("expire", 100)]
    assert space.spent(RESTORED, RESTORED, ONCE, 900) is None


@pytest.mark.parametrize(
    "now", [None, replace(VERIFIED, generation=4), replace(VERIFIED, state=State.ARCHIVED), replace(VERIFIED, state=State.ARCHIVING)]
)
def test_45_what_is_another_thing_by_now_was_not_read(now):
    assert space.spent(now, VERIFIED, ONCE, 100) is None
    assert space.spent(replace(RESTORED, place=Place("landing", "r/2")), RESTORED, ONCE, 100) is None
