import pytest

from s3shunt.protocol.locks import HOLD, MODE, UNTIL, holds, moment

NOW = 1_767_609_000_000
LATER, BEFORE = "2027-01-01T00:00:00Z", "2025-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("lock", "bypass", "held"),
    [
        ({}, False, False),
        ({HOLD: "OFF"}, False, False),
        ({HOLD: "ON"}, True, True),
        ({MODE: "GOVERNANCE", UNTIL: LATER}, False, True),
        ({MODE: "GOVERNANCE", UNTIL: LATER}, True, False),
        ({MODE: "COMPLIANCE", UNTIL: LATER}, True, True),
        ({MODE: "COMPLIANCE", UNTIL: BEFORE}, False, False),
        ({MODE: "COMPLIANCE", UNTIL: "soon"}, False, True),
        ({MODE: "COMPLIANCE"}, False, True),
    ],
)
def test_a_lock_holds_until_its_date(lock, bypass, held):
    assert holds(lock, NOW, bypass=bypass) is held


def test_moments_are_read_in_utc():
    assert moment("1970-01-01T00:00:01Z") == moment("1970-01-01T01:00:01+01:00") == moment("1970-01-01T00:00:01") == 1000
    assert moment("") is None
