import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3shunt.protocol import patterns

PID = r"(?:.*/)?([a-z0-9]+)\..*"


@pytest.mark.parametrize(
    ("key", "expected"),
    [("qs4m90.mxf", "qs4m90"), ("raw/2026/qs4m90.tar.gz", "qs4m90"), ("raw/a.b/qs4m90.x", "qs4m90"), ("QS.mxf", None), ("qs4m90", None)],
)
def test_the_group_is_found_where_the_pattern_fits_the_whole_key(key, expected):
    assert patterns.found(PID, key) == expected


def test_a_newline_is_a_character_like_others_and_nothing_is_not_found():
    assert patterns.found("([^/]+)/.*", "a\n/b\nc") == "a\n"
    assert patterns.found("x([a-z]*)", "x") is None
    assert patterns.found("(?:([0-9]+)|x)", "x") is None


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("(", "expected a regular expression (missing"),
        ("abc", "exactly one group"),
        ("(a)(b)", "exactly one group"),
        ("(a+)+", "repeats only single characters"),
        ("((?:ab?)*)", "repeats only single characters"),
        ("((?:ab|cd){2})", "repeats only single characters"),
        (".*.*(.*)x", "at most 2"),
        ("(a{0,400})a{9,}a{17}b", "at most 2"),
        ("(?:.*x|.*y|.*z)(b)", "at most 2"),
        (r"(.)\1", "neither looks around"),
        ("(?=a)(b)", "neither looks around"),
        ("a?" * 30 + "(b)", "fewer ways"),
        ("[a-z]{0,16}" * 6 + "(x)", "fewer ways"),
        ("(?:a?|b?c?)" * 12 + "(x)", "fewer ways"),
        (".*[a-z]{1,9}[a-z]{1,9}.*(x)", "fewer ways"),
        ("(a)(?<!b)", "neither looks around"),
        ("(a)(?(1)b|c)", "neither looks around"),
        ("(?i)(a)", "without flags"),
    ],
)
def test_what_could_take_for_ever_or_find_nothing_is_refused(pattern, expected):
    with pytest.raises(ValueError, match="expected") as refused:
        patterns.compiled(pattern)
    assert expected in str(refused.value)


PLAIN = [
    PID, "([^/]+)/.*", "(?>a*)([a-z]{2,40})-.*", "(?:raw|c)?/(.+)", "([0-9]{4})[0-9]{16}.*?", "(x++)y",
    "[A-Z]{2,4}-[0-9]{1,8}-([a-z]{1,10})",
]  # fmt: skip


@pytest.mark.parametrize("pattern", PLAIN)
def test_plain_patterns_are_taken(pattern):
    assert patterns.compiled(pattern).groups == 1


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([PID, "(.*)a.*b", "(.*).*b", "([ab]*)[ab]*c.*"]), st.text("ab/.c", min_size=1, max_size=6))
def test_no_key_takes_long(pattern, unit):
    key = (unit * patterns.LONGEST)[: patterns.LONGEST]
    began = time.process_time()
    patterns.found(pattern, key)
    assert time.process_time() - began < 0.2


def test_a_key_that_s3_does_not_have_is_not_looked_at():
    assert patterns.found("(a+)", "a" * 1024)
    assert patterns.found("(a+)", "a" * 1025) is None
