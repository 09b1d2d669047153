"""One range of a body, or the whole of it, or 416."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3shunt.protocol import ranges
from s3shunt.protocol.errors import InvalidRange


@pytest.mark.parametrize(
    ("header", "size", "found"),
    [
        (None, 10, None),
        ("", 10, None),
        ("bytes=0-0", 10, (0, 1)),
        ("bytes=2-5", 10, (2, 6)),
        ("bytes=2-", 10, (2, 10)),
        ("bytes=2-99", 10, (2, 10)),
        ("bytes=-3", 10, (7, 10)),
        ("bytes=-99", 10, (0, 10)),
        ("Bytes = 2 - 5", 10, (2, 6)),
        ("bytes=5-2", 10, None),
        ("bytes=-", 10, None),
        ("bytes=0-1,4-5", 10, None),
        ("items=0-1", 10, None),
        ("bytes=a-b", 10, None),
        ("bytes=\u0660-\u0661", 10, None),
    ],
)
def test_a_range_is_read_as_s3_reads_it(header, size, found):
    assert ranges.parse(header, size) == found


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=10-12", 10), ("bytes=-0", 10), ("bytes=0-", 0), ("bytes=-1", 0)])
def test_a_range_beyond_the_end_is_refused_with_the_true_size(header, size):
    with pytest.raises(InvalidRange) as caught:
        ranges.parse(header, size)
    assert caught.value.details == {"RangeRequested": header, "ActualObjectSize": str(size)}
    assert caught.value.headers == (("Content-Range", f"bytes */{size}"),)


def test_content_range_counts_both_ends():
    assert ranges.content_range(2, 6, 10) == "bytes 2-5/10"


@given(st.one_of(st.text(), st.from_regex(r"bytes=[0-9]{0,4}-[0-9]{0,4}", fullmatch=True)), st.integers(0, 5000))
def test_what_is_found_lies_within_the_body(header, size):
    try:
        found = ranges.parse(header, size)
    except InvalidRange:
        return
    assert found is None or 0 <= found[0] < found[1] <= size
