"""Every interleaving of clients and workers on one key, over the real steps: nothing acknowledged is ever lost.

The second half leaves out one rule at a time: each must lead to a counterexample,
so that a rule nobody needs, or an explorer that sees nothing, is noticed.
"""

from dataclasses import replace

import pytest

from s3shunt.model import Entry, Interest, ObjectRef, Place, State
from s3shunt.testing.explorer import World, actors, explore
from s3shunt.testing.explorer.world import OLD, facts

PLACE = Place("landing", "r-0/1/old")


def start(state, *, kind="if-match", bound=(), **more):
    """v0 has been acknowledged; where it is by now ``state`` says. None: no entry tells of it."""
    version = "v0" if kind == "version" else "null"
    taped = state not in (None, State.ONLINE)
    row = Entry(
        ref=ObjectRef("b", "k", version), state=state or State.ONLINE, facts=facts("v0"), revision=1, generation=1, archive="tape",
        archive_id="v0" if taped else None, copies=int(taped),
    )  # fmt: skip
    return World(
        rows=(row,) if state else (), store=(("v0", OLD, version),) if state in (None, State.ONLINE, State.VERIFIED) else (),
        tape=frozenset({"v0"} if taped else ()), kind=kind, begun=(("v0", 0),), acked=("v0",), bound=frozenset(bound), inserted=1, **more,
    )  # fmt: skip


def restored(**more):
    world = start(State.ARCHIVED, **more)
    row = replace(world.rows[0], state=State.RESTORED, place=PLACE, restored_until=10, interests=(Interest("old", 1, until=10),))
    return world._replace(rows=(row,), places=frozenset({PLACE}))


def walk(world, *makers):
    """``makers`` are called with their number and a way to all actors."""
    cast = []
    cast += [make(number, lambda: cast) for number, make in enumerate(makers)]
    return explore(world._replace(locals=((),) * len(cast)), cast)


def writer(name="w1", **given):
    return lambda number, _: actors.writer(name, number, **given)


def deleter(name="d1", **given):
    return lambda number, _: actors.deleter(name, number, **given)


def reader(**given):
    return lambda number, _: actors.reader("reader", number, **given)


def archiver(**given):
    return lambda number, _: actors.archiver("archiver", number, **given)


def evictor(**given):
    return lambda number, _: actors.evictor("evictor", number, **given)


def restorer(name="restorer", **given):
    return lambda number, _: actors.restorer(name, number, **given)


def lander(name="lander", **given):
    return lambda number, cast: actors.lander(name, number, cast, **given)


def expirer(name="expirer", **given):
    return lambda number, cast: actors.expirer(name, number, cast, **given)


def sweeper(number, cast):
    return actors.sweeper(number, cast)


def discarder(number, cast):
    return actors.discarder(number, cast)


GLACIER = {"storage_class": "GLACIER"}
KINDS = pytest.mark.parametrize("kind", ["if-match", "swift", "version"])
UNVERSIONED = pytest.mark.parametrize("kind", ["if-match", "swift"])
STATES = pytest.mark.parametrize("state", [None, State.ONLINE, State.VERIFIED, State.ARCHIVED], ids=str)


@KINDS
@STATES
def test_a_write_survives_archiving_and_eviction_with_a_death_a_lapse_and_a_late_delete(kind, state):
    given = {} if state is not None else GLACIER
    world = start(state, kind=kind, bound=("w1",) if given else (), crashes=1, lapses=1)
    assert not walk(world, writer(**given), archiver(), evictor(late=True), sweeper)


@KINDS
def test_a_write_on_a_key_nobody_knew_survives_the_crawl(kind):
    assert not walk(start(None, kind=kind, crashes=1, lapses=1), writer(), archiver(), evictor(late=True), sweeper)


@KINDS
def test_two_writers_and_an_eviction(kind):
    assert not walk(start(State.VERIFIED, kind=kind), writer(), writer("w2"), evictor(), sweeper)
    assert not walk(start(State.ONLINE, kind=kind, crashes=1), writer(), writer("w2"), sweeper)
    assert not walk(start(State.ARCHIVED, kind=kind, crashes=1), writer(), writer("w2"), sweeper)
    assert not walk(start(None, kind=kind, bound=("w1",)), writer(**GLACIER), writer("w2"), sweeper)


@UNVERSIONED
@STATES
def test_a_delete_beside_a_write_is_done_or_undone(kind, state):
    assert not walk(start(state, kind=kind, crashes=1), writer(), deleter(may_refuse=True), sweeper)
    assert not walk(start(state, kind=kind, lapses=1), deleter(may_refuse=True), archiver(), evictor(), sweeper)


@UNVERSIONED
def test_two_deletes_and_one_that_meets_an_eviction(kind):
    assert not walk(start(State.ARCHIVED, kind=kind, crashes=1), deleter(may_refuse=True), deleter("d2"), sweeper)
    assert not walk(start(State.VERIFIED, kind=kind, crashes=1), deleter(may_refuse=True), evictor(late=True), sweeper)


@KINDS
@STATES
def test_a_reader_sees_no_older_object_and_no_absence(kind, state):
    assert not walk(start(state, kind=kind), writer(), reader(), evictor(late=True), sweeper)


def test_a_recall_is_landed_once_and_published_whole():
    assert not walk(start(State.ARCHIVED, crashes=1, lapses=1), restorer(), lander(), lander("lander2"), discarder)


def test_a_recall_beside_a_write_or_a_delete_leaves_nothing_behind():
    assert not walk(start(State.ARCHIVED, crashes=1), restorer(), lander(), lander("lander2"), writer(), sweeper, discarder)
    assert not walk(start(State.ARCHIVED), restorer(), lander(), deleter(may_refuse=True), discarder)


def test_a_copy_that_expires_is_never_shown_without_its_bytes():
    late = restorer(now=actors.PAST)
    assert not walk(restored(crashes=1), late, expirer(), expirer("expirer2", daemon=True), lander(), discarder)
    assert not walk(restored(), late, expirer(), writer(), sweeper, discarder)


RULES = {
    "look after": (start(None), [writer(off=["look after"]), archiver(), evictor(), sweeper]),
    "wait": (start(None), [writer(off=["late intent", "wait"]), archiver(), evictor(), sweeper]),
    "late intent": (start(None), [writer(off=["late intent"]), archiver(), evictor(), sweeper]),
    "count writers": (start(State.VERIFIED), [writer(), evictor(off=["count writers"]), sweeper]),
    "exact delete": (start(State.VERIFIED, lapses=1), [writer(), evictor(off=["exact delete"]), sweeper]),
    "exact late delete": (start(State.VERIFIED, kind="swift", lapses=1), [writer(), evictor(off=["exact delete"]), sweeper]),
    "compare": (start(State.ONLINE), [writer(), archiver(off=["compare"]), evictor(), sweeper]),
    "gone is refused": (
        start(State.ARCHIVED, crashes=1), [writer(off=["gone is refused"]), deleter(may_refuse=True), sweeper],
    ),
    "row first": (start(None, bound=("w1",)), [writer(**GLACIER, off=["row first"]), writer("w2"), sweeper]),
    "undo": (start(State.ARCHIVED), [deleter(may_refuse=True, off=["undo"]), sweeper]),
    "tombstone": (start(State.ARCHIVED), [deleter(off=["tombstone", "look after"]), sweeper]),
    "crown": (start(None, kind="version"), [archiver(), evictor(off=["crown"]), sweeper]),
    "heal": (start(State.VERIFIED), [evictor(late=True), reader(off=["heal"]), sweeper]),
    "expiring": (restored(), [restorer(now=actors.PAST), expirer(off=["expiring"])]),
    "own place": (
        start(State.ARCHIVED, lapses=1), [restorer(), lander(off=["own place"]), lander("lander2", off=["own place"]), discarder],
    ),
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_is_needed(rule):
    world, makers = RULES[rule]
    assert walk(world, *makers)
