"""Behind other people's proxies: what they pass on is never read as one request more than they meant."""

import re
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

import pytest

from s3shunt.server import peer

pytestmark = [pytest.mark.stage, pytest.mark.timeout(900)]

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


def swept(front, port, requests, wait):
    """Each of these byte strings is sent, a few at a time, and a plain request behind it.

    Whatever came of the one, the other gets its own answer, and nothing reaches the front that the proxy did not send.
    """

    def one(number):
        ask(port, requests[number], wait)
        said = b"after %d" % number
        after = b"POST /after-%d HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % (number, len(said))
        raw = ask(port, after + said)
        return re.match(rb"HTTP/1.1 200 ", raw) is None or not raw.endswith(b"\r\n\r\n" + said)

    before = len(front.seen)
    with ThreadPoolExecutor(8) as pool:
        wrong = [requests[number] for number, failed in enumerate(pool.map(one, range(len(requests)))) if failed]
    assert wrong == []
    seen = front.seen[before:]
    assert [(target, environ) for _, target, _, environ in seen if "HTTP_X_VIA" not in environ] == []
    assert {f"/after-{number}" for number in range(len(requests))} <= {target for _, target, _, _ in seen}


def test_no_mutated_line_lets_a_request_run_that_the_proxy_did_not_send(behind):
    front, port = behind
    assert len(LINES) > 1200
    swept(front, port, [b"POST /a HTTP/1.1\r\nHost: x\r\n" + line + b"\r\n\r\n" + SMALL + HIDDEN for line in LINES], 0.3)


# what others test their servers with

CORPUS = re.compile(r"[^/]+/tests/requests/(valid|invalid)/(\w+)\.http")
WITHIN = {"006", "008", "limit_header_default_01"}
"""Invalid only by gunicorn's own, shorter limits."""
REFUSED = {
    "a Host that is no name": {"002", "003"},
    "a trailer that belongs into the head": {"012"},
    "a fragment in the target": {"005"},
    "longer than our limits": {"024", "026"},
    "another coding than chunked, which nobody here could take off": {"025", "025_line", "029", "030"}
    | {"rfc9112_smuggle_gzip_chunked_01", "rfc9112_smuggle_te_identity_chunked_01"},
    "white space before a colon, taken off by one of gunicorn's options": {"028"},
    "methods that S3 has not": {
        "031",
        "031compat",
        "031compat2",
        "rfc9112_target_authority_connect_01",
        "rfc9112_target_authority_ipv6_01",
    },
    "underscores, let through by one of gunicorn's options": {"040", "040_compat"},
    "a body that ends early": {"099"},
    "folded lines, let through by one of gunicorn's options": {"compat_obs_fold", "compat_obs_fold_huge"},
    "a PROXY header from a peer that is not trusted": {"pp_01", "pp_02", "pp_04", "pp_05"},
    "a password in the target": {"rfc9112_target_absolute_userinfo_01"},
}


def meant(text):
    """The bytes that a file of gunicorn's stands for."""
    data = text.replace(b"\n", b"").replace(b"\\r\\n", b"\r\n").replace(b"\\0", b"\0").replace(b"\\n", b"\n").replace(b"\\t", b"\t")
    return re.sub(rb"\\x([0-9a-fA-F]{2})", lambda found: bytes([int(found[1], 16)]), data)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """``corpus["invalid"]["001"]``: gunicorn's own test requests, as its source package has them."""
    folder = tmp_path_factory.mktemp("corpus")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", str(folder)]
    done = subprocess.run([*command, f"gunicorn=={version('gunicorn')}"], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("the package index cannot be reached")
    found = {"valid": {}, "invalid": {}}
    with tarfile.open(next(folder.glob("*.tar.gz"))) as package:
        for member in package.getmembers():
            if name := CORPUS.fullmatch(member.name):
                found[name[1]][name[2]] = meant(package.extractfile(member).read())
    return found


def answered(front, data):
    """Whether the first of these requests came through, all of it."""
    return front.ask(data).startswith(b"HTTP/1.1 200 ")


def test_what_is_invalid_for_others_is_refused(fronted, corpus):
    assert len(corpus["invalid"]) > 70
    with fronted() as front:
        passed = {name for name, data in corpus["invalid"].items() if answered(front, data)}
    assert passed == WITHIN


def hosted(data):
    """As HTTP/1.1 wants it: gunicorn does not mind a missing Host."""
    return data if re.search(rb"(?i)\r\nhost:", data) else data.replace(b" HTTP/1.1\r\n", b" HTTP/1.1\r\nHost: x\r\n", 1)


def test_what_is_valid_for_others_is_answered_but_for_what_only_looser_readers_take(fronted, corpus):
    assert len(corpus["valid"]) > 60
    with fronted() as front:
        refused = {name for name, data in corpus["valid"].items() if not answered(front, hosted(data))}
    assert refused == set().union(*REFUSED.values())


def test_a_proxy_header_is_read_from_a_trusted_peer_as_others_read_it(fronted, corpus):
    with fronted(trusted=peer.networks("127.0.0.0/8")) as front:
        said = {
            kind: {name for name, data in found.items() if "pp_" in name and answered(front, hosted(data))}
            for kind, found in corpus.items()
        }
    assert said == {"valid": REFUSED["a PROXY header from a peer that is not trusted"], "invalid": set()}


def test_no_request_of_others_lets_one_run_that_the_proxy_did_not_send(behind, corpus):
    front, port = behind
    swept(front, port, [data + HIDDEN for kind in corpus.values() for data in kind.values()], 0.5)
