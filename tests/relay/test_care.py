"""A store in trouble is left alone but for a probe a second, and not asked ever more."""

from s3shunt.relay.care import FAILURES, Breaker, Budget
from s3shunt.testing.clock import HandClock


def broken(clock):
    breaker = Breaker(clock)
    for _ in range(FAILURES):
        assert breaker.admits()
        breaker.failed()
    return breaker


def test_a_breaker_opens_after_failures_in_a_row():
    assert not broken(HandClock()).admits()


def test_one_answer_among_failures_keeps_it_closed():
    breaker = Breaker(HandClock())
    for _ in range(FAILURES * 3):
        breaker.failed()
        breaker.failed()
        breaker.answered()
    assert breaker.admits()


def test_an_open_one_lets_one_request_a_second_through():
    clock = HandClock()
    breaker = broken(clock)
    for _ in range(3):
        clock.later(1001)
        assert [breaker.admits() for _ in range(3)] == [True, False, False]
        breaker.failed()


def test_the_first_that_is_answered_closes_it():
    clock = HandClock()
    breaker = broken(clock)
    clock.later(1001)
    assert breaker.admits()
    breaker.answered()
    assert [breaker.admits() for _ in range(3)] == [True] * 3


def test_second_tries_are_a_tenth_of_the_first_once_what_was_saved_is_spent():
    budget = Budget()
    saved = 0
    while budget.spend():
        saved += 1
    assert saved == 10
    granted = 0
    for _ in range(1000):
        budget.earn()
        granted += budget.spend()
    assert 95 <= granted <= 100
