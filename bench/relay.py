"""A small download from the last door on: asked of a store, answered, its connection free again.

The real ``apps/proxy`` on eventlet's hub, 32 at a time as under ``serve``, against a store in a process of its own that
answers 4 KiB with S3's headers over loopback, ETag and date of each key its own. Counted is what a request costs this thread:
CPU with its system calls, the same for nothing but the bytes on the same sockets (the floor), and how many functions of Python it calls.

    .venv/bin/python bench/relay.py [--rounds 9] [--profile]
"""

import argparse
import cProfile
import os
import pstats
import select
import socket
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from s3shunt import green

green.use_eventlet()

import eventlet  # noqa: E402  # the hub comes first

from s3shunt import connect  # noqa: E402
from s3shunt.apps.proxy import Options, Proxy  # noqa: E402
from s3shunt.config import Ini  # noqa: E402
from s3shunt.context import Decision  # noqa: E402
from s3shunt.model import Identity  # noqa: E402
from s3shunt.server.memory import calm_collector, keep_buffers  # noqa: E402
from s3shunt.stores.memory import MemoryStore  # noqa: E402
from s3shunt.stores.memory import Options as Memory  # noqa: E402
from s3shunt.testing.client import environ  # noqa: E402
from s3shunt.wsgi import Request  # noqa: E402

KEYS = 10_000
CLIENTS = 32
BODY = os.urandom(4096)
ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Fri, 20 Nov 2026 12:00:00 GMT\r\nContent-Type: application/octet-stream\r\n"
    b'Content-Length: 4096\r\nLast-Modified: Fri, 20 Nov 2026 11:%02d:%02d GMT\r\nConnection: keep-alive\r\nETag: "%032x"\r\n'
    b"x-amz-request-id: tx000000000000000000001-0065a1b2c3\r\nx-amz-version-id: null\r\nAccept-Ranges: bytes\r\n\r\n"
)


def store(listener):
    """Answer every request at once, for ever."""
    poll, links, count = select.epoll(), {}, 0
    poll.register(listener, select.EPOLLIN)
    while True:
        for number, _ in poll.poll():
            if number == listener.fileno():
                link, _ = listener.accept()
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                links[link.fileno()] = link
                poll.register(link, select.EPOLLIN)
            elif links[number].recv(65536):
                count += 1
                links[number].send(ANSWER % (count // 60 % 60, count % 60, count) + BODY)
            else:
                poll.unregister(number)
                links.pop(number).close()


class Store(MemoryStore):
    region, per_account = "us-east-1", True

    def credential(self, account):
        return account, "store-secret"


def proxy(folder, port):
    (Path(folder) / "ini").write_text(f"[DEFAULT]\nstate = {folder}\n")
    house = connect.House(Ini(Path(folder) / "ini", {}))
    place = Store(Memory(), house)
    place.endpoint = f"http://127.0.0.1:{port}"
    place.endpoints = (place.endpoint,)
    house.put("store", "main", place)
    return Proxy(Options(), house)


def requests(count):
    """As the doors in front leave them."""
    who = Identity(access_key="AKBENCH", account="main")
    for key in range(count):
        given = environ("GET", f"/films/reels/{key % KEYS:06d}.mxf", b"", {"host": "s3.test", "x-amz-date": "x", "user-agent": "boto3"})
        request = Request(given)
        request.context.decision = Decision(who, request.operation, request.ref, frozenset((request.ref,)))
        yield request


def asked(app, mine):
    for request in mine:
        response = app(request)
        assert len(b"".join(response.app_iter)) == len(BODY)


def floor(app, mine):
    """A request of the same size and its answer, on a link of the relay's."""
    from time import monotonic

    link = app.relay.take(monotonic() + 9, fresh=True)
    wire = b"GET " + b"x" * 420
    for _ in mine:
        link.deadline = monotonic() + 9
        link.send(wire)
        link.receive(65536, ready=False)
    app.relay._destroy(link)  # noqa: SLF001  # it was only borrowed


def spent(work, app, count):
    """CPU of this thread, in microseconds a request, all clients at once."""
    each = list(requests(count))
    begun = time.thread_time()
    clients = [eventlet.spawn(work, app, each[client::CLIENTS]) for client in range(CLIENTS)]
    for client in clients:
        client.wait()
    return (time.thread_time() - begun) * 1e6 / count


def calls(app, count):
    """Functions of Python, and of C, that one request calls; the hub's own not."""
    found = {"call": 0, "c_call": 0}

    def seen(_, event, __):
        if event in found:
            found[event] += 1

    each = list(requests(count))
    sys.setprofile(seen)
    asked(app, each)
    sys.setprofile(None)
    return found["call"] / count, found["c_call"] / count


def profiled(app, count):
    each = list(requests(count))
    with cProfile.Profile() as profile:
        asked(app, each)
    pstats.Stats(profile).sort_stats("tottime").print_stats(45)


def measure(rounds, *, profile):
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    child = os.fork()
    if child == 0:
        store(listener)
    try:
        with TemporaryDirectory() as folder:
            app = proxy(folder, listener.getsockname()[1])
            spent(asked, app, KEYS)
            calm_collector()
            keep_buffers()
            pairs = [(spent(asked, app, KEYS), spent(floor, app, KEYS)) for _ in range(rounds)]
            whole, bare = zip(*pairs, strict=True)
            called = calls(app, 1000)
            print(
                f"{min(whole):.1f} us (median {statistics.median(whole):.1f}), of it {min(bare):.1f} for the bytes alone; "
                f"{called[0]:.0f} calls of Python, {called[1]:.0f} of C"
            )
            if profile:
                profiled(app, KEYS)
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    measure(given.rounds, profile=given.profile)
