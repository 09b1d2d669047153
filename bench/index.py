"""What a question to the index costs, in CPU of the process that asks, with 32 asking at the same time.

A real redis-server of its own on a unix socket; ``trip`` is the question and its answer alone, ``lookup`` all that
``RedisIndex.get`` does (name, seal, row), ``memory`` what a row costs that the process remembers.
"""

import gc
import itertools
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

from s3shunt import clock, green

green.use_eventlet()

import eventlet  # noqa: E402  # the hub is chosen first

from s3shunt.catalog.redis import RedisIndex  # noqa: E402
from s3shunt.model import Entry, Facts, ObjectRef  # noqa: E402
from s3shunt.policy import recent  # noqa: E402
from s3shunt.testing.services import redis as service  # noqa: E402

KEYS, ASKED, AT_ONCE, ROUNDS = 1000, 20_000, 32, 7


def rows():
    facts = Facts(size=4096, etag='"0123456789abcdef0123456789abcdef"', last_modified=1_795_176_000_000)
    return [Entry(ref=ObjectRef("films", f"reels/{key:06d}.mxf", "null", "main"), facts=facts) for key in range(KEYS)]


def microseconds(ask, refs):
    """CPU of this thread for each."""
    left = itertools.islice(itertools.cycle(refs), ASKED)

    def one():
        for ref in left:
            ask(ref)

    gc.collect()
    begun = time.thread_time()
    asking = [eventlet.spawn(one) for _ in range(AT_ONCE)]
    for each in asking:
        each.wait()
    return (time.thread_time() - begun) * 1e6 / ASKED


def ways(index, entries):
    memory = recent.Recent(KEYS)
    memory.believe(clock.wall.monotonic() + 3600)
    for entry in entries:
        index.fill(entry.ref, entry, index.get(entry.ref).ticket)
        named = recent.name(entry.ref)
        memory.keep(named, memory.begin(named, 0), entry, 0)
    with index._links.one() as link:  # noqa: SLF001
        run_id = link.run_id
    labels = [index._label(run_id, recent.name(entry.ref)) for entry in entries]  # noqa: SLF001

    def trip(label):
        with index._links.one() as link:  # noqa: SLF001
            assert link.call("GET", label)

    def lookup(ref):
        assert index.get(ref).entry

    def look(ref):
        assert memory.look(recent.name(ref), clock.wall.monotonic())

    refs = [entry.ref for entry in entries]
    return {"trip": (trip, labels), "lookup": (lookup, refs), "memory": (look, refs)}


def measure(rounds=ROUNDS):
    with TemporaryDirectory() as folder, service.redis() as running:
        house = SimpleNamespace(clock=clock.wall, state=Path(folder))
        index = RedisIndex(RedisIndex.Options(url=running.url, deadline=5000), house)
        asked = ways(index, rows())
        return {name: sorted(microseconds(*way) for _ in range(rounds)) for name, way in asked.items()}


if __name__ == "__main__":
    for name, found in measure().items():
        print(f"{name:8} {found[len(found) // 2]:6.2f} us (best {found[0]:.2f}), {AT_ONCE} at once")
