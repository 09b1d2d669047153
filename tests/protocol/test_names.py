"""A name is looked at once."""

import pytest

from s3shunt.protocol.names import LONGEST, Known, remembered


def test_a_name_is_worked_out_once():
    seen = []
    known = Known(lambda name: seen.append(name) or name.lower())
    assert [known["Host"], known["Host"], known["host"]] == ["host"] * 3
    assert seen == ["Host", "host"]


def test_strangers_names_take_no_more_than_their_room():
    known = Known(len)
    assert [known[str(number)] for number in range(Known.MOST + 10)][-1] == 4
    assert known["x" * 10_000] == 10_000
    assert len(known) == Known.MOST


def test_what_is_refused_is_refused_each_time():
    known = Known(int)
    for _ in range(2):
        with pytest.raises(ValueError, match="invalid"):
            known["x"]
    assert not known


def test_what_is_remembered_is_worked_out_once_unless_it_is_long():
    seen = []
    length = remembered(lambda text: seen.append(text) or len(text))
    assert [length("a"), length("a"), length("b" * LONGEST), length("b" * LONGEST)] == [1, 1, LONGEST, LONGEST]
    assert [length("c" * 600), length("c" * 600)] == [600, 600]
    assert len(seen) == 4
