"""A process that serves, without a parent: signals, certificates, its end. With one: ``test_family``."""

import signal
import socket
import ssl
import subprocess
import sys
import threading

import pytest

INI = """
[DEFAULT]
state = {state}
[pipeline:main]
pipeline = health proxy
[listen:main]
address = {address}
app = main
front = strict
parent = no
certificate = {certificate}
drain = 5s
[filter:health]
use = egg:s3shunt#health
[app:proxy]
use = egg:s3shunt#proxy
[store:main]
url = s3+http://127.0.0.1:9
credentials = {state}/store.json
"""
LOGGED = "import logging; logging.basicConfig(); "
SERVE = "import sys; from s3shunt.server import listen; listen.serve(sys.argv[1])"
LIVE = b"GET /-/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def start(tmp_path, address, certificate="", limit="", **how):
    (tmp_path / "store.json").touch(mode=0o600)
    (tmp_path / "store.json").write_text('{"": {"access_key": "A", "secret_key": "s"}}')
    (tmp_path / "ini").write_text(INI.format(state=tmp_path, address=address, certificate=certificate))
    return subprocess.Popen([sys.executable, "-c", LOGGED + limit + SERVE, str(tmp_path / "ini")], stderr=subprocess.PIPE, **how)


def connect(connecting):
    for _ in range(200):
        try:
            return connecting()
        except OSError:
            threading.Event().wait(0.05)
    pytest.fail("nobody listens")
    return None


def test_a_unix_socket_is_served_and_sighup_ends_nothing(tmp_path):
    path = tmp_path / "front.sock"

    def connecting():
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(10)
        try:
            sock.connect(str(path))
        except OSError:
            sock.close()
            raise
        return sock

    process = start(tmp_path, f"unix:{path}")
    try:
        for _ in range(2):
            with connect(connecting) as sock:
                sock.sendall(LIVE)
                assert sock.recv(1000).startswith(b"HTTP/1.1 200")
            process.send_signal(signal.SIGHUP)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, process.stderr.read()
        process.stderr.close()


def test_certificates_are_read_anew_at_sighup(tmp_path, certificate, second_certificate):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    path = tmp_path / "tls.pem"
    path.write_bytes(certificate.read_bytes())
    process = start(tmp_path, f"127.0.0.1:{port}", path)

    def trusted(one):
        context = ssl.create_default_context(cafile=str(one))
        with connect(lambda: socket.create_connection(("127.0.0.1", port), timeout=10)) as plain:
            try:
                with context.wrap_socket(plain, server_hostname="localhost") as sock:
                    sock.sendall(LIVE)
                    return sock.recv(1000).startswith(b"HTTP/1.1 200")
            except ssl.SSLCertVerificationError:
                return False

    try:
        assert trusted(certificate)
        assert not trusted(second_certificate)
        path.write_bytes(second_certificate.read_bytes())
        process.send_signal(signal.SIGHUP)
        assert any(trusted(second_certificate) or threading.Event().wait(0.1) for _ in range(50))
        path.write_text("nothing")
        process.send_signal(signal.SIGHUP)
        threading.Event().wait(0.2)
        assert trusted(second_certificate)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, process.stderr.read()
        process.stderr.close()


def test_a_process_out_of_descriptors_goes_on(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = start(tmp_path, f"127.0.0.1:{port}", limit="import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)); ")
    connecting = lambda: socket.create_connection(("127.0.0.1", port), timeout=10)
    crowd = []
    try:
        with connect(connecting) as sock:
            sock.sendall(LIVE)
            assert sock.recv(1000).startswith(b"HTTP/1.1 200")
        crowd = [connecting() for _ in range(120)]
        for sock in crowd:
            sock.sendall(b"GET /-/live HT")
        for sock in crowd:
            sock.close()
        with connect(connecting) as sock:
            sock.sendall(LIVE)
            assert sock.recv(1000).startswith(b"HTTP/1.1 200")
    finally:
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=20)[1]
    assert process.returncode == 0
    assert b"out of file descriptors" in said


def test_a_socket_that_systemd_opened_is_served(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as opened:
        port = opened.getsockname()[1]
        given = f"import os; os.dup2({opened.fileno()}, 3); os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid())); "
        process = start(tmp_path, "127.0.0.1:1", limit=given, pass_fds=[opened.fileno()])
    try:
        with connect(lambda: socket.create_connection(("127.0.0.1", port), timeout=10)) as sock:
            sock.sendall(LIVE)
            assert sock.recv(1000).startswith(b"HTTP/1.1 200")
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, process.stderr.read()
        process.stderr.close()
