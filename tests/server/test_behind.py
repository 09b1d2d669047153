"""Behind other people's proxies: what they pass on is never read as one request more than they meant."""

import re
import shutil
import socket
import subprocess
import threading

import pytest

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
SMALL = b"1\r\nZ\r\n0\r\n\r\n"
BYTES = [bytes([number]) for number in range(256)]
LINES = [
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: identity, chunked",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
    b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding:\r\n chunked",
    b"Transfer_Encoding: chunked",
    b"X: y\nTransfer-Encoding: chunked",
    b"Content-Length: 6\r\nContent-Length: 0",
    b"Content-Length: 0\r\nContent-Length: 6",
    b"Content-Length: 6, 0",
    b"Content-Length: 6\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nContent-Length: 6",
    b"Content-Length: 6\r\nTransfer-Encoding: xchunked",
    *[b"Transfer-Encoding:" + byte + b"chunked" for byte in BYTES],
    *[b"Transfer-Encoding: chunked" + byte for byte in BYTES],
    *[b"Transfer-Encoding" + byte + b": chunked" for byte in BYTES],
    *[b"Content-Length:" + byte + b"6" for byte in BYTES],
    *[b"Content-Length: 6" + byte for byte in BYTES],
]

NGINX = """
daemon off; master_process off; pid {home}/pid; error_log /dev/null;
events {{}}
http {{
  access_log off; client_body_temp_path {home}/a; proxy_temp_path {home}/b;
  fastcgi_temp_path {home}/c; uwsgi_temp_path {home}/d; scgi_temp_path {home}/e;
  upstream front {{ server 127.0.0.1:{back}; keepalive 1; }}
  server {{
    listen 127.0.0.1:{port}; ignore_invalid_headers off; underscores_in_headers on;
    location / {{
      proxy_pass http://front; proxy_http_version 1.1; proxy_request_buffering off;
      proxy_set_header Connection ""; proxy_set_header X-Via nginx;
    }}
  }}
}}
"""
HAPROXY = """
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
  option http-keep-alive
  http-reuse always
frontend front
  bind 127.0.0.1:{port}
  option accept-invalid-http-request
  http-request set-header X-Via haproxy
  default_backend back
backend back
  server back 127.0.0.1:{back} pool-max-conn 1
"""
VARNISH = """
vcl 4.1;
backend default {{ .host = "127.0.0.1"; .port = "{back}"; }}
sub vcl_recv {{ set req.http.X-Via = "varnish"; return (pass); }}
"""


def nginx(home, port, back):
    (home / "conf").write_text(NGINX.format(home=home, port=port, back=back))
    return ["nginx", "-p", str(home), "-c", str(home / "conf")]


def haproxy(home, port, back):
    (home / "conf").write_text(HAPROXY.format(port=port, back=back))
    return ["haproxy", "-db", "-f", str(home / "conf")]


def varnishd(home, port, back):
    (home / "conf").write_text(VARNISH.format(back=back))
    return ["varnishd", "-F", "-j", "none", "-a", f"127.0.0.1:{port}", "-f", f"{home}/conf", "-n", f"{home}/work", "-s", "malloc,8M"]


def free():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


@pytest.fixture(params=[nginx, haproxy, varnishd], ids=lambda made: made.__name__)
def behind(request, fronted, tmp_path):
    """A front, and a proxy's port before it."""
    if not shutil.which(request.param.__name__):
        pytest.skip(f"no {request.param.__name__} here")
    with fronted() as front:
        port = free()
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(request.param(tmp_path, port, front.port), stdout=log, stderr=log)
        try:
            for _ in range(100):
                if b"200" in ask(port, b"GET /up HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"):
                    break
                threading.Event().wait(0.1)
            else:
                pytest.fail((tmp_path / "log").read_text())
            yield front, port
        finally:
            process.terminate()
            process.wait(20)


def ask(port, data, wait=10.0):
    raw = b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
            sock.settimeout(wait)
            sock.sendall(data)
            while more := sock.recv(65536):
                raw += more
    except OSError:
        return raw
    return raw


def test_no_mutated_line_lets_a_request_run_that_the_proxy_did_not_send(behind):
    front, port = behind
    assert len(LINES) > 1200
    for line in LINES:
        before = len(front.seen)
        ask(port, b"POST /a HTTP/1.1\r\nHost: x\r\n" + line + b"\r\n\r\n" + SMALL + HIDDEN, 0.3)
        alone = [target for _, target, _, environ in front.seen[before:] if "HTTP_X_VIA" not in environ]
        assert alone == [], line
        after = ask(port, b"GET /after HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert re.match(rb"HTTP/1.1 200 ", after), line
        assert "/after" in [target for _, target, _, _ in front.seen[before:]], line  # a body that was cut may be noticed later
