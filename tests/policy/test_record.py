"""The steps of a write, one by one; how they interleave is the explorer's business."""

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from s3shunt.model import Entry, Facts, Intent, ObjectRef, Place, Policy, Recall, State, Swap
from s3shunt.policy import record, transitions
from s3shunt.policy.record import Wait, Written

REF = ObjectRef("films", "a", "null")
OLD = Facts(size=3, etag='"old"', last_modified=1_000_000)
NEW = Facts(size=4, etag='"new"', last_modified=2_000_000)
INTENT = Intent(id="i", ref=replace(REF, version=None), operation="PutObject", started=2_000_000, lease=2_060_000)
FILMS = Policy(name="films", buckets=("films*",), archive="tape", prefix="", retain=500)
AGED = Policy(name="aged", buckets=("films",), archive="tape", after=100, min_size=4, max_size=4)
S = State


def entry(state=S.ONLINE, **more):
    return Entry(ref=REF, state=state, facts=OLD, **{"generation": 1, "writers": 1, "storage_class": "GLACIER", **more})


def written(**more):
    return Written(ref=REF, facts=NEW, now=2_000_001, **more)


def only(step):
    (swap,) = step.swaps
    transitions.check(swap)
    return swap.new


def test_a_write_on_an_unknown_key_counts_on_a_placeholder():
    step = record.begin(None, INTENT)
    assert step.swaps == (Swap(None, Entry(ref=REF, writers=1)),)
    assert step.opened == (replace(INTENT, ref=REF),)


def test_a_write_on_a_known_key_counts_on_its_row():
    row = entry(S.ARCHIVED, writers=0)
    step = record.begin(row, INTENT)
    assert only(step) == replace(row, writers=1)
    assert step.opened[0].generation == row.generation


@pytest.mark.parametrize("act", [record.begin, record.tombstone])
def test_what_is_being_evicted_is_waited_for(act):
    assert act(entry(S.EVICTING, lease=9), INTENT) == Wait(9)


def test_a_finished_write_is_a_new_generation_and_its_archive_job():
    step = record.finish(entry(), INTENT, written(storage_class="GLACIER"), (FILMS,))
    fresh = only(step)
    assert (fresh.state, fresh.facts, fresh.generation, fresh.writers, fresh.archive) == (S.ONLINE, NEW, 2, 0, "tape")
    assert step.closed == ("i",)
    assert [(job.kind, job.due) for job in step.jobs] == [("archive", 2_000_001)]


def test_an_online_entry_that_says_nothing_goes():
    assert only(record.finish(entry(), INTENT, written(), (FILMS,))) is None
    assert only(record.finish(entry(writers=2), INTENT, written(), (FILMS,))).writers == 1
    assert only(record.finish(entry(), INTENT, written(external_id="x"), (FILMS,))).external_id == "x"


@pytest.mark.parametrize(("size", "due"), [(3, None), (4, 2_000_100), (5, None)])
def test_age_counts_within_the_sizes_of_its_policy(size, due):
    seen = Written(ref=REF, facts=replace(NEW, size=size), now=2_000_001)
    fresh = only(record.finish(entry(), INTENT, seen, (AGED,)))
    assert (fresh.due if fresh else None) == due


def test_what_is_moot_of_the_old_version_is_scheduled_away():
    row = entry(S.RESTORED, place=Place("landing", "n"), archive="tape", archive_id="id")
    recall = Recall(id="r", ref=REF, generation=1, archive="tape", archive_id="id")
    step = record.finish(row, INTENT, written(), (FILMS,), recall=recall)
    assert [(job.dedupe, job.due) for job in step.jobs] == [("place landing n", 2_000_001), ("copy tape id", 2_000_501)]
    assert [r.active for r in step.recalls] == [False]


SAVED = entry(S.VERIFIED, archive="tape", archive_id="id", copies=1)


@pytest.mark.parametrize(("storage_class", "jobs"), [("STANDARD", []), ("GLACIER", [("evict", 2_002_001)])])
def test_the_same_bytes_written_again_keep_the_archives_copy(storage_class, jobs):
    again = Written(ref=REF, facts=replace(OLD, last_modified=3_000_000), storage_class=storage_class, now=2_000_001)
    step = record.finish(SAVED, INTENT, again, (FILMS,))
    fresh = only(step)
    assert (fresh.state, fresh.archive_id, fresh.copies, fresh.generation) == (S.VERIFIED, "id", 1, 2)
    assert (fresh.facts, fresh.storage_class, fresh.writers) == (again.facts, storage_class, 0)
    assert [(job.kind, job.due) for job in step.jobs] == jobs


@pytest.mark.parametrize("row", [replace(SAVED, archive_id=None), entry(S.ARCHIVED, archive="tape", archive_id="id")])
def test_only_a_verified_copy_of_what_is_in_the_store_is_kept(row):
    step = record.finish(row, INTENT, Written(ref=REF, facts=replace(OLD, last_modified=3_000_000), now=2_000_001), (FILMS,))
    assert step.swaps[0].new is None


def test_a_new_version_leaves_the_old_row_as_no_longer_current():
    seen = Written(ref=replace(REF, version="v2"), facts=NEW, storage_class="GLACIER", now=1)
    step = record.finish(entry(S.ARCHIVED), INTENT, seen, (FILMS,))
    older, newer = (swap.new for swap in step.swaps)
    assert (older.current, older.writers, older.state) == (False, 0, S.ARCHIVED)
    assert (newer.current, newer.ref.version, newer.generation) == (True, "v2", 1)
    assert [job.kind for job in step.jobs] == ["archive"]


def test_a_version_with_a_row_of_its_own_is_told_what_was_asked():
    own = replace(entry(S.ONLINE, writers=0, storage_class="STANDARD", current=False), ref=replace(REF, version="v2"), facts=NEW)
    seen = Written(ref=own.ref, facts=NEW, storage_class="GLACIER", now=1)
    step = record.beside(entry(S.ARCHIVED), own, INTENT, seen, (FILMS,))
    older, told = (swap.new for swap in step.swaps)
    assert (older.current, older.writers, told.current, told.storage_class) == (False, 0, True, "GLACIER")
    assert [job.kind for job in step.jobs] == ["archive"]
    newer = record.beside(entry(S.ARCHIVED), own, INTENT, replace(seen, latest=False), ()).swaps
    assert [swap.new.current for swap in newer] == [True, False]
    assert record.beside(Entry(ref=REF, writers=1), own, INTENT, seen, ()).swaps[0].new is None


def test_a_refused_write_leaves_the_row_and_no_placeholder():
    assert only(record.abandon(entry(S.ARCHIVED), INTENT)) == entry(S.ARCHIVED, writers=0)
    assert only(record.abandon(Entry(ref=REF, writers=1), INTENT)) is None
    assert only(record.abandon(Entry(ref=REF, writers=2), INTENT)).writers == 1
    assert record.abandon(None, INTENT).closed == ("i",)


@pytest.mark.parametrize("state", [s for s in State if s not in (S.EVICTING, S.DELETED)])
def test_a_tombstone_is_undone_or_done(state):
    row = entry(state, writers=0)
    begun = record.tombstone(row, INTENT)
    hidden, intent = only(begun), begun.opened[0]
    assert (hidden.state, hidden.writers, intent.before) == (S.DELETED, 1, row)
    assert only(record.undo(hidden, intent)) == row
    assert only(record.forget(hidden, intent, (FILMS,), 5)) is None


def test_a_writer_who_came_during_a_delete_keeps_his_count():
    begun = record.tombstone(entry(writers=0), INTENT)
    joined = replace(only(begun), writers=2)
    assert only(record.forget(joined, begun.opened[0], (FILMS,), 5)).writers == 1


def test_a_delete_does_not_forget_what_was_written_since():
    begun = record.tombstone(entry(S.ARCHIVED, writers=0), INTENT)
    again = replace(only(begun), state=S.ONLINE, generation=9, facts=NEW)
    assert only(record.forget(again, begun.opened[0], (FILMS,), 5)) == replace(again, writers=0)


def test_a_removed_version_hands_its_place_to_its_heir():
    heir = replace(entry(S.ARCHIVED, current=False), ref=replace(REF, version="v1"))
    gone, crowned = record.removed(entry(S.ARCHIVED), heir, (FILMS,), 1).swaps
    assert (gone.new, crowned.new.current) == (None, True)


def test_changed_tags_reach_the_hint_of_the_same_version_only():
    tagged = replace(OLD, tags={"a": "1"})
    assert only(record.amend(entry(S.VERIFIED), INTENT, tagged)).facts == tagged
    assert only(record.amend(entry(S.VERIFIED), INTENT, replace(NEW, tags={"a": "1"}))).facts == OLD
    assert only(record.amend(entry(S.ARCHIVED), INTENT, tagged)).facts == OLD
    assert only(record.amend(entry(S.VERIFIED), INTENT, None)).facts == OLD


@pytest.mark.parametrize(
    ("seen", "facts"), [(None, OLD), (OLD, OLD), (replace(OLD, tags={"a": "1"}), replace(OLD, tags={"a": "1"})), (NEW, NEW)]
)
def test_a_sweep_believes_the_store(seen, facts):
    intent = replace(INTENT, ref=REF, storage_class="GLACIER", generation=1)
    told = Written(ref=REF, facts=seen, storage_class="GLACIER") if seen else None
    assert only(record.sweep(entry(), intent, told, (FILMS,), 3_000_000)).facts == facts


@pytest.mark.parametrize(
    ("state", "seen", "left"),
    [(S.ARCHIVED, None, S.ARCHIVED), (S.VERIFIED, None, None), (S.VERIFIED, OLD, S.VERIFIED), (S.RESTORED, None, S.RESTORED)],
)
def test_a_sweep_never_deletes(state, seen, left):
    begun = record.tombstone(entry(state, writers=0), INTENT)
    told = Written(ref=REF, facts=seen) if seen else None
    after = only(record.sweep(only(begun), begun.opened[0], told, (FILMS,), 3_000_000))
    assert (after.state if after else None) == left


@pytest.mark.parametrize("state", list(State))
def test_a_bucket_is_not_empty_while_something_of_it_is_not_just_a_hint(state):
    assert record.live(entry(state)) == (state not in (S.ONLINE, S.ARCHIVING, S.DELETED))


WORDS = st.text(st.sampled_from("a1%F\x1f"), max_size=6)


@given(st.tuples(WORDS, WORDS, WORDS, WORDS), st.tuples(WORDS, WORDS, WORDS, WORDS))
@example(("", "films", "a\x1fnull", "1"), ("", "films", "a", "null\x1f1"))
@example(("", "films", "a%1Fb", "1"), ("", "films", "a\x1fb", "1"))
def test_two_versions_never_share_a_job(one, other):
    """A separator in a key, or its escape, must not let one object's job stand for another's."""
    names = [record.dedupe(Entry(ref=ObjectRef(b, k, v or "null", a), generation=1)) for a, b, k, v in (one, other)]
    assert (names[0] == names[1]) == ((*one[:3], one[3] or "null") == (*other[:3], other[3] or "null"))


def test_a_ref_goes_through_a_payload_unchanged():
    ref = ObjectRef("b", "k\n+", "v", "acc")
    assert record.ref_of(record.name(ref)) == ref
