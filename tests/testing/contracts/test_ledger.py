"""The contract can be broken."""

import pytest

from s3shunt.catalog.memory import MemoryCatalog
from s3shunt.testing.contracts.ledger import LedgerContract


class NoFence(MemoryCatalog):
    def _held(self, job):
        return job.id in self._jobs


class Hoarder(MemoryCatalog):
    def _live(self, kind, dedupe):
        return None


BROKEN = {
    "test_a_lapsed_claim_passes_on_and_fences_the_first_holder": NoFence,
    "test_a_live_job_is_there_once_and_only_moves_forward": Hoarder,
}


@pytest.mark.parametrize(("promise", "broken"), BROKEN.items())
def test_a_ledger_that_breaks_a_promise_is_found_out(promise, broken):
    with pytest.raises(AssertionError):
        getattr(LedgerContract(), promise)(broken())
    getattr(LedgerContract(), promise)(MemoryCatalog())
