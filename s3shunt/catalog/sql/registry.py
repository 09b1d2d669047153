"""Buckets and multipart uploads that must be remembered."""

from sqlalchemy import delete, insert, select

from s3shunt.catalog.sql import rows, schema
from s3shunt.catalog.sql.database import Database
from s3shunt.model import Bucket, Upload

B = schema.bucket.c
U = schema.upload.c


class Registry:
    """The Registry of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def bucket(self, account: str, name: str) -> Bucket | None:
        with self._database.read() as connection:
            row = connection.execute(select(schema.bucket).where(B.account == account, B.name == name)).first()
        return rows.bucket(row) if row else None

    def save_bucket(self, bucket: Bucket) -> None:
        kept = {"owner": bucket.owner, "plain": int(bucket.plain), "versioned": int(bucket.versioned)}
        new = self._database.insert(schema.bucket).values(account=bucket.account, name=bucket.name, generation=1, **kept)
        with self._database.write() as connection:
            connection.execute(
                new.on_conflict_do_update(index_elements=[B.account, B.name], set_=kept | {"generation": B.generation + 1})
            )

    def drop_bucket(self, account: str, name: str) -> None:
        with self._database.write() as connection:
            connection.execute(delete(schema.bucket).where(B.account == account, B.name == name))

    def buckets(self) -> list[Bucket]:
        with self._database.read() as connection:
            return [rows.bucket(row) for row in connection.execute(select(schema.bucket).order_by(B.account, B.name))]

    def upload(self, id: str) -> Upload | None:  # noqa: A002
        with self._database.read() as connection:
            row = connection.execute(select(schema.upload).where(U.id == id)).first()
        return rows.upload(row) if row else None

    def save_upload(self, upload: Upload) -> None:
        with self._database.write() as connection:
            connection.execute(delete(schema.upload).where(U.id == upload.id))
            connection.execute(insert(schema.upload), rows.upload_values(upload))

    def drop_upload(self, id: str) -> None:  # noqa: A002
        with self._database.write() as connection:
            connection.execute(delete(schema.upload).where(U.id == id))
