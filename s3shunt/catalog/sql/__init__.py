"""The catalog and the keys of clients in SQLite or PostgreSQL."""

from s3shunt.catalog.sql.catalog import SqlCatalog
from s3shunt.catalog.sql.keys import SqlKeys

__all__ = ["SqlCatalog", "SqlKeys"]
