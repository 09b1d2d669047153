"""The contracts can be broken: each adapter here keeps one promise badly, and is found out."""

from dataclasses import replace

import pytest

from s3shunt.catalog.memory import MemoryCatalog
from s3shunt.model import Key
from s3shunt.testing.contracts.catalog import CatalogContract, KeysContract


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


class NoFence(MemoryCatalog):
    def _held(self, job):
        return job.id in self._jobs


class Shuffled(MemoryCatalog):
    def scan(self, *args, **kwargs):
        return sorted(super().scan(*args, **kwargs), key=lambda row: row.ref.key.lower())


BROKEN = {
    "test_whoever_comes_second_changes_nothing": LastOneWins,
    "test_a_step_that_fails_changes_nothing": HalfSteps,
    "test_two_rows_of_a_key_are_never_both_current": ManyCurrents,
    "test_a_lapsed_claim_passes_on_and_fences_the_first_holder": NoFence,
    "test_a_bucket_is_listed_in_the_order_of_bytes": Shuffled,
}


@pytest.mark.parametrize(("promise", "broken"), BROKEN.items())
def test_a_catalog_that_breaks_a_promise_is_found_out(promise, broken):
    with pytest.raises(AssertionError):
        getattr(CatalogContract(), promise)(broken())
    getattr(CatalogContract(), promise)(MemoryCatalog())


class Forgetful:
    """Keys that do not keep what they are told of grants."""

    def __init__(self):
        self.kept = {}

    def save(self, key):
        self.kept[key.access_key] = Key(access_key=key.access_key, secret_key=key.secret_key, account=key.account)

    def find(self, access_key):
        return self.kept.get(access_key)


def test_keys_that_turn_no_rights_into_all_rights_are_found_out():
    with pytest.raises(AssertionError):
        KeysContract().test_no_grants_and_all_rights_are_told_apart(Forgetful(), ())
