"""The front alone: CPU and requests a second of a hello application, idle clients, time to the first answer.

    .venv/bin/python bench/front.py [--rounds 5]

Servers run on core 0, wrk on core 1, one after the other within each round, the order turned round every other
time; ratios are medians of same-round ratios. CPU is the server's own, from its schedstat. Needs wrk and nginx.
"""

import argparse
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BODY = b"x" * 4096
HEADERS = [
    ("Content-Type", "application/octet-stream"), ("Content-Length", "4096"), ("ETag", '"6566a1b2-1000"'),
    ("Last-Modified", "Fri, 20 Nov 2026 12:00:00 GMT"), ("Accept-Ranges", "bytes"),
    ("x-amz-request-id", "tx000000000000000000001-0065a1b2c3-10a1-default"),
    ("x-amz-id-2", "tx000000000000000000001-0065a1b2c3-10a1-default"),
]  # fmt: skip
NGINX = """
daemon off; master_process off; pid {home}/pid; error_log /dev/null; worker_rlimit_nofile 19000;
events {{ worker_connections 18000; }}
http {{
  access_log off; keepalive_requests 1000000000; client_body_temp_path {home}/a; proxy_temp_path {home}/b;
  fastcgi_temp_path {home}/c; uwsgi_temp_path {home}/d; scgi_temp_path {home}/e;
  server {{ listen 127.0.0.1:{port}; set $a {half}; return 200 "$a$a"; }}
}}
"""
SITE = """
[DEFAULT]
state = {home}
[pipeline:main]
pipeline = errors health sigv4 grants proxy
[listen:main]
address = 127.0.0.1:{port}
app = main
front = strict
parent = no
[filter:errors]
use = egg:s3shunt#errors
[filter:health]
use = egg:s3shunt#health
[filter:sigv4]
use = egg:s3shunt#sigv4
[filter:grants]
use = egg:s3shunt#grants
[app:proxy]
use = egg:s3shunt#proxy
[keys:main]
url = file://{home}/keys.json
[catalog:main]
url = memory://
[store:main]
url = s3+http://127.0.0.1:9
credentials = {home}/store.json
"""


def hello(environ, start_response):
    environ["wsgi.input"].read()
    start_response("200 OK", HEADERS)
    return [BODY]


def serve(kind, port):
    """One of our servers, in this process."""
    import eventlet

    sock = socket.create_server(("127.0.0.1", port), backlog=4096)
    if kind == "stock":
        from eventlet import wsgi
        from eventlet.greenio import GreenSocket

        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wsgi.server(GreenSocket(sock), hello, log_output=False, socket_timeout=60, max_size=20_000)
    from s3shunt.server.front import Front, Limits

    Front(hello, Limits(connections=20_000, keep_alive=600)).listen([sock])
    eventlet.sleep(10**6)


def free():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


class Server:
    def __init__(self, kind, home):
        self.kind, self.port = kind, free()
        if kind == "nginx":
            (home / "conf").write_text(NGINX.format(home=home, port=self.port, half="x" * 2048))
            command = ["nginx", "-p", str(home), "-c", str(home / "conf")]
        else:
            command = [sys.executable, "-W", "ignore", __file__, "--serve", kind, str(self.port)]
        self.process = subprocess.Popen(["taskset", "-c", "0", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not answered(self.port, b"/a", len(BODY)):
            time.sleep(0.05)

    def cpu(self):
        return int(Path(f"/proc/{self.process.pid}/schedstat").read_text().split()[0])

    def rss(self):
        return next(int(line.split()[1]) for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines() if "VmRSS" in line)

    def load(self, clients, seconds=2):
        before = self.cpu()
        command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{clients}", f"-d{seconds}s", f"http://127.0.0.1:{self.port}/a"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        spent = self.cpu() - before
        assert "Non-2xx" not in said and "Socket errors" not in said, said  # noqa: PT018
        count = int(said.split(" requests in")[0].split()[-1])
        return count / seconds, spent / count / 1000

    def end(self):
        self.process.terminate()
        self.process.wait()


def answered(port, target, length):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
            sock.sendall(b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % target)
            raw = b"".join(iter(lambda: sock.recv(65536), b""))
    except OSError:
        return False
    return raw.startswith(b"HTTP/1.1 200") and len(raw.partition(b"\r\n\r\n")[2]) >= length


def compare(rounds, clients, home):
    servers = [Server(kind, home) for kind in ("front", "stock", "nginx")]
    found = {server.kind: [] for server in servers}
    for number in range(rounds):
        for server in servers if number % 2 else reversed(servers):
            found[server.kind].append(server.load(clients))
    for server in servers:
        server.end()
    ours = found["front"]
    return {
        kind: {
            "req/s": round(statistics.median(rate for rate, _ in results)),
            "cpu us": round(statistics.median(cpu for _, cpu in results), 1),
            "front's req/s / its": round(statistics.median(a / b for (a, _), (b, _) in zip(ours, results, strict=True)), 2),
            "front's cpu / its": round(statistics.median(a / b for (_, a), (_, b) in zip(ours, results, strict=True)), 2),
        }
        for kind, results in found.items()
    }


def idle(count, home, rounds=5):
    """Memory of idle clients, and what they cost the active ones: rounds without and with them are on two servers of a kind."""
    found = {}
    for kind in ("front", "stock"):
        alone, crowded = Server(kind, home), Server(kind, home)
        alone.load(32), crowded.load(32)
        before = crowded.rss()
        clients = [socket.create_connection(("127.0.0.1", crowded.port)) for _ in range(count)]
        for sock in clients:
            sock.sendall(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
            sock.recv(8192)
        each = (crowded.rss() - before) / count
        pairs = [(crowded.load(32), alone.load(32)) for _ in range(rounds)]
        found[kind] = {
            "idle": count, "KiB each": round(each, 1),
            "active req/s with / without": round(statistics.median(a[0] / b[0] for a, b in pairs), 3),
            "active cpu with / without": round(statistics.median(a[1] / b[1] for a, b in pairs), 3),
        }  # fmt: skip
        for sock in clients:
            sock.close()
        alone.end()
        crowded.end()
    return found


def start(home, rounds):
    (home / "keys.json").write_text("[]")
    (home / "store.json").write_text('{"": {"access_key": "A", "secret_key": "s"}}')
    for name in ("keys.json", "store.json"):
        (home / name).chmod(0o600)
    times = []
    for _ in range(rounds):
        port = free()
        (home / "ini").write_text(SITE.format(home=home, port=port))
        begun = time.monotonic()
        process = subprocess.Popen([Path(sys.executable).parent / "s3shunt", "serve", str(home / "ini")], stderr=subprocess.DEVNULL)
        while not answered(port, b"/-/live", 1):
            assert process.poll() is None
            time.sleep(0.005)
        times.append(time.monotonic() - begun)
        process.terminate()
        process.wait()
    return {"seconds, median": round(statistics.median(times), 2), "best": round(min(times), 2)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle", type=int, default=10_000)
    parser.add_argument("--serve", nargs=2)
    given = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if given.serve:
        serve(given.serve[0], int(given.serve[1]))
    with tempfile.TemporaryDirectory() as home:
        load = os.getloadavg()[0]
        print(json.dumps({
            "load before": load,
            "hello, 32 clients": compare(given.rounds, 32, Path(home)),
            "hello, 128 clients": compare(given.rounds, 128, Path(home)),
            "idle": idle(given.idle, Path(home)),
            "start": start(Path(home), given.rounds),
            "load after": os.getloadavg()[0],
        }, indent=1))  # fmt: skip


if __name__ == "__main__":
    main()
