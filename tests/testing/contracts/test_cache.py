"""The contract can be broken."""

from dataclasses import replace

import pytest

from s3shunt.catalog.memory import MemoryCatalog
from s3shunt.model import Swap
from s3shunt.testing.contracts.cache import CacheContract


class ByName(MemoryCatalog):
    def coldest(self, store, **asked):
        return sorted(super().coldest(store, **asked), key=lambda found: found[1].ref.key)


class Meddling(MemoryCatalog):
    def note_reads(self, reads):
        for ref in reads:
            row = self.find(ref)
            self._replace(Swap(row, row))
        super().note_reads(reads)


class Forgetful(MemoryCatalog):
    def room(self, store):
        return replace(super().room(store), coming=0)


class Soft(MemoryCatalog):
    def _set(self, rows, until):
        self._rows |= {pk: replace(row, pinned=until) for pk, row in self._rows.items() if row in rows}
        return len(rows)


BROKEN = {
    "test_45_the_coldest_come_first": ByName,
    "test_a_note_moves_no_revision_and_stands_in_no_outbox": Meddling,
    "test_44_landed_copies_take_room_where_they_landed": Forgetful,
    "test_the_pin_of_a_prefix_stops_what_was_decided_before_it": Soft,
}


@pytest.mark.parametrize(("promise", "broken"), BROKEN.items())
def test_a_cache_that_breaks_a_promise_is_found_out(promise, broken):
    with pytest.raises(AssertionError):
        getattr(CacheContract(), promise)(broken())
    getattr(CacheContract(), promise)(MemoryCatalog())
