"""The comparisons, P1 to P15. Each gives rows: who, rate, CPU, and ratios against the peer of the same rounds."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from hashlib import file_digest, sha256
from pathlib import Path

import beside
import crowds
import filters
import lab
import load
from load import Figures, Rows, Target

from s3shunt.protocol import sigv4


def small_reads(where: lab.Lab, rounds: int) -> Rows:
    """P1, P2: signed 4 KiB GETs through the whole default corridor, against nginx proxy_pass (which checks nothing)."""
    where.store, where.nginx, where.ours  # noqa: B018  # started
    ways = {"ours, header": ("films", "header"), "ours, presigned": ("films", "presigned"), "ours, plain bucket": ("plain", "header")}
    plain, port = where.ports["plain"], where.ports["ours"]
    files = {}
    for name, (bucket, way) in ways.items():
        files[name] = where.home / f"{bucket}-{way}.requests"
        files[name].write_text("\n".join(load.small(bucket, port, way)) + "\n")
        load.verify(where, port, files[name])
    targets = [Target("nginx proxy_pass", lambda: load.wrk(where, where.nginx, plain, files["ours, header"]))]
    targets += [Target(name, lambda file=file: load.wrk(where, where.ours, port, file)) for name, file in files.items()]
    load.wrk(where, where.ours, port, files["ours, header"], seconds=12)  # every key once: what is measured is a warm catalog
    found = load.interleaved(targets, rounds)
    for file in files.values():
        load.verify(where, port, file)
    return load.rows(found, "nginx proxy_pass", "req/s, us")


def doors(_: lab.Lab, rounds: int) -> Rows:
    """P5: all doors, warm, no network."""
    found = filters.measure(rounds)
    return [
        {"who": way, "unit": "us", "cpu": figures["median"], "least_cpu": figures["best"], "rounds": figures["rounds"]}
        for way, figures in found.items()
    ]


def large_reads(where: lab.Lab, rounds: int) -> Rows:
    """P6: a 256 MiB GET, signed, against nginx proxy_pass as it comes and with large buffers."""
    where.store, where.nginx, where.ours  # noqa: B018

    def head(port: int) -> Path:
        path = where.home / f"large-{port}.head"
        lines = ["GET /films/large HTTP/1.1", *load.signed("GET", "/films/large", f"127.0.0.1:{port}"), "", ""]
        path.write_text("\r\n".join(lines), newline="")
        return path

    servers = {"nginx proxy_pass": (where.nginx, "plain"), "nginx, 16 256k": (where.nginx, "tuned"), "ours": (where.ours, "ours")}
    _same_large(where)
    made = []
    for streams in (1, 4):
        targets = [
            Target(f"{name}, {streams}", lambda p=p, port=where.ports[port]: load.transfer(where, p, port, head(port), streams=streams))  # noqa: B023
            for name, (p, port) in servers.items()
        ]
        made += load.rows(load.interleaved(targets, rounds), f"nginx, 16 256k, {streams}", "B/s, s/GiB")
    return made


def _same_large(where: lab.Lab) -> None:
    port = where.ports["ours"]
    status, body = load.fetched(port, "/films/large", load.signed("GET", "/films/large", f"127.0.0.1:{port}"))
    assert status == 200
    assert body == (where.home / "www/films/large").read_bytes()


def uploads(where: lab.Lab, rounds: int) -> Rows:
    """P7, P8: a 256 MiB PUT, unsigned, signed and aws-chunked, against nginx unbuffered; the store is a sink."""
    where.sink, where.nginx, where.taking  # noqa: B018
    port, host = where.ports["shunt_up"], f"127.0.0.1:{where.ports['shunt_up']}"
    body = where.home / "body"
    with body.open("wb") as file:
        for _ in range(lab.LARGE >> 20):
            file.write(b"x" * (1 << 20))
    size = str(lab.LARGE)
    payload = _hash(body)
    unsigned = _head(where, "unsigned", load.signed("PUT", "/plain/up", host, sigv4.UNSIGNED, content_length=size))
    signed = _head(where, "signed", load.signed("PUT", "/plain/up", host, payload, content_length=size))
    chunked, lines = _chunked(where, body, host)
    heads = _head(where, "chunked", lines)

    def put(program: lab.Program, at: int, head: Path, what: Path) -> Callable[[], Figures]:
        return lambda: load.transfer(where, program, at, head, str(what))

    found = load.interleaved(
        [
            Target("nginx unbuffered", put(where.nginx, where.ports["uploads"], unsigned, body)),
            Target("ours, unsigned", put(where.taking, port, unsigned, body)),
            Target("ours, signed", put(where.taking, port, signed, body)),
            Target("ours, aws-chunked", put(where.taking, port, heads, chunked)),
        ],
        rounds,
    )
    return load.rows(found, "nginx unbuffered", "B/s, s/GiB")


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _head(where: lab.Lab, name: str, lines: list[str]) -> Path:
    path = where.home / f"{name}.head"
    path.write_text("\r\n".join(["PUT /plain/up HTTP/1.1", *lines, "", ""]), newline="")
    return path


def _chunked(where: lab.Lab, body: Path, host: str, piece: int = 65536) -> tuple[Path, list[str]]:
    """The same bytes in signed chunks of 64 KiB."""
    count = lab.LARGE // piece
    framed = lab.LARGE + count * (len(f"{piece:x};chunk-signature=") + 64 + 4) + len("0;chunk-signature=") + 64 + 4
    fields = {"content_length": str(framed), "content_encoding": "aws-chunked", "x_amz_decoded_content_length": str(lab.LARGE)}
    lines = load.signed("PUT", "/plain/up", host, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", **fields)
    seed = lines[-1].rpartition("Signature=")[2]
    date = next(line for line in lines if line.startswith("x-amz-date")).split(": ")[1]
    scope = sigv4.Scope(date[:8], "us-east-1")
    key, last = sigv4.signing_key(lab.SECRET, scope), seed
    path = where.home / "chunked.body"
    with body.open("rb") as source, path.open("wb") as file:
        for data in [*iter(lambda: source.read(piece), b""), b""]:
            last = key.sign("\n".join(["AWS4-HMAC-SHA256-PAYLOAD", date, str(scope), last, sigv4.EMPTY_SHA256, sha256(data).hexdigest()]))
            file.write(f"{len(data):x};chunk-signature={last}\r\n".encode() + data + b"\r\n")
    assert path.stat().st_size == framed
    return path, lines


def listings(_: lab.Lab, rounds: int) -> Rows:
    """P13: rendering a listing of 1000 keys."""
    from s3shunt.protocol import listing, listing_xml
    from s3shunt.protocol.listing import Item, Page
    from s3shunt.server import memory

    memory.keep_buffers()  # as whoever serves does
    query = listing.asked({"list-type": "2"}, {})
    told = {"last_modified": "2026-11-20T12:00:00.000Z"}
    items = [Item(key=f"reels/{key:06d}.mxf", etag=f'"{key:032x}"', size=f"{key}", **told) for key in range(1000)]
    page = Page(items=items)
    taken = []
    for _ in range(rounds * 4):
        begun = time.thread_time()
        listing_xml.write(query, "films", page, None)
        taken.append((time.thread_time() - begun) * 1e3)
    return [{"who": "ListObjectsV2 of 1000 keys", "unit": "ms", "cpu": statistics.median(taken), "least_cpu": min(taken), "rounds": taken}]


def starts(where: lab.Lab, rounds: int) -> Rows:
    """P14: from the start of ``s3shunt serve`` to its first answered request."""
    where.store, where.ours  # noqa: B018
    ini = where.home / "ours/bench.ini"
    port = where.ports["ours"]
    where.ours.stop()
    taken = []
    for _ in range(rounds):
        begun = time.monotonic()
        server = subprocess.Popen([sys.executable, "-m", "s3shunt", "serve", str(ini)], stderr=subprocess.DEVNULL)
        taken.append(_answered(port, begun))
        server.terminate()
        server.wait()
    return [{"who": "s3shunt serve", "unit": "s", "cpu": statistics.median(taken), "least_cpu": min(taken), "rounds": taken}]


def _answered(port: int, begun: float) -> float:
    lines = load.signed("GET", "/films/00001", f"127.0.0.1:{port}")
    while True:
        try:
            status, _ = load.fetched(port, "/films/00001", lines)
        except OSError:
            time.sleep(0.002)
            continue
        assert status == 200
        return time.monotonic() - begun


CASES: dict[str, tuple[Iterable[str], Callable[[lab.Lab, int], Rows]]] = {
    "P1": (("P1", "P2"), small_reads),
    "P3": (("P3",), beside.gateway),
    "P4": (("P4",), beside.serving),
    "P5": (("P5",), doors),
    "P6": (("P6",), large_reads),
    "P7": (("P7", "P8"), uploads),
    "P9": (("P9",), crowds.idle_clients),
    "P10": (("P10",), crowds.slow_clients),
    "P11": (("P11",), crowds.polling),
    "P12": (("P12",), crowds.workers),
    "P13": (("P13",), listings),
    "P14": (("P14",), starts),
    "P15": (("P15",), crowds.lines),
}
