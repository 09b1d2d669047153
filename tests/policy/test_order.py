"""Which orders of the doors are refused, and what is said; the plan's own order is accepted."""

import random
from itertools import combinations

import pytest

from s3shunt.policy import order

WALK = ["access_log", "errors", "health", "virtual_host", "sigv4", "grants", "lookup", "restore", "listing", "record", "shunt", "proxy"]


def test_the_walk_as_shipped_is_accepted():
    assert order.refusals(WALK) == []


@pytest.mark.parametrize(
    ("walk", "said"),
    [
        ("access_log health virtual_host sigv4 grants proxy", "errors outside of it"),
        ("errors access_log sigv4 grants proxy", "access_log only as the answer"),
        ("virtual_host errors sigv4 grants proxy", "virtual_host: expected inside of errors"),
        ("errors sigv4 virtual_host grants proxy", "only known when the Host was read"),
        ("errors sigv4 grants virtual_host proxy", "judges the bucket that the Host names"),
        ("errors grants sigv4 proxy", "grants: expected inside of sigv4"),
        ("errors grants proxy", "grants: expected sigv4 outside of it"),
        ("errors sigv4 proxy", "proxy: expected grants outside of it"),
        ("errors sigv4 lookup grants proxy", "lookup: expected inside of grants"),
        ("errors sigv4 grants shunt lookup proxy", "shunt: expected inside of lookup"),
        ("errors sigv4 grants restore lookup proxy", "restore: expected inside of lookup"),
        ("errors sigv4 grants record proxy", "record: expected lookup outside of it"),
        ("errors sigv4 grants lookup shunt restore proxy", "would lack x-amz-restore"),
        ("errors sigv4 health grants proxy", "who asks for health signs nothing"),
        ("errors sigv4 grants health proxy", "would be refused"),
        ("errors virtual_host health sigv4 grants proxy", "would turn the health path into a key"),
        ("errors proxy sigv4 grants", "proxy: expected at the end"),
        ("errors sigv4 grants", "grants: expected an app behind it"),
        ("errors errors sigv4 grants proxy", "errors: expected once"),
        ("", "at least an app"),
    ],
)
def test_an_order_that_cannot_work_is_refused_with_its_reason(walk, said):
    refused = [str(refusal) for refusal in order.refusals(walk.split())]
    assert any(said in line for line in refused), refused


@pytest.mark.parametrize("absent", WALK[:-1])
def test_without_a_door_the_rest_works_or_says_what_it_needs(absent):
    refused = order.refusals([door for door in WALK if door != absent])
    needed = absent in ("errors", "sigv4", "grants", "lookup")
    assert bool(refused) == needed
    assert all(absent in refusal.reason for refusal in refused)


@pytest.mark.parametrize("walk", ["errors sigv4 grants foreign proxy", "foreign errors sigv4 grants proxy", "errors sigv4 grants swift"])
def test_a_foreign_door_may_stand_anywhere(walk):
    assert order.refusals(walk.split()) == []


def test_requests_may_be_counted_by_address_and_again_by_identity():
    assert order.refusals(["errors", "ratelimit_peer", "sigv4", "grants", "ratelimit", "proxy"]) == []


def test_identities_are_counted_only_where_they_are_known():
    assert [refusal.door for refusal in order.refusals(["errors", "ratelimit", "sigv4", "grants", "proxy"])] == ["ratelimit"]
    assert [refusal.door for refusal in order.refusals(["errors", "ratelimit", "proxy"]) if refusal.door == "ratelimit"] == ["ratelimit"]


def test_doors_that_do_not_meet_in_a_rule_may_be_swapped():
    ruled = {frozenset((rule.outer, rule.inner)) for rule in order.RULES}
    for outer, inner in combinations(range(len(WALK) - 1), 2):
        between = WALK[outer : inner + 1]
        if any(frozenset(pair) in ruled for pair in combinations(between, 2)):
            continue
        swapped = WALK.copy()
        swapped[outer], swapped[inner] = swapped[inner], swapped[outer]
        assert order.refusals(swapped) == [], swapped


def test_every_shuffle_is_judged_and_each_refusal_names_a_door_of_it():
    seed = 20260105
    draw = random.Random(seed)
    for _ in range(2000):
        doors = [*draw.sample(WALK[:-1], draw.randint(1, len(WALK) - 1)), "proxy"]
        assert all(refusal.door in doors for refusal in order.refusals(doors)), seed
