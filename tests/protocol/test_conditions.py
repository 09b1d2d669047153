"""Conditional requests as RFC 9110 orders them and S3 documents them."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3shunt.protocol import conditions

ETAG = '"abc"'
AT = 1_767_609_000_500
DATE = formatdate(AT // 1000, usegmt=True)
BEFORE = formatdate(AT // 1000 - 1, usegmt=True)
AFTER = formatdate(AT // 1000 + 1, usegmt=True)


@pytest.mark.parametrize(
    ("headers", "verdict"),
    [
        ({}, None),
        ({"if-match": '"abc"'}, None),
        ({"if-match": "abc"}, None),
        ({"if-match": '"x", "abc"'}, None),
        ({"if-match": "*"}, None),
        ({"if-match": '"x"'}, 412),
        ({"if-match": 'W/"abc"'}, 412),
        ({"if-match": ""}, 412),
        ({"if-unmodified-since": DATE}, None),
        ({"if-unmodified-since": AFTER}, None),
        ({"if-unmodified-since": BEFORE}, 412),
        ({"if-unmodified-since": "yesterday"}, None),
        ({"if-match": '"abc"', "if-unmodified-since": BEFORE}, None),
        ({"if-match": '"x"', "if-unmodified-since": AFTER}, 412),
        ({"if-none-match": '"abc"'}, 304),
        ({"if-none-match": 'W/"abc"'}, 304),
        ({"if-none-match": '"x","abc"'}, 304),
        ({"if-none-match": "*"}, 304),
        ({"if-none-match": '"x"'}, None),
        ({"if-modified-since": DATE}, 304),
        ({"if-modified-since": AFTER}, 304),
        ({"if-modified-since": BEFORE}, None),
        ({"if-modified-since": "Mon, 99 Foo 2026"}, None),
        ({"if-none-match": '"x"', "if-modified-since": AFTER}, None),
        ({"if-none-match": '"abc"', "if-modified-since": BEFORE}, 304),
        ({"if-match": '"abc"', "if-none-match": '"abc"'}, 304),
        ({"if-match": '"x"', "if-none-match": '"abc"'}, 412),
    ],
)
def test_conditions_are_judged_in_order(headers, verdict):
    assert conditions.judge(headers, ETAG, AT) == verdict


def test_a_bare_etag_is_the_quoted_one():
    assert conditions.judge({"if-none-match": '"abc"'}, "abc", AT) == 304


@pytest.mark.parametrize(
    ("headers", "holds"),
    [
        ({}, True),
        ({"if-range": '"abc"'}, True),
        ({"if-range": '"x"'}, False),
        ({"if-range": 'W/"abc"'}, False),
        ({"if-range": "*"}, False),
        ({"if-range": DATE}, True),
        ({"if-range": BEFORE}, False),
        ({"if-range": AFTER}, False),
    ],
)
def test_a_range_is_honoured_only_for_the_version_it_names(headers, holds):
    assert conditions.range_holds(headers, ETAG, AT) is holds


@pytest.mark.parametrize(
    "text",
    ["Mon, 05 Jan 2026 10:30:00 GMT", "Monday, 05-Jan-26 10:30:00 GMT", "Mon Jan  5 10:30:00 2026"],
)
def test_all_three_forms_of_a_date_are_read(text):
    assert conditions.date(text) == 1_767_609_000


@given(st.dictionaries(st.sampled_from(["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"]), st.text()))
def test_no_header_breaks_the_judge(headers):
    assert conditions.judge(headers, ETAG, AT) in (None, 304, 412)
