"""Where the bytes of a read come from: the store, the landed copy, or nowhere yet."""

from dataclasses import dataclass

from s3shunt.model import IN_PROGRESS, Entry, Place, State
from s3shunt.policy.archive import wanted
from s3shunt.policy.record import ARCHIVE_CLASSES


@dataclass(frozen=True, slots=True)
class Forward:
    """The store has them."""


@dataclass(frozen=True, slots=True)
class Serve:
    """The landed copy has them; everything about the object is in the entry."""

    place: Place


@dataclass(frozen=True, slots=True)
class Refuse:
    """On tape. ``ongoing``: a recall is under way."""

    storage_class: str
    ongoing: bool = False


@dataclass(frozen=True, slots=True)
class Absent:
    """Deleted."""


@dataclass(frozen=True, slots=True)
class Lost:
    """No copy is left."""


_ONLINE = State.ONLINE  # a member of an enumeration is looked for each time it is named: as long as ten other steps

Verdict = Forward | Serve | Refuse | Absent | Lost


def ordinary(entry: Entry | None) -> bool:
    """Whether it is like any other, so that nothing is to be decided or told: the store has the bytes, and no class of ours binds it."""
    return entry is None or (entry.state is _ONLINE and entry.storage_class not in ARCHIVE_CLASSES)


def decide(entry: Entry | None, now: int) -> Verdict:
    """For an operation that needs the bytes."""
    if entry is None or (entry.facts is None and entry.state is not State.DELETED):
        return Forward()
    match entry.state:
        case State.ONLINE | State.ARCHIVING | State.VERIFIED | State.EVICTING:
            bound = entry.storage_class in ARCHIVE_CLASSES and wanted(entry, now) is None
            return Refuse(entry.storage_class) if bound else Forward()
        case State.RESTORED if entry.place is not None and now < (entry.restored_until or 0):
            return Serve(entry.place)
        case State.DELETED:
            return Absent()
        case State.LOST:
            return Lost()
        case _:
            return Refuse(entry.storage_class, entry.state in IN_PROGRESS)
