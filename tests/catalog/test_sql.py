import pytest

from s3shunt.catalog.sql import SqlCatalog
from s3shunt.testing.contracts.catalog import CatalogContract


def connect(path, **more):
    given = {"url": f"sqlite:///{path}/catalog.db", "index": "redis://unused", **more}
    return SqlCatalog(SqlCatalog.Options(**given))


class TestSqliteCatalog(CatalogContract):
    contenders = 300

    @pytest.fixture
    def catalog(self, tmp_path):
        catalog = connect(tmp_path)
        catalog.upgrade()
        yield catalog
        catalog.close()
