"""Commands as the server reads them, answers as it writes them, however they are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.connection import Connection
from redis.exceptions import ResponseError

from s3shunt.catalog.redis.wire import MOST, Answers, packed

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
WORDS = st.lists(st.one_of(st.binary(max_size=40), TEXTS, st.integers()), min_size=1)
ANSWER = st.recursive(
    st.one_of(st.none(), st.binary(max_size=60), st.integers(-(2**63), 2**63 - 1)), lambda inner: st.lists(inner, max_size=4), max_leaves=8
)


def written(answer):
    if answer is None:
        return b"$-1\r\n"
    if isinstance(answer, int):
        return b":%d\r\n" % answer
    if isinstance(answer, bytes):
        return b"$%d\r\n%b\r\n" % (len(answer), answer)
    return b"*%d\r\n" % len(answer) + b"".join(map(written, answer))


@given(WORDS)
def test_a_command_is_what_redis_py_would_send(words):
    assert packed("EVAL", *words) == b"".join(Connection()._command_packer.pack("EVAL", *words))


@given(st.lists(ANSWER, max_size=6), st.lists(st.integers(1, 30), max_size=30))
def test_answers_are_complete_and_in_order_wherever_the_network_cuts_them(answers, cuts):
    stream, read, found = b"".join(map(written, answers)), Answers(), []
    for cut in [*cuts, len(stream)]:
        found += read(stream[:cut])
        stream = stream[cut:]
    assert found == answers


def test_an_error_is_an_answer_to_one_question():
    found = Answers()(b"+OK\r\n-OOM command not allowed\r\n*-1\r\n:1\r\n")
    assert [found[0], *found[2:]] == [b"OK", None, 1]
    assert isinstance(found[1], ResponseError)
    assert str(found[1]) == "OOM command not allowed"


@pytest.mark.parametrize("said", [b"HTTP/1.1 400\r\n", b"\r\n", b"$x\r\n", b":\r\n", b"$1\r\nab\r\n", b"*1\r\n?\r\n"])
def test_what_is_no_answer_is_told(said):
    with pytest.raises(ValueError):  # of whichever kind
        Answers()(said)


def test_an_answer_without_an_end_is_not_waited_for_for_ever():
    read = Answers()
    read(b"$%d\r\n" % (MOST * 2))
    with pytest.raises(ValueError, match="without an end"):
        for _ in range(5):
            read(bytes(1 << 20))
