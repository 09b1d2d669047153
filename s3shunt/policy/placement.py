"""What a write asks of the archive: its class, its external id, and whether its age will ever matter."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from s3shunt.model import Entry, Facts, ObjectRef, Policy
from s3shunt.policy import media
from s3shunt.policy.record import ARCHIVE_CLASSES, matches
from s3shunt.protocol import patterns
from s3shunt.protocol.errors import InvalidArgument, InvalidStorageClass

META = "x-amz-meta-"
PATTERN = "pattern "
LONGEST = 1024
"""Bytes of an external id."""


def asked_class(policies: Iterable[Policy], ref: ObjectRef, value: str | None, *, others: bool = False) -> str | None:
    """GLACIER or DEEP_ARCHIVE where a policy takes it; None for every class that is the store's business.

    Raises InvalidStorageClass for an archive class that no policy of the bucket takes, unless the store takes the ``others``.
    """
    if value is None or value.upper() not in ARCHIVE_CLASSES:
        return None
    if value in ARCHIVE_CLASSES and any(value in policy.classes and matches(policy, ref) for policy in policies):
        return value
    if others:
        return None
    raise InvalidStorageClass(StorageClassRequested=value)


def external_id(policies: Iterable[Policy], ref: ObjectRef, headers: Mapping[str, str]) -> str | None:
    """By the first policy of the object that says where it comes from: its key, a part of that, or a header.

    Raises InvalidArgument for one that is too long.
    """
    source = _source(policies, ref)
    if source is None:
        return None
    found = _named(source, ref.key, headers)
    if found is not None and len(found.encode("utf-8", "surrogateescape")) > LONGEST:
        raise InvalidArgument(f"An external id has at most {LONGEST} bytes.", ArgumentName=source)
    return found


def known_id(policies: Iterable[Policy], ref: ObjectRef, facts: Facts | None) -> str | None:
    """The same of an object that is there already; one that is too long counts for none."""
    metadata = facts.metadata if facts is not None else {}
    try:
        return external_id(policies, ref, {META + name: value for name, value in metadata.items()})
    except InvalidArgument:
        return None


def described(policies: Iterable[Policy], entry: Entry) -> Entry:
    """An entry of an object that was found: with its external id and a guess of its kind, where it does not tell them itself."""
    found = entry.external_id or known_id(policies, entry.ref, entry.facts)
    return replace(entry, external_id=found, media_kind=entry.media_kind or media.kind_of(entry.ref, entry.facts))


def by_metadata(policies: Iterable[Policy], ref: ObjectRef) -> bool:
    """Whether the external id of this object stands in its metadata, so that a copy brings it along."""
    return (_source(policies, ref) or "").startswith(META)


def tracked(policies: Iterable[Policy], ref: ObjectRef, length: int | None) -> bool:
    """Whether an object of this length, None when it is unknown, will be archived by its age."""
    return any(policy.after is not None and matches(policy, ref) and _fits(policy, length) for policy in policies)


def _source(policies: Iterable[Policy], ref: ObjectRef) -> str | None:
    return next((policy.external_id for policy in policies if policy.external_id and matches(policy, ref)), None)


def _named(source: str, key: str, headers: Mapping[str, str]) -> str | None:
    if source == "key":
        return key
    if source.startswith(PATTERN):
        return patterns.found(source.removeprefix(PATTERN), key)
    return _text(headers.get(source, "")) or None


def _text(value: str) -> str:
    """A header as its sender meant it: UTF-8 where it is."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def _fits(policy: Policy, length: int | None) -> bool:
    return length is None or policy.min_size <= length <= (length if policy.max_size is None else policy.max_size)
