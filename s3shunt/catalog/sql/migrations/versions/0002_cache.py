"""Which copies are cold, pinned or past their date, and how much room they take."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Word = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
COLD = sa.text("state = 'verified' AND pinned = 0")
PINNED = sa.text("pinned > 0")
RESTORED = sa.text("state = 'restored'")

HELD = """
INSERT INTO space (store, kind, bytes, objects)
SELECT store, 'held', SUM(size), COUNT(*) FROM entry
WHERE size IS NOT NULL AND state IN ('online', 'archiving', 'verified', 'evicting') GROUP BY store
"""
LANDED = """
INSERT INTO space (store, kind, bytes, objects)
SELECT place_store, 'landed', SUM(size), COUNT(*) FROM entry WHERE size IS NOT NULL AND place_store IS NOT NULL GROUP BY place_store
"""
COMING = """
INSERT INTO space (store, kind, bytes, objects)
SELECT '', 'coming', SUM(size), COUNT(*) FROM entry WHERE size IS NOT NULL AND state IN ('recalling', 'landing') HAVING COUNT(*) > 0
"""


def upgrade() -> None:
    op.add_column("entry", sa.Column("last_read", Number, nullable=False, server_default=sa.text("0")))
    op.add_column("entry", sa.Column("pinned", Number, nullable=False, server_default=sa.text("0")))
    op.execute("UPDATE entry SET last_read = last_modified WHERE last_modified IS NOT NULL")
    cold = ["store", "last_read", "account", "bucket", "key", "version"]
    op.create_index("entry_cold", "entry", cold, unique=False, sqlite_where=COLD, postgresql_where=COLD)
    op.create_index("entry_pinned", "entry", ["pinned"], unique=False, sqlite_where=PINNED, postgresql_where=PINNED)
    op.create_index("entry_restored", "entry", ["restored_until"], unique=False, sqlite_where=RESTORED, postgresql_where=RESTORED)
    op.create_table(
        "pin",
        sa.Column("account", Word, nullable=False),
        sa.Column("bucket", Word, nullable=False),
        sa.Column("prefix", sa.LargeBinary(), nullable=False),
        sa.Column("until", Number, nullable=False),
        sa.PrimaryKeyConstraint("account", "bucket", "prefix"),
    )
    op.create_table(
        "space",
        sa.Column("id", Number, autoincrement=True, nullable=False),
        sa.Column("store", Word, nullable=False),
        sa.Column("kind", Word, nullable=False),
        sa.Column("bytes", Number, nullable=False),
        sa.Column("objects", Number, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    for counted in (HELD, LANDED, COMING):
        op.execute(counted)
