"""What was found out about one request on its way in; one typed record, no strings in environ."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from s3shunt.model import Entry, Identity, ObjectRef, setters
from s3shunt.protocol.operations import Operation

NONE: frozenset[ObjectRef] = frozenset()


@dataclass(frozen=True, slots=True, init=False)
class Decision:
    """May this identity do this, on every target. The proxy refuses a request without one, or for another ref.

    ``targets`` are all that it may touch where it names more than ``ref``: the source of a copy, the keys of a DeleteObjects.
    ``denied`` are the keys of a DeleteObjects that are to be answered AccessDenied one by one.
    """

    identity: Identity
    operation: Operation
    ref: ObjectRef
    targets: frozenset[ObjectRef] = NONE
    denied: frozenset[ObjectRef] = NONE

    def __init__(
        self, identity: Identity, operation: Operation, ref: ObjectRef,
        targets: frozenset[ObjectRef] = NONE, denied: frozenset[ObjectRef] = NONE,
    ) -> None:  # fmt: skip
        _identity(self, identity)
        _operation(self, operation)
        _ref(self, ref)
        _targets(self, targets)
        _denied(self, denied)


_identity, _operation, _ref, _targets, _denied = setters(Decision)


@dataclass(slots=True)
class Context:
    """Which door leaves what. Nothing here holds the request: a request ends when its answer does, not when garbage is collected."""

    request_id: str = ""  # errors
    started: float = 0.0  # access_log or metrics, whichever stands further out; monotonic seconds
    identity: Identity | None = None  # sigv4
    decision: Decision | None = None  # grants
    plain: bool = False  # lookup: no entry can concern this bucket
    looked_up: bool = False  # lookup: ``entry`` may be believed
    entry: Entry | None = None  # lookup
    discover: Callable[[Any], Entry | None] | None = None  # lookup: ask the archives by name for what nobody knows (request)
    restore: Callable[[Any, int, str], int] | None = None  # restore: start one (request, days, tier), as RestoreObject would
    store_archives: bool = False  # restore: the store has archive classes of its own, and what is not ours is its
    document: bytes | None = None  # the body of a DOCUMENT or TARGETS operation, verified and kept by who read it first
    error_code: str = ""  # errors, for the log
    upstream_status: int = 0  # proxy
    upstream_attempts: int = 0  # proxy
    notes: dict[str, str] = field(default_factory=dict)  # further fields of the access line
