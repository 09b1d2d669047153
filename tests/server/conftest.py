"""A front of its own in a thread, with an application that remembers what it was asked."""

import socket
import threading
from contextlib import contextmanager

import eventlet
import pytest

from s3shunt import clock
from s3shunt.server.front import Front, Limits


class Fronted:
    """``seen`` holds (method, raw target, body or what reading it raised, environ) of each request that came through."""

    def __init__(self, app=None, limits=Limits(), **options):
        self.seen = []
        self.app = app or self.echo
        self.limits, self.options = limits, options
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listening.getsockname()[1]
        self.ready, self.stop = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        assert self.ready.wait(10)

    def echo(self, environ, start_response):
        body = None
        try:
            body = environ["wsgi.input"].read()
        finally:
            self.seen.append((environ["REQUEST_METHOD"], environ["RAW_URI"], body, environ))
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    def run(self):
        self.front = Front(self.app, self.limits, **self.options)
        self.front.listen([self.listening])
        self.ready.set()
        while not self.stop.is_set():
            eventlet.sleep(0.01)
        self.left = self.front.drain(5, grace=0.05)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def ask(self, data, half=True):
        """All that comes back until the server closes."""
        with self.connect() as sock:
            try:
                sock.sendall(data)
                if half:
                    sock.shutdown(socket.SHUT_WR)
                return b"".join(iter(lambda: sock.recv(65536), b""))
            except OSError:
                return b"(reset)"

    def end(self):
        self.stop.set()
        self.thread.join(10)
        assert not self.thread.is_alive()


@pytest.fixture(scope="session")
def fronted():
    @contextmanager
    def make(app=None, limits=Limits(), **options):
        made = Fronted(app, limits, **options)
        try:
            yield made
        finally:
            made.end()

    return make


@pytest.fixture
def wall():
    return clock.wall


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    return certified(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def second_certificate(tmp_path_factory):
    return certified(tmp_path_factory.mktemp("tls"))


def certified(folder):
    """A key and its certificate for localhost, in one file."""
    import datetime as dt

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.fromtimestamp(clock.wall.now() / 1000, dt.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = folder / "localhost.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path
