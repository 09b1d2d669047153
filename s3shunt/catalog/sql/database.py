"""The connection to SQLite or PostgreSQL: durable, bounded in time, with one border for errors.

Only here is known which of the two it is.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, QueuePool, create_engine, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from s3shunt import config, green
from s3shunt.config import option
from s3shunt.protocol.errors import ServiceUnavailable

MIGRATIONS = Path(__file__).parent / "migrations"
RETRY_AFTER = 2
CONFLICTS = ("40001", "40P01")
"""PostgreSQL's serialization failure and deadlock: somebody else's change came first."""


@dataclass(frozen=True)
class DatabaseOptions:
    """What ``[catalog:x]`` and ``[keys:x]`` have in common."""

    url: str = option(config.url, help="sqlite:////absolute/path.db or postgresql://user@host:port/database (no password in it).")
    password_file: Path | None = option(config.path, "", help="File with the password; empty: PGPASSWORD, PGPASSFILE, or none.")
    secret_file: Path | None = option(config.path, "", help="File with the secret that seals keys and index records; made when absent.")
    connections: int = option(config.number, "16", help="Connections a process keeps at most.")
    deadline: int = option(config.duration, "2s", help="How long one statement, or waiting for a lock or a connection, may take.")
    connect_deadline: int = option(config.duration, "3s", help="How long connecting may take.")


class Conflict(ServiceUnavailable):
    """Another transaction came first; nothing was changed. To who did not expect it the service was not available."""

    code = ServiceUnavailable.__name__


class Database:
    """Transactions on one database, from any thread."""

    def __init__(self, options: DatabaseOptions) -> None:
        self.options = options
        url = make_url(options.url)
        self.sqlite = url.get_backend_name() == "sqlite"
        if self.sqlite and not url.database:
            raise ValueError(f"url = {options.url}: expected a file, as in sqlite:////var/lib/s3shunt/catalog.db")
        self.engine = _sqlite(url, options) if self.sqlite else _postgresql(url, options)
        self.insert = sqlite.insert if self.sqlite else postgresql.insert
        self._writers = self.engine.execution_options(writes=True)
        self._readers = self.engine if self.sqlite else self.engine.execution_options(isolation_level="AUTOCOMMIT")
        # SQLite has one writer at a time, and its own waiting is a lottery of sleeps: within a process writers queue here.
        self._turn = green.native_lock() if self.sqlite else None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Statements that each see what is committed."""
        with _border(), self._readers.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One durable transaction; an exception within undoes it. Raises Conflict when another came first."""
        with _border(), self._one_writer(), self._writers.begin() as connection:
            yield connection

    def _one_writer(self) -> Any:
        return nullcontext() if self._turn is None else _held(self._turn, self.options.deadline / 1000)

    def dispose(self) -> None:
        self.engine.dispose()

    def upgrade(self) -> None:
        """Bring the schema to this release's form; a file that is not there yet is made for its owner alone."""
        if self.sqlite:
            file = Path(str(self.engine.url.database))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch(mode=0o600)
        with _border(), self._one_writer(), self._writers.begin() as connection:
            if not self.sqlite:
                connection.execute(text("SET LOCAL statement_timeout = 0"))
                connection.execute(text("SET LOCAL lock_timeout = 0"))
                connection.execute(text("SELECT pg_advisory_xact_lock(7357)"))  # two hosts that upgrade at once take turns
            from alembic import command  # never needed to serve

            command.upgrade(_alembic(connection), "head")

    def check(self) -> list[str]:
        """What an operator must mend: an old schema, or durability below what an evicted object needs."""
        from alembic.runtime.migration import MigrationContext
        from alembic.script import ScriptDirectory

        with self.read() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
            durability = _sqlite_durability(connection) if self.sqlite else _postgresql_durability(connection)
        wanted = ScriptDirectory.from_config(_alembic(None)).get_current_head()
        if found == wanted:
            return durability
        return [f"{self.options.url}: the schema is at {found or 'nothing'}, this release needs {wanted}: run 's3shunt catalog upgrade'",
                *durability]  # fmt: skip


@contextmanager
def _border() -> Iterator[None]:
    """Foreign errors end here."""
    try:
        yield
    except IntegrityError as error:
        raise Conflict(retry_after=RETRY_AFTER) from error
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) in CONFLICTS:
            raise Conflict(retry_after=RETRY_AFTER) from error
        raise ServiceUnavailable("The catalog cannot be reached.", retry_after=RETRY_AFTER) from error
    except SQLAlchemyError as error:
        raise ServiceUnavailable("The catalog is busy.", retry_after=RETRY_AFTER) from error


@contextmanager
def _held(turn: threading.Lock, seconds: float) -> Iterator[None]:
    if not turn.acquire(timeout=seconds):
        raise ServiceUnavailable("The catalog is busy.", retry_after=RETRY_AFTER)
    try:
        yield
    finally:
        turn.release()


def _pool(options: DatabaseOptions) -> dict[str, Any]:
    if green.patched():  # a queue of patched locks loses calls between the hub and its threads
        return {"poolclass": NullPool}
    return {"poolclass": QueuePool, "pool_size": options.connections, "max_overflow": 0, "pool_timeout": options.deadline / 1000}


def _sqlite(url: URL, options: DatabaseOptions) -> Engine:
    engine = create_engine(url, connect_args={"timeout": options.deadline / 1000, "check_same_thread": False}, **_pool(options))

    @event.listens_for(engine, "connect")
    def durable(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql(url: URL, options: DatabaseOptions) -> Engine:
    url = url.set(drivername="postgresql+psycopg")
    if options.password_file is not None:
        url = url.set(password=_password(options.password_file))
    arguments = {
        "connect_timeout": max(2, options.connect_deadline // 1000),  # libpq takes no less
        "options": f"-c statement_timeout={options.deadline} -c lock_timeout={options.deadline}"
        f" -c idle_in_transaction_session_timeout={10 * options.deadline} -c timezone=UTC",
        "tcp_user_timeout": 2 * options.deadline,
    }
    return create_engine(url, connect_args=arguments, pool_pre_ping=True, isolation_level="READ COMMITTED", **_pool(options))


def _password(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"password_file = {path}: {error.strerror}: expected a file with the password") from None


def _sqlite_durability(connection: Connection) -> list[str]:
    mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
    return [] if mode == "wal" else [f"journal_mode is {mode}, expected wal: is the database on a network file system?"]


def _postgresql_durability(connection: Connection) -> list[str]:
    wanted = {"synchronous_commit": ("on", "remote_apply"), "fsync": ("on",), "full_page_writes": ("on",)}
    found = {name: connection.exec_driver_sql(f"SHOW {name}").scalar() for name in wanted}
    return [
        f"PostgreSQL has {name} = {found[name]}, expected {' or '.join(good)}: an evicted object lives in its row alone"
        for name, good in wanted.items()
        if found[name] not in good
    ]


def _alembic(connection: Connection | None) -> Any:
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    made.attributes["connection"] = connection
    return made
