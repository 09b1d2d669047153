import pytest

from s3shunt.catalog.memory import MemoryCatalog
from s3shunt.testing.contracts.catalog import CatalogContract


class TestMemoryCatalog(CatalogContract):
    @pytest.fixture
    def catalog(self):
        return MemoryCatalog()


def test_the_operator_is_told_that_nothing_survives():
    assert "nothing survives" in MemoryCatalog().check()[0]
