"""Keeps one client from taking what is everybody's: a token bucket for each address, or for each identity.

Used twice, as two doors. ``ratelimit_peer`` counts by address, before anything is looked at: an IPv6 client is its /64,
and behind a ``trusted`` proxy the address is the last one in ``X-Forwarded-For`` that is not trusted itself; who comes by a
unix socket has none and is not counted. ``ratelimit``
counts by access key, or by address for the anonymous, and knows what is asked: ``restores`` is a bucket of its own for RestoreObject,
since each may move a tape.

A bucket holds ``burst`` requests and fills by ``rate``; who finds it empty is answered 503 SlowDown, with how long to wait in
``Retry-After``, at once. Behind a catalog with an index the buckets are in Redis, shared by all proxies: a process takes a few tokens at
a time and spends them within a second, so that most requests ask nobody. While Redis is away each process counts alone: N
proxies then let through N times as much, but no restore: that is refused until it can be counted again.

It stands inside ``errors``; ``ratelimit`` inside ``sigv4``, best behind ``grants``, so that only what is allowed is counted.

    [filter:ratelimit_peer]
    use = egg:s3shunt#ratelimit_peer
    rate = 1000/s

    [filter:ratelimit]
    use = egg:s3shunt#ratelimit
    rate = 10000/s
    restores = 600/h
"""

import math
import re
import threading
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from s3shunt import wsgi
from s3shunt.config import number, option, word, words
from s3shunt.connect import House
from s3shunt.policy.ratelimit import Account, Accounts, Limit, share, take
from s3shunt.ports import Meter
from s3shunt.protocol.errors import ServiceUnavailable, SlowDown
from s3shunt.protocol.names import Known
from s3shunt.wsgi import Handler, Request, Response

HAND = 1000  # milliseconds within which tokens that were taken are spent
UNITS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def pace(value: str) -> float:
    """Milliseconds for each, from '100/s', '30/m', '600/h' or '1000/d'."""
    found = re.fullmatch(r"([1-9][0-9]{0,8})\s*/\s*([smhd])", value.strip())
    if found is None:
        raise ValueError("expected so many in a second, minute, hour or day, such as 100/s or 600/h")
    return UNITS[found[2]] / int(found[1])


def networks(value: str) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(part) for part in words(value))
    except ValueError as error:
        raise ValueError(f"expected addresses or networks such as 10.0.0.0/8: {error}") from None


@dataclass(frozen=True)
class PeerOptions:
    rate: float = option(pace, "1000/s", help="How many requests an address may make in the long run.")
    burst: int | None = option(number, "", help="How many at once; empty: as many as in two seconds.")
    exempt: tuple[Any, ...] = option(networks, "", help="Addresses and networks that are not counted.")
    trusted: tuple[Any, ...] = option(networks, "", help="Peers (addresses, CIDR networks) whose X-Forwarded-For is believed.")
    catalog: str = option(word, "main", help="The [catalog:NAME] whose index the proxies share their buckets in, or none.")
    subjects: int = option(number, "100000", help="How many addresses a process remembers.")


@dataclass(frozen=True)
class Options:
    rate: float = option(pace, "10000/s", help="How many requests an access key may make in the long run.")
    burst: int | None = option(number, "", help="How many at once; empty: as many as in two seconds.")
    restores: float | None = option(pace, "", help="How many RestoreObject of them; empty: as many as any request.")
    restores_burst: int = option(number, "100", help="How many RestoreObject at once.")
    exempt: tuple[str, ...] = option(words, "", help="Access keys that are not counted.")
    catalog: str = option(word, "main", help="The [catalog:NAME] whose index the proxies share their buckets in, or none.")
    subjects: int = option(number, "100000", help="How many access keys a process remembers.")


def limit(each: float, burst: int | None) -> Limit:
    return Limit(each, burst or max(1, math.ceil(2000 / each)))


class Buckets:
    """Of one limit. ``closed``: nothing is let through that cannot be counted together with the others."""

    def __init__(self, name: str, limit: Limit, options: Any, house: House, *, closed: bool = False) -> None:
        self.name = name
        self.limit = limit
        self._monotonic = house.clock.monotonic
        self.accounts = Accounts(options.subjects)
        self.closed = closed
        self._meter: Meter | None = house.meter(options.catalog) if house.has("catalog", options.catalog) else None
        self._share = share(limit)
        self._lock = threading.Lock()  # never held over I/O

    def take(self, subject: str) -> None:
        """One token. Raises SlowDown."""
        now, account = self._monotonic() * 1000, self.accounts.of(subject)
        if not (account.counts(now, self.limit) if self._meter is None else account.pays(now)):
            self._more(account, subject, now)

    def _more(self, account: Account, subject: str, now: float) -> None:
        """From the bucket that is shared, or on credit while somebody asks for some. Raises SlowDown."""
        with self._lock:
            credit = account.asking and not self.closed
            if (account.hand > 0 and now < account.until) or (credit and account.hand > -self.limit.burst):
                account.hand -= 1
                return
            wait = max(math.ceil(account.refused - now), int(credit))
            account.asking = account.asking or (wait <= 0 and self._meter is not None)
        if wait <= 0:
            wait = self._together(account, subject, now) if self._meter is not None else self._alone(account, now)
        if wait > 0:
            raise SlowDown(retry_after=math.ceil(wait / 1000))

    def _together(self, account: Account, subject: str, now: float) -> int:
        """One asks for several; who comes meanwhile goes on credit, which is paid back first, and has an end."""
        assert self._meter is not None
        with self._lock:
            account.hand = min(account.hand, 0)
            wanted = self._share - account.hand
        try:
            granted, wait = self._meter.spend(f"{self.name} {subject}", wanted, self.limit.each, self.limit.burst)
        except ServiceUnavailable:
            return 1000 if self.closed else self._alone(account, now)
        finally:
            account.asking = False
        with self._lock:
            if granted:
                account.hand, account.until = account.hand + granted - 1, now + HAND
            else:
                account.refused = now + wait
        return wait

    def _alone(self, account: Account, now: float) -> int:
        with self._lock:
            account.hand = min(account.hand, 0)
            account.spent, granted, wait = take(account.spent, now, 1 - account.hand, self.limit)
            if granted:
                account.hand += granted - 1
            else:
                account.refused = now + wait
        return wait


class RatelimitPeer:
    def __init__(self, forward: Handler, options: PeerOptions, house: House) -> None:
        self.forward = forward
        self.exempt = options.exempt or ()
        self.trusted = options.trusted or ()
        self.subjects = Known(self._subject)
        self.buckets = Buckets("peer", limit(options.rate, options.burst), options, house)

    def __call__(self, request: Request) -> Response:
        counted = self.subjects[address(request, self.trusted) if self.trusted else request.environ.get("REMOTE_ADDR", "")]
        if counted:
            self.buckets.take(counted)
        return self.forward(request)

    def _subject(self, peer: str) -> str:
        """Who is counted for an address; '' for nobody."""
        return "" if within(peer, self.exempt) else subject(peer)


class Ratelimit:
    def __init__(self, forward: Handler, options: Options, house: House) -> None:
        self.forward = forward
        self.exempt = frozenset(options.exempt or ())
        self.buckets = Buckets("identity", limit(options.rate, options.burst), options, house)
        restores = options.restores and Limit(options.restores, options.restores_burst)
        self.restores = Buckets("restores", restores, options, house, closed=True) if restores else None

    def __call__(self, request: Request) -> Response:
        identity = request.context.identity
        who = identity.access_key if identity is not None else ""
        counted = who or SUBJECTS[request.environ.get("REMOTE_ADDR", "")]
        if counted and who not in self.exempt:
            self.buckets.take(counted)
            if self.restores is not None and request.operation.name == "RestoreObject":
                self.restores.take(counted)
        return self.forward(request)


def address(request: Request, trusted: tuple[Any, ...]) -> str:
    """Whose request it is: the nearest address that is not a trusted proxy's."""
    peer = str(request.environ.get("REMOTE_ADDR", ""))
    if not trusted or not within(peer, trusted):
        return peer
    for hop in reversed(request.environ.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        found = hop.strip()
        if not _address(found):
            break
        peer = found
        if not within(peer, trusted):
            break
    return peer


def within(peer: str, networks: tuple[Any, ...]) -> bool:
    found = _address(peer)
    return found is not None and any(found in network for network in networks)


def subject(peer: str) -> str:
    """Who owns an IPv6 address usually owns its /64."""
    found = _address(peer) if ":" in peer else None
    return str(IPv6Network((int(found) >> 64 << 64, 64))) if isinstance(found, IPv6Address) else str(found or peer)


def _address(peer: str) -> Any:
    """None for what is none. A socket for both kinds tells IPv4 as a part of IPv6."""
    try:
        found = ip_address(peer)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


SUBJECTS = Known(subject)

peer_factory = wsgi.filter_factory(RatelimitPeer, PeerOptions, "filter:ratelimit_peer")
factory = wsgi.filter_factory(Ratelimit, Options, "filter:ratelimit")
