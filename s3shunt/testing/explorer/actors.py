"""Clients, doors and workers as scripts of single acts; between any two of them anything may happen.

``off`` names rules that are left out, to see what each is for.
"""

from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from typing import Any

from s3shunt.model import STORE_IS_TRUTH, Entry, Facts, Intent, ObjectRef, Place, Policy, State, Step, Swap
from s3shunt.policy import archive, expiry, recall, record, restore, shunt
from s3shunt.policy.archive import Hold, Use
from s3shunt.policy.record import Wait, Written
from s3shunt.ports import Copy
from s3shunt.protocol.errors import S3Error
from s3shunt.testing.explorer import world as w
from s3shunt.testing.explorer.world import ALIVE, LAPSED, NOW, Act, Actor, Moves, World

REF = ObjectRef("b", "k")
POLICY = Policy(name="p", buckets=("b",), archive="tape")
PAST = 1_000
Script = Generator[Act, Any, str | None]


def act(label: str, change: Callable[[World], World], result: Callable[[World], Any] = lambda world: None) -> Act:
    """One thing that always works; ``result`` is what is found in the world as it was."""
    return lambda world: [(label, change(world), result(world))]


def look(version: str | None = None) -> Act:
    return act("reads the row", lambda world: world, lambda world: w.row_of(world, version))


def head(version: str | None = None) -> Act:
    return act("HEAD", lambda world: world, lambda world: w.head(world, version))


def commit(label: str, number: int, step: Step | Wait | None, *, blind: bool = False) -> Act:
    """On the row that was read before: True, or False when it moved meanwhile."""

    def once(world: World) -> Moves:
        after = w.committed(world, step, number, blind=blind) if isinstance(step, Step) else None
        return [(label, after, True)] if after else [(f"{label}: refused", world, False)]

    return once


def transact(label: str, number: int, decide: Callable[[World], Step | Wait | None]) -> Act:
    """Read, decide, commit until it fits: the same as all at once. Blocks while it is to wait; False for nothing to do."""

    def once(world: World) -> Moves:
        step = decide(world)
        if isinstance(step, Wait):
            return []
        if step is None:
            return [(f"{label}: nothing to do", world, None)]
        after = w.committed(world, step, number) or world._replace(wrong=f"a step that can never be committed: {label}")
        return [(label, after, step)]

    return once


def begun(name: str) -> Act:
    return act("begins", lambda world: world._replace(begun=(*world.begun, (name, len(world.acked)))), w.current)


def acknowledged(name: str) -> Act:
    return act("ACK", lambda world: world._replace(acked=(*world.acked, name)))


def refused(name: str) -> Act:
    return act("refused to the client", lambda world: world._replace(refused=(*world.refused, name)))


def stamped(world: World) -> float:
    return world.ticks if world.kind == "swift" else 1


def _tick(world: World) -> World:
    return world._replace(ticks=world.ticks + 1) if world.kind == "swift" else world


def _open(world: World, intent: Intent) -> bool:
    return any(known.id == intent.id for known, _ in world.intents)


def _counted(world: World, intent: Intent) -> Entry | None:
    return w.row_of(world, intent.ref.version) if _open(world, intent) else None


# Clients, as the record door acts for them


def writer(name: str, number: int, *, storage_class: str = "STANDARD", off: Iterable[str] = ()) -> Actor:
    def begin(suffix: str) -> Act:
        intent = Intent(id=f"{name}{suffix}", ref=REF, operation="PutObject", started=NOW, lease=5, storage_class=storage_class)
        return transact("intent", number, lambda world: record.begin(w.known(world), intent))

    def script() -> Script:
        row = yield begun(name)
        step = None
        if row is not None or storage_class != "STANDARD":
            step = yield begin("")
        at = yield act("PUT starts", _tick, stamped)
        yield act("PUT 200", lambda world: w.put(world, name, at))
        if step is not None:
            outcome = yield from _settled(name, number, step.opened[0], storage_class, off=off)
        elif "look after" in off or (yield act("looks", lambda world: world, w.known)) is None:
            outcome = "ack"
        else:
            outcome = "lapsed"
        if outcome == "lapsed" and "late intent" in off:
            yield transact("waits", number, lambda world: Wait(0) if _evicting(world) and "wait" not in off else None)
            outcome = "ack" if (yield head()) is not None else "gone"
        elif outcome == "lapsed":
            late = yield begin("'")
            outcome = yield from _settled(name, number, late.opened[0], storage_class, late=True, off=off)
        yield acknowledged(name) if outcome == "ack" else act("503", lambda world: world)
        return None

    return Actor(name, script)


def _evicting(world: World) -> bool:
    row = w.known(world)
    return row is not None and row.state is State.EVICTING


def _settled(
    name: str, number: int, intent: Intent, storage_class: str, *, late: bool = False, off: Iterable[str] = ()
) -> Generator[Act, Any, str]:
    """The row is read, then the store is asked, then the row is changed: only so nobody else's class is put on what is there."""
    while True:
        row = yield act("reads the row", lambda world: world, lambda world: _counted(world, intent))
        if row is None:
            return "lapsed" if not late else "gone"
        seen = yield act("HEAD", lambda world: world, lambda world: w.head(world, name))
        if "row first" in off:
            row = yield act("reads the row", lambda world: world, lambda world: _counted(world, intent))
            if row is None:
                return "lapsed" if not late else "gone"
        if seen is None or seen.stamp != name:
            done = yield commit("abandon", number, record.abandon(row, intent))
            if done:
                return "gone" if seen is None and (late or "gone is refused" not in off) else "ack"
            continue
        latest = yield act("HEAD", lambda world: world, lambda world: w.visible(world) == name)
        done = yield _finish(name, number, row, intent, seen, storage_class, latest)
        if done:
            return "ack"


def _finish(name: str, number: int, row: Entry, intent: Intent, seen: Facts, storage_class: str, latest: bool) -> Act:  # noqa: PLR0917
    def once(world: World) -> Moves:
        ref = replace(REF, version=_version(world, name))
        written = Written(ref=ref, facts=seen, storage_class=storage_class, latest=latest)
        own = w.row_of(world, ref.version) if ref != row.ref else None
        if own is not None:
            step: Step | Wait = record.beside(row, own, intent, written, (POLICY,), current=w.current(world))
        else:
            step = record.finish(row, intent, written, (POLICY,), recall=world.recall, current=w.current(world))
        if isinstance(step, Wait):
            return []
        after = w.committed(world, step, number)
        return [("finish", after, True)] if after else [("finish: refused", world, False)]

    return once


def deleter(name: str, number: int, *, may_refuse: bool = False, off: Iterable[str] = ()) -> Actor:
    def hide(suffix: str) -> Act:
        intent = Intent(id=f"{name}{suffix}", ref=REF, operation="DeleteObject", started=NOW, lease=5)

        def decide(world: World) -> Step | Wait | None:
            row = w.current(world)
            return record.tombstone(row, intent) if row is not None else None

        return transact("tombstone", number, decide)

    def forget(intent: Intent) -> Act:
        def decide(world: World) -> Step | None:
            row = _counted(world, intent)
            return record.forget(row, intent, (POLICY,), NOW, world.recall) if row else None

        return transact("forget", number, decide)

    def undo(intent: Intent) -> Act:
        def decide(world: World) -> Step | None:
            row = _counted(world, intent)
            return (record.abandon if "undo" in off else record.undo)(row, intent) if row else None

        return transact("undo", number, decide)

    def store(world: World) -> Moves:
        done = [("store DELETE", w.delete(_tick(world), stamped(world)), True)]
        return [*done, ("store refuses", world, False)] if may_refuse else done

    def script() -> Script:
        yield begun(name)
        step = None if "tombstone" in off else (yield hide(""))
        if not (yield store):
            if step:
                yield undo(step.opened[0])
            yield refused(name)
            return None
        done = step and (yield forget(step.opened[0]))
        for again in ("'", "''"):
            row = None if done or "look after" in off else (yield look())
            if row is None or (row.state in STORE_IS_TRUTH and (yield head()) is not None):
                break
            step = yield hide(again)
            done = step and (yield forget(step.opened[0]))
        yield acknowledged(name)
        return None

    return Actor(name, script)


def reader(name: str, number: int, *, off: Iterable[str] = ()) -> Actor:
    def check(value: str | None, upto: int, kind: str) -> Act:
        def once(world: World) -> Moves:
            write = w.older(world, value, upto)
            return [(kind, world._replace(wrong=f"{kind}: {value} though {write} was acknowledged" if write else ""), None)]

        return once

    def script() -> Script:
        upto = yield act("begins", lambda world: world, lambda world: len(world.acked))
        for _ in range(2):
            row = yield look()
            verdict = shunt.decide(row, ALIVE)
            if isinstance(verdict, shunt.Refuse) and row.state not in STORE_IS_TRUTH:
                yield check(row.facts.stamp, upto, "stale 403")
                return None
            if not isinstance(verdict, shunt.Forward):
                return None
            seen = yield head(row.ref.version if row and row.facts else None)
            if seen is not None:
                yield check(seen.stamp, upto, "stale read")
                return None
            if "heal" not in off and row is not None:
                yield commit("heal", number, archive.heal(row, POLICY, NOW))
            again = yield look()
            if again == row:
                break
        if again == row and (row is None or row.state is not State.EVICTING):  # else 503
            yield check(None, upto, "404 for what is there")
        return None

    return Actor(name, script)


# Workers


def archiver(name: str, number: int, *, off: Iterable[str] = ()) -> Actor:
    hold = Hold(token=name, now=ALIVE, lease=5)

    def script() -> Script:
        row = yield look()
        seen = yield head(row.ref.version if row else None)
        if seen is None or (row is not None and row.state is not State.ONLINE):
            return None
        ref = yield _pinned(number, row, seen, hold, blind="compare" in off)
        if ref is None:
            return None
        good = yield _copied(seen)
        if not good:
            return None
        now = yield head(ref.version)
        copy = Copy(archive_id=seen.stamp, size=1, checksum="", copies=1)
        yield transact("verified", number, lambda world: archive.verified(w.row_of(world, ref.version), now, copy, POLICY, hold))
        return None

    return Actor(name, script)


def _pinned(number: int, row: Entry | None, seen: Facts, hold: Hold, *, blind: bool) -> Act:
    def once(world: World) -> Moves:
        ref = row.ref if row else replace(REF, version=_version(world, seen.stamp))
        (label, after, done), = commit("pin", number, archive.pin(row, ref, seen, POLICY, hold), blind=blind)(world)
        return [(label, after, ref if done else None)]

    return once


def _version(world: World, value: str) -> str:
    return value if world.kind == "version" else "null"


def _copied(pinned: Facts) -> Act:
    def once(world: World) -> Moves:
        there = w.head(world, pinned.stamp if world.kind == "version" else None)
        if there != pinned:
            return [("copy fails", world, False)]
        return [("copies", world._replace(tape=world.tape | {pinned.stamp}), True)]

    return once


def evictor(name: str, number: int, *, late: bool = False, off: Iterable[str] = ()) -> Actor:
    hold = Hold(token=name, now=ALIVE, lease=5)

    def take(world: World) -> Moves:
        found = next((row for row in world.rows if row.state is State.VERIFIED), None)
        if found is None:
            return []
        bare = replace(found, writers=0) if "count writers" in off else found
        step = archive.evict(bare, POLICY, hold)
        if step is None:
            return []
        after = w.committed(world, Step(swaps=(Swap(found, step.swaps[0].new),)), number)
        return [("takes it", after, found)] if after else []

    def crown(row: Entry, current: Entry | None, newest: Facts | None) -> Act:
        is_newest = newest is not None and newest.stamp == row.facts.stamp

        def once(world: World) -> Moves:
            step = archive.crown(w.row_of(world, row.ref.version), current, hold, newest=is_newest)
            if step is None:
                return [("crown: nothing to do", world, None)]
            after = w.committed(world, step, number)
            return [("crown", after, True)] if after else [("crown: refused", world, False)]

        return once

    def delete(facts: Facts) -> Act:
        def once(world: World) -> Moves:
            gone = w.delete(_tick(world), stamped(world)) if "exact delete" in off else w.delete_exact(world, facts)
            moves: Moves = [("DELETE", gone, "deleted")]
            return [*moves, ("DELETE times out", world._replace(late=facts), "lost")] if late and world.late is None else moves

        return once

    def script() -> Script:
        row = yield take
        if row.ref.version != "null" and "crown" not in off:
            crowned = False
            while crowned is False:
                current = yield act("reads the current row", lambda world: world, w.current)
                newest = yield act("HEAD newest", lambda world: world, w.head)
                crowned = yield crown(row, current, newest)
            if crowned is None:
                return None
        seen = yield head(row.ref.version)
        if seen == row.facts:
            told = yield delete(row.facts)
            if told == "lost":
                return "dead"
            seen = yield head(row.ref.version)
        if seen != row.facts:
            yield transact("archived", number, lambda world: archive.other(w.row_of(world, row.ref.version), seen, POLICY, hold))
        return None

    return Actor(name, script)


def sweeper(number: int, actors: Callable[[], list[Actor]]) -> Actor:
    """Ends what the dead began; a lapse makes it take a living one for dead."""

    def gone(world: World, owner: int) -> World | None:
        if w.dead(world, owner):
            return world
        return world._replace(lapses=world.lapses - 1) if world.lapses and world.locals[owner] != "done" else None

    def pick(world: World) -> Moves:
        names = {actor.name: at for at, actor in enumerate(actors())}
        found: Moves = []
        for intent, owner in world.intents:
            if after := gone(world, owner):
                found.append((f"takes the intent {intent.id}", after, intent))
        for row in world.rows:
            if row.state is State.EVICTING and (after := gone(world, names[str(row.token)])):
                found.append(("takes the eviction", after, row))
        return found

    def script() -> Script:
        what = yield pick
        row = yield look(what.ref.version)
        if isinstance(what, Entry):
            seen = yield head(what.ref.version)
            mine = row is not None and row.token == what.token
            yield commit("sweeps", number, archive.sweep(row, seen, POLICY, LAPSED) if mine else None)
            return None
        seen = yield head()
        yield _swept(number, row, what, seen)
        return None

    return Actor("sweep", script, daemon=True, mortal=False)


def _swept(number: int, row: Entry | None, intent: Intent, seen: Facts | None) -> Act:
    def once(world: World) -> Moves:
        version = _version(world, seen.stamp) if seen else "null"
        storage_class = intent.storage_class or "STANDARD"
        written = Written(ref=replace(REF, version=version), facts=seen, storage_class=storage_class) if seen else None
        if written and row and written.ref != row.ref and w.row_of(world, version):
            step: Step | Wait = record.abandon(row, intent)
        else:
            step = record.sweep(row, intent, written, (POLICY,), NOW, current=w.current(world))
        return commit("sweeps", number, step)(world)

    return once


# Restore, recall, expiry


def restorer(name: str, number: int, *, now: int = ALIVE) -> Actor:
    wish = restore.Wish(days=1, tier="Standard", identity=name, now=now, day=10, recall_id=f"r-{name}")

    def decide(world: World) -> Step | Wait | None:
        try:
            granted = restore.decide(w.current(world), wish, world.recall if world.recall and world.recall.active else None)
        except S3Error:
            return None
        return granted if isinstance(granted, Wait) else granted.step

    def script() -> Script:
        yield transact("restore", number, decide)
        return None

    return Actor(name, script)


def lander(name: str, number: int, actors: Callable[[], list[Actor]], *, off: Iterable[str] = ()) -> Actor:
    """One worker attending to the recall; it may find the landing of a dead one."""

    def free(world: World) -> Moves:
        row, asked = w.current(world), world.recall
        if asked is None or not asked.active or row is None or recall.overtaken(row, asked):
            return []
        if row.state is State.LANDING:
            owner = next(at for at, actor in enumerate(actors()) if actor.name == str(row.token))
            lapse = world._replace(lapses=world.lapses - 1) if world.lapses else None
            after = world if w.dead(world, owner) else lapse
            return [("finds a dead landing", after, (row, asked))] if after and row.token != name else []
        return [("finds the recall", world, (row, asked))] if row.state in (State.QUEUED, State.RECALLING) else []

    def script() -> Script:
        row, asked = yield free
        if row.state is State.QUEUED:
            yield commit("asked", number, recall.asked(row, asked, "request"))
            return "again"
        hold = Hold(token=name, now=LAPSED, lease=LAPSED + 5)
        place = recall.landing_place(asked, "landing", replace(hold, token="x" if "own place" in off else name))
        if not (yield commit("landing", number, recall.landing(row, asked, place, hold))):
            return None
        yield act("writes the place", lambda world: world._replace(places=world.places | {place}))

        def landed(world: World) -> Step | None:
            known = world.recall
            if known is None or recall.overtaken(w.current(world), known):
                return None
            return recall.landed(w.current(world), known, place, replace(hold, now=ALIVE), 10)

        if (yield transact("landed", number, landed)) is None:
            yield act("deletes its place", lambda world: world._replace(places=world.places - {place}))
        return None

    return Actor(name, script)


def expirer(name: str, number: int, actors: Callable[[], list[Actor]], *, daemon: bool = False, off: Iterable[str] = ()) -> Actor:
    hold = Hold(token=name, now=PAST, lease=PAST + 5)

    def orphan(world: World, row: Entry) -> bool:
        return any(actor.name == row.token and w.dead(world, at) for at, actor in enumerate(actors()))

    def take(world: World) -> Moves:
        row = w.current(world)
        lapsed = replace(row, lease=0) if row and row.state is State.EXPIRING and orphan(world, row) else row
        step = archive_free(expiry.expire(lapsed, hold), row)
        if step is None or row is None or row.place is None:
            return []
        if "expiring" in off:
            return [("sees it is past its date", world, row)]
        return [("takes it", w.committed(world, step, number), row)]

    def script() -> Script:
        row = yield take
        yield act("deletes the copy", lambda world: world._replace(places=world.places - {row.place}))
        if "expiring" in off:
            yield transact("archived", number, _archived_at_once)
        else:
            yield transact("expired", number, lambda world: expiry.expired(w.current(world), hold, f"r-{name}"))
        return None

    return Actor(name, script, daemon=daemon, mortal=not daemon)


def archive_free(step: Step | None, row: Entry | None) -> Step | None:
    """The same step on the row as it is in the world."""
    return None if step is None else Step(swaps=(Swap(row, step.swaps[0].new),))


def _archived_at_once(world: World) -> Step | None:
    """What an expirer without a state of its own would do: only if nobody has extended it meanwhile."""
    row = w.current(world)
    past = row is not None and row.state is State.RESTORED and (row.restored_until or 0) <= PAST
    return Step(swaps=(Swap(row, replace(row, place=None)),)) if past else None


def discarder(number: int, actors: Callable[[], list[Actor]]) -> Actor:
    """Comes when the lease of a lander is over, so a living one has written by then, or never will."""

    def writing(world: World, place: Place) -> bool:
        owner = next((at for at, actor in enumerate(actors()) if actor.name == place.name.rpartition("/")[2]), None)
        return owner is not None and not isinstance(world.locals[owner], str) and place not in world.places

    def once(world: World) -> Moves:
        found: Moves = []
        for place in sorted((place for place in world.doomed if not writing(world, place)), key=str):
            use = recall.use(w.current(world), place)
            kept = world._replace(doomed=world.doomed - {place})
            if use is Use.NONE:
                found.append((f"deletes {place.name}", kept._replace(places=kept.places - {place}), place))
            elif use is Use.KEPT:
                found.append((f"keeps {place.name}", kept, place))
        return found

    def script() -> Script:
        yield once
        return None

    return Actor("discard", script, daemon=True, mortal=False)
