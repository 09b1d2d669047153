"""The life of a version as one graph: what may follow what, and why.

``Catalog.commit`` refuses every swap that is not an edge of it, the docs draw
their diagram from it, and the state-machine tests walk it. The steps that move
along the edges are in ``record`` (writes), ``archive`` (archiving and
eviction), ``recall`` and ``expire``.
"""

from s3shunt.model import State, Swap

S = State

GRAPH: dict[State, dict[State, str]] = {
    S.ONLINE: {S.ARCHIVING: "an archive job pins what it will copy", S.DELETED: "DELETE begins"},
    S.ARCHIVING: {
        S.VERIFIED: "the copy was read back and its checksum holds",
        S.ONLINE: "overwritten, changed meanwhile, or the archive failed",
        S.DELETED: "DELETE begins",
    },
    S.VERIFIED: {
        S.EVICTING: "nobody writes or wants it: the bytes may leave the store",
        S.ONLINE: "overwritten",
        S.ARCHIVED: "a delete that ran late had removed the bytes",
        S.DELETED: "DELETE begins",
    },
    S.EVICTING: {
        S.ARCHIVED: "the store's bytes are gone",
        S.VERIFIED: "the evictor died before its delete",
        S.ONLINE: "the store holds a newer version",
    },
    S.ARCHIVED: {
        S.QUEUED: "a client asked for a restore",
        S.ONLINE: "overwritten",
        S.DELETED: "DELETE begins",
        S.LOST: "no copy in the archive holds",
    },
    S.QUEUED: {
        S.RECALLING: "the archive took the request",
        S.ARCHIVED: "cancelled, or given up",
        S.ONLINE: "overwritten",
        S.DELETED: "DELETE begins",
        S.LOST: "no copy in the archive holds",
    },
    S.RECALLING: {
        S.LANDING: "the archive has the bytes ready",
        S.QUEUED: "the request failed and is asked again later",
        S.ARCHIVED: "cancelled, or given up",
        S.ONLINE: "overwritten",
        S.DELETED: "DELETE begins",
        S.LOST: "no copy in the archive holds",
    },
    S.LANDING: {
        S.RESTORED: "landed beside, verified, published by this swap",
        S.QUEUED: "what landed was wrong",
        S.ARCHIVED: "cancelled, or given up",
        S.ONLINE: "overwritten",
        S.DELETED: "DELETE begins",
        S.LOST: "no copy in the archive holds",
    },
    S.RESTORED: {
        S.EXPIRING: "its date has passed",
        S.QUEUED: "the landed copy is missing or wrong",
        S.ONLINE: "overwritten",
        S.DELETED: "DELETE begins",
        S.LOST: "no copy in the archive holds",
    },
    S.EXPIRING: {
        S.ARCHIVED: "the landed copy is gone",
        S.QUEUED: "gone, and somebody asked meanwhile",
        S.ONLINE: "overwritten",
        S.DELETED: "DELETE begins",
    },
    S.DELETED: {
        state: "the store refused the DELETE, or it was never acknowledged: put back"
        for state in S
        if state not in (S.DELETED, S.EVICTING, S.EXPIRING)
    }
    | {S.ONLINE: "written again, or put back", S.EXPIRING: "put back"},
    S.LOST: {S.ONLINE: "overwritten", S.DELETED: "DELETE begins", S.ARCHIVED: "a copy was found after all"},
}
"""state -> the states that may follow, each with its reason. Staying is always allowed; so is a new row."""

REMOVABLE = frozenset(state for state in S if state is not S.EVICTING)
"""A row may go in any state but evicting: removing a version by its id takes it from wherever it is."""


class IllegalTransition(Exception):
    """A step that the graph does not have: a defect of ours, never of a client."""


def check(swap: Swap) -> None:
    """Raises IllegalTransition. Also: only one row, one history; a write moves the generation on."""
    old, new = swap.old, swap.new
    if old is None and new is None:
        raise IllegalTransition("a swap of nothing for nothing")
    if old is None:
        return
    if new is None:
        if old.state not in REMOVABLE:
            raise IllegalTransition(f"{old.ref}: {old.state} cannot be removed")
        return
    if old.ref != new.ref:
        raise IllegalTransition(f"{old.ref} cannot become {new.ref}")
    if new.state is not old.state and new.state not in GRAPH[old.state]:
        raise IllegalTransition(f"{old.ref}: {old.state} -> {new.state}")
    if new.writers < 0:
        raise IllegalTransition(f"{old.ref}: {new.writers} writers")
    if new.state is S.EVICTING and (new.writers or not new.token):
        raise IllegalTransition(f"{old.ref}: evicting needs a token and no writers")


def diagram() -> str:
    """The graph as a Mermaid state diagram, for ``docs/states.md``."""
    lines = ["stateDiagram-v2"]
    lines += [f"    {old} --> {new}: {why}" for old, row in GRAPH.items() for new, why in row.items()]
    return "\n".join(lines)
