"""nginx in front, and who moves the bytes: s3shunt (tls.conf) or nginx by a request that s3shunt signed (accel.conf).

    .venv/bin/python bench/offload.py [--rounds 5]

Both on one core, CPU of both together; the same nginx, s3shunt and store for both, without TLS. Needs wrk, nginx, redis-server and gcc.
"""

import argparse
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path

import lab
import load

CONFIGURATIONS = lab.HERE.parent / "containers/nginx"
MIB = 1 << 20
ACCEL = "use = egg:s3shunt#proxy\noffload = accel\naccel_peers = 127.0.0.1\n"


@dataclass(frozen=True)
class Both:
    name: str
    programs: tuple[lab.Program, ...]

    @property
    def cpu(self) -> float:
        return sum(program.cpu for program in self.programs)


class Front(lab.Lab):
    @cached_property
    def both(self) -> Both:
        lab.INI = lab.INI.replace("use = egg:s3shunt#proxy\n", ACCEL)
        self.ports.update(stream=lab.free_port(), accel=lab.free_port())
        servers = "".join(self.configuration(name, file) for name, file in (("stream", "tls"), ("accel", "accel")))
        nginx = self._nginx("both", servers.replace("{", "{{").replace("}", "}}"), lab.FRONT, self.ports["accel"])
        return Both("nginx and s3shunt", (self.ours, nginx))

    def configuration(self, name: str, file: str) -> str:
        """As shipped, without TLS and under names of its own."""
        text = (CONFIGURATIONS / f"{file}.conf").read_text()
        text = re.sub(r"(?m)^ *(#|ssl_|keepalive_timeout).*\n", "", text).replace(" ssl http2", "")
        text = re.sub(r"\$?@?\bs3shunt\b(?!_)", lambda found: found[0].replace("s3shunt", f"{name}_front"), text)
        if name == "stream":
            text = text.replace("shared:stream_front", "shared:s3shunt")
        for variable, port in (("LISTEN", name), ("PROXY", "ours"), ("STORE", "store")):
            text = text.replace(f"@{variable}@", f"127.0.0.1:{self.ports[port]}")
        return text

    def large(self, size: int) -> str:
        path = self.home / f"www/plain/large-{size}"
        if not path.exists():
            path.write_bytes(os.urandom(size))
        return f"/plain/{path.name}"


def small(where: Front, way: str) -> Callable[[], load.Figures]:
    requests = where.home / f"requests-{way}"
    requests.write_text("\n".join(load.small("plain", where.ports[way], "header")))
    load.verify(where, where.ports[way], requests)
    return partial(load.wrk, where, where.both, where.ports[way], requests)


def big(where: Front, way: str, size: int) -> Callable[[], load.Figures]:
    target, port = where.large(size), where.ports[way]
    lines = load.signed("GET", target, f"127.0.0.1:{port}")
    status, body = load.fetched(port, target, lines)
    assert (status, sha256(body).digest()) == (200, sha256((where.home / f"www{target}").read_bytes()).digest())
    head = where.home / f"head-{way}-{size}"
    head.write_text("\r\n".join([f"GET {target} HTTP/1.1", *lines, "", ""]))
    return partial(load.transfer, where, where.both, port, head, times=max((512 * MIB) // size, 1))


def measure(where: Front, rounds: int) -> None:
    where.store, where.both  # noqa: B018
    print(f"load average {os.getloadavg()[0]:.1f}")
    for label, make, unit in (
        ("4 KiB", small, "us CPU a request"),
        ("1 MiB", partial(big, size=MIB), "CPU s a GiB"),
        ("64 MiB", partial(big, size=64 * MIB), "CPU s a GiB"),
    ):
        found = load.interleaved([load.Target(way, make(where, way)) for way in ("stream", "accel")], rounds)
        for way, figures in found.items():
            rates, cpus = sorted(one.rate for one in figures), sorted(one.cpu for one in figures)
            print(f"{label:7} {way:7} {rates[len(rates) // 2]:>14,.0f}/s  {cpus[len(cpus) // 2]:8.2f} {unit}")
        print(f"{label:7} accel/stream rate {load.ratio(found['accel'], found['stream'], 'rate'):.2f}", end=" ")
        print(f"CPU {load.ratio(found['accel'], found['stream'], 'cpu'):.2f}; load average {os.getloadavg()[0]:.1f}")
    logged = (where.home / "ours/access.log").read_text()
    assert logged.count('"offload":"accel"') > 1000, "nothing went past s3shunt"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="s3shunt-bench-") as home:
        where = Front(Path(home))
        with where.kept:
            measure(where, rounds)


if __name__ == "__main__":
    main()
