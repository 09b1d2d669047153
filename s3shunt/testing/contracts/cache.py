"""What every ``Truth`` has to keep of its stores: how full, what is cold, what must stay."""

from dataclasses import replace

import pytest

from s3shunt.model import FOREVER, Entry, Facts, ObjectRef, Pin, Place, Room, State, Step, Swap
from s3shunt.testing.contracts.ledger import LATE


def a_film(key, *, size=10, read=1_000, bucket="films", state=State.VERIFIED, **more):
    facts = Facts(size=size, etag='"e"', last_modified=read)
    return Entry(**{"ref": ObjectRef(bucket, key, "null"), "state": state, "facts": facts, "archive": "tape", "copies": 1} | more)


class CacheContract:
    """The fixture's catalog is empty, and keeps an outbox for an index."""

    def put(self, catalog, *entries, **more):
        assert catalog.commit(Step(swaps=tuple(Swap(None, entry) for entry in entries), **more))
        return [catalog.find(entry.ref) for entry in entries]

    def swap(self, catalog, old, **new):
        return catalog.commit(Step(swaps=(Swap(old, replace(old, **new)),)))

    def cold(self, catalog, **asked):
        return [row.ref.key for _, row in catalog.coldest("main", **asked)]

    # Least recently used first

    def test_45_the_coldest_come_first(self, catalog):
        self.put(catalog, a_film("b", read=2), a_film("c", read=3), a_film("a", read=3), a_film("z", read=1))
        assert self.cold(catalog) == ["z", "b", "a", "c"]
        catalog.note_reads({ObjectRef("films", "z", "null"): 5, ObjectRef("films", "b"): 4})
        assert self.cold(catalog) == ["a", "c", "b", "z"]
        assert [at for at, _ in catalog.coldest("main")] == [3, 3, 4, 5]

    def test_the_coldest_come_by_pages(self, catalog):
        rows = [a_film(f"{number:02}", read=number // 3) for number in range(10)]
        self.put(catalog, *rows)
        seen, after = [], None
        while page := catalog.coldest("main", after=after, limit=4):
            seen += [row.ref.key for _, row in page]
            after = (page[-1][0], page[-1][1].ref)
        assert seen == [row.ref.key for row in rows]

    def test_only_what_may_leave_this_store_is_cold(self, catalog):
        states = [state for state in State if state is not State.VERIFIED]
        self.put(catalog, *(a_film(state.value, state=state, token="t") for state in states))
        self.put(catalog, a_film("elsewhere", store="second"), a_film("pinned", pinned=FOREVER), a_film("here"))
        assert self.cold(catalog) == ["here"]

    def test_other_buckets_may_be_left_out_and_the_named_ones_never_are(self, catalog):
        self.put(catalog, a_film("a"), a_film("b", bucket="clips"), a_film("c", bucket="clips-2"))
        assert "b" in self.cold(catalog, buckets=("clips",))
        assert {"b", "c"} <= set(self.cold(catalog, buckets=("clips*",)))

    def test_a_note_moves_no_revision_and_stands_in_no_outbox(self, catalog):
        (row,) = self.put(catalog, a_film("a"))
        catalog.published(*[number for number, _ in catalog.publishes(LATE)])
        catalog.note_reads({row.ref: 5_000})
        assert catalog.find(row.ref) == row
        assert catalog.publishes(LATE) == []
        assert self.swap(catalog, row, reason="decided before the note")
        assert catalog.last_use(row.ref) == 5_000

    def test_an_older_note_and_one_for_nobody_change_nothing(self, catalog):
        self.put(catalog, a_film("a", read=7))
        catalog.note_reads({ObjectRef("films", "a"): 3, ObjectRef("films", "nobody"): 9})
        assert catalog.last_use(ObjectRef("films", "a")) == 7
        assert catalog.last_use(ObjectRef("films", "nobody")) is None

    def test_a_version_that_was_written_is_as_good_as_read(self, catalog):
        (row,) = self.put(catalog, a_film("a", read=7, state=State.ONLINE))
        catalog.note_reads({row.ref: 100})
        assert self.swap(catalog, row, facts=replace(row.facts, last_modified=200))
        assert catalog.last_use(row.ref) == 200

    def test_many_notes_at_once(self, catalog):
        rows = self.put(catalog, *(a_film(f"{number:03}") for number in range(450)))
        catalog.note_reads({row.ref: 2_000 for row in rows})
        assert {at for at, _ in catalog.coldest("main")} == {2_000}

    # Room

    @pytest.mark.parametrize(
        ("state", "room"),
        [
            (State.ONLINE, Room(held=10)), (State.ARCHIVING, Room(held=10)), (State.VERIFIED, Room(held=10)),
            (State.EVICTING, Room(held=10)), (State.ARCHIVED, Room()), (State.QUEUED, Room(coming=10)), (State.RECALLING, Room(coming=10)),
            (State.LANDING, Room(coming=10)), (State.RESTORED, Room()), (State.DELETED, Room()), (State.LOST, Room()),
        ],
    )  # fmt: skip
    def test_44_room_is_taken_by_state(self, catalog, state, room):
        self.put(catalog, a_film("a", state=state, token="t"))
        assert catalog.room("main") == room
        catalog.recount()
        assert catalog.room("main") == room

    def test_44_room_follows_every_change(self, catalog):
        (row,) = self.put(catalog, a_film("a"))
        self.put(catalog, a_film("b", size=7), a_film("c", size=100, store="second"), Entry(ref=ObjectRef("films", "empty")))
        assert catalog.room("main") == Room(held=17)
        assert self.swap(catalog, row, state=State.ONLINE, facts=replace(row.facts, size=30))
        assert catalog.room("main") == Room(held=37)
        assert not self.swap(catalog, row, state=State.EVICTING, token="late")
        assert catalog.room("main") == Room(held=37)
        assert catalog.commit(Step(swaps=(Swap(catalog.find(row.ref), None),)))
        assert catalog.room("main") == Room(held=7)

    def test_44_landed_copies_take_room_where_they_landed(self, catalog):
        (row,) = self.put(catalog, a_film("a", state=State.LANDING, token="t"))
        assert catalog.room("landing") == Room(coming=10)
        assert self.swap(catalog, row, state=State.RESTORED, place=Place("landing", "r/1"), restored_until=9)
        assert catalog.room("landing") == Room(landed=10)
        assert catalog.room("main") == Room()

    def test_room_is_the_same_after_it_was_settled_or_counted_anew(self, catalog):
        rows = self.put(catalog, *(a_film(str(number), size=number) for number in range(20)))
        for row in rows[:5]:
            assert catalog.commit(Step(swaps=(Swap(row, None),)))
        before = catalog.room("main")
        assert before == Room(held=sum(range(5, 20)))
        for tidy in (catalog.settle, catalog.settle, catalog.recount):
            tidy()
            assert catalog.room("main") == before

    def test_copies_past_their_date_are_found_longest_first(self, catalog):
        past = {"state": State.RESTORED, "place": Place("landing", "r")}
        self.put(catalog, *[a_film(key, restored_until=until, **past) for key, until in (("b", 5), ("a", 6), ("c", 7))])
        assert [row.ref.key for row in catalog.expired(6)] == ["b", "a"]
        assert [row.ref.key for row in catalog.expired(9, limit=1)] == ["b"]

    # Pins

    def test_the_pin_of_a_prefix_is_on_every_row_below_it(self, catalog):
        self.put(catalog, a_film("news/1"), a_film("news/2"), a_film("new"), a_film("news/1", bucket="clips"))
        assert catalog.pin(Pin("films", "news/", 99)) == 2
        assert [row.ref.key for row in catalog.pinned()] == ["news/1", "news/2"]
        assert catalog.find(ObjectRef("films", "news/1")).pinned == 99
        assert catalog.pins() == [Pin("films", "news/", 99)]
        assert self.cold(catalog) == ["news/1", "new"]
        assert catalog.unpin(Pin("films", "news/")) == 2
        assert (catalog.pins(), catalog.pinned()) == ([], [])

    def test_the_pin_of_a_prefix_stops_what_was_decided_before_it(self, catalog):
        (row,) = self.put(catalog, a_film("a"))
        catalog.published(*[number for number, _ in catalog.publishes(LATE)])
        catalog.pin(Pin("films"))
        assert not self.swap(catalog, row, state=State.EVICTING, token="t")
        assert [changed.ref for _, changed in catalog.publishes(LATE)] == [row.ref]

    def test_a_pin_whose_time_is_over_is_none(self, catalog):
        self.put(catalog, a_film("a"), a_film("b"), a_film("c", pinned=50))
        catalog.pin(Pin("films", "a", 60))
        assert catalog.unpin_past(49) == 0
        assert catalog.unpin_past(50) == 1
        assert self.cold(catalog) == ["b", "c"]
        assert catalog.unpin_past(60) == 1
        assert (self.cold(catalog), catalog.pins()) == (["a", "b", "c"], [])

    def test_pins_of_more_rows_than_a_page(self, catalog):
        self.put(catalog, *(a_film(f"{number:04}") for number in range(1100)))
        assert catalog.pin(Pin("films", "", 5)) == 1100
        assert catalog.pin(Pin("films", "0", 7)) == 1000
        first = catalog.pinned(limit=600)
        assert [row.ref.key for row in catalog.pinned(after=first[-1].ref)] == [f"{number:04}" for number in range(600, 1100)]

    def test_a_pin_is_part_of_the_row(self, catalog):
        (row,) = self.put(catalog, a_film("a", state=State.ONLINE, pinned=FOREVER))
        assert row.pinned == FOREVER

    # Numbers

    def test_a_number_is_remembered(self, catalog):
        assert catalog.remembered("x") == 0
        catalog.remember("x", 3)
        catalog.remember("x", 1)
        assert catalog.remembered("x") == 1
