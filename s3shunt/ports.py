"""Every socket in the wall: what we ask of the outside, in small Protocols.

The promise is in the docstring; ``s3shunt.testing.contracts`` holds each adapter
to it. Adapters raise the S3 errors named here and nothing foreign. All of them
may be called from any thread.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from s3shunt.model import (
    Bucket,
    Entry,
    Event,
    Facts,
    Fingerprint,
    Intent,
    Job,
    Key,
    ObjectRef,
    Pin,
    Recall,
    Room,
    Search,
    State,
    Step,
    Upload,
)


class Catalog(Protocol):
    """Knows where each object's bytes are. Raises ServiceUnavailable when it cannot know."""

    def find(self, ref: ObjectRef) -> Entry | None:
        """The row of ``ref.version``, or of the current version when that is None."""

    def find_truth(self, ref: ObjectRef) -> Entry | None:
        """The same, past every cache."""

    def commit(self, step: Step) -> bool:
        """Do the whole step in one durable transaction, or change nothing and say False.

        Every swap is checked against ``policy.transitions``; one that is not in
        the graph raises IllegalTransition. The new row's ``revision`` is the old
        one's plus one, whatever ``new`` says; a row that is inserted gets one that no
        row of that name had before.
        """

    def scan(
        self, account: str, bucket: str, *, prefix: str = "", after: ObjectRef | None = None, limit: int = 1000, versions: bool = False
    ) -> list[Entry]:
        """Rows of a bucket in S3 order (UTF-8 bytes of the key, newest version first), behind ``after``.

        Without ``versions`` only current rows. ``after`` with a version continues
        behind that version, without one behind the whole key.
        """

    def select(
        self, *, state: State | None = None, due_before: int | None = None, bucket: str | None = None,
        external_id: str | None = None, after: Entry | None = None, limit: int = 1000,
    ) -> list[Entry]:
        """Rows by what jobs and operators look for, in key order, behind ``after``."""

    def search(self, wanted: Search, *, after: Entry | None = None, limit: int = 1000) -> list[Entry]:
        """Rows by their ids and by what is known of their media, in key order, behind ``after``."""

    def holder(self, account: str, external_id: str) -> ObjectRef | None:
        """The key of an account that has this external id: a row of it carries it, or a write that is under way.

        ``commit`` changes nothing for a step that would give an id to a second key.
        """

    def history(self, ref: ObjectRef) -> list[Entry]:
        """All rows of a key, newest first."""


class Intents(Protocol):
    """Writes that have begun. They are opened and closed by ``Catalog.commit``."""

    def lapsed(self, now: int, limit: int = 100) -> list[Intent]: ...

    def renew(self, intent: str, lease: int) -> bool:
        """False when the intent is gone: a sweep took it."""


class Registry(Protocol):
    """Buckets and multipart uploads that we must remember."""

    def bucket(self, account: str, name: str) -> Bucket | None: ...

    def save_bucket(self, bucket: Bucket) -> None:
        """Insert or replace; the generation moves on."""

    def drop_bucket(self, account: str, name: str) -> None: ...

    def buckets(self) -> list[Bucket]:
        """All that are remembered, by account and name."""

    def upload(self, id: str) -> Upload | None: ...  # noqa: A002

    def save_upload(self, upload: Upload) -> None: ...

    def drop_upload(self, id: str) -> None: ...  # noqa: A002


class Recalls(Protocol):
    """Written by ``Catalog.commit``; read here."""

    def recall(self, id: str) -> Recall | None: ...  # noqa: A002

    def recalls(
        self, *, ref: ObjectRef | None = None, archive: str | None = None, archive_ids: Collection[str] | None = None,
        unasked: bool = False, active: bool = True, limit: int = 1000,
    ) -> list[Recall]:
        """Oldest first: of an object, of an archive, of what an archive calls by these ids; ``unasked``: without a request."""


class Ledger(Protocol):
    """The durable list of what is due. Jobs are enqueued by ``Catalog.commit`` or ``enqueue``."""

    def enqueue(self, *jobs: Job) -> None: ...

    def claim(self, kinds: Sequence[str], now: int, lease: int, owner: str, limit: int = 1) -> list[Job]:
        """Take due jobs that nobody holds; each gets a fencing token higher than any before."""

    def claim_named(self, kind: str, names: Sequence[str], now: int, lease: int, owner: str) -> list[Job]:
        """The same of those jobs alone that have these names (``dedupe``)."""

    def extend(self, job: Job, lease: int) -> bool:
        """Keep a claimed job until ``lease``; False when the token is stale."""

    def finish(self, job: Job) -> bool:
        """Remove a job; False when the token is stale."""

    def postpone(self, job: Job, due: int, *, reason: str = "", failed: bool = False) -> bool:
        """Let go of a job until ``due``; ``failed`` counts an attempt."""

    def bury(self, job: Job, reason: str) -> bool:
        """Put a job among the dead letters."""

    def jobs(self, *, kind: str | None = None, dead: bool = False, limit: int = 1000) -> list[Job]: ...

    def revive(self, id: int, due: int) -> bool: ...  # noqa: A002


class Backlog(Protocol):
    """The ledger in numbers."""

    def backlog(self) -> dict[tuple[str, str], tuple[int, int]]:
        """How many jobs there are by kind and state, and when the first of them is due."""


class Events(Protocol):
    """The outbox. Rows are written by ``Catalog.commit``."""

    def pending(self, limit: int = 100) -> list[tuple[int, Event]]: ...

    def delivered(self, *ids: int) -> None: ...


class Cache(Protocol):
    """What of the stores nobody reads, and what is past its date. Nothing here lists a store."""

    def coldest(
        self, store: str, *, buckets: Sequence[str] = (), after: tuple[int, ObjectRef] | None = None, limit: int = 1000
    ) -> list[tuple[int, Entry]]:
        """Verified rows that nobody pinned, with their last use, least recently used first, behind ``after``.

        The last use is the last read that was noted, or the object's own date.
        ``buckets`` (shell patterns) may leave out others, and need not.
        """

    def note_reads(self, reads: Mapping[ObjectRef, int]) -> None:
        """Objects were read at these times. Only notes: no revision moves, nobody waits, and some may be lost."""

    def last_use(self, ref: ObjectRef) -> int | None:
        """What ``coldest`` goes by; None for an unknown row."""

    def expired(self, now: int, limit: int = 1000) -> list[Entry]:
        """Restored rows past their date, longest first."""


class Space(Protocol):
    """How much the stores hold."""

    def room(self, store: str) -> Room:
        """What is taken in ``store``; ``coming`` is for wherever copies land. Exact for what ``commit`` changed."""

    def settle(self) -> None:
        """Keep ``room`` quick; done now and then."""

    def recount(self) -> None:
        """Count ``room`` anew from the rows; for those that did not come by ``commit``."""

    def remember(self, name: str, value: int) -> None:
        """Keep a number for all processes."""

    def remembered(self, name: str) -> int:
        """0 when nobody did."""


class Bulk(Protocol):
    """Many rows at once, for who brings a catalog in."""

    def rows_of(self, refs: Sequence[ObjectRef]) -> list[Entry]:
        """All rows of these keys, whatever their versions, in no order."""

    def adopt(self, entries: Sequence[Entry], *, rehearse: bool = False) -> list[Entry]:
        """Insert those whose name no row has, in one durable transaction; which those are.

        Left out, of several of one name all but the first, and what would be a second
        current version of a key, or would take an external id that another key has. ``rehearse``: only say it.
        """


class Pins(Protocol):
    """What must stay. Each change of a pin moves the revisions of its rows."""

    def pin(self, pin: Pin) -> int:
        """Pin all rows with the prefix, now and in future. Returns how many there are now."""

    def unpin(self, pin: Pin) -> int:
        """Take back the pin of this prefix, and those of the single rows below it. Returns how many rows were pinned."""

    def unpin_past(self, now: int) -> int:
        """Pins whose time is over are no more. Returns how many rows had one."""

    def pins(self) -> list[Pin]:
        """Those of prefixes, in order."""

    def pinned(self, *, after: ObjectRef | None = None, limit: int = 1000) -> list[Entry]:
        """Rows that are pinned, in key order, behind ``after``."""


class Truth(Catalog, Intents, Registry, Recalls, Ledger, Backlog, Events, Cache, Space, Pins, Bulk, Protocol):
    """All of the above on one database: what ``[catalog:x]`` connects to."""

    def check(self) -> list[str]:
        """What an operator must mend (schema not current, durability too low ...); empty when sound."""

    def upgrade(self) -> None:
        """Bring the schema to this release's form."""

    def publishes(self, older_than: int, limit: int = 1000) -> list[tuple[int, Entry | ObjectRef]]:
        """Rows of the index's outbox: the entry as it now is, or the ref of a removed row."""

    def published(self, *ids: int) -> None: ...


class Index(Protocol):
    """A fast, forgetful copy of the catalog. Every answer may be "I do not know"."""

    def get(self, ref: ObjectRef) -> "Hit | Miss":
        """A Miss carries the ticket with which its reader, and nobody else, may fill."""

    def fill(self, ref: ObjectRef, entry: Entry | None, ticket: str) -> None:
        """Only while the placeholder of ``ticket`` stands."""

    def publish(self, *changed: Entry | ObjectRef) -> None:
        """Rows that a writer changed: what was kept of them, or is about to be filled, is never given again.

        Raises ServiceUnavailable when it is not taken.
        """

    def show(self, changed: Iterable[tuple[int, ObjectRef, Entry | None]]) -> None:
        """For people to read, where that is wished: keys with their current entries, each with the number of its last change.

        Nobody asks it back. A lower number never comes after a higher one. Raises ServiceUnavailable.
        """


class Meter(Protocol):
    """Token buckets that all processes share."""

    def spend(self, subject: str, wanted: int, each: float, burst: int) -> tuple[int, int]:
        """Take up to ``wanted`` tokens out of a bucket of ``burst`` that gets one in ``each`` milliseconds.

        How many there were, and, if none, milliseconds until there is one. Raises ServiceUnavailable.
        """


@dataclass(frozen=True, slots=True)
class Hit:
    entry: Entry | None


@dataclass(frozen=True, slots=True)
class Miss:
    ticket: str = ""


class Keys(Protocol):
    """Access keys of clients."""

    def find(self, access_key: str) -> Key | None:
        """None for an unknown key; raises ServiceUnavailable when it cannot know."""

    def all(self) -> list[Key]: ...

    def save(self, key: Key) -> None: ...

    def drop(self, access_key: str) -> None: ...


class Evict(StrEnum):
    """How a store deletes exactly one version and never a newer one, however late the delete runs."""

    VERSION = "version"  # by versionId
    IF_MATCH = "if-match"  # an atomic conditional delete
    SWIFT = "swift"  # X-Timestamp on Swift's own API
    LOCKED = "locked"  # the store is ours alone and compares under a lock (posix, memory)
    UNSAFE = "unsafe"  # HEAD then DELETE, allowed by the operator
    NONE = "none"


class ObjectStore(Protocol):
    """Gives and takes bytes at once. Raises NoSuchKey, PreconditionFailed, ServiceUnavailable, MetadataTooLarge."""

    evict: Evict

    def head(self, ref: ObjectRef) -> Facts | None:
        """Everything S3 says of the version, tags, ACL, parts and checksums included; None when absent."""

    def read(self, ref: ObjectRef, *, start: int = 0, end: int | None = None, etag: str | None = None) -> Iterator[bytes]:
        """Bytes ``start`` to ``end`` (exclusive). Raises now, not on the first chunk; ends short by raising IncompleteBody."""

    def write(self, ref: ObjectRef, chunks: Iterable[bytes], *, size: int, facts: Facts | None = None) -> Facts:
        """Store all or nothing: when ``chunks`` raises or yields another count than ``size``, nothing is stored."""

    def delete(self, ref: ObjectRef) -> None:
        """Deleting twice is deleting once."""

    def delete_exact(self, ref: ObjectRef, fingerprint: Fingerprint) -> None:
        """Delete this version and no other; a newer one survives even when this arrives late. A no-op when it is gone."""

    def list(
        self, bucket: str, *, prefix: str = "", after: str = "", limit: int = 1000, account: str = ""
    ) -> list[tuple[str, Facts]]:
        """Keys in UTF-8 byte order behind ``after``; facts hold size, etag and last_modified only."""

    def usage(self) -> tuple[int, int] | None:
        """Bytes used and capacity; None where the store cannot say."""


class Upstream(Protocol):
    """A store that speaks S3 over HTTP: what ``apps/proxy`` forwards to."""

    endpoint: str  # http://host:port
    endpoints: tuple[str, ...]  # that one, and further ones of the same store
    region: str
    per_account: bool  # bucket names belong to an account, as on Swift

    def credential(self, account: str) -> tuple[str, str]:
        """Access and secret key with which the store knows this account. Raises AccessDenied when it does not."""


class Progress(StrEnum):
    WAITING = "waiting"
    READY = "ready"
    FAILED = "failed"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How a recall stands; ``retry`` False: asking again cannot help."""

    progress: Progress
    percent: int = 0
    retry: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """What an archive says of an object: ``copies`` counts those it has verified.

    ``external_id`` is the one it knows it by, ``kind`` its own word for what it is (video, audio ...); empty where it does not say.
    """

    archive_id: str
    size: int
    checksum: str  # "sha256:<hex>" or "md5:<hex>"
    copies: int
    tape: str | None = None
    position: int | None = None
    facts: Facts | None = None
    external_id: str = ""
    kind: str = ""


class Archive(Protocol):
    """Takes bytes for good; gives them back after hours: ask, come back, then read.

    No method of this port can delete: that is the ``Shredder``'s, which only the
    job that discards overwritten copies is given. Raises ServiceUnavailable when
    the archive does not answer.
    """

    readback: str  # tag | destination | none: how an ambiguous request is resolved

    def write(self, tag: str, chunks: Iterable[bytes], *, size: int, ref: ObjectRef, facts: Facts) -> str:
        """Take an object; the same tag written twice is one copy. Returns the archive id."""

    def find(self, *, tag: str = "", archive_id: str = "", ref: ObjectRef | None = None) -> Copy | None:
        """What the archive holds under this tag, id or name: read back, not remembered."""

    def request(self, recall: Recall) -> str:
        """Ask for the bytes; ``recall.id`` is the tag, and asked twice is one request where readback allows."""

    def status(self, requests: Sequence[str]) -> dict[str, Status]:
        """How recalls stand, all in one call; a request the archive does not know is GONE."""

    def read(self, request_id: str) -> Iterator[bytes]:
        """The bytes of a READY recall."""

    def cancel(self, request_id: str) -> None:
        """Best effort."""

    def release(self, request_id: str) -> None:
        """The bytes have been taken; the archive's own staging copy may go."""


class Batches(Protocol):
    """An archive that can be asked for many objects in one call."""

    def request_many(self, recalls: Sequence[Recall]) -> dict[str, str]:
        """The request of each recall, by its id, with the promises of ``Archive.request``.

        Those that are left out cannot be asked now for a reason of their own: asked alone, each is told it.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One of all the objects of an archive: its name here and its copy, or why there is none.

    ``start`` is where to go on behind its page, ``total`` how many there are in all. ``skipped``: nothing that has a name here;
    ``problem``: something that should have had one, or lacks what it cannot be adopted without.
    """

    start: int
    total: int
    ref: ObjectRef | None = None
    copy: Copy | None = None
    skipped: str = ""
    problem: str = ""


class Inventory(Protocol):
    """An archive that can say all that it holds."""

    def holdings(self, *, bucket: str = "", key: str = "", clause: str = "", start: int = 0) -> Iterator[list[Holding]]:
        """Page by page from the ``start``-th on: those of a bucket; where an archive knows only external ids,
        with keys made of them (``key``: '{external_id}.mxf'); narrowed down by a clause in its own language.
        """


class Notices(Protocol):
    """An archive that posts what happens to it: more than once, late, or never. A hint, and never the truth."""

    def noticed(self, document: bytes) -> frozenset[str]:
        """The archive ids whose recalls are worth a look now. Raises MalformedXML."""


class Shredder(Protocol):
    """The one way to make an archive forget."""

    def shred(self, archive_id: str) -> None: ...
