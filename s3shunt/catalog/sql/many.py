"""Rows by the hundred, as each of the two databases takes them fastest.

SQLite runs one prepared statement for each row. PostgreSQL is given all rows as
one JSON document, which it reads as rows of the table: one statement, one plan,
and no thousands of parameters.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Table, Text, bindparam, cast, column, func, insert, literal_column, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import Select
from sqlalchemy.sql.selectable import FromClause

AT_ONCE = 500
Values = dict[str, Any]


def insert_all(connection: Connection, table: Table, values: Sequence[Values]) -> None:
    """The rows all have the same columns."""
    if connection.dialect.name == "sqlite":
        connection.execute(insert(table), values)
        return
    given = _given(table, list(values[0]))
    connection.execute(insert(table).from_select(list(values[0]), select(*given.c)), {"document": _document(values)})


def upsert_all(connection: Connection, table: Table, values: Sequence[Values], index: Sequence[str], decide: Callable[[Any], Any]) -> int:
    """Insert, and update what is there as ``decide`` says of the new row: (what is set, on which condition). How many rows took it."""
    if connection.dialect.name == "sqlite":
        new = sqlite.insert(table)
        more, where = decide(new.excluded)
        ours = new.on_conflict_do_update(index_elements=index, set_=more, where=where)
        return connection.execute(ours, values, execution_options={"preserve_rowcount": True}).rowcount
    columns = list(values[0])
    other = postgresql.insert(table).from_select(columns, select(*_given(table, columns).c))
    more, where = decide(other.excluded)
    theirs = other.on_conflict_do_update(index_elements=index, set_=more, where=where).returning(literal_column("1"))
    return len(connection.execute(theirs, {"document": _document(values)}).all())


def named(
    connection: Connection, query: Select[Any], table: Table, columns: Sequence[str], names: Sequence[tuple[Any, ...]]
) -> Iterator[Row[Any]]:
    """The rows of ``query``, which selects from ``table``, whose columns have one of these values."""
    if connection.dialect.name != "sqlite":
        given = _given(table, columns)
        found = query.join(given, tuple_(*[table.c[name] for name in columns]) == tuple_(*given.c))
        document = _document([dict(zip(columns, name, strict=True)) for name in names])
        yield from connection.execute(found, {"document": document}) if names else ()
        return
    for start, lasts in _alike(names):  # of tuples in a list SQLite makes a walk over the whole table
        same = [table.c[name] == value for name, value in zip(columns, start, strict=False)]
        for at in range(0, len(lasts), AT_ONCE):
            yield from connection.execute(query.where(*same, table.c[columns[-1]].in_(lasts[at : at + AT_ONCE])))


def _alike(names: Sequence[tuple[Any, ...]]) -> Iterator[tuple[tuple[Any, ...], list[Any]]]:
    """The last parts of those names that are the same up to there."""
    found: dict[tuple[Any, ...], list[Any]] = {}
    for name in names:
        found.setdefault(name[:-1], []).append(name[-1])
    yield from found.items()


def _given(table: Table, columns: Sequence[str]) -> FromClause:
    """The rows of the document, with these columns of the table."""
    document = cast(bindparam("document", type_=Text), postgresql.JSON)
    found = func.json_populate_recordset(literal_column(f'NULL::"{table.name}"'), document)
    return found.table_valued(*[column(name, table.c[name].type) for name in columns], name="given")


def _document(values: Sequence[Values]) -> str:
    return json.dumps(values, default=_hexadecimal, separators=(",", ":"))


def _hexadecimal(value: bytes) -> str:
    return "\\x" + value.hex()
