"""Notes who was read: for what leaves the cache first, and for what leaves it once it was read whole.

Only where a policy goes by it (watermarks, ``after_read = evict``). Notes are handed to the
catalog every half minute, all at once; those of a process that dies are lost, and no more than that.
"""

import logging

from s3shunt import green
from s3shunt.connect import House
from s3shunt.model import Entry, Policy
from s3shunt.policy import space
from s3shunt.policy.reads import Reads
from s3shunt.policy.record import matches
from s3shunt.protocol.errors import ServiceUnavailable
from s3shunt.wsgi import Request, Response

log = logging.getLogger(__name__)

READ = frozenset(("200", "206", "307"))


class Notes:
    """``wanted`` False: no policy asks for it, and nothing needs to be noted."""

    def __init__(self, house: House, catalog: str) -> None:
        self.house = house
        self.catalog = catalog
        self.reads = Reads()
        self.once = [policy for policy in house.policies if policy.read_once]
        self.wanted = bool(self.once) or any(policy.high is not None for policy in house.policies)

    def __call__(self, request: Request, response: Response) -> Response:
        """The answer of a GetObject: a HEAD is no read, a part of it is one, but not of the whole."""
        entry, status = request.context.entry, response.status[:3]
        if entry is None or status not in READ or request.operation.name != "GetObject":
            return response
        if self.reads.note(entry.ref, self.house.clock.now()):
            green.spawn(self._hand_in)
        if self.once and status == "200":
            self._watch(entry, request, response)
        return response

    def _watch(self, entry: Entry, request: Request, response: Response) -> None:
        policy = next((p for p in self.once if p.archive == entry.archive and matches(p, entry.ref)), None)
        if policy is None or entry.facts is None:
            return
        size = entry.facts.size

        def closed(_request: Request, _response: Response, sent: int) -> None:
            if sent == size:
                green.spawn(self._spent, entry, policy)

        response.watch(request, closed)

    def _hand_in(self) -> None:
        try:
            green.offload(self.house.truth(self.catalog).note_reads, self.reads.take())
        except ServiceUnavailable as error:
            log.debug("notes of reads are lost: %s", error)

    def _spent(self, entry: Entry, policy: Policy) -> None:
        try:
            green.offload(self._give_up, entry, policy)
        except ServiceUnavailable as error:
            log.debug("%s was read, and stays for now: %s", entry.ref, error)

    def _give_up(self, entry: Entry, policy: Policy) -> None:
        catalog = self.house.catalog(self.catalog)
        step = space.spent(catalog.find_truth(entry.ref), entry, policy, self.house.clock.now())
        if step is not None:
            catalog.commit(step)
