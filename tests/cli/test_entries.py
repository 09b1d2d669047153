"""What is written out is read in equal, whatever a row holds, and into whichever catalog."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3shunt.catalog.memory import MemoryCatalog
from s3shunt.catalog.sql import SqlCatalog
from s3shunt.cli import entries
from s3shunt.model import Entry, Facts, Interest, ObjectRef, Place, Search, State, Step, Swap

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6) | st.sampled_from(
    ['"', ",", "\r\n", "ünï/鍵", "=1+1", " ", "'"]
)
WORD = st.none() | TEXT.filter(bool)
TIME = st.none() | st.integers(0, 2**50)
PAIRS = st.dictionaries(TEXT, TEXT, max_size=2)
MEDIA = st.fixed_dictionaries(
    {},
    optional={
        "codec": TEXT, "audio_codec": TEXT, "container": TEXT, "duration": st.integers(0, 10**12).map(str) | TEXT, "timecode": TEXT,
        "probed": TEXT, "error": TEXT,
    },
)  # fmt: skip
FACTS = st.builds(
    Facts, size=st.integers(0, 2**50), etag=TEXT, last_modified=st.integers(0, 2**50), headers=PAIRS, metadata=PAIRS, tags=PAIRS,
    parts=st.lists(st.integers(0, 99), max_size=2).map(tuple),
)  # fmt: skip
ENTRIES = st.builds(
    Entry,
    ref=st.builds(ObjectRef, TEXT.filter(bool), TEXT.filter(bool), st.sampled_from(["null", "v1"]), TEXT),
    state=st.sampled_from(State), facts=st.none() | FACTS, storage_class=TEXT, archive=WORD, archive_id=WORD, copies=st.integers(0, 9),
    interests=st.lists(st.builds(Interest, TEXT, st.integers(0, 9), TEXT, TIME), max_size=2).map(tuple), restored_until=TIME, due=TIME,
    place=st.none() | st.builds(Place, TEXT.filter(bool), TEXT), external_id=WORD, media_kind=WORD, media=MEDIA, reason=TEXT,
)  # fmt: skip
ROWS = st.lists(ENTRIES, max_size=5, unique_by=(lambda row: row.ref, lambda row: (row.ref.account, row.ref.bucket, row.ref.key)))
FORMS = pytest.mark.parametrize("form", ["jsonl", "csv"])


def apart(found):
    """An external id is one key's: the second of two that drew the same goes without."""
    seen = set()
    for row in found:
        name = (row.ref.account, row.external_id)
        yield replace(row, external_id=None) if name in seen else row
        seen.add(name)


def written(found, folder, form):
    """Through a real file, as the command does."""
    path = folder / f"rows.{form}"
    with path.open("w", encoding="utf-8") as file:
        assert entries.dump(found, file, form) == len(found)
    with path.open(encoding="utf-8", newline="") as file:
        return list(entries.load(file, form))


def filled(catalog, found):
    for row in found:
        assert catalog.commit(Step(swaps=(Swap(None, row),)))
    return catalog


def bare(catalog):
    return [replace(row, revision=0) for row in entries.every(catalog)]


@FORMS
@settings(max_examples=60, deadline=None)
@given(found=ROWS)
def test_rows_come_back_as_they_went(tmp_path_factory, form, found):
    assert written(found, tmp_path_factory.getbasetemp(), form) == found


@FORMS
@settings(max_examples=30, deadline=None)
@given(found=ROWS)
def test_an_empty_catalog_becomes_the_one_that_was_written_out(tmp_path_factory, form, found):
    """Ids, their claims, and what is searched for included."""
    one = filled(MemoryCatalog(), apart(found))
    other = filled(MemoryCatalog(), written(list(entries.every(one)), tmp_path_factory.getbasetemp(), form))
    assert bare(other) == bare(one)
    for row in bare(one):
        if row.external_id:
            assert other.holder(row.ref.account, row.external_id) == replace(row.ref, version=None)


@FORMS
@settings(max_examples=15, deadline=None)
@given(found=ROWS)
def test_a_database_becomes_the_one_that_was_written_out(tmp_path_factory, form, found):
    folder = tmp_path_factory.mktemp("catalogs")
    catalogs = [SqlCatalog(SqlCatalog.Options(url=f"sqlite:///{folder}/{name}.db")) for name in ("one", "other")]
    for catalog in catalogs:
        catalog.upgrade()
    one, other = catalogs
    filled(one, apart(found))
    filled(other, written(list(entries.every(one)), folder, form))
    assert bare(other) == bare(one)
    for wanted in (Search(unprobed=True), *[Search(codec=row.media["codec"]) for row in bare(one) if "codec" in row.media]):
        assert [row.ref for row in other.search(wanted)] == [row.ref for row in one.search(wanted)]
    for catalog in catalogs:
        catalog.close()
