"""Several endpoints of one store: one that is away costs nobody an answer, and nothing is sent twice that may not be."""

import random
from contextlib import ExitStack

import pytest

from s3shunt import clock
from s3shunt.protocol.errors import BadDigest, IncompleteBody, ServiceUnavailable
from s3shunt.relay import Head, Limits, Relay
from s3shunt.relay.care import FAILURES
from s3shunt.relay.endpoints import reached
from s3shunt.testing.clock import HandClock
from s3shunt.testing.origin import HttpOrigin, Reply

QUICK = Limits(connect=2000, response=300, gap=300)
BROKEN = Reply(raw=b"", close=True)
BIG = bytes(range(256)) * 1024


class Site:
    """A store with two endpoints, on a clock that a hand moves."""

    def __init__(self, kept, limits=QUICK):
        self.origins = [kept.enter_context(HttpOrigin()) for _ in range(2)]
        self.clock = HandClock()
        self.store = reached([origin.endpoint for origin in self.origins], limits, timer=self.clock)
        kept.callback(self.store.close)

    def away(self, number):
        self.origins[number].__exit__()

    def get(self):
        answer = self.store.send(Head("GET", "/films/a", [("host", self.store.host)]), retry=True)
        assert answer.body.whole() is not None
        return answer

    def put(self, pieces=(b"12345",)):
        answer = self.store.send(Head("PUT", "/films/a", [("host", self.store.host), ("content-length", "5")], 5), pieces)
        answer.body.whole()
        return answer

    @property
    def counts(self):
        return [len(origin.requests) for origin in self.origins]


@pytest.fixture
def kept():
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def site(kept):
    made = Site(kept)
    yield made
    made.store.close()
    assert made.store.open == 0


def test_one_endpoint_is_reached_by_its_relay_alone():
    assert type(reached(["http://127.0.0.1:1"], QUICK)) is Relay


def test_endpoints_have_their_turn_and_are_named_by_their_answers(site):
    told = [site.get().endpoint for _ in range(10)]
    assert site.counts == [5, 5]
    assert set(told) == {origin.endpoint.removeprefix("http://") for origin in site.origins}


def test_all_are_told_the_host_of_the_first_for_which_requests_are_signed(site):
    for _ in range(4):
        site.get()
    host = site.origins[0].endpoint.removeprefix("http://")
    assert {received.fields["host"] for origin in site.origins for received in origin.requests} == {host}


def test_who_has_less_to_do_is_asked_whosever_turn_it_is(site):
    for origin in site.origins:
        origin.script.append(Reply(200, BIG))
    first, second = (site.store.send(Head("GET", "/films/a", [("host", "h")])) for _ in range(2))
    assert site.counts == [1, 1]
    first.body.close()
    for _ in range(4):
        assert site.get().endpoint == first.endpoint
    second.body.close()


@pytest.mark.parametrize("away", [0, 1])
def test_an_endpoint_that_is_away_costs_nobody_an_answer(site, away):
    site.away(away)
    for _ in range(200):
        assert site.get().status == 200
        assert site.put().status == 200
        site.clock.later(50)
    assert site.counts[1 - away] == 400


def test_an_upload_that_could_not_be_sent_goes_to_the_next_endpoint_whole_and_once(site):
    site.away(0)
    taken = []

    def body():
        for piece in (b"123", b"45"):
            taken.append(piece)
            yield piece

    while not site.store.relays[0].breaker.failures:
        assert site.put(body()).status == 200
    assert {received.body for received in site.origins[1].requests} == {b"12345"}
    assert len(taken) == 2 * len(site.origins[1].requests)


def test_an_upload_of_which_something_was_sent_is_not_sent_again(site):
    for origin in site.origins:
        origin.script.append(BROKEN)
    with pytest.raises(ServiceUnavailable) as caught:
        site.put()
    assert (sum(site.counts), caught.value.retry_after) == (1, 1)


def test_an_upload_whose_body_breaks_is_nowhere_sent_again(site):
    def body():
        yield b"1"
        raise BadDigest

    with pytest.raises(BadDigest):
        site.put(body())
    assert sum(len(origin.requests) for origin in site.origins) <= 1


def test_a_read_that_broke_before_its_first_byte_is_made_at_another_endpoint_at_once(site, monkeypatch):
    monkeypatch.setattr("s3shunt.relay.endpoints.pause", lambda *_: pytest.fail("nobody waits"))
    site.origins[1].script.append(BROKEN)  # whose turn is first
    answer = site.get()
    assert (answer.status, answer.attempts, site.counts) == (200, 2, [1, 1])


@pytest.mark.parametrize("reply", [Reply(200, b"abc" * 9, cut=0), Reply(200, b"abc" * 9, cut=5), Reply(200, BIG, cut=0)])
def test_a_read_that_broke_before_anybody_saw_of_it_is_made_at_another_endpoint(site, reply):
    site.origins[1].script.append(reply)  # whose turn is first
    site.origins[0].script.append(Reply(200, b"whole"))
    answer = site.store.send(Head("GET", "/films/a", [("host", "h")]), retry=True)
    assert (answer.body.whole(), answer.attempts, site.counts) == (b"whole", 2, [1, 1])


def test_a_large_answer_that_breaks_later_raises(site):
    site.origins[1].script.append(Reply(200, BIG, cut=100_000))
    answer = site.store.send(Head("GET", "/films/a", [("host", "h")]), retry=True)
    with pytest.raises(IncompleteBody):
        answer.body.whole()
    assert site.counts == [0, 1]


def test_one_that_fails_half_of_the_time_costs_nobody_an_answer(site):
    site.origins[0].script += [BROKEN, Reply()] * 500
    for _ in range(500):
        assert site.get().status == 200
        site.clock.later(50)
    assert site.counts[0] <= 60, "it was asked more often than to see how it does"


def test_where_all_fail_half_of_the_time_a_tenth_more_is_asked_and_no_more(site):
    chance, count, answered = random.Random(7), 400, 0
    for origin in site.origins:
        origin.script += [chance.choice((BROKEN, Reply())) for _ in range(2000)]
    for _ in range(count):
        try:
            answered += site.get().status == 200
        except ServiceUnavailable as error:
            assert error.retry_after == 1
        site.clock.later(50)
    assert sum(site.counts) <= count * 1.1 + 10
    assert answered >= count * 0.5


def test_a_doubted_endpoint_is_looked_at_once_a_second_by_what_may_be_repeated(site):
    site.origins[1].script.append(BROKEN)
    site.get()
    before = site.counts[1]
    for _ in range(5):
        site.clock.later(1001)
        assert site.put().status == 200
    assert site.counts[1] == before, "uploads try nothing out"
    site.get()
    assert site.counts[1] == before + 1
    for _ in range(10):
        site.put()
    assert site.counts[1] == before + 6, "it has answered: it is an endpoint as any other"


def test_where_all_are_away_the_refusal_comes_at_once(site):
    for origin in site.origins:
        origin.script += [BROKEN] * 200
    for _ in range(FAILURES * 2):
        with pytest.raises(ServiceUnavailable):
            site.put()
    before = site.counts
    for _ in range(20):
        with pytest.raises(ServiceUnavailable) as caught:
            site.get()
        assert caught.value.retry_after == 1
    assert site.counts == before
    site.clock.later(1001)
    for origin in site.origins:
        origin.script.clear()
    assert [site.put().status for _ in range(4)] == [200] * 4


def test_all_endpoints_together_have_one_deadline(kept):
    site = Site(kept, Limits(connect=2000, response=20_000, budget=500))
    for origin in site.origins:
        origin.script += [Reply(silent=True)] * 4
    begun = clock.wall.monotonic()
    with pytest.raises(ServiceUnavailable):
        site.get()
    assert clock.wall.monotonic() - begun < 10
    assert (sum(site.counts), site.store.open) == (1, 0)


def test_a_hung_endpoint_leaves_time_for_another(kept):
    site = Site(kept, Limits(connect=2000, response=300, budget=20_000))
    site.origins[1].script += [Reply(silent=True)] * 4
    answer = site.get()
    assert (answer.status, answer.attempts, site.counts) == (200, 2, [1, 1])


def test_one_that_is_tried_out_and_hangs_holds_up_nobody_for_long(kept):
    site = Site(kept, Limits(connect=2000, response=60_000, probe=200))
    site.origins[1].script += [BROKEN, Reply(silent=True), Reply(silent=True)]
    site.get()
    site.clock.later(1001)
    begun = clock.wall.monotonic()
    answer = site.get()
    assert (answer.status, answer.attempts, site.counts) == (200, 2, [2, 2])
    assert clock.wall.monotonic() - begun < 30
