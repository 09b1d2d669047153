"""``/metrics`` in Prometheus' text form, on a listener of its own that clients cannot reach.

Everything that ``[filter:metrics]`` counted in all workers of this machine, what the lookup asked of memory, index and database, and,
asked of the database at that moment, the jobs: how many of each kind, and how long the oldest has been due. A database that does not
answer costs its numbers: ``s3shunt_catalog_up`` is 0 then.

    [app:metrics]
    use = egg:s3shunt#metrics
    catalog = main

    [listen:metrics]
    address = 127.0.0.1:9180
    app = metrics

Nobody is asked who they are: the address decides who may read it. Other paths are 404, other methods 405.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from s3shunt import green, wsgi
from s3shunt.config import option, word
from s3shunt.connect import House
from s3shunt.policy.tally import BOUNDS, CLASSES, IN, OUT, SECONDS, Tally
from s3shunt.protocol.errors import S3Error
from s3shunt.wsgi import Request, Response

LABELLED = {
    "upstream": ("s3shunt_upstream_answers", "What the store answered.", "status"),
    "endpoint": ("s3shunt_upstream_endpoint_answers", "Which endpoint of the store answered, where it has several.", "endpoint"),
    "retries": ("s3shunt_upstream_retries", "Tries of the store beyond the first.", ""),
    "error": ("s3shunt_errors", "Refusals of ours.", "code"),
    "lookup": ("s3shunt_lookups", "Who answered a lookup: this process's memory, the index or the database.", "tier"),
}
"""Of what is counted by name and label: the name, the help, and what the label is."""


@dataclass(frozen=True)
class Options:
    catalog: str = option(word, "main", help="The [catalog:NAME] whose jobs are counted, or none.")


class Metrics:
    def __init__(self, options: Options, house: House) -> None:
        self.options = options
        self.house = house

    def __call__(self, request: Request) -> Response:
        if request.environ.get("PATH_INFO") != "/metrics":
            return answer(404, b"Not found: expected /metrics\n")
        if request.method not in ("GET", "HEAD"):
            return answer(405, b"Expected GET\n")
        return answer(200, green.offload(self._told), CONTENT_TYPE_LATEST)

    def _told(self) -> bytes:
        total, gauges = self.house.numbers.gathered()
        return bytes(generate_latest(Families([*requests(total), *labelled(total), *processes(gauges), *self._jobs()])))

    def _jobs(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("s3shunt_catalog_up", "Whether the database answered just now.")
        try:
            backlog = self.house.truth(self.options.catalog).backlog() if self.house.has("catalog", self.options.catalog) else {}
        except S3Error:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield from jobs(backlog, self.house.clock.now())


def requests(total: Tally) -> Iterator[Metric]:
    count = CounterMetricFamily("s3shunt_requests", "Requests answered.", labels=["operation", "status"])
    size = CounterMetricFamily("s3shunt_request_bytes", "Bytes of bodies.", labels=["operation", "direction"])
    took = HistogramMetricFamily("s3shunt_request_seconds", "From the first door to the end of the answer.", labels=["operation"])
    by_operation: dict[str, list[Any]] = {}
    for (operation, status), row in sorted(total.requests.items()):
        count.add_metric([operation, str(status)], sum(row[CLASSES:]))
        known = by_operation.setdefault(operation, [0] * len(row))
        by_operation[operation] = [one + more for one, more in zip(known, row, strict=True)]
    for operation, row in by_operation.items():
        size.add_metric([operation, "in"], row[IN])
        size.add_metric([operation, "out"], row[OUT])
        took.add_metric([operation], buckets(row[CLASSES:]), sum_value=row[SECONDS])
    yield from (count, size, took)


def buckets(classes: list[int]) -> list[tuple[str, float]]:
    """Prometheus counts in each class what is in those below, too."""
    ends, below, found = [*(str(bound) for bound in BOUNDS), "+Inf"], 0, []
    for end, count in zip(ends, classes, strict=True):
        below += count
        found.append((end, float(below)))
    return found


def labelled(total: Tally) -> Iterator[Metric]:
    for kind, (name, told, label) in LABELLED.items():
        family = CounterMetricFamily(name, told, labels=[label] if label else [])
        for (counted, value), count in sorted(total.counts.items()):
            if counted == kind:
                family.add_metric([value] if label else [], count)
        yield family


def processes(gauges: list[Counter[str]]) -> Iterator[Metric]:
    workers = GaugeMetricFamily("s3shunt_workers", "Processes that answer.", value=len(gauges))
    running = GaugeMetricFamily("s3shunt_requests_running", "Requests under way.", value=sum(one["running"] for one in gauges))
    late = GaugeMetricFamily("s3shunt_hub_late_seconds", "The worst delay of a timer, of late.", value=max(one["late"] for one in gauges))
    yield from (workers, running, late)


def jobs(backlog: dict[tuple[str, str], tuple[int, int]], now: int) -> Iterator[Metric]:
    count = GaugeMetricFamily("s3shunt_jobs", "Jobs in the ledger.", labels=["kind", "state"])
    overdue = GaugeMetricFamily("s3shunt_job_overdue_seconds", "How long the oldest waiting job has been due.", labels=["kind"])
    for (kind, state), (number, due) in sorted(backlog.items()):
        count.add_metric([kind, state], number)
        if state == "waiting":
            overdue.add_metric([kind], max(0, now - due) / 1000)
    yield from (count, overdue)


class Families:
    """What ``generate_latest`` asks of a registry."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self.families = families

    def collect(self) -> Iterable[Metric]:
        return self.families


def answer(status: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> Response:
    return Response(status=status, headerlist=[("Content-Type", kind), ("Content-Length", str(len(body)))], app_iter=[body])


factory = wsgi.app_factory(Metrics, Options, "app:metrics")
