"""The nouns of the house: what an object is, where it is, and what is being done about it.

Values only: frozen, comparable, without behaviour that needs the outside. All
times are whole milliseconds since the epoch (UTC), all durations milliseconds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from hashlib import sha256
from typing import Any

NULL = "null"
"""The version of an object whose bucket keeps no versions, as S3 writes it."""

FOREVER = 253_402_300_799_999
"""The last millisecond of the year 9999."""


def setters(made: type) -> list[Callable[[Any, Any], None]]:
    """What puts a value into each slot of a frozen class: for those of which every request makes some, in half the time."""
    return [vars(made)[one.name].__set__ for one in fields(made)]


@dataclass(frozen=True, slots=True, init=False)
class ObjectRef:
    """Names a service (no bucket), a bucket (no key), an object, or one version of it.

    ``account`` is empty where the store's bucket names are global, else the
    store account that owns the bucket (as on Swift). ``version`` is what the
    client asked for; None asks for the current one.
    """

    bucket: str = ""
    key: str = ""
    version: str | None = None
    account: str = ""

    def __init__(self, bucket: str = "", key: str = "", version: str | None = None, account: str = "") -> None:
        _bucket(self, bucket)
        _key(self, key)
        _version(self, version)
        _account(self, account)

    def __str__(self) -> str:
        name = f"{self.bucket}/{self.key}"
        return f"{name}?versionId={self.version}" if self.version else name


_bucket, _key, _version, _account = setters(ObjectRef)


class State(StrEnum):
    """Where the bytes of one version are; the graph is in ``policy.transitions``."""

    ONLINE = "online"
    ARCHIVING = "archiving"
    VERIFIED = "verified"
    EVICTING = "evicting"
    ARCHIVED = "archived"
    QUEUED = "queued"
    RECALLING = "recalling"
    LANDING = "landing"
    RESTORED = "restored"
    EXPIRING = "expiring"
    DELETED = "deleted"
    LOST = "lost"


STORE_IS_TRUTH = frozenset({State.ONLINE, State.ARCHIVING, State.VERIFIED, State.EVICTING})
"""States in which the store is asked and the entry is a hint; in all others the entry is the truth."""

IN_PROGRESS = frozenset({State.QUEUED, State.RECALLING, State.LANDING})
"""States in which a client sees ``ongoing-request="true"``."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Tells one version of an object from every other, the same bytes PUT again included.

    ``stamp`` is the store's own (versionId, or Swift's X-Timestamp); where a
    store gives none it is empty and the rest has to be enough.
    """

    etag: str
    last_modified: int
    digest: str
    stamp: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What S3 says of one version, enough to answer HEAD without the store.

    ``headers`` are those a HEAD answers beyond the named ones (Content-Type,
    Cache-Control ...), by lower-case name; ``metadata`` is keyed without the
    ``x-amz-meta-`` prefix; ``checksums`` by lower-case header name; ``parts`` are
    the sizes of a multipart object's parts.
    """

    size: int
    etag: str
    last_modified: int
    stamp: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    checksums: Mapping[str, str] = field(default_factory=dict)
    parts: tuple[int, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    acl: str = ""
    lock: Mapping[str, str] = field(default_factory=dict)
    sse: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""

    @property
    def fingerprint(self) -> Fingerprint:
        """Pin, evict and sweeps compare this, and nothing less."""
        lines = [f"{name}:{value}" for name, value in sorted(self.headers.items())]
        lines += [f"meta {name}:{value}" for name, value in sorted(self.metadata.items())]
        digest = sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
        return Fingerprint(self.etag, self.last_modified, digest, self.stamp)


@dataclass(frozen=True, slots=True)
class Interest:
    """One identity's latest wish to have an archived object readable.

    ``until`` is None while the recall runs: the days begin when the bytes are there.
    """

    identity: str
    days: int
    tier: str = "Standard"
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a landed copy lies: the id of a ``[store:x]`` section (never a URL) and a name in it.

    ``etag`` is what the store made of the bytes that were verified; whoever reads them demands it.
    """

    store: str
    name: str
    etag: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of the catalog: one version of one object.

    ``revision`` counts every change of the row and is what compare-and-set
    compares; ``generation`` counts the writes of clients; ``token`` fences the
    one who holds a state; ``writers`` counts open intents; until ``pinned`` the
    bytes do not leave the store. An entry without ``facts`` is a placeholder: a
    write is under way on a key nobody knew.
    """

    ref: ObjectRef
    state: State = State.ONLINE
    facts: Facts | None = None
    current: bool = True
    revision: int = 0
    generation: int = 0
    token: str | None = None
    lease: int | None = None
    writers: int = 0
    storage_class: str = "STANDARD"
    store: str = "main"
    place: Place | None = None
    archive: str | None = None
    archive_id: str | None = None
    copies: int = 0
    interests: tuple[Interest, ...] = ()
    restored_until: int | None = None
    due: int | None = None
    external_id: str | None = None
    media_kind: str | None = None
    media: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    pinned: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A write that has begun: what a sweep needs to finish or forget it after a crash.

    ``operation`` is S3's word; ``before`` the row a DELETE hid behind its
    tombstone; ``facts`` what the store will not keep (class, external id).
    """

    id: str
    ref: ObjectRef
    operation: str
    started: int
    lease: int
    generation: int = 0
    storage_class: str | None = None
    external_id: str | None = None
    before: Entry | None = None


class RecallState(StrEnum):
    QUEUED = "queued"
    ASKED = "asked"
    READY = "ready"
    LANDED = "landed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """What the archive is doing for one or more restores of one generation of one version."""

    id: str
    ref: ObjectRef
    generation: int
    archive: str
    archive_id: str
    state: RecallState = RecallState.QUEUED
    tier: str = "Standard"
    request_id: str | None = None
    tape: str | None = None
    position: int | None = None
    place: Place | None = None
    attempts: int = 0
    created: int = 0
    due: int = 0
    reason: str = ""

    @property
    def active(self) -> bool:
        return self.state in (RecallState.QUEUED, RecallState.ASKED, RecallState.READY, RecallState.FAILED)


class JobState(StrEnum):
    WAITING = "waiting"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One due thing in the ledger. At most one live job has a given (kind, dedupe)."""

    kind: str
    dedupe: str
    payload: Mapping[str, object] = field(default_factory=dict)
    due: int = 0
    id: int = 0
    state: JobState = JobState.WAITING
    lease: int | None = None
    owner: str | None = None
    token: int = 0
    attempts: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something the outside may want to hear of, in S3's event names."""

    name: str
    ref: ObjectRef
    at: int
    detail: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Swap:
    """One row replaced: ``old`` None inserts, ``new`` None removes."""

    old: Entry | None
    new: Entry | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one transaction does: all of it or nothing.

    A step fails, and changes nothing, when a row of ``swaps`` is no longer the
    ``old`` one (its revision moved) or an intent of ``closed`` is gone.
    ``recalls`` are written by id; a job whose (kind, dedupe) is live already
    only moves the live one's due date forward; ``released`` are live jobs no
    longer wanted, by (kind, dedupe).
    """

    swaps: tuple[Swap, ...] = ()
    opened: tuple[Intent, ...] = ()
    closed: tuple[str, ...] = ()
    recalls: tuple[Recall, ...] = ()
    jobs: tuple[Job, ...] = ()
    released: tuple[tuple[str, str], ...] = ()
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A multipart upload whose class or checksum type must be remembered until Complete."""

    id: str
    ref: ObjectRef
    storage_class: str | None = None
    external_id: str | None = None
    checksum_type: str | None = None
    created: int = 0


@dataclass(frozen=True, slots=True)
class Pin:
    """Until when the bytes of all keys with a prefix stay in the store, also of those that are written later."""

    bucket: str
    prefix: str = ""
    until: int = FOREVER
    account: str = ""


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes that copies of known objects take in one store.

    ``held`` by objects whose truth the store is, ``landed`` by recalled copies;
    ``coming`` are the bytes that were promised room, and are on their way.
    """

    held: int = 0
    landed: int = 0
    coming: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is looked for among entries; None does not matter.

    Durations are those of the film or sound, inclusive; ``unprobed`` asks for those into which nobody has looked yet.
    """

    state: State | None = None
    account: str | None = None
    bucket: str | None = None
    external_id: str | None = None
    archive_id: str | None = None
    kind: str | None = None
    codec: str | None = None
    container: str | None = None
    min_duration: int | None = None
    max_duration: int | None = None
    unprobed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """What we know of a bucket. ``plain``: no entry can concern it, so reads skip the lookup."""

    name: str
    account: str = ""
    owner: str = ""
    plain: bool = True
    versioned: bool = False
    generation: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Rights within buckets (shell patterns) and key prefixes."""

    buckets: tuple[str, ...] = ("*",)
    prefixes: tuple[str, ...] = ("",)
    allow: tuple[str, ...] = ("read", "write", "delete", "list", "restore")


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One access key of a client. ``grants`` None: all rights within its own account; (): none."""

    access_key: str
    secret_key: str = field(repr=False)
    account: str
    expires: int | None = None
    session_token: str | None = field(default=None, repr=False)
    grants: tuple[Grant, ...] | None = None
    store_access_key: str | None = None
    store_secret_key: str | None = field(default=None, repr=False)
    disabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who is asking. The anonymous identity has no access key and no account."""

    access_key: str = ""
    account: str = ""
    grants: tuple[Grant, ...] | None = ()
    store_access_key: str | None = None
    store_secret_key: str | None = field(default=None, repr=False)

    @property
    def anonymous(self) -> bool:
        return not self.access_key


ANONYMOUS = Identity()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """When objects of some buckets go to an archive, and when their bytes leave the store."""

    name: str
    buckets: tuple[str, ...]
    archive: str
    prefix: str = ""
    after: int | None = None
    min_size: int = 0
    max_size: int | None = None
    storage_class: str = "GLACIER"
    classes: tuple[str, ...] = ("GLACIER", "DEEP_ARCHIVE")
    copies: int = 1
    evict_after: int | None = 0
    high: int | None = None
    low: int | None = None
    external_id: str | None = None
    retain: int = 0
    ignore_acl: bool = False
    read_once: bool = False
