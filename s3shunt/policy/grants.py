"""May this identity do this: on the target, the copy source, the keys of a document and the prefix of a listing.

Deny is what happens when nothing allows. That the bucket may be used by the
caller's account at all is asked separately (``filters/grants``).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import NamedTuple

from s3shunt.model import Grant, Identity, ObjectRef
from s3shunt.protocol.errors import AccessDenied, NotImplemented
from s3shunt.protocol.operations import Operation, Right

PUBLIC_READS = frozenset({"GetObject", "HeadObject"})
PUBLIC_LISTS = frozenset({"ListObjects", "HeadBucket"})
"""All that the anonymous may ever be allowed."""

NAMELESS = frozenset({"HeadBucket", "GetBucketLocation"})
"""Operations that tell no key, so that any right to list in the bucket is enough."""

LISTINGS = frozenset({"ListObjects", "ListObjectVersions", "ListMultipartUploads"})
"""Operations that a prefix narrows; beside any other it is a word without effect, and no right follows from it."""

WIDER = frozenset({"PostObject", "ListBuckets", "DeleteObjects"})
"""Operations that name more than their own bucket and key, in ways of their own; copies do, too."""

HARMLESS_ACLS = frozenset({"private", "bucket-owner-full-control", "bucket-owner-read"})
"""Canned ACLs that give nothing away and so need no more than the right to write."""


@dataclass(frozen=True, slots=True)
class Anonymous:
    """Buckets (shell patterns) whose objects anyone may read, and whose keys anyone may list."""

    read: tuple[str, ...] = ()
    list: tuple[str, ...] = ()


class Asked(NamedTuple):
    """What a request asks for, on everything it names. ``named`` are the keys in a DeleteObjects document."""

    operation: Operation
    ref: ObjectRef
    headers: Mapping[str, str]
    source: ObjectRef | None = None
    named: tuple[ObjectRef, ...] = ()
    prefix: str = ""


class Verdict(NamedTuple):
    """Targets that may be touched; ``denied`` only of a document's keys, which S3 answers one by one."""

    targets: frozenset[ObjectRef]
    denied: frozenset[ObjectRef] = frozenset()


def clear(identity: Identity, operation: Operation) -> bool:
    """Whether there is nothing to weigh, as for most requests: all rights in his account, and nothing named but bucket and key."""
    return identity.grants is None and not operation.copies and operation.name not in WIDER and not identity.anonymous


def decide(identity: Identity, asked: Asked, anonymous: Anonymous = Anonymous()) -> Verdict:
    """Raises AccessDenied for what may not be done, NotImplemented for what nobody may."""
    operation, ref = asked.operation, asked.ref
    if operation.name == "PostObject":
        raise NotImplemented("Uploads by form are not implemented.")
    if operation.name == "ListBuckets":
        return _or_denied(_lists_somewhere(identity), frozenset({ref}))
    if identity.anonymous:
        return _or_denied(public(operation, ref, anonymous), frozenset({ref}))
    if operation.name == "DeleteObjects":
        return _each(identity, asked)
    targets = frozenset({ref} if asked.source is None else {ref, asked.source})
    if identity.grants is None:
        return Verdict(targets)
    rights = {operation.right, *_further(operation, asked.headers)}
    name = None if operation.name in NAMELESS else asked.prefix if operation.name in LISTINGS else ref.key
    fine = all(_allows(identity, right, ref, name) for right in rights)
    if asked.source is not None:
        fine = fine and allows(identity, Right.READ, asked.source)
    return _or_denied(fine, targets)


def allows(identity: Identity, right: Right, ref: ObjectRef) -> bool:
    """Whether the grants of a known identity give it a right on an object, or on a whole bucket."""
    return _allows(identity, right, ref, ref.key)


def shows(identity: Identity, bucket: str) -> bool:
    """Whether ListBuckets may name a bucket: whoever may list anything in it may know of it."""
    return _allows(identity, Right.LIST, ObjectRef(bucket), None)


def _lists_somewhere(identity: Identity) -> bool:
    if identity.anonymous or identity.grants is None:
        return not identity.anonymous
    return any(Right.LIST in grant.allow for grant in identity.grants)


def public(operation: Operation, ref: ObjectRef, anonymous: Anonymous) -> bool:
    """Whether anyone at all may do this."""
    if operation.name in PUBLIC_READS:
        return ref.version is None and _matches(anonymous.read, ref.bucket)
    return operation.name in PUBLIC_LISTS and _matches(anonymous.list, ref.bucket)


def _allows(identity: Identity, right: Right, ref: ObjectRef, name: str | None) -> bool:
    """``name`` is the object's key or the listing's prefix; what concerns a whole bucket ('') needs the whole bucket."""
    if identity.anonymous:
        return False
    if identity.grants is None:
        return True
    return any(_grant_allows(grant, right, ref, name) for grant in identity.grants)


def _grant_allows(grant: Grant, right: Right, ref: ObjectRef, name: str | None) -> bool:
    within = name is None or name.startswith(grant.prefixes)
    return within and right in grant.allow and _matches(grant.buckets, ref.bucket)


def _each(identity: Identity, asked: Asked) -> Verdict:
    rights = {Right.DELETE, *_further(asked.operation, asked.headers)}
    allowed = frozenset(ref for ref in asked.named if all(allows(identity, right, ref) for right in rights))
    return Verdict(allowed, frozenset(asked.named) - allowed)


def _further(operation: Operation, headers: Mapping[str, str]) -> Iterable[Right]:
    """Rights that headers of a request need on top: who writes may not also open, lock or unlock."""
    acl = headers.get("x-amz-acl")
    if operation.scope == "object" and acl is not None and acl not in HARMLESS_ACLS:
        yield Right.ADMIN
    if any(map(_opens_or_locks, headers)):
        yield Right.ADMIN
    if headers.get("x-amz-bypass-governance-retention", "false").lower() != "false":
        yield Right.ADMIN


@lru_cache(maxsize=4096)
def _opens_or_locks(header: str) -> bool:
    return header.lower().startswith(("x-amz-grant-", "x-amz-object-lock-"))


@lru_cache(maxsize=4096)
def _matches(patterns: tuple[str, ...], bucket: str) -> bool:
    return any(fnmatchcase(bucket, pattern) for pattern in patterns)


def _or_denied(fine: bool, targets: frozenset[ObjectRef]) -> Verdict:  # noqa: FBT001  # read as a sentence at its three calls
    if not fine:
        raise AccessDenied
    return Verdict(targets)
