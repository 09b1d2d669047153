"""What a process has counted: plain numbers that only grow, so that those of several processes add up."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper ends of the classes of latency, in seconds; one more is open."""

IN, OUT, SECONDS, CLASSES = 0, 1, 2, 3
_EMPTY = (0, 0, 0.0, *[0] * (len(BOUNDS) + 1))


class Tally:
    """``requests`` by (operation, status): bytes in, bytes out, seconds, and how many in each class of latency.

    ``counts`` by (name, label): lookups by tier, answers of the store by status, refusals by code ...
    """

    __slots__ = ("counts", "requests")

    def __init__(self) -> None:
        self.requests: dict[tuple[str, int], list[Any]] = {}
        self.counts: dict[tuple[str, str], int] = defaultdict(int)

    def request(self, operation: str, status: int, bytes_in: int, bytes_out: int, seconds: float) -> None:
        """One more that has been answered."""
        asked = operation, status
        row = self.requests.get(asked)
        if row is None:
            row = self.requests[asked] = list(_EMPTY)
        row[IN] += bytes_in
        row[OUT] += bytes_out
        row[SECONDS] += seconds
        row[CLASSES + bisect_left(BOUNDS, seconds)] += 1

    def add(self, other: "Tally") -> None:
        """What another process counted, or this one while it goes on."""
        for asked, row in other.requests.copy().items():  # at one moment: others may count meanwhile
            mine = self.requests.get(asked, _EMPTY)
            self.requests[asked] = [one + more for one, more in zip(mine, row, strict=True)]
        for counted, count in dict.copy(other.counts).items():
            self.counts[counted] += count

    def written(self) -> dict[str, Any]:
        """As a document for another process."""
        return {
            "requests": [[operation, status, *row] for (operation, status), row in self.requests.copy().items()],
            "counts": [[name, label, count] for (name, label), count in dict.copy(self.counts).items()],
        }


def read(document: Mapping[str, Any]) -> Tally:
    """What ``written`` wrote. Raises KeyError, TypeError or ValueError for anything else."""
    tally = Tally()
    for operation, status, *row in document["requests"]:
        if len(row) != len(_EMPTY):
            raise ValueError("another release counts other classes")
        tally.requests[str(operation), int(status)] = [0 + number for number in row]
    for name, label, count in document["counts"]:
        tally.counts[str(name), str(label)] = int(count)
    return tally
