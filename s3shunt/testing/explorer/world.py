"""One key, its store, its rows and what is under way: a value that can be compared, and what may happen to it next."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from s3shunt.model import STORE_IS_TRUTH, Entry, Facts, Intent, Job, Place, Recall, State, Step
from s3shunt.policy import shunt, transitions
from s3shunt.policy.record import ARCHIVE_CLASSES

NOW, OLD = 100_000, -100_000
ALIVE, LAPSED = 0, 10
"""The time as a holder and as a sweep sees it; every lease runs out at 5."""


class World(NamedTuple):
    """``store`` holds (value, timestamp, version), newest first; value None is a delete marker."""

    rows: tuple[Entry, ...] = ()
    store: tuple[tuple[str | None, float, str], ...] = ()
    ticks: int = 1
    floor: float = 0  # a delete that came with a timestamp hides everything up to it
    intents: tuple[tuple[Intent, int], ...] = ()
    recall: Recall | None = None
    places: frozenset[Place] = frozenset()
    doomed: frozenset[Place] = frozenset()
    tape: frozenset[str] = frozenset()
    locals: tuple[Any, ...] = ()
    begun: tuple[tuple[str, int], ...] = ()
    acked: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    late: Facts | None = None
    crashes: int = 0
    lapses: int = 0
    kind: str = "if-match"
    bound: frozenset[str] = frozenset()  # values that were written with an archived class
    wrong: str = ""
    inserted: int = 0


Moves = list[tuple[str, World, Any]]
Act = Callable[[World], Moves]


class Actor(NamedTuple):
    """``script`` yields acts and is sent what they found. ``daemon``: begins anew when it is through."""

    name: str
    script: Callable[[], Generator[Act, Any, None]]
    daemon: bool = False
    mortal: bool = True


def moves(world: World, actors: Sequence[Actor]) -> list[tuple[str, World]]:
    """Everything that may happen next."""
    following: list[tuple[str, World]] = []
    for number, actor in enumerate(actors):
        local = world.locals[number]
        if isinstance(local, str):
            continue
        results, act = local or ((), next(actor.script()))
        for label, after, result in act(world):
            following.append((f"{actor.name}: {label}", _with(after, number, _told(actor, (*results, result)))))
        if world.crashes and actor.mortal and results:
            following.append((f"{actor.name}: DIES", _with(world._replace(crashes=world.crashes - 1), number, "dead")))
    if world.late is not None:
        following.append(("the late delete lands", delete_exact(world, world.late)._replace(late=None)))
    return following


def dead(world: World, number: int) -> bool:
    return world.locals[number] == "dead"


def _told(actor: Actor, results: tuple[Any, ...]) -> Any:
    """What the actor has found so far and does next; or how it ended."""
    script = actor.script()
    act = next(script)
    try:
        for result in results:
            act = script.send(result)
    except StopIteration as end:
        told = end.value or (() if actor.daemon else "done")
        return () if told == "again" else told
    return results, act


def _with(world: World, number: int, local: Any) -> World:
    return world._replace(locals=(*world.locals[:number], local, *world.locals[number + 1 :]))


# The store


def visible(world: World) -> str | None:
    return world.store[0][0] if world.store else None


def put(world: World, value: str, at: float) -> World:
    version = value if world.kind == "version" else "null"
    if world.kind == "swift":
        newest = world.store[0][1] if world.store else world.floor
        return world._replace(store=((value, at, version),)) if at > max(newest, world.floor) else world
    kept = world.store if world.kind == "version" else ()
    return world._replace(store=((value, at, version), *kept))


def delete(world: World, at: float) -> World:
    """A client's DELETE, or an evictor's where the store can do no better."""
    if world.kind == "version":
        return world._replace(store=((None, at, f"marker{world.ticks}"), *world.store), ticks=world.ticks + 1)
    return world._replace(store=(), floor=max(world.floor, at))


def delete_exact(world: World, facts: Facts) -> World:
    """The version of these facts and no other: by its timestamp, by a condition, by its id."""
    if world.kind == "swift":
        at = facts.last_modified - NOW + 0.5
        newest = world.store[0][1] if world.store else world.floor
        return world._replace(store=(), floor=max(world.floor, at)) if newest <= at else world
    return world._replace(store=tuple(held for held in world.store if held[0] != facts.stamp))


def head(world: World, version: str | None = None) -> Facts | None:
    """Of the current version, or of one by its id; 'null' is the only one where there are no versions."""
    if world.kind != "version" or version is None:
        held = world.store[0] if world.store else None
    else:
        held = next((held for held in world.store if held[2] == version), None)
    return facts(*held[:2]) if held and held[0] is not None else None


def facts(value: str, at: float = OLD) -> Facts:
    return Facts(size=1, etag=value, last_modified=int(NOW + at), stamp=value)


# The catalog


def current(world: World) -> Entry | None:
    return next((row for row in world.rows if row.current), None)


def known(world: World) -> Entry | None:
    """The row that a change of the key has to reckon with."""
    order = sorted(world.rows, key=lambda row: (row.state is not State.EVICTING, not row.current))
    return order[0] if order else None


def row_of(world: World, version: str | None) -> Entry | None:
    return current(world) if version is None else next((row for row in world.rows if row.ref.version == version), None)


def committed(world: World, step: Step, owner: int, *, blind: bool = False) -> World | None:
    """The world after ``step``; None when a row moved. ``blind``: as if nobody compared."""
    rows = {row.ref.version: row for row in world.rows}
    for swap in step.swaps:
        old = swap.old and rows.get(swap.old.ref.version)
        stands = old is not None and old.revision == swap.old.revision if swap.old else swap.new.ref.version not in rows
        if not stands and not (blind and old is not None):
            return None
    if any(id_ not in {intent.id for intent, _ in world.intents} for id_ in step.closed):
        return None
    for swap in step.swaps:
        try:
            transitions.check(swap)
        except transitions.IllegalTransition as error:
            return world._replace(wrong=f"an illegal transition: {error}")
        if swap.old:
            del rows[swap.old.ref.version]
        if swap.new:
            world = world._replace(inserted=world.inserted + 1)
            rows[swap.new.ref.version] = replace(swap.new, revision=swap.old.revision + 1 if swap.old else world.inserted << 20)
    if sum(row.current for row in rows.values()) > 1:
        return None  # the catalog keeps one current row of a key
    kept = tuple(pair for pair in world.intents if pair[0].id not in step.closed)
    jobs: tuple[Job, ...] = step.jobs
    doomed = {Place(str(job.payload["store"]), str(job.payload["name"])) for job in jobs if "store" in job.payload}
    saved = {(kind, name) for kind, name in step.released}
    freed = {place for place in world.doomed if ("discard", f"landing {place.store} {place.name}") in saved}
    return world._replace(
        rows=tuple(rows[version] for version in sorted(rows)),
        intents=(*kept, *((intent, owner) for intent in step.opened)),
        recall=step.recalls[-1] if step.recalls else world.recall,
        doomed=(world.doomed | doomed) - freed,
    )


# What must be true


def older(world: World, value: str | None, upto: int) -> str:
    """An acknowledged write that ``value`` is older than, among the first ``upto``; else nothing."""
    begun = dict(world.begun)
    for write in world.acked[:upto]:
        if _value(write) == value:
            continue
        earlier = [w for w in world.acked if _value(w) == value and world.acked.index(w) >= begun[write]]
        pending = [w for w in begun if _value(w) == value and w not in world.acked and w not in world.refused]
        if not earlier and not pending:
            return write
    return ""


def _value(operation: str) -> str | None:
    return None if operation.startswith("d") else operation


def readable(world: World) -> tuple[str | None, str]:
    """What a patient reader gets in the end, and what is wrong with it."""
    row = current(world)
    match shunt.decide(row, ALIVE):
        case shunt.Forward():
            return _forwarded(world, row)
        case shunt.Absent():
            return None, "a tombstone that nobody takes away"
        case shunt.Serve(place):
            return row.facts.stamp, "" if place in world.places else "restored without bytes"
    if row.state in (State.ONLINE, State.ARCHIVING, State.VERIFIED, State.EVICTING):
        return _forwarded(world, row)
    return row.facts.stamp, "" if row.archive_id in world.tape else "archived without a copy"


def _another_class(world: World, row: Entry | None, value: str | None) -> bool:
    """A class that was asked for one write is on another one. (A writer who died leaves nobody to tell whose the bytes are.)"""
    if row is None or row.state not in STORE_IS_TRUTH or value not in world.acked:
        return False
    return (row.storage_class in ARCHIVE_CLASSES) != (value in world.bound)


def _forwarded(world: World, row: Entry | None) -> tuple[str | None, str]:
    """An entry's version is asked for by its id: else the store would serve the one before it."""
    seen = head(world, row.ref.version if row and row.facts else None)
    value = seen.stamp if seen else None
    if value is None and row is not None and row.state is State.VERIFIED and row.facts:
        return row.facts.stamp, ""  # a reader heals it
    return value, ""


def verdict(world: World) -> str:
    """At rest: nothing acknowledged is lost, nothing is left over."""
    value, wrong = readable(world)
    if wrong:
        return wrong
    if write := older(world, value, len(world.acked)):
        return f"an acknowledged write is lost: {write}, reads give {value}"
    row = current(world)
    if "dead" not in world.locals and _another_class(world, row, value):
        return f"somebody else's class: {row} on {value}"
    if sum(row.writers for row in world.rows) != len(world.intents):
        return f"writers leak: {world.rows} {world.intents}"
    if any(row.state in (State.EVICTING, State.EXPIRING, State.DELETED) for row in world.rows):
        return "a state that nobody ends"
    if world.places - world.doomed - ({row.place} if row and row.place else set()):
        return "a landed copy that is nobody's"
    return ""


# The name of a world: equal names, equal futures


def key(world: World) -> object:
    revisions = {row.ref.version: row.revision for row in world.rows}
    rows = tuple(_row(row) for row in world.rows)
    locals_ = tuple(_local(local, revisions) for local in world.locals)
    intents = tuple((i.id, i.ref.version, i.generation, owner, i.before and _row(i.before)) for i, owner in world.intents)
    recall = world.recall and (world.recall.state, world.recall.id, world.recall.place, world.recall.generation, world.recall.request_id)
    late = _result(world.late, revisions)
    return (rows, locals_, intents, recall, *world[1:4], *world[6:9], *world[10:13], late, *world[14:17], world.wrong)


def _row(row: Entry) -> object:
    return (
        row.ref.version, row.state, row.facts and (row.facts.stamp, row.facts.last_modified), row.current, row.generation, row.token,
        row.lease, row.writers,
        row.storage_class, row.place, row.archive_id, row.interests, row.restored_until, row.copies,
    )  # fmt: skip


def _local(local: Any, revisions: Mapping[str | None, int]) -> object:
    if isinstance(local, str):
        return local
    return tuple(_result(result, revisions) for result in local[0]) if local else ()


def _result(result: Any, revisions: Mapping[str | None, int]) -> object:
    if isinstance(result, Entry):
        return (_row(result), revisions.get(result.ref.version) == result.revision)
    if isinstance(result, tuple):
        return tuple(_result(part, revisions) for part in result)
    if isinstance(result, Step):
        return tuple(intent.id for intent in result.opened)
    if isinstance(result, Facts):
        return (result.stamp, result.last_modified)
    if isinstance(result, Intent):
        return result.id
    if isinstance(result, Recall):
        return (result.id, result.state, result.place)
    return result
