"""One store behind several endpoints: one namespace, one credential, one Host, and a ``Relay`` for each.

- A request goes to the endpoint with the fewest requests under way; of those that have as few, to each in turn.
- An endpoint that failed is doubted: the others are asked, but for one request a second, which may be repeated, that
  sees how it does, and waits less long for it. Its first answer ends the doubt. One that failed eight times in a row is not
  asked at all but for that.
- A request that could not be sent at all goes to the next endpoint, whatever it is: no byte of it went out.
- What may be repeated and failed later, before the first byte of its answer's body, or within one of 64 KiB, goes to another
  endpoint at once, within the tenth that second tries may be; to the same one only after a pause.
- When none may be asked, the refusal comes at once.

All are sent the Host of the first, for which requests are signed; a certificate is that of the endpoint's own name.
"""

from collections.abc import Iterable, Sequence
from operator import attrgetter

from s3shunt import clock
from s3shunt.protocol.errors import ServiceUnavailable
from s3shunt.relay import Answer, Head, Limits, Relay
from s3shunt.relay.care import Budget, pause


def reached(
    endpoints: Sequence[str], limits: Limits, *, cafile: str | None = None, timer: clock.Clock = clock.wall
) -> "Relay | Endpoints":
    """What sends requests to a store: of one endpoint its relay, and nothing beside it."""
    relays = [Relay(endpoint, limits, cafile=cafile, timer=timer) for endpoint in endpoints]
    return relays[0] if len(relays) == 1 else Endpoints(relays, limits)


class Endpoints:
    """As a ``Relay``, of several."""

    def __init__(self, relays: Sequence[Relay], limits: Limits) -> None:
        self.relays = relays
        self.limits = limits
        self.host = relays[0].host
        self._budget = Budget()
        self._turn = 0

    def send(self, head: Head, body: Iterable[bytes] = (), *, retry: bool = False) -> Answer:
        """As ``Relay.send``."""
        self._budget.earn()
        wire, end = head.wire(), clock.wall.monotonic() + self.limits.budget / 1000
        failed: list[Relay] = []
        relay = self._chosen(failed, probing=retry)
        while relay is not None:
            sent = False
            try:
                by = self._patient(relay, end)
                link = relay.take(by, fresh=bool(failed) or not retry)
                sent = True
                answer = relay.exchange(link, head, wire, body, by)
                if retry:
                    relay.begin(answer)
                answer.attempts, answer.endpoint = len(failed) + 1, relay.host
                return answer
            except ServiceUnavailable:
                failed.append(relay)
                if (sent and not retry) or clock.wall.monotonic() >= end:
                    raise
            relay = self._next(failed, end, sent=sent, retry=retry)
        raise ServiceUnavailable(retry_after=1)

    def _next(self, failed: Sequence[Relay], end: float, *, sent: bool, retry: bool) -> Relay | None:
        """Whom to ask after those, now or after a pause."""
        other = self._chosen(failed, probing=False)
        if other is not None and not sent:
            return other
        if not retry or len(failed) > self.limits.retries or not self._budget.spend():
            return None
        if other is not None:
            return other
        pause(len(failed), end)
        return self._chosen((), probing=False)

    def _patient(self, relay: Relay, end: float) -> float:
        """How long to wait for that one: one that is doubted holds up nobody for whom there is another."""
        if relay.breaker.failures and any(not other.breaker.failures for other in self.relays):
            return min(end, clock.wall.monotonic() + self.limits.probe / 1000)
        return end

    def _chosen(self, without: Sequence[Relay], *, probing: bool) -> Relay | None:
        """Whom to ask, None where nobody may be asked. ``probing``: it does no harm if that one does not answer."""
        self._turn = (self._turn + 1) % len(self.relays)
        able = [relay for relay in (*self.relays[self._turn :], *self.relays[: self._turn]) if relay not in without]
        sound = [relay for relay in able if not relay.breaker.failures]
        if probing or not sound:
            for relay in able:
                if relay.breaker.failures and relay.breaker.probes(self.limits.probe / 1000):
                    return relay
        return min(sound or [relay for relay in able if not relay.breaker.open], key=attrgetter("busy"), default=None)

    def close(self) -> None:
        """Drop what is idle."""
        for relay in self.relays:
            relay.close()

    @property
    def open(self) -> int:
        """Connections that exist, idle ones included."""
        return sum(relay.open for relay in self.relays)
