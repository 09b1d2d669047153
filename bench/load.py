"""What is asked of a lab, and how: signed requests by the thousand for wrk, transfers by a small C program."""

import http.client
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import lab

from s3shunt import clock
from s3shunt.protocol import presigned, sigv4

Rows = list[dict[str, Any]]

AGENT = "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux#6.1 md/arch#x86_64 lang/python#3.11"


@dataclass(frozen=True)
class Figures:
    """One round: per second (requests, or bytes), CPU of the server per one of them, and what went wrong."""

    rate: float
    cpu: float
    failed: int = 0
    p99: float = 0.0


@dataclass(frozen=True)
class Target:
    """Something that is measured: a server, and how one round of load is put on it."""

    name: str
    run: Callable[[], Figures]


def stamp() -> str:
    return sigv4.timestamp(clock.wall.now())


def signed(
    method: str, path: str, host: str, payload: str = sigv4.EMPTY_SHA256, keys: tuple[str, str] = (lab.ACCESS, lab.SECRET), **more: str
) -> list[str]:
    """The header lines of a request signed as SDKs sign it."""
    fields = {"host": host, "x-amz-date": stamp(), "x-amz-content-sha256": payload, **{n.replace("_", "-"): v for n, v in more.items()}}
    access, secret = keys
    value = sigv4.authorization(method, path, (), fields, payload, access_key=access, secret_key=secret, timestamp=fields["x-amz-date"])
    return [f"{name}: {text}" for name, text in {**fields, "user-agent": AGENT, "authorization": value}.items()]


def small(bucket: str, port: int, way: str) -> Iterator[str]:
    """A line for ``requests.lua`` for each key of a bucket."""
    host = f"127.0.0.1:{port}"
    for key in range(lab.KEYS):
        path = f"/{bucket}/{key:05d}"
        if way == "presigned":
            query = presigned.presign("GET", path, (), {"host": host}, access_key=lab.ACCESS, secret_key=lab.SECRET, timestamp=stamp())
            yield "\t".join([f"{path}?{query}", f"host: {host}", f"user-agent: {AGENT}"])
        else:
            yield "\t".join([path, *signed("GET", path, host)])


def wrk(
    where: lab.Lab, program: lab.Program, port: int, requests: Path, *, clients: int = 32, seconds: int = 2, least: int = lab.SMALL
) -> Figures:
    script = str(lab.HERE / "requests.lua")
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "20s"]
    command += ["-s", script, f"http://127.0.0.1:{port}", "--", str(requests)]
    before = program.cpu
    said = subprocess.run(["taskset", "-c", lab.REST, *command], capture_output=True, text=True, check=True, cwd=where.home).stdout
    cpu = program.cpu - before
    found = re.search(r"FIGURES (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)", said)
    if found is None:
        raise SystemExit(said)
    count, micro, size, failed, _, p99 = map(int, found.groups())
    if failed:
        print(*refused(where), f"{program.name}: {failed} of {count} failed", sep="\n", file=sys.stderr)
    if size < count * least * 0.99:
        raise lab.Failed(f"{program.name}: {size} bytes are too few for {count} answers")
    return Figures(count / micro * 1e6, cpu / count * 1e6, failed, p99 / 1000)


def refused(where: lab.Lab) -> list[str]:
    """What the access log says of answers that were none."""
    log = where.home / "ours/access.log"
    lines = log.read_text().splitlines() if log.exists() else []
    return [line for line in lines if '"status":200' not in line or '"cut":true' in line][-20:]


def transfer(where: lab.Lab, program: lab.Program, port: int, head: Path, body: str = "-", *, times: int = 1, streams: int = 1) -> Figures:
    """Bytes a second, and CPU seconds for a GiB."""
    command = [where.tool("transfer"), "127.0.0.1", str(port), str(head), body, str(times), str(streams)]
    before = program.cpu
    done = subprocess.run(["taskset", "-c", lab.REST, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{program.name}: {done.stderr}")
    cpu = program.cpu - before
    size, seconds = done.stdout.split()
    return Figures(int(size) / float(seconds), cpu / int(size) * (1 << 30))


def fetched(port: int, target: str, lines: list[str]) -> tuple[int, bytes]:
    """Status and body, by a client that has nothing to do with ours."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest("GET", target, skip_host=True, skip_accept_encoding=True)
    for line in lines:
        connection.putheader(*line.split(": ", 1))
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def verify(where: lab.Lab, port: int, requests: Path) -> None:
    """Every hundredth request of a file brings exactly its file; with one bit of its signature flipped it brings 403."""
    if (status := flipped(port, same(where, port, requests))) != 403:
        raise lab.Failed(f"a flipped bit was let through: {status}")


def same(where: lab.Lab, port: int, requests: Path) -> str:
    """The last of every hundredth requests of a file, each of which brought exactly its file."""
    for line in requests.read_text().splitlines()[::100]:
        target, *lines = line.split("\t")
        status, body = fetched(port, target, lines)
        wanted = (where.home / "www" / target.partition("?")[0].lstrip("/")).read_bytes()
        if (status, sha256(body).digest()) != (200, sha256(wanted).digest()):
            raise lab.Failed(f"{target} brought {status} and {len(body)} bytes: {body[:200]!r}")
    return line


def flipped(port: int, line: str) -> int:
    """What a request brings with one bit of its signature flipped."""
    assert "ignature=" in line, "it is not signed"
    wrong = line[:-1] + chr(ord(line[-1]) ^ 1)
    if "X-Amz-Signature=" in line:
        wrong = re.sub(r"(X-Amz-Signature=\w+)(\w)", lambda m: m[1] + chr(ord(m[2]) ^ 1), line)
    target, *lines = wrong.split("\t")
    return fetched(port, target, lines)[0]


def interleaved(targets: list[Target], rounds: int) -> dict[str, list[Figures]]:
    """Rounds of all targets, the order turned round every other time; the first round warms up and is not counted."""
    found: dict[str, list[Figures]] = {target.name: [] for target in targets}
    for number in range(rounds + 1):
        for target in targets if number % 2 else reversed(targets):
            figures = target.run()
            if figures.failed:
                raise lab.Failed(f"{target.name}: {figures.failed} requests failed")
            if number:
                found[target.name].append(figures)
    return found


def ratio(ours: list[Figures], peer: list[Figures], what: str) -> float:
    """The median of same-round ratios."""
    return statistics.median(getattr(one, what) / getattr(other, what) for one, other in zip(ours, peer, strict=True))


def rows(found: dict[str, list[Figures]], peer: str, unit: str) -> Rows:
    """The first is the peer, against which the others are held."""
    made = []
    for name, figures in found.items():
        made.append({
            "who": name, "unit": unit, "rate": statistics.median(f.rate for f in figures), "best": max(f.rate for f in figures),
            "cpu": statistics.median(f.cpu for f in figures), "least_cpu": min(f.cpu for f in figures),
            "ratio": ratio(figures, found[peer], "rate"), "cpu_ratio": ratio(figures, found[peer], "cpu"),
            "p99": statistics.median(f.p99 for f in figures), "rounds": [f.rate for f in figures],
        })  # fmt: skip
    return made
