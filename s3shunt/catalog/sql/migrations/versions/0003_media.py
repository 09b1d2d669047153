"""What is known of film and sound can be looked for; an external id has one key."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Word = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
ARCHIVED = sa.text("archive_id IS NOT NULL")
MEDIA = sa.text("media_codec IS NOT NULL")
UNPROBED = sa.text("unprobed = 1")

CLAIMS = """
INSERT INTO claim (account, external_id, bucket, key, holders)
SELECT account, external_id, bucket, key, held FROM (
    SELECT account, external_id, bucket, key, COUNT(*) AS held,
           ROW_NUMBER() OVER (PARTITION BY account, external_id ORDER BY bucket, key) AS place
    FROM (SELECT account, external_id, bucket, key FROM entry WHERE external_id <> ''
          UNION ALL SELECT account, external_id, bucket, key FROM intent WHERE external_id <> '') AS carried
    GROUP BY account, external_id, bucket, key) AS counted
WHERE place = 1
"""
"""Of keys that share an id the first one has it; the others keep theirs until they are written again."""


def upgrade() -> None:
    op.add_column("entry", sa.Column("media_codec", Word, nullable=True))
    op.add_column("entry", sa.Column("media_container", Word, nullable=True))
    op.add_column("entry", sa.Column("media_duration", Number, nullable=True))
    op.add_column("entry", sa.Column("unprobed", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.execute("UPDATE entry SET unprobed = 1 WHERE size IS NOT NULL AND media = '{}'")
    _told()
    op.create_index("entry_archive_id", "entry", ["archive_id"], unique=False, sqlite_where=ARCHIVED, postgresql_where=ARCHIVED)
    wanted = ["media_codec", "media_container", "media_duration"]
    op.create_index("entry_media", "entry", wanted, unique=False, sqlite_where=MEDIA, postgresql_where=MEDIA)
    place = ["state", "account", "bucket", "key", "version"]
    op.create_index("entry_unprobed", "entry", place, unique=False, sqlite_where=UNPROBED, postgresql_where=UNPROBED)
    op.create_table(
        "claim",
        sa.Column("account", Word, nullable=False),
        sa.Column("external_id", Word, nullable=False),
        sa.Column("bucket", Word, nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("holders", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("account", "external_id"),
    )
    op.execute(CLAIMS)


def _told() -> None:
    """What rows say of their media already, those of an import."""
    names = ("account", "bucket", "key", "version")
    kept = ("media_codec", "media_container", "media_duration")
    entry = sa.table("entry", *[sa.column(name) for name in (*names, *kept, "media")])
    connection = op.get_bind()
    for row in connection.execute(sa.select(entry).where(entry.c.media != "{}")).all():
        media = json.loads(row.media)
        length = str(media.get("duration", ""))
        values = {
            "media_codec": media.get("codec"), "media_container": media.get("container"),
            "media_duration": int(length) if length.isdecimal() and len(length) <= 15 else None,
        }  # fmt: skip
        connection.execute(sa.update(entry).where(*[entry.c[name] == getattr(row, name) for name in names]).values(values))
