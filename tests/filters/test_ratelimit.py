"""Who asks too often is told to slow down, and nobody else is."""

import pytest

from s3shunt import config, connect
from s3shunt.config import ConfigError, Ini
from s3shunt.filters.ratelimit import Options, PeerOptions, Ratelimit, RatelimitPeer
from s3shunt.model import ANONYMOUS, Identity
from s3shunt.protocol.errors import ServiceUnavailable, SlowDown
from s3shunt.testing.client import environ
from s3shunt.testing.clock import HandClock
from s3shunt.wsgi import Request, Response

NOBODY = "192.0.2.1"


class Meter:
    """Buckets of all proxies, as Redis keeps them; ``away`` and it cannot be asked."""

    def __init__(self):
        self.left, self.asked, self.away = {}, [], False

    def spend(self, subject, wanted, each, burst):
        self.asked.append(subject)
        if self.away:
            raise ServiceUnavailable
        granted = min(wanted, self.left.setdefault(subject, burst))
        self.left[subject] -= granted
        return granted, 0 if granted else 700


class Site:
    def __init__(self, tmp, door=RatelimitPeer, meter=None, **given):
        (tmp / "ini").write_text("[DEFAULT]\n" + ("[catalog:main]\nurl = memory://\n" if meter else ""))
        self.clock = HandClock()
        house = connect.House(Ini(tmp / "ini", {}), self.clock)
        house.meter = lambda name: meter
        declared = PeerOptions if door is RatelimitPeer else Options
        self.door = door(lambda request: Response(status=200), config.read(declared, "filter:ratelimit", given), house)

    def ask(self, peer=NOBODY, identity=None, method="GET", target="/films/a", **fields):
        request = Request(environ(method, target, fields={name.replace("_", "-"): value for name, value in fields.items()}))
        request.environ["REMOTE_ADDR"] = peer
        request.context.identity = identity
        return self.door(request).status_int

    def count(self, most=1000, **more):
        """How many requests at once pass."""
        for number in range(most):
            try:
                self.ask(**more)
            except SlowDown:
                return number
        return most


@pytest.fixture
def make(tmp_path):
    return lambda *args, **given: Site(tmp_path, *args, **given)


def test_an_address_may_make_its_burst_at_once_and_its_rate_from_then_on(make):
    site = make(rate="10/s", burst="20")
    assert site.count() == 20
    site.clock.later(1000)
    assert site.count() == 10


def test_without_a_burst_it_is_two_seconds_of_the_rate(make):
    assert make(rate="10/s").count() == 20
    assert make(rate="10/h").count() == 1


def test_the_answer_says_how_long_to_wait(make):
    site = make(rate="6/m", burst="1")
    site.ask()
    with pytest.raises(SlowDown) as refused:
        site.ask()
    assert refused.value.retry_after == 10
    assert refused.value.status == 503


def test_one_address_is_none_of_another_s(make):
    site = make(rate="1/s", burst="1")
    assert site.count() == 1
    assert site.count(peer="192.0.2.2") == 1


def test_an_ipv6_client_is_its_network(make):
    site = make(rate="1/s", burst="1")
    site.ask(peer="2001:db8::1")
    with pytest.raises(SlowDown):
        site.ask(peer="2001:db8::ffff")
    site.ask(peer="2001:db8:0:1::1")
    site.ask(peer="::ffff:192.0.2.9")
    with pytest.raises(SlowDown):
        site.ask(peer="192.0.2.9")


def test_exempt_networks_are_not_counted_and_a_unix_socket_has_no_address(make):
    site = make(rate="1/s", burst="1", exempt="192.0.2.0/24")
    assert site.count(9) == 9
    assert site.count(9, peer="") == 9
    assert site.count(9, peer="198.51.100.1") == 1


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("203.0.113.9, 198.51.100.7", "198.51.100.7"),
        ("198.51.100.7, 10.0.0.2", "198.51.100.7"),
        ("", "10.0.0.1"),
        ("garbage", "10.0.0.1"),
        ("198.51.100.7, garbage", "10.0.0.1"),
    ],
)
def test_behind_trusted_proxies_the_client_is_the_nearest_who_is_not_one(make, forwarded, expected):
    site = make(rate="1/s", burst="1", trusted="10.0.0.0/8")
    site.ask(peer="10.0.0.1", x_forwarded_for=forwarded)
    with pytest.raises(SlowDown):
        site.ask(peer=expected)


def test_a_trusted_proxy_is_one_on_a_socket_for_both_kinds_of_addresses_too(make):
    site = make(rate="1/s", burst="1", trusted="10.0.0.0/8", exempt="203.0.113.0/24")
    site.ask(peer="::ffff:10.0.0.1", x_forwarded_for="198.51.100.7")
    site.ask(peer="::ffff:10.0.0.1", x_forwarded_for="198.51.100.8")
    with pytest.raises(SlowDown):
        site.ask(peer="198.51.100.7")
    assert site.count(9, peer="::ffff:203.0.113.1") == 9


def test_who_is_not_trusted_cannot_say_to_be_another(make):
    site = make(rate="1/s", burst="1", trusted="10.0.0.0/8")
    site.ask(x_forwarded_for="198.51.100.7")
    with pytest.raises(SlowDown):
        site.ask(x_forwarded_for="198.51.100.8")


def test_an_access_key_is_counted_wherever_it_comes_from(make):
    site = make(Ratelimit, rate="1/s", burst="2")
    site.ask(identity=Identity(access_key="AK"))
    site.ask(identity=Identity(access_key="AK"), peer="198.51.100.1")
    with pytest.raises(SlowDown):
        site.ask(identity=Identity(access_key="AK"), peer="198.51.100.2")
    site.ask(identity=Identity(access_key="OTHER"))


def test_the_anonymous_are_counted_by_address(make):
    site = make(Ratelimit, rate="1/s", burst="1")
    assert site.count(identity=ANONYMOUS) == 1
    assert site.count(identity=ANONYMOUS, peer="198.51.100.2") == 1


def test_exempt_keys_are_not_counted(make):
    assert make(Ratelimit, rate="1/s", burst="1", exempt="JOBS AK").count(9, identity=Identity(access_key="AK")) == 9


def test_restores_have_a_bucket_of_their_own(make):
    site = make(Ratelimit, rate="100/s", restores="60/h", restores_burst="3")
    restoring = {"identity": Identity(access_key="AK"), "method": "POST", "target": "/films/a?restore"}
    assert site.count(**restoring) == 3
    assert site.ask(identity=Identity(access_key="AK")) == 200


def test_most_requests_ask_nobody_and_all_together_get_no_more_than_the_limit(make):
    meter = Meter()
    sites = [make(rate="100/s", burst="200", meter=meter) for _ in range(3)]
    passed = [site.count(150) for site in sites]
    assert sum(passed) <= 200
    assert sum(passed) >= 190
    assert len(meter.asked) <= 21


def test_who_was_refused_is_not_asked_about_again_until_then(make):
    meter = Meter()
    site = make(rate="10/s", burst="1", meter=meter)
    site.ask()
    for _ in range(5):
        with pytest.raises(SlowDown):
            site.ask()
    assert len(meter.asked) == 2


def test_of_many_at_once_one_asks_and_the_others_go_on_credit(make):
    class Slow(Meter):
        def spend(self, *asked):
            if not self.asked:
                self.asked.append("first")
                assert site.count(10) == 10  # while it is being asked
            return super().spend(*asked)

    meter = Slow()
    site = make(rate="10/s", burst="100", meter=meter)
    site.ask()
    assert len(meter.asked) == 2
    site.ask()
    assert len(meter.asked) == 3  # a share of one token was long spent: the credit is paid back first


class Crowded(Meter):
    """As often as it is asked, so many more come at that moment."""

    def __init__(self, more):
        super().__init__()
        self.more, self.passed = more, 0

    def spend(self, *asked):
        self.passed += self.more()
        return super().spend(*asked)


def test_credit_has_an_end_and_is_paid_back_before_anything_else(make):
    meter = Crowded(lambda: site.count(50))
    site = make(rate="1/s", burst="10", meter=meter)
    own = 0
    for second in range(10):
        meter.left[f"peer {NOBODY}"] = 10 if second == 0 else 1
        own += site.count(5)
        site.clock.later(1000)
    assert 10 <= meter.passed + own <= 2 * 10 + 10


def test_credit_given_in_vain_counts_too(make):
    meter = Crowded(lambda: site.count(50))
    site = make(rate="1/s", burst="10", meter=meter)
    meter.away = True
    own = site.count(50)
    assert meter.passed + own <= 2 * 10 + 1


def test_a_restore_that_must_be_counted_goes_on_nobodys_credit(make):
    restoring = {"identity": Identity(access_key="AK"), "method": "POST", "target": "/films/a?restore"}
    depth = []

    def more():
        depth.append(1)
        return site.count(**restoring) if len(depth) < 5 else 0

    meter = Crowded(more)
    site = make(Ratelimit, rate="1000/s", restores="60/h", restores_burst="3", meter=meter)
    site.door.buckets.take = lambda subject: None
    meter.away = True
    assert site.count(**restoring) == 0
    assert meter.passed == 0


def test_a_clock_that_is_set_back_refuses_nobody(make):
    site = make(rate="10/s", burst="20")
    assert site.count() == 20
    site.clock.later(2000)
    site.clock.now = lambda: 0
    assert site.count() == 20


def test_who_fails_to_ask_leaves_the_others_free_to(make):
    meter = Meter()
    site = make(rate="10/s", burst="100", meter=meter)
    meter.away = True
    site.ask()
    meter.away = False
    site.ask()
    assert len(meter.asked) == 2


def test_tokens_in_hand_do_not_keep(make):
    meter = Meter()
    site = make(rate="100/s", burst="200", meter=meter)
    site.ask()
    site.clock.later(1000)
    site.ask()
    assert len(meter.asked) == 2


def test_while_nobody_counts_for_all_each_process_counts_alone(make):
    meter = Meter()
    meter.away = True
    assert make(rate="10/s", burst="20", meter=meter).count() == 20


def test_while_nobody_counts_for_all_no_restore_passes(make):
    meter = Meter()
    meter.away = True
    site = make(Ratelimit, meter=meter, restores="60/h")
    restoring = {"identity": Identity(access_key="AK"), "method": "POST", "target": "/films/a?restore"}
    assert site.count(**restoring) == 0
    assert site.ask(identity=Identity(access_key="AK")) == 200


def test_only_so_many_are_remembered(make):
    site = make(rate="1/h", burst="1", subjects="10")
    for number in range(100):
        site.ask(peer=f"198.51.100.{number}")
    assert len(site.door.buckets.accounts) == 10


@pytest.mark.parametrize("given", [{"rate": "fast"}, {"rate": "0/s"}, {"rate": "5/y"}, {"exempt": "10.0.0.300"}])
def test_a_limit_that_cannot_be_read_stops_the_start(make, given):
    with pytest.raises(ConfigError, match=r"\[filter:ratelimit\].*expected"):
        make(**given)
