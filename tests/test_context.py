"""What was found out about a request is typed, and begins empty."""

import dataclasses

import pytest

from s3shunt.context import Context, Decision
from s3shunt.model import ANONYMOUS, ObjectRef
from s3shunt.protocol.operations import BY_NAME


def test_nothing_is_decided_or_known_at_first():
    context = Context()
    assert (context.decision, context.identity, context.entry, context.looked_up, context.document) == (None, None, None, False, None)


def test_two_requests_share_nothing():
    Context().notes["a"] = "b"
    assert Context().notes == {}


def test_a_door_cannot_leave_what_nobody_declared():
    with pytest.raises(AttributeError):
        Context().guess = 1


def test_a_decision_is_not_amended():
    decision = Decision(ANONYMOUS, BY_NAME["GetObject"], ObjectRef("films", "a"))
    assert (decision.targets, decision.denied) == (frozenset(), frozenset())
    with pytest.raises(dataclasses.FrozenInstanceError):
        decision.ref = ObjectRef("films", "b")
