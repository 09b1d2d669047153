"""The tables. Keys are bytes, so that both databases sort as S3 does; times are integers (ms).

Nothing here is interpreted: ``rows`` turns a row into a noun of the model.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text, text

metadata = MetaData()

Number = BigInteger().with_variant(Integer(), "sqlite")
Word = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that sorts by its bytes, whatever the language of the database."""

CURRENT = text("current = 1")
ACTIVE = text("active = 1")
LIVE = text("state = 'waiting'")
COLD = text("state = 'verified' AND pinned = 0")
PINNED = text("pinned > 0")
RESTORED = text("state = 'restored'")
ARCHIVED = text("archive_id IS NOT NULL")
MEDIA = text("media_codec IS NOT NULL")
UNPROBED = text("unprobed = 1")


def _name() -> list[Column]:
    return [
        Column("account", Word, nullable=False),
        Column("bucket", Word, nullable=False),
        Column("key", LargeBinary, nullable=False),
        Column("version", Word, nullable=False),
        Column("versioned", Integer, nullable=False),
    ]


entry = Table(
    "entry",
    metadata,
    Column("account", Word, primary_key=True),
    Column("bucket", Word, primary_key=True),
    Column("key", LargeBinary, primary_key=True),
    Column("version", Word, primary_key=True),
    Column("versioned", Integer, nullable=False),  # 0: its ref names no version
    Column("current", Integer, nullable=False),
    Column("state", Word, nullable=False),
    Column("revision", Number, nullable=False),
    Column("generation", Number, nullable=False),
    Column("token", Word),
    Column("lease", Number),
    Column("writers", Integer, nullable=False),
    Column("storage_class", Word, nullable=False),
    Column("store", Word, nullable=False),
    Column("place_store", Word),
    Column("place_name", Text),
    Column("place_etag", Text),
    Column("archive", Word),
    Column("archive_id", Word),
    Column("copies", Integer, nullable=False),
    Column("interests", Text, nullable=False),
    Column("restored_until", Number),
    Column("due", Number),
    Column("external_id", Word),
    Column("media_kind", Word),
    Column("media", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("size", Number),  # NULL: no facts, a placeholder
    Column("etag", Text),
    Column("last_modified", Number),
    Column("stamp", Text),
    Column("headers", Text),
    Column("metadata", Text),
    Column("checksums", Text),
    Column("parts", Text),
    Column("tags", Text),
    Column("acl", Text),
    Column("lock", Text),
    Column("sse", Text),
    Column("owner", Text),
    Column("last_read", Number, nullable=False, server_default=text("0")),  # a note, no part of the entry: never under compare-and-set
    Column("pinned", Number, nullable=False, server_default=text("0")),
    Column("media_codec", Word),  # this and what follows says again what ``media`` says, to be looked for
    Column("media_container", Word),
    Column("media_duration", Number),
    Column("unprobed", Integer, nullable=False, server_default=text("0")),
    Index("entry_current", "account", "bucket", "key", unique=True, sqlite_where=CURRENT, postgresql_where=CURRENT),
    Index("entry_due", "state", "due"),
    Index("entry_external_id", "external_id"),
    Index(
        "entry_cold", "store", "last_read", "account", "bucket", "key", "version",
        sqlite_where=COLD, postgresql_where=COLD,
    ),
    Index("entry_pinned", "pinned", sqlite_where=PINNED, postgresql_where=PINNED),
    Index("entry_restored", "restored_until", sqlite_where=RESTORED, postgresql_where=RESTORED),
    Index("entry_archive_id", "archive_id", sqlite_where=ARCHIVED, postgresql_where=ARCHIVED),
    Index("entry_media", "media_codec", "media_container", "media_duration", sqlite_where=MEDIA, postgresql_where=MEDIA),
    Index("entry_unprobed", "state", "account", "bucket", "key", "version", sqlite_where=UNPROBED, postgresql_where=UNPROBED),
)  # fmt: skip

recall = Table(
    "recall",
    metadata,
    Column("id", Word, primary_key=True),
    *_name(),
    Column("generation", Number, nullable=False),
    Column("active", Integer, nullable=False),
    Column("archive", Word, nullable=False),
    Column("archive_id", Word, nullable=False),
    Column("state", Word, nullable=False),
    Column("tier", Word, nullable=False),
    Column("request_id", Word),
    Column("tape", Word),
    Column("position", Number),
    Column("place_store", Word),
    Column("place_name", Text),
    Column("place_etag", Text),
    Column("attempts", Integer, nullable=False),
    Column("created", Number, nullable=False),
    Column("due", Number, nullable=False),
    Column("reason", Text, nullable=False),
    Index(
        "recall_active", "account", "bucket", "key", "version", "generation",
        unique=True, sqlite_where=ACTIVE, postgresql_where=ACTIVE,
    ),
    Index("recall_created", "active", "created"),
)  # fmt: skip

intent = Table(
    "intent",
    metadata,
    Column("id", Word, primary_key=True),
    *_name(),
    Column("operation", Word, nullable=False),
    Column("started", Number, nullable=False),
    Column("lease", Number, nullable=False, index=True),
    Column("generation", Number, nullable=False),
    Column("storage_class", Word),
    Column("external_id", Word),
    Column("before", Text),
)

upload = Table(
    "upload",
    metadata,
    Column("id", Word, primary_key=True),
    *_name(),
    Column("storage_class", Word),
    Column("external_id", Word),
    Column("checksum_type", Word),
    Column("created", Number, nullable=False),
)

bucket = Table(
    "bucket",
    metadata,
    Column("account", Word, primary_key=True),
    Column("name", Word, primary_key=True),
    Column("owner", Word, nullable=False),
    Column("plain", Integer, nullable=False),
    Column("versioned", Integer, nullable=False),
    Column("generation", Number, nullable=False),
)

job = Table(
    "job",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("kind", Word, nullable=False),
    Column("dedupe", LargeBinary, nullable=False),  # holds keys
    Column("payload", Text, nullable=False),
    Column("due", Number, nullable=False),
    Column("state", Word, nullable=False),
    Column("lease", Number),
    Column("owner", Word),
    Column("token", Number, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Index("job_live", "kind", "dedupe", unique=True, sqlite_where=LIVE, postgresql_where=LIVE),
    Index("job_due", "state", "due", "id"),
    sqlite_autoincrement=True,  # a number is never given twice: who holds an old one can harm nobody
)

event = Table(
    "event",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    *_name(),
    Column("name", Word, nullable=False),
    Column("at", Number, nullable=False),
    Column("detail", Text, nullable=False),
    sqlite_autoincrement=True,
)

publish = Table(
    "publish",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    *_name(),
    Column("at", Number, nullable=False),
    sqlite_autoincrement=True,
)

counter = Table(
    "counter",
    metadata,
    Column("name", Word, primary_key=True),
    Column("value", Number, nullable=False),
)

claim = Table(
    "claim",
    metadata,
    Column("account", Word, primary_key=True),
    Column("external_id", Word, primary_key=True),
    Column("bucket", Word, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("holders", Integer, nullable=False),
)

pin = Table(
    "pin",
    metadata,
    Column("account", Word, primary_key=True),
    Column("bucket", Word, primary_key=True),
    Column("prefix", LargeBinary, primary_key=True),
    Column("until", Number, nullable=False),
)

space = Table(  # changes of what is held, to be summed; nobody waits for anybody's row
    "space",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("store", Word, nullable=False),
    Column("kind", Word, nullable=False),
    Column("bytes", Number, nullable=False),
    Column("objects", Number, nullable=False),
    sqlite_autoincrement=True,
)

key = Table(
    "key",
    metadata,
    Column("access_key", Word, primary_key=True),
    Column("account", Word, nullable=False),
    Column("expires", Number),
    Column("disabled", Integer, nullable=False),
    Column("grants", Text),
    Column("sealed", LargeBinary, nullable=False),
)
