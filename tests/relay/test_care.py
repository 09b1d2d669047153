"""A store in trouble is left alone but for a probe a second, and not asked ever more."""

import pytest

from s3shunt import clock
from s3shunt.protocol.errors import ServiceUnavailable
from s3shunt.relay.care import FAILURES, Breaker, Budget, pause
from s3shunt.testing.clock import HandClock


def broken(timer):
    breaker = Breaker(timer)
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
    timer = HandClock()
    breaker = broken(timer)
    for _ in range(3):
        timer.later(1001)
        assert [breaker.admits() for _ in range(3)] == [True, False, False]
        breaker.failed()


def test_the_first_that_is_answered_closes_it():
    timer = HandClock()
    breaker = broken(timer)
    timer.later(1001)
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


def test_after_quiet_times_no_more_than_a_hundred_are_saved():
    budget = Budget()
    for _ in range(10_000):
        budget.earn()
    assert 99 <= sum(budget.spend() for _ in range(200)) <= 100


def test_one_failure_casts_doubt_and_a_second_later_it_is_seen_how_it_does():
    timer = HandClock()
    breaker = Breaker(timer)
    breaker.failed()
    assert (breaker.failures, breaker.open, breaker.probes()) == (1, False, False)
    timer.later(1001)
    assert [breaker.probes() for _ in range(3)] == [True, False, False]


def test_while_one_waits_for_it_no_other_tries_it_out():
    timer = HandClock()
    breaker = Breaker(timer)
    breaker.failed()
    timer.later(1001)
    assert breaker.probes(5.0)
    timer.later(4000)
    assert not breaker.probes(5.0)
    timer.later(1001)
    assert breaker.probes(5.0), "it is taken for lost"
    breaker.failed()
    timer.later(1001)
    assert breaker.probes(5.0), "it has failed, and that was a second ago"


def test_late_failures_put_no_try_off():
    timer = HandClock()
    breaker = broken(timer)
    for _ in range(3):
        timer.later(400)
        breaker.failed()
    assert breaker.admits()


def test_nobody_pauses_beyond_his_time():
    with pytest.raises(ServiceUnavailable):
        pause(1, clock.wall.monotonic())
    pause(1, clock.wall.monotonic() + 10)
