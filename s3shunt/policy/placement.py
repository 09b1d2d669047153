"""What a write asks of the archive: its class, its external id, and whether its age will ever matter."""

from collections.abc import Iterable, Mapping

from s3shunt.model import ObjectRef, Policy
from s3shunt.policy.record import ARCHIVE_CLASSES, matches
from s3shunt.protocol.errors import InvalidStorageClass


def asked_class(policies: Iterable[Policy], ref: ObjectRef, value: str | None) -> str | None:
    """GLACIER or DEEP_ARCHIVE where a policy takes it; None for every class that is the store's business.

    Raises InvalidStorageClass for an archive class that no policy of the bucket takes.
    """
    if value is None or value.upper() not in ARCHIVE_CLASSES:
        return None
    if value in ARCHIVE_CLASSES and any(value in policy.classes and matches(policy, ref) for policy in policies):
        return value
    raise InvalidStorageClass(StorageClassRequested=value)


def external_id(policies: Iterable[Policy], ref: ObjectRef, headers: Mapping[str, str]) -> str | None:
    """What the first policy that names a header finds there. An id that is the key need not be remembered."""
    for policy in policies:
        if policy.external_id and policy.external_id != "key" and matches(policy, ref):
            return headers.get(policy.external_id) or None
    return None


def tracked(policies: Iterable[Policy], ref: ObjectRef, length: int | None) -> bool:
    """Whether an object of this length, None when it is unknown, will be archived by its age."""
    return any(policy.after is not None and matches(policy, ref) and _fits(policy, length) for policy in policies)


def _fits(policy: Policy, length: int | None) -> bool:
    return length is None or policy.min_size <= length <= (length if policy.max_size is None else policy.max_size)
