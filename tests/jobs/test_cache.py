"""The cache as a whole: whatever is written, read, pinned and restored, it stays within its budgets and loses nothing."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from s3shunt.jobs.runner import Runner
from s3shunt.model import FOREVER, IN_PROGRESS, STORE_IS_TRUTH, Job, ObjectRef, Pin, RecallState, State, Step, Swap
from s3shunt.policy import space
from s3shunt.policy.record import evict_job
from s3shunt.stores.memory import Options

from .conftest import FILM, Works

CACHE = """
[policy:cache]
buckets = cache
archive = tape
after = 0s
evict = high 80 low 40
[policy:clips]
buckets = clips
archive = tape
after = 0s
evict = high 80 low 40
[policy:once]
buckets = once
archive = tape
after = 0s
evict = never
after_read = evict
[job:evict]
batch = {batch}
"""


def cache(tmp, *, capacity=100, batch=500, reserve=None):
    works = Works(Path(tmp), capacity=capacity, more=CACHE.format(batch=batch))
    works.landing.options = Options(reserve=reserve)
    return works


def put(works, *keys, size=10, bucket="cache"):
    for key in keys:
        works.put(key, b"x" * size, bucket=bucket, storage_class="STANDARD")
        works.clock.later(1000)


def read(works, key, bucket="cache"):
    works.catalog.note_reads({ObjectRef(bucket, key, "null"): works.clock.now()})
    works.clock.later(1000)


def held(works, bucket="cache"):
    return [key for key, _ in works.store.list(bucket)]


def archive_all(works):
    """Verified, and nothing has left."""
    for _ in range(5):
        Runner(works.house, kinds=("archive",)).run_due()
        works.clock.later(10_000)


def look(works, runner=None):
    """One look at the marks, without what it leads to."""
    return (runner or works.runner).tasks["evict"].run(Job(kind="evict", dedupe="evict"))


def leaving(works):
    return sorted(str(job.payload["key"]) for job in works.catalog.jobs(kind="evict") if job.payload)


# Watermarks


def test_45_what_nobody_read_for_longest_leaves_first(tmp_path):
    works = cache(tmp_path)
    put(works, *"abcdefghi")
    archive_all(works)
    read(works, "a")
    read(works, "c")
    works.work()
    assert held(works) == ["a", "c", "h", "i"]


def test_45_a_read_that_was_noted_counts_for_what_was_written_later(tmp_path):
    works = cache(tmp_path)
    put(works, *"abcdefgh")
    archive_all(works)
    for key in "abcd":
        read(works, key)
    put(works, "i")
    works.work()
    assert held(works) == ["b", "c", "d", "i"]


def test_no_store_is_listed_to_know_how_full_it_is(tmp_path):
    works = cache(tmp_path)
    put(works, *"abcdefghi")
    archive_all(works)
    works.store.list = works.store.usage = None
    works.work()
    assert works.catalog.room("main").held == 40


def test_a_store_that_can_say_how_full_it_is_is_asked(tmp_path):
    works = cache(tmp_path, capacity=None)
    put(works, *"abcdefghi")
    works.work()
    assert held(works) == list("abcdefghi")
    works.store.usage = lambda: (10 * len(held(works)) + 30, 140)
    works.work()
    assert held(works) == list("ghi") or 10 * len(held(works)) + 30 <= 56


@pytest.mark.parametrize("batch", [1, 2, 500])
def test_what_began_above_the_high_mark_goes_on_until_the_low_one_whoever_works(tmp_path, batch):
    works = cache(tmp_path, batch=batch)
    put(works, *"abcdefghi")
    for _ in range(20):
        Runner(works.house, owner="dies").run_due()
        works.clock.later(10_000)
    assert held(works) == list("fghi")
    put(works, *"jklm")
    works.work()
    assert held(works) == list("fghijklm"), "at the high mark nothing begins"


def test_no_more_leave_at_once_than_a_batch(tmp_path):
    works = cache(tmp_path, batch=2)
    put(works, *"abcdefghi")
    archive_all(works)
    assert look(works).due == works.clock.now() + works.job("evict").options.pace
    assert leaving(works) == ["a", "b"]
    look(works)
    assert leaving(works) == ["a", "b"], "the same, as long as they are there"


def test_two_workers_never_send_out_twice_as_much(tmp_path):
    works = cache(tmp_path)
    put(works, *"abcdefghi")
    archive_all(works)
    one, other = Runner(works.house, owner="one"), Runner(works.house, owner="other")
    look(works, one)
    look(works, other)
    assert leaving(works) == list("abcde")
    works.clock.later(2_000)
    for _ in range(3):
        (job,) = works.catalog.claim(["evict"], works.clock.now(), works.clock.now() + 1, "one")
        while not job.payload:
            (job,) = works.catalog.claim(["evict"], works.clock.now(), works.clock.now() + 1, "one")
        one.tasks["evict"].run(job)
        works.catalog.finish(job)
        look(works, other)
    works.work()
    assert held(works) == list("fghi")


def test_what_is_leaving_at_this_moment_is_not_counted_as_staying(tmp_path):
    works = cache(tmp_path)
    put(works, *"abcdefghi")
    archive_all(works)
    row = works.row("a", "cache")
    taken = replace(row, state=State.EVICTING, token="t", lease=works.clock.now() + 60_000)
    assert works.catalog.commit(Step(swaps=(Swap(row, taken),)))
    look(works)
    assert leaving(works) == [], "80 of 100 stay: that is not above the mark"


def test_policies_that_share_a_store_do_not_each_empty_it(tmp_path):
    works = cache(tmp_path)
    put(works, *"abcde")
    put(works, *"fghi", bucket="clips")
    works.work()
    assert (held(works), held(works, "clips")) == ([], list("fghi"))


def test_a_job_that_cannot_be_done_is_left_to_the_next_look(tmp_path):
    works = cache(tmp_path)
    put(works, *"abcdefghi")
    archive_all(works)
    look(works)
    works.catalog.pin(Pin("cache", "a"))
    works.work()
    assert held(works) == ["a", "g", "h", "i"]
    assert leaving(works) == []


# Pins


@pytest.mark.parametrize("bucket", ["cache", "films"])
def test_a_pinned_object_stays_until_its_date_whatever_the_policy(tmp_path, bucket):
    works = cache(tmp_path)
    works.put("a", b"x" * 100, bucket=bucket, storage_class="GLACIER" if bucket == "films" else "STANDARD")
    until = works.clock.now() + 3 * works.house.day
    works.catalog.pin(Pin(bucket, "", until))
    works.work()
    assert works.row("a", bucket).state is State.VERIFIED
    works.clock.later(4 * works.house.day)
    works.work()
    works.clock.later(works.house.day)
    works.work()
    assert works.row("a", bucket).state is State.ARCHIVED


def test_an_object_written_after_the_pin_of_its_prefix_is_pinned(tmp_path):
    works = cache(tmp_path)
    works.catalog.pin(Pin("films", "news/"))
    works.put("news/1", FILM)
    works.put("sport/1", FILM)
    works.work()
    assert (works.row("news/1").state, works.row("sport/1").state) == (State.VERIFIED, State.ARCHIVED)


def test_a_pin_outlives_a_write(tmp_path):
    works = cache(tmp_path)
    put(works, "a")
    row = works.row("a", "cache")
    assert works.catalog.commit(Step(swaps=(Swap(row, replace(row, pinned=FOREVER)),)))
    put(works, "a", size=90)
    works.work()
    assert held(works) == ["a"]


# Landing


def on_tape(works, *keys, size=10):
    for key in keys:
        works.archived(key, b"x" * size)


def waiting(works):
    return sorted(recall.ref.key for recall in works.catalog.recalls() if recall.reason == space.WAITS)


def test_44_recalls_are_admitted_only_while_they_fit_the_reserve(tmp_path):
    works = cache(tmp_path, capacity=None, reserve=25)
    on_tape(works, "a", "b", "c")
    for key in "abc":
        assert works.restore(key) == 202
        works.clock.later(10)
    works.work()
    assert [works.row(key).state for key in "abc"] == [State.RESTORED, State.RESTORED, State.QUEUED]
    assert waiting(works) == ["c"]
    assert works.row("c").state in IN_PROGRESS, "to its client it is in progress"
    assert works.catalog.room("landing").landed == 20


def test_44_a_recall_that_waited_lands_when_others_are_past_their_date(tmp_path):
    works = cache(tmp_path, capacity=None, reserve=10)
    on_tape(works, "a", "b")
    works.restore("a", days=1)
    works.work()
    works.restore("b", days=5)
    works.work()
    assert (works.row("a").state, works.row("b").state) == (State.RESTORED, State.QUEUED), "an unexpired copy stays"
    works.clock.later(3 * works.house.day)
    works.work()
    assert (works.row("a").state, works.row("b").state) == (State.ARCHIVED, State.RESTORED)
    assert works.get("b") == b"x" * 10


def test_44_copies_past_their_date_go_first_even_when_their_job_was_lost(tmp_path):
    works = cache(tmp_path, capacity=None, reserve=10)
    on_tape(works, "a", "b")
    works.restore("a")
    works.work()
    for job in works.catalog.claim(["expire"], FOREVER, FOREVER, "thief", 10):
        assert works.catalog.finish(job)
    works.clock.later(3 * works.house.day)
    works.restore("b")
    works.work()
    assert works.row("b").state is State.RESTORED
    assert works.landed() == [works.row("b").place.name]


def test_44_what_is_larger_than_the_reserve_is_given_up_and_says_so(tmp_path):
    works = cache(tmp_path, capacity=None, reserve=9)
    on_tape(works, "a")
    works.restore("a")
    works.work()
    assert works.row("a").state is State.ARCHIVED
    (recall,) = works.catalog.recalls(active=False)
    assert recall.state is RecallState.DEAD
    assert "larger than" in recall.reason


def test_44_two_workers_that_promise_at_once_do_not_promise_more_than_there_is(tmp_path):
    """Both see that there is room. Each looks again once its promise stands, and whoever then sees too much takes it back."""
    works = cache(tmp_path, capacity=None, reserve=15)
    on_tape(works, "a", "b")
    for key in "ab":
        works.restore(key)
    gates = [Runner(works.house, owner=owner).tasks["recall"]._reserve for owner in ("one", "other")]
    recalls = {recall.ref.key: recall for recall in works.catalog.recalls()}
    honest = works.catalog.room
    first = []

    def meanwhile(store):
        """The other worker does all of it between the first look of this one and its promise."""
        works.catalog.room = honest
        seen = honest(store)
        first.append(gates[1].waits(works.row("b"), recalls["b"]))
        return seen

    works.catalog.room = meanwhile
    waits = gates[0].waits(works.row("a"), recalls["a"])
    assert first == [None]
    admitted = [verdict for verdict in (waits, *first) if verdict is None]
    assert len(admitted) == 1
    assert works.catalog.room("landing").coming == 10
    works.work()
    assert sorted(works.row(key).state for key in "ab") == [State.QUEUED, State.RESTORED]


def test_44_a_worker_that_dies_after_its_promise_is_followed(tmp_path):
    works = cache(tmp_path, capacity=None, reserve=10)
    on_tape(works, "a")
    works.restore("a")
    (recall,) = works.catalog.recalls()
    assert works.catalog.commit(space.promise(works.row("a"), recall))
    works.work()
    assert works.row("a").state is State.RESTORED


# Whatever happens

KEYS = "abcdefgh"
ACTS = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(KEYS), st.integers(1, 30)),
    st.tuples(st.just("read"), st.sampled_from(KEYS)),
    st.tuples(st.just("delete"), st.sampled_from(KEYS)),
    st.tuples(st.just("pin"), st.sampled_from(["", *KEYS])),
    st.tuples(st.just("unpin"), st.sampled_from(["", *KEYS])),
    *[st.tuples(st.just("restore"), st.sampled_from(KEYS))] * 3,
    st.tuples(st.just("days"), st.integers(1, 3)),
    st.tuples(st.just("one job"), st.sampled_from(["archive", "evict", "recall", "expire"])),
)
CAPACITY, RESERVE = 60, 25


def act(works, what, *how):
    row = works.row(how[0], "cache") if what in ("put", "read", "delete", "restore") else None
    if what == "put":
        put(works, how[0], size=how[1])
    elif what == "read" and row:
        read(works, how[0])
    elif what == "delete" and row:
        works.delete(how[0], "cache")
    elif what in ("pin", "unpin"):
        getattr(works.catalog, what)(Pin("cache", how[0]))
    elif what == "restore" and row and row.state is State.ARCHIVED:
        works.restore(how[0], bucket="cache")
    elif what == "days":
        works.clock.later(how[0] * works.house.day)
    elif what == "one job":
        Runner(works.house, owner="other", kinds=(how[0],)).run_due(limit=1)


def judge(works):
    rows = works.catalog.scan("", "cache")
    tape = set(works.copies())
    for row in rows:
        there = works.store.head(row.ref) is not None
        assert there == (row.state in STORE_IS_TRUTH), row
        assert there or row.archive_id in tape, "nothing that is not on tape is ever evicted"
    room = works.catalog.room("landing")
    assert room.landed + room.coming <= RESERVE
    assert works.catalog.room("main").held == sum(facts.size for _, facts in works.store.list("cache"))


def settled(works):
    """The jobs run until nothing is left to do; what left meanwhile was colder than all that may leave and stayed."""
    before = {row.ref.key: (works.catalog.last_use(row.ref), row) for row in works.catalog.scan("", "cache")}
    pins = works.catalog.pins()
    works.work(rounds=25)
    judge(works)
    rows = {row.ref.key: row for row in works.catalog.scan("", "cache")}
    gone = [key for key, row in rows.items() if row.state is State.ARCHIVED and before[key][1].state in STORE_IS_TRUTH]
    pinned = [key for key in rows if before[key][1].pinned or space.covered(pins, rows[key].ref, works.clock.now())]
    assert not set(gone) & set(pinned)
    may = [key for key, row in rows.items() if row.state is State.VERIFIED and key not in pinned]
    assert all(before[key][0] <= before[other][0] for key in gone for other in may), "the least recently used left"
    used = works.catalog.room("main").held
    assert used * 100 <= CAPACITY * 80 or not may, "within the budget, but for what must stay"


@given(acts=st.lists(ACTS, max_size=25), batch=st.sampled_from([1, 2, 500]))
@example(acts=[*[("restore", key) for key in "abcdef"], ("put", "g", 30), ("read", "h")], batch=500)
@settings(max_examples=40, deadline=None)
def test_56_whatever_is_written_read_pinned_and_restored_the_cache_stays_within_its_budgets_and_nothing_is_lost(acts, batch):
    with tempfile.TemporaryDirectory() as tmp:
        works = cache(tmp, capacity=CAPACITY, batch=batch, reserve=RESERVE)
        put(works, *KEYS, size=12)
        settled(works)
        for number, (what, *how) in enumerate(acts):
            act(works, what, *how)
            judge(works)
            if number % 6 == 5:
                settled(works)
        settled(works)


def test_the_same_job_is_not_put_twice(tmp_path):
    works = cache(tmp_path)
    put(works, "a")
    archive_all(works)
    row = works.row("a", "cache")
    works.catalog.enqueue(evict_job(row, "cache", 5), evict_job(row, "cache", 5))
    assert leaving(works) == ["a"]
