"""What every ``Truth`` has to keep of external ids and of what is known of media; part of its ``CatalogContract``."""

from dataclasses import replace
from threading import Barrier, Thread

import pytest

from s3shunt.model import Entry, Facts, Intent, ObjectRef, Search, State, Step, Swap


def a_film(key, version="null", *, bucket="films", account="", **more):
    facts = Facts(size=5, etag='"e"', last_modified=1)
    return Entry(**{"ref": ObjectRef(bucket, key, version, account), "facts": facts} | more)


def an_intent(id_, key, external_id="pid", **more):
    name = ObjectRef("films", key, "null")
    return Intent(**{"id": id_, "ref": name, "operation": "PutObject", "started": 1, "lease": 9, "external_id": external_id} | more)


class MediaContract:
    """The fixture's catalog is empty."""

    @pytest.fixture
    def catalog(self):
        raise NotImplementedError("give the catalog under test")

    # An external id has one key

    def added(self, catalog, *entries, **more):
        return catalog.commit(Step(swaps=tuple(Swap(None, entry) for entry in entries), **more))

    def test_an_external_id_is_its_keys_alone(self, catalog):
        assert catalog.holder("", "pid") is None
        assert self.added(catalog, a_film("a", external_id="pid"))
        assert catalog.holder("", "pid") == ObjectRef("films", "a")
        for other in (a_film("b", external_id="pid"), a_film("a", bucket="news", external_id="pid")):
            assert not self.added(catalog, other)
            assert catalog.find(other.ref) is None

    def test_accounts_have_ids_of_their_own(self, catalog):
        assert self.added(catalog, a_film("a", external_id="pid"), a_film("a", account="AUTH_x", external_id="pid"))
        assert catalog.holder("AUTH_x", "pid") == ObjectRef("films", "a", account="AUTH_x")
        assert catalog.holder("AUTH_y", "pid") is None

    def test_versions_of_a_key_share_an_id_until_the_last_one_is_gone(self, catalog):
        assert self.added(catalog, a_film("a", "v1", current=False, external_id="pid"), a_film("a", "v2", external_id="pid"))
        for version in ("v1", "v2"):
            assert not self.added(catalog, a_film("b", external_id="pid"))
            assert catalog.commit(Step(swaps=(Swap(catalog.find(ObjectRef("films", "a", version)), None),)))
        assert catalog.holder("", "pid") is None
        assert self.added(catalog, a_film("b", external_id="pid"))

    def test_a_row_lets_go_of_an_id_when_it_has_another(self, catalog):
        assert self.added(catalog, a_film("a", external_id="pid"))
        row = catalog.find(ObjectRef("films", "a"))
        assert catalog.commit(Step(swaps=(Swap(row, replace(row, external_id="other", state=State.DELETED)),)))
        assert [catalog.holder("", name) for name in ("pid", "other")] == [None, ObjectRef("films", "a")]
        assert self.added(catalog, a_film("b", external_id="pid"))
        row = catalog.find(ObjectRef("films", "a"))
        assert not catalog.commit(Step(swaps=(Swap(row, replace(row, external_id="pid")),)))
        assert catalog.find(ObjectRef("films", "a")) == row

    def test_an_id_goes_from_key_to_key_in_one_step(self, catalog):
        assert self.added(catalog, a_film("z", external_id="pid"))
        row = catalog.find(ObjectRef("films", "z"))
        assert catalog.commit(Step(swaps=(Swap(row, replace(row, external_id=None)), Swap(None, a_film("a", external_id="pid")))))
        assert catalog.holder("", "pid") == ObjectRef("films", "a")

    def test_one_step_cannot_give_an_id_to_two_keys(self, catalog):
        assert not self.added(catalog, a_film("a", external_id="pid"), a_film("b", external_id="pid"))
        assert catalog.search(Search()) == []

    def test_a_write_that_is_under_way_has_its_id_until_it_ends(self, catalog):
        assert catalog.commit(Step(opened=(an_intent("i", "a"),)))
        assert catalog.holder("", "pid") == ObjectRef("films", "a")
        assert not catalog.commit(Step(opened=(an_intent("j", "b"),)))
        assert not self.added(catalog, a_film("b", external_id="pid"))
        assert catalog.commit(Step(opened=(an_intent("k", "a"),)))
        assert catalog.commit(Step(closed=("i",)))
        assert not catalog.commit(Step(opened=(an_intent("j", "b"),)))
        assert self.added(catalog, a_film("a", external_id="pid"), closed=("k",))
        assert catalog.holder("", "pid") == ObjectRef("films", "a")

    def test_a_write_that_comes_to_nothing_frees_its_id(self, catalog):
        assert catalog.commit(Step(opened=(an_intent("i", "a"),)))
        assert catalog.commit(Step(closed=("i",)))
        assert catalog.commit(Step(opened=(an_intent("j", "b"),)))

    def test_a_write_that_is_taken_anew_counts_once(self, catalog):
        for name in ("old", "pid", "pid"):
            assert catalog.commit(Step(opened=(an_intent("i", "a", name),)))
        assert catalog.holder("", "old") is None
        assert catalog.commit(Step(closed=("i",)))
        assert catalog.holder("", "pid") is None

    def test_a_step_that_fails_takes_and_frees_no_id(self, catalog):
        assert self.added(catalog, a_film("a", external_id="one"))
        stale = replace(catalog.find(ObjectRef("films", "a")), revision=7)
        assert not self.added(catalog, a_film("b", external_id="two"), closed=("nobody",))
        assert not catalog.commit(Step(swaps=(Swap(stale, None), Swap(None, a_film("c", external_id="three")))))
        assert [catalog.holder("", name) for name in ("one", "two", "three")] == [ObjectRef("films", "a"), None, None]

    def test_an_odd_id_is_an_id(self, catalog):
        odd = "ünï 鍵 '\";%_ \t"
        assert self.added(catalog, a_film("ä/\0", external_id=odd))
        assert catalog.holder("", odd) == ObjectRef("films", "ä/\0")
        assert catalog.holder("", "%") is None
        assert [row.ref.key for row in catalog.search(Search(external_id=odd))] == ["ä/\0"]

    def test_of_many_who_want_an_id_at_once_one_has_it(self, catalog):
        wanted, outcomes = [f"k{number}" for number in range(8)], {}
        ready = Barrier(len(wanted))

        def race(key):
            ready.wait()
            outcomes[key] = catalog.commit(Step(swaps=(Swap(None, Entry(ref=ObjectRef("films", key, "null"), writers=1)),),
                                                opened=(an_intent(key, key),)))  # fmt: skip

        threads = [Thread(target=race, args=(key,)) for key in wanted]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes.values()) == [False] * 7 + [True]
        (winner,) = [key for key, won in outcomes.items() if won]
        assert catalog.holder("", "pid") == ObjectRef("films", winner)
        assert [row.ref.key for row in catalog.search(Search())] == [winner]

    # What is known of media is looked for

    def test_media_are_found_by_ids_kind_codec_container_and_length(self, catalog):
        mov = {"codec": "prores", "container": "mov", "duration": "90000", "timecode": "10:00:00:00"}
        rows = [
            a_film("a", archive_id="m1", external_id="pid-1", media_kind="video", media=mov),
            a_film("b", archive_id="m2", external_id="pid-2", media_kind="audio", media={"codec": "mp3", "duration": "3600000"}),
            a_film("c", bucket="news", media_kind="video", state=State.ARCHIVED),
            a_film("d", account="x", media_kind="unknown", media={"error": "moov atom not found", "duration": "soon"}),
        ]
        assert self.added(catalog, *rows)

        def keys(**wanted):
            return [row.ref.key for row in catalog.search(Search(**wanted))]

        assert catalog.search(Search(external_id="pid-1"))[0].media == mov
        assert keys() == ["a", "b", "c", "d"]
        assert keys(external_id="pid-2") == keys(archive_id="m2") == keys(codec="mp3") == keys(min_duration=90_001) == ["b"]
        assert keys(kind="video") == ["a", "c"]
        assert keys(container="mov", codec="prores", kind="video", max_duration=90_000, min_duration=90_000) == ["a"]
        assert keys(container="mov", codec="mp3") == keys(kind="other") == keys(max_duration=89_999) == []
        assert keys(account="") == ["a", "b", "c"]
        assert keys(account="x") == keys(kind="unknown") == ["d"]
        assert keys(state=State.ARCHIVED) == keys(bucket="news") == ["c"]

    def test_what_nobody_looked_into_is_found_until_somebody_did(self, catalog):
        rows = [
            a_film("film", media_kind="video"), a_film("any"), a_film("letter", media_kind="other"),
            a_film("broken", media_kind="unknown", media={"error": "no"}), a_film("placeholder", facts=None),
            a_film("taped", state=State.ARCHIVED),
        ]  # fmt: skip
        assert self.added(catalog, *rows)
        found = catalog.search(Search(unprobed=True, state=State.ONLINE))
        assert [row.ref.key for row in found] == ["any", "film"]
        for row in found:
            assert catalog.commit(Step(swaps=(Swap(row, replace(row, media={"codec": "h264"})),)))
        assert [row.ref.key for row in catalog.search(Search(unprobed=True))] == ["taped"]

    def test_a_search_is_paged_in_the_order_of_keys(self, catalog):
        assert self.added(catalog, *[a_film(key, media_kind="video") for key in "dbca"])
        whole = catalog.search(Search(kind="video"))
        assert [row.ref.key for row in whole] == list("abcd")
        assert catalog.search(Search(kind="video"), limit=2) == whole[:2]
        for at, row in enumerate(whole):
            assert catalog.search(Search(kind="video"), after=row) == whole[at + 1 :]
