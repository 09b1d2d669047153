"""What every ``Truth`` has to keep when many rows come in at once; part of its ``CatalogContract``."""

from dataclasses import replace
from threading import Thread

from s3shunt.model import Entry, Facts, ObjectRef, State, Step, Swap

LATE = 10**15


def film(key="a", version="null", **more):
    facts = Facts(size=5, etag='"e"', last_modified=1_000, headers={"content-type": "video/mxf"})
    return Entry(**{"ref": ObjectRef("films", key, version), "facts": facts, "state": State.ARCHIVED, "archive_id": "id"} | more)


class BulkContract:
    """The fixture's catalog is empty, and keeps an outbox for an index."""

    def test_many_come_in_whole_and_are_published(self, catalog):
        films = [film(f"ü{number}\0", external_id=f"pid {number}\0") for number in range(1200)]
        assert catalog.adopt(films) == films
        assert [replace(catalog.find(one.ref), revision=0) for one in films[::400]] == [
            replace(one, external_id=catalog.find(one.ref).external_id) for one in films[::400]
        ]
        assert catalog.find(films[7].ref).revision != catalog.find(films[8].ref).revision
        published = catalog.publishes(LATE, limit=5000)
        assert {entry.ref for _, entry in published} == {one.ref for one in films}

    def test_what_is_known_stays_as_it_is_and_twice_is_once(self, catalog):
        assert catalog.adopt([film("a")]) == [film("a")]
        known = catalog.find(film("a").ref)
        assert catalog.adopt([film("a", copies=9), film("b"), film("b", copies=9)]) == [film("b")]
        assert catalog.find(known.ref) == known
        assert catalog.find(film("b").ref).copies == 0
        assert catalog.adopt([film("a"), film("b")]) == []
        assert catalog.adopt([]) == []

    def test_a_key_gets_no_second_current_version(self, catalog):
        catalog.adopt([film("a", "v1")])
        old = film("a", "v0", current=False)
        assert catalog.adopt([film("a", "v2"), old, film("b", "v1"), film("b", "v2")]) == [old, film("b", "v1")]
        assert [row.ref.version for row in catalog.history(film("a").ref)] == ["v1", "v0"]

    def test_an_external_id_that_another_key_has_is_left_out(self, catalog):
        catalog.adopt([film("a", external_id="x")])
        mine, other = film("a", "v0", current=False, external_id="x"), film("d", external_id="y")
        elsewhere = replace(film("b", external_id="x"), ref=ObjectRef("films", "b", "null", "other"))
        assert catalog.adopt([film("b", external_id="x"), mine, other, film("e", external_id="y"), elsewhere]) == [mine, other, elsewhere]
        assert not catalog.commit(Step(swaps=(Swap(None, film("f", external_id="y")),)))
        held = catalog.find(other.ref)
        assert catalog.commit(Step(swaps=(Swap(held, None),)))
        assert catalog.adopt([film("e", external_id="y")]) == [film("e", external_id="y")]

    def test_a_rehearsal_says_the_same_and_changes_nothing(self, catalog):
        catalog.adopt([film("a", external_id="x")])
        offered = [film("a"), film("b", external_id="x"), film("c"), film("c")]
        assert catalog.adopt(offered, rehearse=True) == [film("c")]
        assert catalog.find(film("c").ref) is None
        assert len(catalog.publishes(LATE)) == 1
        assert catalog.adopt(offered) == [film("c")]

    def test_all_rows_of_keys_are_found_whatever_their_versions(self, catalog):
        catalog.adopt([film("a", "v1"), film("a", "v0", current=False), film("b"), film("c")])
        found = catalog.rows_of([ObjectRef("films", "a"), ObjectRef("films", "b", "v9"), ObjectRef("films", "z"), ObjectRef("news", "c")])
        assert {(row.ref.key, row.ref.version) for row in found} == {("a", "v1"), ("a", "v0"), ("b", "null")}
        assert catalog.rows_of([]) == []

    def test_of_those_who_bring_in_the_same_at_once_each_row_is_one_s(self, catalog):
        films = [film(f"{number}", external_id=f"x{number}") for number in range(60)]
        taken = []
        threads = [Thread(target=lambda: taken.extend(catalog.adopt(films))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(one.ref.key for one in taken) == sorted(one.ref.key for one in films)
