"""A private HAProxy on a free port of 127.0.0.1, in a directory of its own.

    with haproxy.haproxy(8080, haproxy.ROUTER["if-none"]) as running:
        urlopen(running.url)

The rules are lines of its ``backend``. ``ROUTER`` are those of OpenShift's router, by the value of the route's
annotation ``haproxy.router.openshift.io/set-forwarded-headers``.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from s3shunt import clock

AROUND = """\
global
  maxconn 2000
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout http-request 10s
frontend public
  bind 127.0.0.1:{port}
  default_backend route
backend route
  option redispatch
  balance leastconn
  {rules}
  server pod 127.0.0.1:{back}
"""

ROUTER = {
    "append": """
  option forwardfor
  http-request add-header X-Forwarded-Host %[req.hdr(host)]
  http-request add-header X-Forwarded-Port %[dst_port]
  http-request add-header X-Forwarded-Proto http if !{ ssl_fc }
  http-request add-header X-Forwarded-Proto https if { ssl_fc }
  http-request add-header Forwarded for=%[src];host=%[req.hdr(host)]""",
    "replace": """
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-Port %[dst_port]
  http-request set-header X-Forwarded-Proto http if !{ ssl_fc }
  http-request set-header X-Forwarded-Proto https if { ssl_fc }
  http-request set-header Forwarded for=%[src];host=%[req.hdr(host)]""",
    "if-none": """
  option forwardfor if-none
  http-request set-header X-Forwarded-Host %[req.hdr(host)] if !{ req.hdr(X-Forwarded-Host) -m found }
  http-request set-header X-Forwarded-Port %[dst_port] if !{ req.hdr(X-Forwarded-Port) -m found }
  http-request set-header X-Forwarded-Proto http if !{ ssl_fc } !{ req.hdr(X-Forwarded-Proto) -m found }
  http-request set-header X-Forwarded-Proto https if { ssl_fc } !{ req.hdr(X-Forwarded-Proto) -m found }
  http-request set-header Forwarded for=%[src];host=%[req.hdr(host)] if !{ req.hdr(Forwarded) -m found }""",
    "never": "",
}


def binary() -> str | None:
    """Where it is; Debian keeps it off the PATH of users."""
    return shutil.which("haproxy", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin")))


def installed() -> bool:
    return binary() is not None


@dataclass
class Running:
    home: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self.process is not None, "it is not running"
        return self.process.pid

    def start(self) -> None:
        """Returns when it answers. RuntimeError with what it says when it does not come up."""
        command = [str(binary()), "-db", "-f", str(self.home / "haproxy.cfg")]
        if setpriv := shutil.which("setpriv"):  # the kernel ends it with us, however we end
            command = [setpriv, "--pdeathsig", "TERM", *command]
        with (self.home / "said").open("ab") as said:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True)
        deadline = clock.wall.monotonic() + 10
        while not self._answers():
            if clock.wall.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError((self.home / "said").read_text(errors="replace"))
            clock.wall.sleep(0.02)

    def stop(self) -> None:
        """At once, connections or not."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)
            self.process = None

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def haproxy(back: int, rules: str = "") -> Iterator[Running]:
    """Before what listens on port ``back``: running when entered, gone with its directory when left."""
    with tempfile.TemporaryDirectory(prefix="s3shunt-haproxy-") as directory:
        running = Running(Path(directory), _free_port())
        (running.home / "haproxy.cfg").write_text(AROUND.format(port=running.port, rules=rules.strip(), back=back))
        try:
            running.start()
            yield running
        finally:
            running.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
