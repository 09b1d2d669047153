"""A private nginx with one of the shipped configurations, in a directory of its own, on a free port of 127.0.0.1.

    with nginx.nginx(Path("containers/nginx/tls.conf").read_text(), PROXY="127.0.0.1:8080") as running:
        boto3.client("s3", endpoint_url=running.url, verify=running.certificate, ...)

A configuration is what stands within ``http``. ``@NAME@`` in it is filled from the variables
given; ``@LISTEN@``, ``@CERTIFICATE@``, ``@KEY@`` and ``@HOME@`` are filled here: where it
listens, a certificate made for ``localhost`` and 127.0.0.1, and its directory.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from s3shunt import clock

AROUND = """\
{user}
daemon off;
worker_processes {workers};
pid {home}/nginx.pid;
error_log {home}/error.log info;
events {{ worker_connections 4096; }}
http {{
    access_log {home}/access.log;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    include {home}/site.conf;
}}
"""


def binary() -> str | None:
    """Where it is; Debian keeps it off the PATH of users."""
    return shutil.which("nginx", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin")))


def installed() -> bool:
    return binary() is not None


def filled(text: str, **given: object) -> str:
    """``text`` with its variables filled in. ValueError for one that nobody gave, or that it has not got."""
    wanted = set(re.findall("@([A-Z_]+)@", text))
    if wanted != given.keys():
        raise ValueError(f"variables {sorted(wanted ^ given.keys())}: expected exactly {sorted(wanted)}")
    return re.sub("@([A-Z_]+)@", lambda found: str(given[found[1]]), text)


@dataclass
class Running:
    """``url`` is where it listens, https when the configuration names a certificate; ``certificate`` is what to verify it with."""

    home: Path
    port: int
    tls: bool
    workers: int = 1
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}" if self.tls else f"http://127.0.0.1:{self.port}"

    @property
    def certificate(self) -> str:
        return str(self.home / "certificate.pem")

    @property
    def pid(self) -> int:
        assert self.process is not None, "it is not running"
        return self.process.pid

    def start(self) -> None:
        """Returns when it answers. RuntimeError with what it says when it does not come up."""
        command = [str(binary()), "-p", str(self.home), "-e", str(self.home / "error.log"), "-c", str(self.home / "nginx.conf")]
        if setpriv := shutil.which("setpriv"):  # the kernel ends it with us, however we end
            command = [setpriv, "--pdeathsig", "TERM", *command]
        with (self.home / "said").open("ab") as said:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True)
        deadline = clock.wall.monotonic() + 10
        while not self._answers():
            if clock.wall.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError(self.said())
            clock.wall.sleep(0.02)

    def configure(self, text: str) -> None:
        """Another configuration, its variables filled in, from the next ``start`` or ``reload`` on."""
        (self.home / "site.conf").write_text(text)

    def reload(self) -> None:
        """As an operator would; returns when only new workers take connections. The old ones finish what they have."""
        before = set(self.children())
        os.kill(self.pid, signal.SIGHUP)
        deadline = clock.wall.monotonic() + 10
        while len(set(self.children()) - before) < self.workers or any(map(_accepts, before)):
            if clock.wall.monotonic() > deadline:
                raise RuntimeError(self.said())
            clock.wall.sleep(0.02)

    def children(self) -> list[int]:
        """The workers, those that are about to end included."""
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def stop(self) -> None:
        """Finishes what it has, as an operator would; killed when that takes too long."""
        self._end(signal.SIGQUIT)

    def kill(self) -> None:
        """Master and workers, at once."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            (os.killpg if how is signal.SIGKILL else os.kill)(self.pid, how)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None

    def said(self) -> str:
        """What it complained of."""
        logs = [self.home / "said", self.home / "error.log"]
        return "".join(log.read_text(errors="replace")[-5000:] for log in logs if log.exists())

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def nginx(text: str, *, port: int = 0, workers: int = 1, **given: object) -> Iterator[Running]:
    """Running when entered; gone with its directory when left. ``given`` are the variables of the configuration ``text``."""
    with tempfile.TemporaryDirectory(prefix="s3shunt-nginx-") as directory:
        home = Path(directory)
        running = Running(home, port or free_port(), "@CERTIFICATE@" in text, workers)
        user = "user root;" if os.getuid() == 0 else ""
        (home / "nginx.conf").write_text(AROUND.format(home=home, user=user, workers=workers))
        made = {"LISTEN": f"127.0.0.1:{running.port}", "HOME": home, "CERTIFICATE": home / "certificate.pem", "KEY": home / "key.pem"}
        running.configure(filled(text, **{name: value for name, value in made.items() if f"@{name}@" in text}, **given))
        if running.tls:
            certify(home)
        try:
            running.start()
            yield running
        finally:
            running.kill()


def _accepts(worker: int) -> bool:
    """Whether it has not been told to end, as it says itself."""
    try:
        return b"shutting down" not in Path(f"/proc/{worker}/cmdline").read_bytes()
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def certify(home: Path) -> None:
    """``certificate.pem`` and ``key.pem``, good for a day, signed by nobody but itself."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.fromtimestamp(clock.wall.now() // 1000, UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName(
        [x509.DNSName("localhost"), x509.DNSName("*.localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    )
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False).sign(key, SHA256())
    )  # fmt: skip
    (home / "certificate.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (home / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
