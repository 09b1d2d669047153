"""The contracts can be broken: each adapter here keeps one promise badly, and is found out."""

from dataclasses import replace

import pytest

from s3shunt.catalog.memory import MemoryCatalog
from s3shunt.testing.contracts.catalog import CatalogContract


class LastOneWins(MemoryCatalog):
    def _stands(self, swap):
        return True


class HalfSteps(MemoryCatalog):
    def commit(self, step):
        super().commit(replace(step, swaps=()))
        return super().commit(replace(step, opened=(), closed=(), recalls=(), jobs=(), events=()))


class ManyCurrents(MemoryCatalog):
    def _one_current(self, swaps):
        return True


class Shuffled(MemoryCatalog):
    def scan(self, *args, **kwargs):
        return sorted(super().scan(*args, **kwargs), key=lambda row: row.ref.key.lower())


BROKEN = {
    "test_whoever_comes_second_changes_nothing": LastOneWins,
    "test_a_step_that_fails_changes_nothing": HalfSteps,
    "test_two_rows_of_a_key_are_never_both_current": ManyCurrents,
    "test_a_bucket_is_listed_in_the_order_of_bytes": Shuffled,
}


@pytest.mark.parametrize(("promise", "broken"), BROKEN.items())
def test_a_catalog_that_breaks_a_promise_is_found_out(promise, broken):
    with pytest.raises(AssertionError):
        getattr(CatalogContract(), promise)(broken())
    getattr(CatalogContract(), promise)(MemoryCatalog())
