"""The tables of the first release."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Word = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "bucket",
        sa.Column("account", Word, nullable=False),
        sa.Column("name", Word, nullable=False),
        sa.Column("owner", Word, nullable=False),
        sa.Column("plain", sa.Integer(), nullable=False),
        sa.Column("versioned", sa.Integer(), nullable=False),
        sa.Column("generation", Number, nullable=False),
        sa.PrimaryKeyConstraint("account", "name"),
    )
    op.create_table(
        "counter", sa.Column("name", Word, nullable=False), sa.Column("value", Number, nullable=False), sa.PrimaryKeyConstraint("name")
    )
    op.create_table(
        "entry",
        sa.Column("account", Word, nullable=False),
        sa.Column("bucket", Word, nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("version", Word, nullable=False),
        sa.Column("versioned", sa.Integer(), nullable=False),
        sa.Column("current", sa.Integer(), nullable=False),
        sa.Column("state", Word, nullable=False),
        sa.Column("revision", Number, nullable=False),
        sa.Column("generation", Number, nullable=False),
        sa.Column("token", Word, nullable=True),
        sa.Column("lease", Number, nullable=True),
        sa.Column("writers", sa.Integer(), nullable=False),
        sa.Column("storage_class", Word, nullable=False),
        sa.Column("store", Word, nullable=False),
        sa.Column("place_store", Word, nullable=True),
        sa.Column("place_name", sa.Text(), nullable=True),
        sa.Column("place_etag", sa.Text(), nullable=True),
        sa.Column("archive", Word, nullable=True),
        sa.Column("archive_id", Word, nullable=True),
        sa.Column("copies", sa.Integer(), nullable=False),
        sa.Column("interests", sa.Text(), nullable=False),
        sa.Column("restored_until", Number, nullable=True),
        sa.Column("due", Number, nullable=True),
        sa.Column("external_id", Word, nullable=True),
        sa.Column("media_kind", Word, nullable=True),
        sa.Column("media", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("size", Number, nullable=True),
        sa.Column("etag", sa.Text(), nullable=True),
        sa.Column("last_modified", Number, nullable=True),
        sa.Column("stamp", sa.Text(), nullable=True),
        sa.Column("headers", sa.Text(), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=True),
        sa.Column("checksums", sa.Text(), nullable=True),
        sa.Column("parts", sa.Text(), nullable=True),
        sa.Column("tags", sa.Text(), nullable=True),
        sa.Column("acl", sa.Text(), nullable=True),
        sa.Column("lock", sa.Text(), nullable=True),
        sa.Column("sse", sa.Text(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("account", "bucket", "key", "version"),
    )
    op.create_index(
        "entry_current",
        "entry",
        ["account", "bucket", "key"],
        unique=True,
        sqlite_where=sa.text("current = 1"),
        postgresql_where=sa.text("current = 1"),
    )
    op.create_index("entry_due", "entry", ["state", "due"], unique=False)
    op.create_index("entry_external_id", "entry", ["external_id"], unique=False)
    op.create_table(
        "event",
        sa.Column("id", Number, autoincrement=True, nullable=False),
        sa.Column("account", Word, nullable=False),
        sa.Column("bucket", Word, nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("version", Word, nullable=False),
        sa.Column("versioned", sa.Integer(), nullable=False),
        sa.Column("name", Word, nullable=False),
        sa.Column("at", Number, nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "intent",
        sa.Column("id", Word, nullable=False),
        sa.Column("account", Word, nullable=False),
        sa.Column("bucket", Word, nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("version", Word, nullable=False),
        sa.Column("versioned", sa.Integer(), nullable=False),
        sa.Column("operation", Word, nullable=False),
        sa.Column("started", Number, nullable=False),
        sa.Column("lease", Number, nullable=False),
        sa.Column("generation", Number, nullable=False),
        sa.Column("storage_class", Word, nullable=True),
        sa.Column("external_id", Word, nullable=True),
        sa.Column("before", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_intent_lease"), "intent", ["lease"], unique=False)
    op.create_table(
        "job",
        sa.Column("id", Number, autoincrement=True, nullable=False),
        sa.Column("kind", Word, nullable=False),
        sa.Column("dedupe", sa.LargeBinary(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("due", Number, nullable=False),
        sa.Column("state", Word, nullable=False),
        sa.Column("lease", Number, nullable=True),
        sa.Column("owner", Word, nullable=True),
        sa.Column("token", Number, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("job_due", "job", ["state", "due", "id"], unique=False)
    op.create_index(
        "job_live",
        "job",
        ["kind", "dedupe"],
        unique=True,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "key",
        sa.Column("access_key", Word, nullable=False),
        sa.Column("account", Word, nullable=False),
        sa.Column("expires", Number, nullable=True),
        sa.Column("disabled", sa.Integer(), nullable=False),
        sa.Column("grants", sa.Text(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("access_key"),
    )
    op.create_table(
        "publish",
        sa.Column("id", Number, autoincrement=True, nullable=False),
        sa.Column("account", Word, nullable=False),
        sa.Column("bucket", Word, nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("version", Word, nullable=False),
        sa.Column("versioned", sa.Integer(), nullable=False),
        sa.Column("at", Number, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "recall",
        sa.Column("id", Word, nullable=False),
        sa.Column("account", Word, nullable=False),
        sa.Column("bucket", Word, nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("version", Word, nullable=False),
        sa.Column("versioned", sa.Integer(), nullable=False),
        sa.Column("generation", Number, nullable=False),
        sa.Column("active", sa.Integer(), nullable=False),
        sa.Column("archive", Word, nullable=False),
        sa.Column("archive_id", Word, nullable=False),
        sa.Column("state", Word, nullable=False),
        sa.Column("tier", Word, nullable=False),
        sa.Column("request_id", Word, nullable=True),
        sa.Column("tape", Word, nullable=True),
        sa.Column("position", Number, nullable=True),
        sa.Column("place_store", Word, nullable=True),
        sa.Column("place_name", sa.Text(), nullable=True),
        sa.Column("place_etag", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created", Number, nullable=False),
        sa.Column("due", Number, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "recall_active",
        "recall",
        ["account", "bucket", "key", "version", "generation"],
        unique=True,
        sqlite_where=sa.text("active = 1"),
        postgresql_where=sa.text("active = 1"),
    )
    op.create_index("recall_created", "recall", ["active", "created"], unique=False)
    op.create_table(
        "upload",
        sa.Column("id", Word, nullable=False),
        sa.Column("account", Word, nullable=False),
        sa.Column("bucket", Word, nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("version", Word, nullable=False),
        sa.Column("versioned", sa.Integer(), nullable=False),
        sa.Column("storage_class", Word, nullable=True),
        sa.Column("external_id", Word, nullable=True),
        sa.Column("checksum_type", Word, nullable=True),
        sa.Column("created", Number, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
