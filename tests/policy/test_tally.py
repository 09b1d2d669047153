import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3shunt.policy import tally
from s3shunt.policy.tally import BOUNDS, CLASSES, IN, OUT, SECONDS, Tally

BYTES = st.integers(0, 9)
REQUEST = st.tuples(st.sampled_from(["GetObject", "PutObject"]), st.sampled_from([200, 404]), BYTES, BYTES, st.floats(0, 999))


def counted(requests):
    made = Tally()
    for one in requests:
        made.request(*one)
        made.counts["error", one[0]] += 1
    return made


def test_a_request_is_counted_once_in_its_class_of_latency():
    made = counted([("GetObject", 200, 1, 2, 0.004), ("GetObject", 200, 10, 20, 0.005), ("GetObject", 200, 0, 0, 999.0)])
    (row,) = made.requests.values()
    assert (row[IN], row[OUT]) == (11, 22)
    assert row[SECONDS] == pytest.approx(999.009)
    assert row[CLASSES + BOUNDS.index(0.005)] == 2
    assert row[-1] == 1
    assert sum(row[CLASSES:]) == 3


@given(st.lists(REQUEST, max_size=20), st.lists(REQUEST, max_size=20))
def test_what_two_processes_counted_adds_up(one, other):
    together, apart = counted(one + other), counted(one)
    apart.add(tally.read(counted(other).written()))
    assert together.counts == apart.counts
    assert together.requests.keys() == apart.requests.keys()
    for asked, row in together.requests.items():
        assert row == pytest.approx(apart.requests[asked])


def test_what_is_added_stays_the_other_s_own():
    one, other = counted([("GetObject", 200, 1, 1, 0)]), counted([("GetObject", 200, 1, 1, 0)])
    one.add(other)
    one.request("GetObject", 200, 1, 1, 0)
    assert other.requests["GetObject", 200][IN] == 1


@pytest.mark.parametrize(
    "document",
    [{}, {"requests": [["GetObject", 200, 1]], "counts": []}, {"requests": [], "counts": [["a"]]}, {"requests": 7, "counts": []}],
)
def test_what_another_release_wrote_is_refused(document):
    with pytest.raises((KeyError, TypeError, ValueError)):
        tally.read(document)


def test_what_a_process_counts_can_be_added_up_while_it_counts():
    tally, going = Tally(), True

    def count():
        number = 0
        while going:
            number += 1
            if number % 300 == 0:
                tally.requests.clear()
                tally.counts.clear()
            tally.request(f"{number}", 200, 0, 0, 0.0)
            tally.counts["error", f"{number}"] += 1

    before, thread = sys.getswitchinterval(), threading.Thread(target=count)
    sys.setswitchinterval(1e-6)
    thread.start()
    try:
        for _ in range(300):
            Tally().add(tally)
        for _ in range(100):
            tally.written()
    finally:
        going = False
        thread.join()
        sys.setswitchinterval(before)
