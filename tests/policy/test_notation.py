import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3shunt.model import Entry, Facts, Interest, ObjectRef, Place, State
from s3shunt.policy import notation

WORDS = st.text(max_size=6)
TIMES = st.integers(0, 2**50)
PAIRS = st.dictionaries(WORDS, WORDS, max_size=2)
FACTS = st.builds(
    Facts, size=TIMES, etag=WORDS, last_modified=TIMES, stamp=WORDS, headers=PAIRS, metadata=PAIRS, checksums=PAIRS,
    parts=st.lists(TIMES, max_size=3).map(tuple), tags=PAIRS, acl=WORDS, lock=PAIRS, sse=PAIRS, owner=WORDS,
)  # fmt: skip
ENTRIES = st.builds(
    Entry,
    ref=st.builds(ObjectRef, WORDS, WORDS, st.none() | WORDS, WORDS),
    state=st.sampled_from(State),
    facts=st.none() | FACTS,
    current=st.booleans(), revision=TIMES, token=st.none() | WORDS, lease=st.none() | TIMES,
    place=st.none() | st.builds(Place, WORDS, WORDS),
    interests=st.lists(st.builds(Interest, WORDS, TIMES, WORDS, st.none() | TIMES), max_size=2).map(tuple),
    media=PAIRS, due=st.none() | TIMES, reason=WORDS,
)  # fmt: skip


@given(ENTRIES)
def test_an_entry_comes_back_as_it_went_in(entry):
    written = json.loads(json.dumps(notation.entry_written(entry)))
    assert notation.entry_read(written) == entry


@pytest.mark.parametrize("field", list(Entry.__dataclass_fields__))
def test_no_field_of_an_entry_is_forgotten(field):
    full = Entry(
        ref=ObjectRef("b", "k", "v", "a"), state=State.LOST, facts=Facts(size=1, etag="e", last_modified=2), current=False, revision=3,
        generation=4, token="t", lease=5, writers=6, storage_class="GLACIER", store="s", place=Place("l", "n"), archive="tape",
        archive_id="i", copies=7, interests=(Interest("me", 1),), restored_until=8, due=9, external_id="x", media_kind="m",
        media={"a": "b"}, reason="r", pinned=10,
    )  # fmt: skip
    empty = Entry(ref=ObjectRef())
    assert getattr(full, field) != getattr(empty, field), "give the field a value here"
    assert getattr(notation.entry_read(notation.entry_written(full)), field) == getattr(full, field)


def test_what_a_later_release_added_is_passed_over():
    written = notation.entry_written(Entry(ref=ObjectRef("b", "k"), facts=Facts(size=1, etag="", last_modified=0)))
    written["colour"] = written["facts"]["colour"] = "red"
    assert notation.entry_read(written) == Entry(ref=ObjectRef("b", "k"), facts=Facts(size=1, etag="", last_modified=0))


def test_absent_facts_are_not_empty_facts():
    bare, empty = Entry(ref=ObjectRef("b", "k")), Facts(size=0, etag="", last_modified=0)
    for entry in (bare, replace(bare, facts=empty)):
        assert notation.entry_read(notation.entry_written(entry)) == entry
