"""The rules of memory, index and outbox: walked through all interleavings, each shown to be needed.

The memory is the real one; the database, the index and the links are modelled
by the few facts about them that the rules rest on. ``Recent`` is what one
process remembers, ``redis`` what the shared index holds of one key.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, replace
from math import inf
from typing import NamedTuple

import pytest

from s3shunt.model import Entry, ObjectRef
from s3shunt.policy.recent import NEGATIVE, SPARED, TRUST, UNKNOWN, Kept, Recent, Unknown, name, touched

REF = ObjectRef("films", "a", "null")
NAME = name(REF)
ROWS = {generation: Entry(ref=REF, revision=generation) for generation in range(1, 4)}


class Reader(NamedTuple):
    """One proxy. ``memory``: the generation it remembers; ``reading``: its ticket stands; ``heard``: changes on the way to it."""

    at: str = "idle"
    left: int = 1
    linked: bool = True
    memory: int | None = None
    reading: bool = False
    unheard: int = 0
    holds: object = None  # the placeholder it left, or what it read
    value: int | None = None
    floor: int = 1
    run: int = 0


class Writer(NamedTuple):
    at: str = "begin"
    generation: int = 0


class World(NamedTuple):
    readers: tuple[Reader, ...]
    writers: tuple[Writer, ...]
    sql: int = 1
    redis: object = 1
    outbox: frozenset[int] = frozenset()
    answered: int = 1
    run: int = 0
    events: tuple[str, ...] = ()
    wrong: str = ""


@dataclass(frozen=True)
class Rules:
    """Each may be taken away."""

    placeholder: bool = True  # a fill needs the placeholder its reader left
    ticket: bool = True  # what was read before a change is not remembered after it
    outbox: bool = True  # what a writer did not publish, another does
    delay: bool = True  # an answer waits for its change to be published
    drain_first: bool = True  # the index is not read before the outbox was empty once
    lose: bool = True  # a broken link ends what is remembered
    forget: bool = True  # writers make forget instead of writing what they wrote
    run_id: bool = True  # what a restarted index loads from its disk is not asked


def memory_of(reader):
    """The real thing, as the reader has it."""
    recent = Recent(10)
    recent.believe(0)
    if reader.memory is not None:
        recent._kept = OrderedDict({NAME: Kept(ROWS[reader.memory], inf)})
    if reader.reading:
        recent._reading = {NAME: {"ticket"}}
    return recent


def kept(reader, recent):
    found = recent._kept.get(NAME)
    reading = "ticket" in recent._reading.get(NAME, ())
    return reader._replace(memory=found.entry.revision if found else None, reading=reading)


def published(world, generations, rules):
    """What FORGET does: the record or placeholder goes, and every link carries the news."""
    redis = None if rules.forget else max(generations) if len(generations) > 1 else next(iter(generations))
    readers = tuple(r._replace(unheard=r.unheard + 1) if r.linked else r for r in world.readers)
    return world._replace(redis=redis, readers=readers)


def with_reader(world, number, reader):
    return world._replace(readers=(*world.readers[:number], reader, *world.readers[number + 1:]))


def with_writer(world, number, writer):
    return world._replace(writers=(*world.writers[:number], writer, *world.writers[number + 1:]))


def reader_steps(world, n, rules):
    me = world.readers[n]
    if me.at == "idle" and me.left:
        found = memory_of(me).look(NAME, 0) if me.linked else UNKNOWN
        if not isinstance(found, Unknown):
            late = me.unheard == 0 and found.revision < world.answered
            yield f"P{n} remembers {found.revision}", with_reader(world, n, me._replace(left=me.left - 1))._replace(
                wrong="memory gave an old answer, and had heard everything" if late else ""
            )
            return
        begun = me._replace(at="get" if me.linked else "sql", reading=me.linked, floor=world.answered, holds=None)
        yield f"P{n} begins", with_reader(world, n, begun)
    if me.at == "get":
        if isinstance(world.redis, int):
            yield f"P{n} gets {world.redis}", with_reader(world, n, me._replace(at="keep", value=world.redis))
        elif world.redis is None:
            left = (n, me.left)
            yield f"P{n} leaves a placeholder", with_reader(world, n, me._replace(at="sql", holds=left, run=world.run))._replace(redis=left)
        else:
            yield f"P{n} finds a placeholder", with_reader(world, n, me._replace(at="sql"))
    if me.at == "sql":
        after = "fill" if me.holds else "keep"
        yield f"P{n} reads {world.sql} from SQL", with_reader(world, n, me._replace(at=after, value=world.sql))
    if me.at == "fill":
        stands = world.redis == me.holds and me.run == world.run if rules.placeholder else True
        filled = world._replace(redis=me.value) if stands else world
        yield f"P{n} fills" if stands else f"P{n} may not fill", with_reader(filled, n, me._replace(at="keep", holds=None))
    if me.at == "keep":
        recent = memory_of(me)
        if me.linked:
            if not rules.ticket:
                recent._reading = {NAME: {"ticket"}}
            recent.keep(NAME, "ticket", ROWS[me.value], 0)
        recent.end(NAME, "ticket")
        done = kept(me, recent)._replace(at="idle", left=me.left - 1, value=None, floor=1)
        wrong = "the index gave an old answer" if me.value < me.floor else ""
        yield f"P{n} keeps {me.value}", with_reader(world, n, done)._replace(wrong=wrong)
    if me.unheard:
        recent = memory_of(me)
        recent.forget(NAME)
        yield f"P{n} hears", with_reader(world, n, kept(me, recent)._replace(unheard=me.unheard - 1))
    if not me.linked:
        linked = with_reader(world, n, me._replace(linked=True))
        drains = rules.drain_first and world.outbox
        yield f"P{n} is linked again", published(linked, {world.sql}, rules)._replace(outbox=frozenset()) if drains else linked


def writer_steps(world, n, rules):
    me = world.writers[n]
    if me.at == "begin":
        new = world.sql + 1
        yield f"W{n} commits {new}", with_writer(
            world._replace(sql=new, outbox=world.outbox | {new}), n, Writer("publish", new)
        )
    if me.at == "publish":
        yield f"W{n} publishes {me.generation}", with_writer(published(world, {me.generation}, rules), n, me._replace(at="answer"))
        if "publish fails" in world.events:
            yield f"W{n} cannot publish", with_writer(less(world, "publish fails"), n, me._replace(at="wait"))
        if "crash" in world.events:
            yield f"W{n} is killed", with_writer(less(world, "crash"), n, me._replace(at="done"))
    waited = me.generation not in world.outbox or not any(reader.linked for reader in world.readers)
    if me.at == "answer" or (me.at == "wait" and (waited or not rules.delay)):
        answered = world._replace(answered=max(world.answered, me.generation))
        yield f"W{n} answers", with_writer(answered, n, me._replace(at="done"))


def less(world, event):
    events = list(world.events)
    events.remove(event)
    return world._replace(events=tuple(events))


def world_steps(world, rules):
    if world.outbox and rules.outbox and any(reader.linked for reader in world.readers):
        drained = published(world, {world.sql}, rules)._replace(outbox=frozenset())
        yield "a drain", drained
    if "flush" in world.events:
        yield "FLUSHALL", less(world, "flush")._replace(redis=None)
    if "break" in world.events:
        for n, reader in enumerate(world.readers):
            if reader.linked:
                yield f"P{n} loses its link", with_reader(less(world, "break"), n, broken(reader, rules))
    if "restart" in world.events:
        saved = None if rules.run_id else 1
        readers = tuple(broken(reader, rules) for reader in world.readers)
        yield "the index restarts with what it saved", less(world, "restart")._replace(redis=saved, run=1, readers=readers)


def broken(reader, rules):
    recent = memory_of(reader)
    if rules.lose:
        recent.lose()
    # what is under way at the index fails, and is asked of the database
    at, value, holds = (reader.at, reader.value, reader.holds) if reader.at != "get" else ("sql", None, None)
    return kept(reader, recent)._replace(linked=False, unheard=0, at=at, value=value, holds=holds)


def steps(world, rules):
    for n in range(len(world.readers)):
        yield from reader_steps(world, n, rules)
    for n in range(len(world.writers)):
        yield from writer_steps(world, n, rules)
    yield from world_steps(world, rules)


def at_rest(world):
    """What would stay wrong for ever."""
    if isinstance(world.redis, int) and world.redis < world.sql:
        return "the index holds an old row for ever"
    if any(r.linked and r.memory is not None and r.memory < world.sql for r in world.readers):
        return "a memory holds an old row for ever"
    return ""


def walk(world, rules):
    """The first counterexample, as the steps that lead to it, or None; and how many worlds were seen."""
    came = {world: None}
    todo = deque([world])
    while todo:
        here = todo.popleft()
        ahead = list(steps(here, rules))
        resting = all(w.at == "done" for w in here.writers) and not any(label.startswith(("a drain", "P")) for label, _ in ahead)
        wrong = here.wrong or (at_rest(here) if resting else "")
        if wrong:
            path = []
            while came[here]:
                here, label = came[here]
                path.append(label)
            return f"{wrong}: {' > '.join(reversed(path))}", len(came)
        for label, there in ahead:
            if there not in came:
                came[there] = (here, label)
                todo.append(there)
    return None, len(came)


def scene(reads=(1, 1), writers=1, events=(), *, warm=True):
    return World(tuple(Reader(left=left) for left in reads), (Writer(),) * writers, redis=1 if warm else None, events=tuple(sorted(events)))


SCENES = {
    "warm": scene(),
    "cold": scene(warm=False),
    "cold, two reads each": scene((2, 2), warm=False),
    "two writers": scene((2,), 2, ["flush"]),
    "two writers, cold": scene((1,), 2, warm=False),
    "two writers, one fails": scene((2,), 2, ["publish fails", "crash"], warm=False),
    "FLUSHALL": scene((1, 1), 1, ["flush", "flush"], warm=False),
    "killed between commit and publish": scene((1, 1), 1, ["crash", "flush"]),
    "publish fails": scene((2, 1), 1, ["publish fails"]),
    "a link breaks": scene((2, 1), 1, ["break"]),
    "a link breaks and publish fails": scene((2, 1), 1, ["break", "publish fails"], warm=False),
    "the index restarts": scene((2, 1), 1, ["restart"], warm=False),
    "everybody loses the link": scene((1, 1), 1, ["break", "break", "publish fails"]),
    "all of it": scene((2,), 1, ["break", "crash", "flush", "publish fails", "restart"]),
}


@pytest.mark.parametrize("world", SCENES.values(), ids=SCENES)
def test_no_interleaving_gives_an_old_answer(world):
    found, seen = walk(world, Rules())
    assert found is None
    assert seen > 30


@pytest.mark.long
def test_no_interleaving_of_two_proxies_and_two_writers_gives_an_old_answer():
    assert walk(scene((1, 1), 2, warm=False), Rules())[0] is None


NEEDED = {
    "placeholder": scene((1, 1), warm=False),
    "ticket": scene((1,), warm=False),
    "outbox": scene((1,), 1, ["crash"]),
    "delay": scene((1,), 1, ["publish fails"]),
    "drain_first": scene((1,), 1, ["break", "publish fails"]),
    "lose": scene((2,), 1, ["break"]),
    "forget": scene((1,), 2),
    "run_id": scene((1,), 1, ["restart"]),
}


@pytest.mark.parametrize("rule", NEEDED)
def test_without_any_of_the_rules_there_is_one(rule):
    found, _ = walk(NEEDED[rule], replace(Rules(), **{rule: False}))
    assert found
    assert walk(NEEDED[rule], Rules())[0] is None


def test_every_rule_is_shown_to_be_needed():
    assert set(NEEDED) == set(Rules.__dataclass_fields__)


# The memory by itself


def remembered(capacity=10, at=0.0):
    recent = Recent(capacity)
    recent.believe(at)
    return recent


def learn(recent, asked, entry, now=0.0):
    ticket = recent.begin(asked, now)
    recent.keep(asked, ticket, entry, now)
    recent.end(asked, ticket)


def test_nothing_is_believed_or_kept_before_the_link_stands():
    recent = Recent(10)
    assert recent.begin(NAME, 0) is None
    recent.believe(0)
    learn(recent, NAME, ROWS[1])
    assert recent.look(NAME, 0) == ROWS[1]


def test_memory_is_believed_half_a_second_from_the_sending_of_a_probe():
    recent = remembered(at=10)
    learn(recent, NAME, ROWS[1], 10)
    assert recent.look(NAME, 10 + TRUST - 0.001) == ROWS[1]
    assert recent.look(NAME, 10 + TRUST) is UNKNOWN
    assert recent.begin(NAME, 10 + TRUST) is None
    recent.believe(11)
    assert recent.look(NAME, 11) == ROWS[1]


def test_no_entry_is_remembered_for_a_second():
    recent = remembered()
    learn(recent, NAME, None)
    recent.believe(NEGATIVE - 0.1)
    assert recent.look(NAME, NEGATIVE - 0.01) is None
    assert recent.look(NAME, NEGATIVE) is UNKNOWN


def test_the_least_recently_used_goes_first():
    recent = remembered(capacity=2)
    names = [name(replace(REF, key=key)) for key in "abc"]
    learn(recent, names[0], ROWS[1])
    learn(recent, names[1], ROWS[1])
    recent.look(names[0], 0)
    learn(recent, names[2], ROWS[1])
    assert [recent.look(one, 0) is UNKNOWN for one in names] == [False, True, False]


def test_when_all_are_used_one_goes_all_the_same_and_few_are_looked_at():
    recent = remembered(capacity=1000)
    names = [name(replace(REF, key=str(key))) for key in range(1001)]
    for one in names[:1000]:
        learn(recent, one, ROWS[1])
        recent.look(one, 0)
    learn(recent, names[1000], ROWS[1])
    assert len(recent._kept) == 1000
    assert recent.look(names[1000], 0) == ROWS[1]
    assert list(recent._kept)[:1] == [names[SPARED + 1]]


def test_a_change_of_a_row_touches_its_version_and_the_current_one():
    assert touched(replace(REF, version="v")) == (("", "films", "a", "v"), ("", "films", "a", ""))
    assert touched(replace(REF, version=None)) == (("", "films", "a", "null"), ("", "films", "a", ""))
    assert name(replace(REF, version=None)) == ("", "films", "a", "")


def test_tickets_of_those_who_gave_up_leave_nothing_behind():
    recent = remembered()
    tickets = [recent.begin(NAME, 0) for _ in range(3)]
    for ticket in tickets:
        recent.end(NAME, ticket)
    assert recent._reading == {}
    recent.end(NAME, tickets[0])
