"""The graph of states, its refusals, and its picture in the docs."""

from dataclasses import replace
from pathlib import Path

import pytest

from s3shunt.model import Entry, ObjectRef, State, Swap
from s3shunt.policy.transitions import GRAPH, IllegalTransition, check, diagram

DOCS = Path(__file__).parents[2] / "docs"
S = State


def entry(state, **more):
    return Entry(ref=ObjectRef("b", "k", "null"), state=state, **more)


@pytest.mark.parametrize("old", list(State))
@pytest.mark.parametrize("new", list(State))
def test_only_what_the_graph_has_may_follow(old, new):
    swap = Swap(entry(old), entry(new, token="t"))
    if old is new or new in GRAPH[old]:
        check(swap)
    else:
        with pytest.raises(IllegalTransition):
            check(swap)


def test_every_state_is_left_and_reached():
    assert set(GRAPH) == set(State)
    assert all(GRAPH.values())
    assert {new for row in GRAPH.values() for new in row} == set(State)


def test_a_lost_or_deleted_object_is_never_evicted_again_without_being_written():
    assert all(S.EVICTING not in row for old, row in GRAPH.items() if old is not S.VERIFIED)


@pytest.mark.parametrize(
    "swap",
    [
        Swap(None, None),
        Swap(entry(S.EVICTING, token="t"), None),
        Swap(entry(S.ONLINE), replace(entry(S.ONLINE), ref=ObjectRef("b", "other", "null"))),
        Swap(entry(S.ONLINE), entry(S.ONLINE, writers=-1)),
        Swap(entry(S.VERIFIED), entry(S.EVICTING, token="t", writers=1)),
        Swap(entry(S.VERIFIED), entry(S.EVICTING)),
    ],
)
def test_what_no_step_may_do_is_refused(swap):
    with pytest.raises(IllegalTransition):
        check(swap)


def test_the_docs_show_the_graph():
    assert diagram() in (DOCS / "states.md").read_text()
