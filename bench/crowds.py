"""Many clients at once, and for long: idle ones, slow ones, those who only ask whether it is there yet (P9 to P12, P15)."""

import re
import resource
import selectors
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lab
import load
from load import Figures, Rows, Target

IDLE, SLOW, SLOW_SIZE = 10_000, 2_000, 1 << 20
LINE = 2950
"""Bytes of the object of the predecessors' own measurements."""


def unlimited() -> None:
    """As many descriptors as the machine gives; servers that are started from here on have them, too."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most < 2 * IDLE:
        raise SystemExit(f"{most} descriptors are too few: expected {2 * IDLE} (ulimit -n)")


def resident(program: lab.Program) -> int:
    """Bytes that are its own."""
    said = Path(f"/proc/{program.process.pid}/smaps_rollup").read_text()
    return sum(int(found) for found in re.findall(r"^Private_\w+:\s+(\d+) kB", said, re.MULTILINE)) << 10


@contextmanager
def idle(port: int, count: int) -> Iterator[None]:
    """So many clients that asked once and keep their connections."""
    request = b"GET /-/live HTTP/1.1\r\nHost: x\r\n\r\n"
    kept = []
    try:
        for _ in range(count):
            client = socket.create_connection(("127.0.0.1", port))
            client.sendall(request)
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
            kept.append(client)
        yield
    finally:
        for client in kept:
            client.close()


def idle_clients(where: lab.Lab, rounds: int) -> Rows:
    """P9: 10,000 idle keep-alive clients: what each costs, and how much slower the others are beside them."""
    unlimited()
    where.store, where.ours  # noqa: B018
    port, requests = where.ports["ours"], _requests(where)
    alone, beside, taken = [], [], []
    for _ in range(rounds):
        alone.append(load.wrk(where, where.ours, port, requests))
        before = resident(where.ours)
        with idle(port, IDLE):
            taken.append((resident(where.ours) - before) / IDLE / 1024)
            beside.append(load.wrk(where, where.ours, port, requests))
        time.sleep(1)
    first = {"who": "an idle client", "unit": "KiB", "cpu": statistics.median(taken), "least_cpu": min(taken), "rounds": taken}
    return [first, *load.rows({"alone": alone, "beside 10,000 idle": beside}, "alone", "req/s, us")]


def _requests(where: lab.Lab) -> Path:
    path = where.home / "crowd.requests"
    path.write_text("\n".join(load.small("films", where.ports["ours"], "header")) + "\n")
    load.wrk(where, where.ours, where.ports["ours"], path, seconds=12)
    return path


class Slow:
    """Clients that take a large object a little at a time, in a process of their own."""

    def __init__(self, where: lab.Lab, count: int) -> None:
        port = where.ports["ours"]
        (where.home / "www/films/slow").write_bytes(b"s" * SLOW_SIZE)
        lines = load.signed("GET", "/films/slow", f"127.0.0.1:{port}")
        request = "\r\n".join(["GET /films/slow HTTP/1.1", *lines, "", ""])
        self.path = where.home / "slow.request"
        self.path.write_text(request, newline="")
        self.command = ["taskset", "-c", lab.REST, sys.executable, __file__, str(port), str(self.path), str(count)]

    def __enter__(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"all are being served\n"

    def __exit__(self, *_: object) -> None:
        alive = self.process.poll() is None
        self.process.terminate()
        self.process.wait()
        assert alive, "slow clients were cut off"


def slow(port: int, request: bytes, count: int) -> None:
    """Runs in the process of the slow ones: each takes 8 KiB every four seconds."""
    unlimited()
    clients, chosen = [], selectors.DefaultSelector()
    for _ in range(count):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        client.connect(("127.0.0.1", port))
        client.sendall(request)
        clients.append(client)
        chosen.register(client, selectors.EVENT_READ)
    for client in clients:
        assert client.recv(1024).startswith(b"HTTP/1.1 200 ")
    print("all are being served", flush=True)
    while True:
        for number, client in enumerate(clients):
            if not client.recv(8192):
                raise SystemExit("cut off")
            if number % 10 == 9:
                time.sleep(40 / count)


def slow_clients(where: lab.Lab, rounds: int) -> Rows:
    """P10: 2,000 slow downloads of 1 MiB beside 32 fast clients: how much of their rate the fast ones keep."""
    unlimited()
    where.store, where.ours  # noqa: B018
    requests, alone, beside = _requests(where), [], []
    for _ in range(rounds):
        alone.append(load.wrk(where, where.ours, where.ports["ours"], requests))
        with Slow(where, SLOW):
            beside.append(load.wrk(where, where.ours, where.ports["ours"], requests))
        time.sleep(1)
    return load.rows({"alone": alone, "beside 2,000 slow": beside}, "alone", "req/s, us")


def polling(where: lab.Lab, rounds: int) -> Rows:
    """P11: HEAD of an object that is being restored, again and again, against nginx ``return 200``."""
    where.store, where.nginx, where.ours  # noqa: B018
    where.restoring("restoring")
    targets = [
        Target("nginx return 200", lambda: _heads(where.nginx, where.ports["empty"])),
        Target("ours", lambda: _heads(where.ours, where.ports["ours"])),
    ]
    return load.rows(load.interleaved(targets, rounds), "nginx return 200", "req/s, us")


def _heads(program: lab.Program, port: int, count: int = 6000) -> Figures:
    said, cpu = _ab(program, port, "/films/restoring", "-i", "-n", str(count), "-c", "32", method="HEAD")
    return Figures(_number(said, r"Requests per second:\s+([\d.]+)"), cpu / count * 1e6, p99=_number(said, r"99%\s+(\d+)"))


def workers(where: lab.Lab, rounds: int) -> Rows:
    """P12: CPU per request of two workers, against one."""
    where.store, where.ours, where.pair  # noqa: B018
    asked = {}
    for name in ("ours", "pair"):
        asked[name] = where.home / f"{name}.requests"
        asked[name].write_text("\n".join(load.small("films", where.ports[name], "header")) + "\n")
        load.wrk(where, getattr(where, name), where.ports[name], asked[name], seconds=12)
    targets = [
        Target("one worker", lambda: load.wrk(where, where.ours, where.ports["ours"], asked["ours"])),
        Target("two workers", lambda: load.wrk(where, where.pair, where.ports["pair"], asked["pair"])),
    ]
    return load.rows(load.interleaved(targets, rounds), "one worker", "req/s, us")


def lines(where: lab.Lab, rounds: int) -> Rows:  # noqa: ARG001  # the lines say how often
    """P15: the predecessors' own lines, on an object of 2,950 bytes: ab, and httperf with 4,000,000 requests."""
    unlimited()
    where.store, where.ours  # noqa: B018
    (where.home / "www/films/line").write_bytes(b"l" * LINE)
    made = [_line(where, 10_000, clients) for clients in (100, 200, 300, 400)]
    made.append(_line(where, 100_000, 100))
    made.append(_httperf(where, 20_000, 200))
    return made


def _ab(program: lab.Program, port: int, path: str, *how: str, method: str = "GET") -> tuple[str, float]:
    """What ab said, none of whose requests failed, and the CPU seconds it took."""
    headers = [part for line in load.signed(method, path, f"127.0.0.1:{port}")[1:] for part in ("-H", line)]
    before = program.cpu
    command = ["taskset", "-c", lab.REST, "ab", "-q", "-k", *how, *headers, f"http://127.0.0.1:{port}{path}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert _number(said, r"Failed requests:\s+(\d+)") + _number(said, r"Non-2xx responses:\s+(\d+)") == 0, said
    return said, program.cpu - before


def _line(where: lab.Lab, count: int, clients: int) -> dict[str, Any]:
    said, cpu = _ab(where.ours, where.ports["ours"], "/films/line", "-n", str(count), "-c", str(clients))
    assert f"Document Length:        {LINE} bytes" in said
    longest = _number(said, r"100%\s+(\d+) \(longest")
    return {
        "who": f"ab -k -n {count} -c {clients}; longest {longest:.0f} ms", "unit": "req/s, us",
        "rate": _number(said, r"Requests per second:\s+([\d.]+)"), "cpu": cpu / count * 1e6,
    }  # fmt: skip


def _httperf(where: lab.Lab, connections: int, calls: int) -> dict[str, Any]:
    """A signature is good for 15 minutes: as many runs as it takes, each signed anew."""
    port, total, took, before = where.ports["ours"], 0, 0.0, where.ours.cpu
    while total < connections * calls:
        headers = "".join(f"{line}\\n" for line in load.signed("GET", "/films/line", "127.0.0.1")[1:])  # its Host has no port
        command = ["httperf", "--hog", "--server", "127.0.0.1", "--port", str(port), "--uri", "/films/line", "--add-header", headers]
        command += ["--num-conns", str(connections // 10), "--num-calls", str(calls)]
        said = subprocess.run(["taskset", "-c", lab.REST, *command], capture_output=True, text=True, check=True).stdout
        replies = int(_number(said, r"replies (\d+) "))
        assert _number(said, r"Errors: total (\d+)") == 0, said
        assert _number(said, r"Reply status: .*2xx=(\d+)") == replies == connections // 10 * calls, said
        total += replies
        took += _number(said, r"test-duration ([\d.]+) s")
    return {
        "who": f"httperf --num-conns={connections} --num-calls={calls}: {total} replies, 0 errors", "unit": "req/s, us",
        "rate": total / took, "cpu": (where.ours.cpu - before) / total * 1e6,
    }  # fmt: skip


def _number(said: str, pattern: str) -> float:
    found = re.search(pattern, said)
    return float(found[1]) if found else 0.0


if __name__ == "__main__":
    slow(int(sys.argv[1]), Path(sys.argv[2]).read_bytes(), int(sys.argv[3]))
