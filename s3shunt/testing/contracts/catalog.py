"""What every ``Truth`` has to keep. Subclass, give a ``catalog`` fixture, run."""

from dataclasses import replace
from threading import Thread

import pytest

from s3shunt.model import (
    Entry,
    Event,
    Facts,
    Intent,
    Interest,
    Job,
    ObjectRef,
    Place,
    Recall,
    RecallState,
    State,
    Step,
    Swap,
)  # fmt: skip
from s3shunt.policy.transitions import IllegalTransition
from s3shunt.testing.contracts.bulk import BulkContract
from s3shunt.testing.contracts.cache import CacheContract
from s3shunt.testing.contracts.ledger import LATE, REF, LedgerContract
from s3shunt.testing.contracts.media import MediaContract


def an_entry(key="a/b.mxf", version="null", *, modified=1_000, **more):
    facts = Facts(size=5, etag='"e"', last_modified=modified)
    return Entry(**{"ref": ObjectRef("films", key, version), "facts": facts} | more)


FULL = Entry(
    ref=ObjectRef("films", "ünï/鍵/🗝\0\n", "v-1", "AUTH_a"),
    state=State.RESTORED,
    facts=Facts(
        size=2**41, etag='"e-3"', last_modified=1_767_609_000_123, stamp="1.5", headers={"content-type": "video/mxf", "a": "ü"},
        metadata={"pid": "x y\0"}, checksums={"x-amz-checksum-crc32": "AAA="}, parts=(2**33, 7), tags={"t": "1"}, acl="<x/>",
        lock={"mode": "GOVERNANCE"}, sse={"algorithm": "AES256"}, owner="me",
    ),
    current=True, revision=1, generation=2**40, token="t", lease=1_767_609_000_999, writers=2, storage_class="GLACIER", store="second",
    place=Place("landing", "r/1"), archive="tape", archive_id="id", copies=2,
    interests=(Interest("alice", 3, "Bulk", None), Interest("bob", 1, "Standard", 99)), restored_until=88, due=77, external_id="pid",
    media_kind="film", media={"tc": "01:00"}, reason="because",
    pinned=2**41,
)  # fmt: skip


class CatalogContract(LedgerContract, CacheContract, MediaContract, BulkContract):
    """The fixture's catalog is empty, and keeps an outbox for an index."""

    @pytest.fixture
    def catalog(self):
        raise NotImplementedError("give the catalog under test")

    def put(self, catalog, *entries, **more):
        assert catalog.commit(Step(swaps=tuple(Swap(None, entry) for entry in entries), **more))
        return [catalog.find(entry.ref) for entry in entries]

    def swap(self, catalog, old, **new):
        """Whether the row took the change."""
        return catalog.commit(Step(swaps=(Swap(old, replace(old, **new)),)))

    # One row

    def test_what_was_committed_is_found_whole(self, catalog):
        (found,) = self.put(catalog, FULL)
        assert replace(found, revision=FULL.revision) == FULL
        assert catalog.find(replace(FULL.ref, version=None)) == found
        assert catalog.find_truth(FULL.ref) == found

    def test_a_row_that_is_put_anew_is_not_taken_for_the_one_that_went(self, catalog):
        (old,) = self.put(catalog, an_entry())
        assert catalog.commit(Step(swaps=(Swap(old, None),)))
        (new,) = self.put(catalog, an_entry())
        assert not self.swap(catalog, old, reason="mine")
        assert catalog.find(REF) == new

    @pytest.mark.parametrize("bare", [Entry(ref=REF), Entry(ref=replace(REF, version=None), facts=None)])
    def test_a_placeholder_is_found_as_it_was_put(self, catalog, bare):
        (found,) = self.put(catalog, bare)
        assert found == replace(bare, revision=found.revision)
        assert catalog.find(REF) == found

    def test_nothing_is_found_of_other_names(self, catalog):
        self.put(catalog, an_entry())
        for other in (
            replace(REF, key="a"), replace(REF, bucket="b"), replace(REF, account="x"), replace(REF, version="v"), ObjectRef("films"),
        ):  # fmt: skip
            assert catalog.find(other) is None

    def test_a_plain_name_means_the_current_version(self, catalog):
        self.put(catalog, an_entry(version="v1", current=False), an_entry(version="v2"))
        assert catalog.find(replace(REF, version=None)).ref.version == "v2"
        assert catalog.find(replace(REF, version="v1")).ref.version == "v1"
        assert catalog.find(replace(REF, version="null")) is None

    def test_a_row_is_replaced_while_it_is_the_one_that_was_read(self, catalog):
        (old,) = self.put(catalog, an_entry())
        assert self.swap(catalog, old, state=State.ARCHIVING, token="t")
        found = catalog.find(REF)
        assert (found.state, found.token, found.revision) == (State.ARCHIVING, "t", old.revision + 1)

    def test_whoever_comes_second_changes_nothing(self, catalog):
        (old,) = self.put(catalog, an_entry())
        assert self.swap(catalog, old, due=5)
        assert not self.swap(catalog, old, due=6)
        assert not catalog.commit(Step(swaps=(Swap(old, None),)))
        assert catalog.find(REF).due == 5

    def test_the_revision_is_the_catalogs_own(self, catalog):
        (old,) = self.put(catalog, an_entry(revision=17))
        assert self.swap(catalog, old, revision=99)
        assert catalog.find(REF).revision == old.revision + 1

    def test_a_row_is_inserted_once(self, catalog):
        self.put(catalog, an_entry())
        assert not catalog.commit(Step(swaps=(Swap(None, an_entry(due=9)),)))
        assert catalog.find(REF).due is None

    def test_a_removed_row_is_gone_and_cannot_be_changed(self, catalog):
        (old,) = self.put(catalog, an_entry())
        assert catalog.commit(Step(swaps=(Swap(old, None),)))
        assert catalog.find(REF) is None
        assert not self.swap(catalog, old, due=5)

    def test_what_is_not_in_the_graph_is_refused(self, catalog):
        (old,) = self.put(catalog, an_entry())
        with pytest.raises(IllegalTransition):
            self.swap(catalog, old, state=State.RESTORED)
        assert catalog.find(REF) == old

    # One current row

    @pytest.mark.parametrize("new_version", ["a", "z"])
    def test_one_version_takes_over_from_another_in_one_step(self, catalog, new_version):
        (old,) = self.put(catalog, an_entry(version="m"))
        new = an_entry(version=new_version)
        assert catalog.commit(Step(swaps=(Swap(None, new), Swap(old, replace(old, current=False)))))
        assert [row.ref.version for row in catalog.history(REF)] == [new_version, "m"]

    def test_an_heir_takes_over_from_a_removed_row(self, catalog):
        heir, gone = self.put(catalog, an_entry(version="v1", current=False), an_entry(version="v2"))
        assert catalog.commit(Step(swaps=(Swap(heir, replace(heir, current=True)), Swap(gone, None))))
        assert catalog.find(replace(REF, version=None)).ref.version == "v1"

    def test_two_rows_of_a_key_are_never_both_current(self, catalog):
        old, aside = self.put(catalog, an_entry(version="v1"), an_entry(version="v2", current=False))
        assert not catalog.commit(Step(swaps=(Swap(None, an_entry(version="v3")),)))
        assert not self.swap(catalog, aside, current=True)
        assert [row.ref.version for row in catalog.history(REF) if row.current] == ["v1"]
        assert catalog.find(old.ref) == old

    # One step

    def test_a_step_that_fails_changes_nothing(self, catalog):
        (old,) = self.put(catalog, an_entry(), opened=(self.intent("kept"),))
        assert self.swap(catalog, old, due=1)
        stale = Step(
            swaps=(Swap(None, an_entry("new")), Swap(old, replace(old, due=2))),
            opened=(self.intent("i"),), closed=("kept",), recalls=(self.recall("r"),), jobs=(Job(kind="k", dedupe="d"),),
            events=(Event(name="e", ref=REF, at=1),),
        )  # fmt: skip
        assert not catalog.commit(stale)
        assert catalog.find(REF).due == 1
        assert catalog.find(replace(REF, key="new")) is None
        assert [intent.id for intent in catalog.lapsed(LATE)] == ["kept"]
        assert (catalog.recall("r"), catalog.jobs(), catalog.pending()) == (None, [], [])

    def test_a_step_does_all_of_it(self, catalog):
        recall, job = self.recall("r"), Job(kind="k", dedupe="d\0ü", due=5, payload={"n": 1})
        event = Event(name="e", ref=REF, at=1, detail={"a": [1]})
        self.put(catalog, an_entry(), opened=(self.intent("i"),), recalls=(recall,), jobs=(job,), events=(event,))
        assert catalog.lapsed(LATE) == [self.intent("i")]
        assert catalog.recall("r") == recall
        assert [replace(found, id=0) for found in catalog.jobs()] == [job]
        assert [found for _, found in catalog.pending()] == [event]

    # Listings

    def test_a_bucket_is_listed_in_the_order_of_bytes(self, catalog):
        keys = ["Z", "a", "a b", "a/", "a/b", "aa", "é", "z", "\uffff", "𐀀"]
        self.put(catalog, *[an_entry(key) for key in reversed(keys)])
        self.put(catalog, replace(an_entry("other"), ref=ObjectRef("news", "other", "null")))
        in_order = sorted(keys, key=str.encode)
        assert [row.ref.key for row in catalog.scan("", "films")] == in_order
        assert [row.ref.key for row in catalog.scan("", "films", limit=3)] == in_order[:3]
        assert [row.ref.key for row in catalog.scan("", "films", prefix="a")] == ["a", "a b", "a/", "a/b", "aa"]
        assert [row.ref.key for row in catalog.scan("", "films", prefix="a", after=ObjectRef("films", "a/"))] == ["a/b", "aa"]
        assert [row.ref.key for row in catalog.scan("", "films", after=ObjectRef("films", "a/a"), limit=1)] == ["a/b"]

    def test_versions_are_listed_newest_first_and_paged_within_a_key(self, catalog):
        rows = [
            an_entry("k", "v1", modified=1, current=False), an_entry("k", "v3", modified=3), an_entry("k", "v4", modified=9, current=False),
            an_entry("k", "v2", modified=2, current=False), an_entry("k", "w2", modified=2, current=False), an_entry("l", "v1"),
            Entry(ref=ObjectRef("films", "k", "w0"), current=False),
        ]  # fmt: skip
        self.put(catalog, *rows)
        order = [("k", "v3"), ("k", "v4"), ("k", "v2"), ("k", "w2"), ("k", "v1"), ("k", "w0"), ("l", "v1")]
        listed = catalog.scan("", "films", versions=True)
        assert [(row.ref.key, row.ref.version) for row in listed] == order
        assert [row.ref.version for row in catalog.history(ObjectRef("films", "k"))] == [version for _, version in order[:-1]]
        for at, row in enumerate(listed):
            assert catalog.scan("", "films", versions=True, after=row.ref) == listed[at + 1 :]
        assert [row.ref.key for row in catalog.scan("", "films")] == ["k", "l"]
        assert [row.ref.key for row in catalog.scan("", "films", versions=True, after=ObjectRef("films", "k"))] == ["l"]
        assert catalog.scan("", "films", versions=True, after=ObjectRef("films", "k", "gone")) == listed

    def test_rows_are_selected_by_state_date_bucket_and_external_id(self, catalog):
        first = an_entry("1", state=State.ARCHIVED, due=10, external_id="x")
        second = an_entry("2", due=20)
        elsewhere = replace(an_entry("1"), ref=ObjectRef("Aews", "1", "null"))
        self.put(catalog, second, first, elsewhere)

        def keys(**by):
            return [(row.ref.bucket, row.ref.key) for row in catalog.select(**by)]

        assert keys() == [("Aews", "1"), ("films", "1"), ("films", "2")]
        assert keys(state=State.ARCHIVED) == [("films", "1")]
        assert keys(due_before=10) == [("films", "1")]
        assert keys(due_before=20, state=State.ONLINE) == [("films", "2")]
        assert keys(bucket="Aews") == [("Aews", "1")]
        assert keys(external_id="x") == [("films", "1")]
        assert keys(limit=1) == [("Aews", "1")]
        assert keys(after=first) == [("films", "2")]
        assert keys(after=elsewhere, bucket="films") == [("films", "1"), ("films", "2")]

    # Intents

    def intent(self, name, lease=10, **more):
        return Intent(**{"id": name, "ref": REF, "operation": "PutObject", "started": 1, "lease": lease} | more)

    def test_an_intent_is_kept_whole_until_it_is_closed(self, catalog):
        intent = self.intent("i", generation=3, storage_class="GLACIER", external_id="x", before=FULL)
        assert catalog.commit(Step(opened=(intent,)))
        assert catalog.lapsed(10) == [intent]
        assert catalog.lapsed(9) == []
        assert catalog.commit(Step(closed=("i",)))
        assert catalog.lapsed(LATE) == []
        assert not catalog.commit(Step(closed=("i",), swaps=(Swap(None, an_entry()),)))
        assert catalog.find(REF) is None

    def test_an_intent_is_renewed_while_it_is_there(self, catalog):
        assert catalog.commit(Step(opened=(self.intent("i"), self.intent("j", lease=5))))
        assert [intent.id for intent in catalog.lapsed(LATE)] == ["j", "i"]
        assert catalog.renew("i", 50)
        assert [intent.id for intent in catalog.lapsed(49)] == ["j"]
        assert [intent.id for intent in catalog.lapsed(LATE, limit=1)] == ["j"]
        assert not catalog.renew("gone", 50)

    def test_an_intent_is_taken_anew_under_its_id(self, catalog):
        assert catalog.commit(Step(opened=(self.intent("i"),)))
        assert catalog.commit(Step(opened=(self.intent("i", lease=20),)))
        assert catalog.lapsed(LATE) == [self.intent("i", lease=20)]

    # Recalls

    def recall(self, name, **more):
        return Recall(**{"id": name, "ref": REF, "generation": 1, "archive": "tape", "archive_id": "a", "created": 5} | more)

    def test_a_recall_is_written_by_its_id(self, catalog):
        full = self.recall(
            "r", state=RecallState.READY, tier="Bulk", request_id="q", tape="T1", position=2**40, place=Place("landing", "r/1"),
            attempts=2, due=9, reason="slow",
        )  # fmt: skip
        assert catalog.commit(Step(recalls=(self.recall("r"),)))
        assert catalog.commit(Step(recalls=(full,)))
        assert catalog.recall("r") == full
        assert catalog.recall("other") is None

    def test_recalls_are_listed_oldest_first_active_ones_only_unless_asked(self, catalog):
        dead = self.recall("dead", state=RecallState.DEAD, created=1)
        young, old = self.recall("a", created=9), self.recall("b", created=2, ref=replace(REF, key="other"))
        assert catalog.commit(Step(recalls=(dead, young, old)))
        assert catalog.recalls() == [old, young]
        assert catalog.recalls(active=False) == [dead, old, young]
        assert catalog.recalls(ref=REF) == [young]
        assert catalog.recalls(limit=1) == [old]

    def test_recalls_are_listed_by_archive_by_its_ids_and_by_whether_it_was_asked(self, catalog):
        asked = self.recall("a", archive_id="x", request_id="q", created=1)
        other = self.recall("b", archive_id="y", created=2, ref=replace(REF, key="b"))
        elsewhere = self.recall("c", archive="vault", archive_id="x", created=3, ref=replace(REF, key="c"))
        assert catalog.commit(Step(recalls=(asked, other, elsewhere)))
        assert catalog.recalls(archive="tape") == [asked, other]
        assert catalog.recalls(archive_ids={"x", "z"}) == [asked, elsewhere]
        assert catalog.recalls(archive_ids=[]) == []
        assert catalog.recalls(archive="vault", archive_ids=["x"]) == [elsewhere]
        assert catalog.recalls(archive="tape", unasked=True) == [other]

    def test_a_generation_has_one_active_recall(self, catalog):
        assert catalog.commit(Step(recalls=(self.recall("r"),)))
        assert not catalog.commit(Step(recalls=(self.recall("s"),), swaps=(Swap(None, an_entry()),)))
        assert catalog.find(REF) is None
        assert catalog.commit(Step(recalls=(self.recall("s", generation=2),)))
        ended = self.recall("r", state=RecallState.CANCELLED)
        assert catalog.commit(Step(recalls=(self.recall("t"), ended)))
        assert {recall.id for recall in catalog.recalls()} == {"s", "t"}

    # The index's outbox

    def test_the_outbox_of_the_index_gives_rows_as_they_now_are(self, catalog):
        row, gone = self.put(catalog, an_entry("a"), an_entry("b"))
        assert self.swap(catalog, row, due=7)
        assert catalog.commit(Step(swaps=(Swap(gone, None),)))
        found = catalog.publishes(LATE)
        now = catalog.find(row.ref)
        assert [entry for _, entry in found] == [now, gone.ref, now, gone.ref]
        catalog.published(*[id_ for id_, _ in found[:3]])
        assert catalog.publishes(LATE) == found[3:]

    # Everybody at once

    def test_of_many_at_once_exactly_one_wins(self, catalog):
        (old,) = self.put(catalog, an_entry(state=State.ARCHIVED))
        outcomes = []

        def race(number):
            outcomes.append(self.swap(catalog, old, state=State.QUEUED, token=str(number)))

        threads = [Thread(target=race, args=(number,)) for number in range(self.contenders)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == [False] * (self.contenders - 1) + [True]
        assert catalog.find(REF).revision == old.revision + 1

    contenders = 100
