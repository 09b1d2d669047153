"""The contract of many rows at once catches a catalog that does not keep it; who keeps it is seen with each catalog."""

import pytest

from s3shunt.catalog.memory import MemoryCatalog
from s3shunt.testing.contracts.bulk import BulkContract


class Overwriting(MemoryCatalog):
    def adopt(self, entries, *, rehearse=False):
        if not rehearse:
            for entry in entries:
                self._rows[(entry.ref.account, entry.ref.bucket, entry.ref.key.encode(), entry.ref.version)] = entry
        return list(entries)


class Rehearsing(MemoryCatalog):
    def adopt(self, entries, *, rehearse=False):
        return super().adopt(entries)


@pytest.mark.parametrize(
    ("kind", "promise"),
    [
        (Overwriting, "test_what_is_known_stays_as_it_is_and_twice_is_once"), (Overwriting, "test_a_key_gets_no_second_current_version"),
        (Overwriting, "test_an_external_id_that_another_key_has_is_left_out"), (Overwriting, "test_many_come_in_whole_and_are_published"),
        (Rehearsing, "test_a_rehearsal_says_the_same_and_changes_nothing"),
    ],
)  # fmt: skip
def test_a_broken_catalog_is_caught(kind, promise):
    with pytest.raises(AssertionError):
        getattr(BulkContract(), promise)(kind())
