import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3shunt.protocol.errors import IncompleteBody
from s3shunt.protocol.lengths import blocks, exactly

CHUNKS = st.lists(st.binary(max_size=9), max_size=9)


@given(CHUNKS)
def test_a_body_of_its_declared_length_passes_unchanged(chunks):
    whole = b"".join(chunks)
    assert b"".join(exactly(chunks, len(whole))) == whole


@given(CHUNKS, st.integers(-5, 5).filter(bool))
def test_a_body_of_another_length_never_gives_all_the_bytes_it_declared(chunks, off):
    declared = max(0, len(b"".join(chunks)) + off)
    if declared == len(b"".join(chunks)):
        return
    given_on = []
    with pytest.raises(IncompleteBody):
        given_on.extend(exactly(chunks, declared))
    assert len(b"".join(given_on)) < max(declared, 1)


def test_an_error_of_the_source_comes_through_before_the_last_bytes():
    def torn():
        yield b"abc"
        raise ConnectionResetError

    given_on = []
    with pytest.raises(ConnectionResetError):
        given_on.extend(exactly(torn(), 3))
    assert given_on == []


@given(CHUNKS, st.integers(1, 7))
def test_blocks_hold_the_same_bytes_and_all_but_the_last_are_full(chunks, length):
    made = list(blocks(chunks, length))
    assert b"".join(made) == b"".join(chunks)
    assert all(len(block) == length for block in made[:-1])
    assert all(made)
