import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3shunt.policy.ratelimit import Account, Accounts, Limit, share, take

TEN = Limit(each=100.0, burst=10)


def test_a_full_bucket_gives_its_burst_and_then_one_at_a_time():
    spent, granted, wait = take(0.0, 5000, 99, TEN)
    assert (granted, wait) == (10, 0)
    assert take(spent, 5000, 1, TEN)[1:] == (0, 100)
    assert take(spent, 5099, 1, TEN)[1:] == (0, 1)
    assert take(spent, 5100, 5, TEN)[1:] == (1, 0)


def test_a_bucket_that_rested_is_full_and_never_more_than_full():
    assert take(0.0, 1 << 40, 99, TEN)[1] == 10


def test_a_clock_that_went_back_makes_it_wait_no_longer_than_an_empty_bucket_does():
    spent, granted, wait = take(5000.0, 1000, 1, TEN)
    assert (spent, granted, wait) == (2000.0, 0, 100)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 500), st.integers(1, 20)), max_size=60), st.floats(0.5, 400), st.integers(1, 50))
def test_nobody_ever_gets_more_than_the_burst_and_the_rate(asked, each, burst):
    limit, now, begun, spent, total = Limit(each, burst), 10_000, 10_000, 0.0, 0
    for pause, wanted in asked:
        now += pause
        spent, granted, wait = take(spent, now, wanted, limit)
        total += granted
        assert (granted > 0) == (wait == 0)
        assert granted or take(spent, now + wait, 1, limit)[1] == 1
    assert total <= burst + (now - begun) / each + 1e-3


@settings(max_examples=200)
@given(st.lists(st.integers(-300, 500), max_size=60), st.integers(1, 400), st.integers(1, 50))
def test_the_own_count_is_what_one_token_after_the_other_would_be(pauses, each, burst):
    limit, now, account = Limit(each, burst), 10_000, Account()
    for pause in pauses:
        now += pause
        before = account.spent
        spent, granted, _ = take(before, now, 1, limit)
        if account.counts(now, limit):
            assert (account.spent, granted) == (spent, 1)
        else:
            assert account.spent == before
            assert not granted or before > now + each * burst
            account.spent = spent


def test_tokens_in_hand_pay_until_they_are_spent_or_past_their_moment():
    account = Account(hand=2, until=100)
    assert [account.pays(99), account.pays(100), account.pays(99), account.pays(99)] == [True, False, True, False]
    assert account.hand == 0


@pytest.mark.parametrize(("each", "burst", "expected"), [(10, 200, 12), (1, 2000, 125), (60_000, 10, 1), (100, 10, 1), (0.01, 64, 4)])
def test_a_process_takes_few_enough_to_leave_some_for_the_others(each, burst, expected):
    assert share(Limit(each, burst)) == expected


def test_only_those_who_asked_last_are_remembered():
    accounts = Accounts(2)
    first = accounts.of("a")
    first.spent = 7
    accounts.of("b")
    assert accounts.of("a") is first
    accounts.of("c")
    assert len(accounts) == 2
    assert accounts.of("a") is first
    assert accounts.of("b").spent == 0
