"""``sqlite://`` and ``postgresql://``: the catalog in a database, the one durable truth about every object.

All methods block until the database has answered, within ``deadline``; a
database that cannot be reached or is too busy raises ServiceUnavailable.
"""

from dataclasses import dataclass
from typing import Any

from s3shunt import clock, config
from s3shunt.catalog.sql.bulk import Bulk
from s3shunt.catalog.sql.cache import Cache
from s3shunt.catalog.sql.database import Database, DatabaseOptions
from s3shunt.catalog.sql.entries import Entries
from s3shunt.catalog.sql.ledger import Ledger
from s3shunt.catalog.sql.registry import Registry
from s3shunt.catalog.sql.search import Searches
from s3shunt.config import option
from s3shunt.ports import Truth


@dataclass(frozen=True)
class Options(DatabaseOptions):
    """``[catalog:NAME]``"""

    index: str | None = option(config.url, "", help="redis://host:port/0 or redis+unix:///path.sock: a fast copy; empty: none.")
    view: bool = option(config.flag, "no", help="Whether the index also shows each key that changes as a hash that people can read.")
    view_keep: int = option(config.duration, "30d", help="How long a key is shown there that changes no more.")


class SqlCatalog(Entries, Searches, Ledger, Registry, Cache, Bulk):
    Options = Options

    def __init__(self, options: Options, house: Any = None) -> None:
        if options.view and not options.index:
            raise ValueError("view = yes: expected an index to show it in")
        self.options = options
        self._database = Database(options)
        self._clock = house.clock if house is not None else clock.wall
        self._outbox = bool(options.index)

    def check(self) -> list[str]:
        return self._database.check()

    def upgrade(self) -> None:
        self._database.upgrade()

    def close(self) -> None:
        """Close idle connections; the catalog may be used again."""
        self._database.dispose()


_: type[Truth] = SqlCatalog
