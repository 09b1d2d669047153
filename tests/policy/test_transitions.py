from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3shunt.model import Entry, ObjectRef, State, Swap
from s3shunt.policy import transitions
from s3shunt.policy.transitions import GRAPH, IllegalTransition, check

ROW = Entry(ref=ObjectRef("b", "k", "null"), token="t")
STATES = list(State)


@pytest.mark.parametrize("old", STATES)
@pytest.mark.parametrize("new", STATES)
def test_a_swap_is_allowed_exactly_along_an_edge(old, new):
    swap = Swap(replace(ROW, state=old), replace(ROW, state=new))
    if old is new or new in GRAPH[old]:
        check(swap)
    else:
        with pytest.raises(IllegalTransition):
            check(swap)


def test_every_state_can_be_reached_and_left():
    assert set(GRAPH) == set(State)
    assert all(GRAPH[state] for state in State)
    assert {new for row in GRAPH.values() for new in row} == set(State)


def test_bytes_leave_the_store_only_from_verified():
    assert [old for old, row in GRAPH.items() if State.EVICTING in row] == [State.VERIFIED]
    assert {old for old, row in GRAPH.items() if State.RESTORED in row} == {State.LANDING, State.DELETED}
    assert State.ARCHIVED not in GRAPH[State.RESTORED]


@pytest.mark.parametrize(
    "swap",
    [
        Swap(None, None),
        Swap(replace(ROW, state=State.EVICTING), None),
        Swap(ROW, replace(ROW, ref=ObjectRef("b", "other", "null"))),
        Swap(ROW, replace(ROW, writers=-1)),
        Swap(replace(ROW, state=State.VERIFIED), replace(ROW, state=State.EVICTING, writers=1)),
        Swap(replace(ROW, state=State.VERIFIED), replace(ROW, state=State.EVICTING, token=None)),
    ],
    ids=["nothing", "evicting removed", "another key", "negative writers", "evicting with writers", "evicting without token"],
)
def test_a_defect_of_ours_is_refused(swap):
    with pytest.raises(IllegalTransition):
        check(swap)


@given(st.sampled_from(STATES), st.integers(0, 3))
@settings(max_examples=50)
def test_a_new_row_and_one_that_stays_are_always_allowed(state, writers):
    row = replace(ROW, state=state, writers=0 if state is State.EVICTING else writers)
    check(Swap(None, row))
    check(Swap(row, row))


def test_the_diagram_has_every_edge_with_its_reason():
    lines = transitions.diagram().splitlines()
    assert lines[0] == "stateDiagram-v2"
    assert len(lines) - 1 == sum(len(row) for row in GRAPH.values())
    assert "    verified --> evicting: nobody writes or wants it: the bytes may leave the store" in lines
