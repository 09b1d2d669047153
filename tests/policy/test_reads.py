from s3shunt.model import ObjectRef
from s3shunt.policy.reads import HOUR, Reads

A, B = ObjectRef("films", "a", "null"), ObjectRef("films", "b", "null")


def test_notes_are_handed_in_all_at_once_after_a_while():
    reads = Reads(every=30)
    assert not reads.note(A, 100)
    assert not reads.note(B, 129)
    assert reads.note(ObjectRef("films", "c"), 130)
    assert reads.take() == {A: 100, B: 129, ObjectRef("films", "c"): 130}
    assert reads.take() == {}
    assert not reads.note(ObjectRef("films", "d"), 131), "a new half minute begins"


def test_an_object_is_noted_once_an_hour():
    reads = Reads()
    reads.note(A, 1)
    reads.take()
    reads.note(A, HOUR)
    assert reads.take() == {}
    reads.note(A, HOUR + 1)
    assert reads.take() == {A: HOUR + 1}


def test_the_notebook_is_bounded():
    reads = Reads(most=10)
    for number in range(1000):
        reads.note(ObjectRef("films", str(number)), number)
    assert len(reads._noted) <= 10
    assert len(reads.take()) <= 10
