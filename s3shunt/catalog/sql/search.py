"""Entries by their ids and by what is known of their media. What is looked for has columns of its own, which ``rows`` derives."""

from sqlalchemy import ColumnElement, literal_column, select, tuple_

from s3shunt.catalog.sql import rows, schema
from s3shunt.catalog.sql.database import Database
from s3shunt.model import Entry, ObjectRef, Search

E = schema.entry.c
C = schema.claim.c
PK = (E.account, E.bucket, E.key, E.version)


class Searches:
    def __init__(self, database: Database) -> None:
        self._database = database

    def search(self, wanted: Search, *, after: Entry | None = None, limit: int = 1000) -> list[Entry]:
        equal = {
            E.state: wanted.state and wanted.state.value, E.account: wanted.account, E.bucket: wanted.bucket,
            E.external_id: wanted.external_id and rows.said(wanted.external_id), E.archive_id: wanted.archive_id,
            E.media_kind: wanted.kind, E.media_codec: wanted.codec, E.media_container: wanted.container,
        }  # fmt: skip
        where: list[ColumnElement[bool]] = [column == value for column, value in equal.items() if value is not None]
        if wanted.unprobed:
            where.append(literal_column("unprobed") == literal_column("1"))  # as the index says it: a parameter would not be seen to fit
        if wanted.min_duration is not None:
            where.append(E.media_duration >= wanted.min_duration)
        if wanted.max_duration is not None:
            where.append(E.media_duration <= wanted.max_duration)
        if after is not None:
            where.append(tuple_(*PK) > tuple_(*rows.pk(after.ref).values()))
        with self._database.read() as connection:
            return [rows.entry(row) for row in connection.execute(select(schema.entry).where(*where).order_by(*PK).limit(limit))]

    def holder(self, account: str, external_id: str) -> ObjectRef | None:
        where = [C.account == account, C.external_id == rows.said(external_id)]
        with self._database.read() as connection:
            row = connection.execute(select(C.bucket, C.key).where(*where)).first()
        return ObjectRef(row.bucket, bytes(row.key).decode("utf-8", "surrogateescape"), account=account) if row else None
