"""A site for soaks: a store in memory, Redis, SQLite and a real ``s3shunt serve``; and plain sockets to ask it."""

import json
import os
import secrets
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest

from s3shunt import clock
from s3shunt.protocol import presigned, sigv4

ACCESS, SECRET = "SOAK", "a secret for soaks"
CORRIDOR = (
    "access_log metrics errors health ratelimit_peer virtual_host sigv4 grants ratelimit lookup restore listing record shunt"  # the default
)
INI = """
[DEFAULT]
state = {home}
[pipeline:main]
pipeline = {corridor} proxy
{filters}
[filter:ratelimit_peer]
use = egg:s3shunt#ratelimit_peer
exempt = 127.0.0.0/8
[filter:access_log]
use = egg:s3shunt#access_log
path = {home}/access.log
[app:proxy]
use = egg:s3shunt#proxy
connections = {links}
spool = 64K
gap = 5s
[listen:main]
address = 127.0.0.1:{port}
app = main
workers = {workers}
parent = {parent}
connections = 200
drain = 20s
[catalog:main]
url = sqlite:///{home}/catalog.db
secret_file = {home}/secret
connections = {files}
index = redis+unix://{home}/redis.sock
[keys:main]
url = file://{home}/keys.json
[store:main]
url = s3+http://127.0.0.1:{store}
credentials = {home}/store.json
evict = none
acl = no
[store:landing]
like = main
bucket = landing
[archive:tape]
url = tape://{home}/tape
[policy:films]
buckets = films
archive = tape
after = 30d
"""
FILES = 6
"""Connections to the database: with each a file and its log are open."""
RESET = struct.pack("ii", 1, 0)


def free():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def private(path, facts):
    path.touch(mode=0o600)
    path.write_text(facts if isinstance(facts, str) else json.dumps(facts))


class Site:
    """``films`` has a policy: each write is recorded. ``plain`` has none."""

    def __init__(self, home, workers, links):
        self.home, self.port, self.store = home, free(), free()
        self.links, self.parent = links, workers > 1
        private(home / "keys.json", [{"access_key": ACCESS, "secret_key": SECRET, "account": "desk"}])
        private(home / "store.json", {"": {"access_key": "STORE", "secret_key": "of the store"}})
        private(home / "secret", secrets.token_hex(32))
        plain = [door for door in CORRIDOR.split() if door not in ("access_log", "ratelimit_peer")]
        filters = "\n".join(f"[filter:{door}]\nuse = egg:s3shunt#{door}" for door in plain)
        (home / "ini").write_text(
            INI.format(
                home=home, corridor=CORRIDOR, filters=filters, port=self.port, store=self.store, links=links, files=FILES, workers=workers,
                parent="yes" if self.parent else "no",
            )
        )  # fmt: skip
        self.running = []

    def start(self):
        redis, ours = self.home / "redis.sock", (sys.executable, "-m", "s3shunt")
        self.run("redis-server", "--port", "0", "--unixsocket", str(redis), "--save", "", "--appendonly", "no", "--dir", str(self.home))
        self.run(sys.executable, str(Path(__file__).with_name("store.py")), str(self.store))
        until(redis.is_socket)
        subprocess.run([*ours, "catalog", "upgrade", "-c", self.home / "ini"], check=True, stdout=subprocess.DEVNULL)
        self.serve = self.run(*ours, "serve", str(self.home / "ini"))
        until(lambda: self.answers(self.store) and self.answers(self.port), self.said)
        with Client(self) as client:
            for bucket in ("films", "plain"):
                assert client.ask("PUT", f"/{bucket}").status == 200

    def run(self, *command):
        with (self.home / "said").open("ab") as said:
            process = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *command], stdout=said, stderr=said)
        self.running.append(process)
        return process

    def answers(self, port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def said(self):
        return (self.home / "said").read_text(errors="replace")[-3000:]

    def held(self):
        """What the store holds: SHA-256 by bucket and key."""
        with socket.create_connection(("127.0.0.1", self.store), timeout=60) as sock:
            sock.sendall(b"GET /-/held HTTP/1.1\r\n\r\n")
            return json.loads(Reading(sock).answer("GET").body)

    # of the process that serves

    def resident(self):
        """MiB."""
        lines = Path(f"/proc/{self.serve.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

    def descriptors(self):
        """How many of each kind are open. Those that pools keep are of the kinds 'the database', 'a link to the store', 'a socket'."""
        sockets = {inode: kind for kind, inode in self._sockets()}
        found = Counter()
        for entry in Path(f"/proc/{self.serve.pid}/fd").iterdir():
            try:
                name = str(entry.readlink())
            except FileNotFoundError:
                continue
            inode = name[8:-1] if name.startswith("socket:[") else ""
            if name.startswith(f"{self.home}/catalog.db"):
                name = "the database"
            found[sockets.get(inode, "a socket") if inode else name.partition(":[")[0]] += 1
        return found

    def _sockets(self):
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            ours, theirs = (int(side.rpartition(":")[2], 16) for side in fields[1:3])
            if theirs == self.store:
                yield "a link to the store", fields[9]
            elif ours == self.port:
                yield ("the listener" if fields[3] == "0A" else "a client"), fields[9]

    # of its parent and the workers

    def workers(self):
        return set(Path(f"/proc/{self.serve.pid}/task/{self.serve.pid}/children").read_text().split())

    def change(self, how, count):
        """Reload, hand over, or end one worker; returns when ``count`` others than before are there."""
        before = self.workers()
        ended = {min(before)} if how is signal.SIGTERM else before
        os.kill(int(min(before)) if how is signal.SIGTERM else self.serve.pid, how)
        until(lambda: len(now := self.workers()) == count and not now & ended, self.said)

    def stop(self):
        codes = []
        for process in reversed(self.running):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                codes.append(process.wait(40))
            except subprocess.TimeoutExpired:
                process.kill()
                codes.append(process.wait())
        return codes[0]


def until(true, told=lambda: "", seconds=60):
    end = clock.wall.monotonic() + seconds
    while not true():
        assert clock.wall.monotonic() < end, f"it never came true: {told()}"
        threading.Event().wait(0.05)


class Answer:
    def __init__(self, status, fields, body, whole):
        self.status, self.fields, self.body, self.whole = status, fields, body, whole
        """``whole``: as many bytes came as were announced."""

    def __repr__(self):
        return f"{self.status} {self.fields} {self.body[:300]!r} whole={self.whole}"


class Reading:
    """Answers from a socket."""

    def __init__(self, sock):
        self.sock, self.buffer = sock, b""

    def answer(self, method, most=None):
        """The next one, at most ``most`` bytes of its body. Raises ConnectionError without a head."""
        while True:
            while b"\r\n\r\n" not in self.buffer:
                data = self.sock.recv(65536)
                if not data:
                    raise ConnectionError(f"the end came before an answer: {self.buffer!r}")
                self.buffer += data
            head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            status = int(first.split(" ")[1])
            if status != 100:
                break
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = 0 if method == "HEAD" or status in (204, 304) else int(fields["content-length"])
        body, whole = self._body(length if most is None else min(most, length))
        return Answer(status, fields, body, whole and len(body) == length)

    def _body(self, wanted):
        pieces, count = [self.buffer[:wanted]], min(len(self.buffer), wanted)
        self.buffer = self.buffer[wanted:]
        while count < wanted:
            try:
                data = self.sock.recv(min(wanted - count, 1 << 18))
            except ConnectionError:
                data = b""
            if not data:
                return b"".join(pieces), False
            pieces.append(data)
            count += len(data)
        return b"".join(pieces), True


class Client:
    """One connection, made anew where the other side said that it ends."""

    def __init__(self, site):
        self.site, self.sock, self.reading = site, None, None
        self.host = f"127.0.0.1:{site.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.leave()

    def connect(self):
        if self.sock is None:
            self.sock = socket.create_connection(("127.0.0.1", self.site.port), timeout=60)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.reading = Reading(self.sock)

    def leave(self, *, abruptly=False):
        if self.sock is not None:
            if abruptly:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.sock.close()
            self.sock = None

    def ask(self, method, path, query=(), body=b"", *, way="signed", flip=False, **fields):
        head, sent = self.wire(method, path, query, body, way, fields, flip=flip)
        self.connect()
        self.sock.sendall(head + sent)
        return self.answer(method)

    def answer(self, method, most=None):
        found = self.reading.answer(method, most)
        if found.fields.get("connection", "").lower() == "close" or not found.whole:
            self.leave()
        return found

    def wire(self, method, path, query, body, way, fields, *, flip=False):
        """Head and body as they are sent. ``way``: signed (with its body), unsigned, chunks (each signed), unknown (length), presigned."""
        stamp = sigv4.timestamp(clock.wall.now())
        sent = {"host": self.host, **{name.replace("_", "-"): value for name, value in fields.items()}}
        given = {"access_key": ACCESS, "secret_key": SECRET, "timestamp": stamp}
        if way == "presigned":
            made = presigned.presign(method, path, query, sent, **given)
            return self.head(method, f"{path}?{turned(made) if flip else made}", sent, body), body
        payload = {"signed": sha256(body).hexdigest(), "chunks": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}.get(way, sigv4.UNSIGNED)
        payload = sent.pop("x-amz-content-sha256", payload)
        sent |= {"x-amz-date": stamp, "x-amz-content-sha256": payload}
        if way == "chunks":
            sent |= {"x-amz-decoded-content-length": str(len(body)), "content-encoding": "aws-chunked"}
        value = sigv4.authorization(method, path, query, sent, payload, **given)
        if way == "chunks":
            body = chunks(body, stamp, value.rpartition("=")[2])
        if way == "unknown":
            body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces(body)) + b"0\r\n\r\n"
            sent["transfer-encoding"] = "chunked"
        sent["authorization"] = turned(value) if flip else value
        target = path + ("?" + sigv4.canonical_query(query) if query else "")
        return self.head(method, target, sent, body), body

    def head(self, method, target, sent, body):
        if (method == "PUT" or body) and "transfer-encoding" not in sent:
            sent = {**sent, "content-length": str(len(body))}
        return "\r\n".join([f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items()), "", ""]).encode()


def turned(signed):
    """With one bit of the signature flipped."""
    return signed[:-1] + chr(ord(signed[-1]) ^ 1)


def pieces(body, size=60_000):
    return [body[at : at + size] for at in range(0, len(body), size)]


def chunks(body, stamp, seed):
    """aws-chunked, each signed."""
    scope = sigv4.Scope(stamp[:8], "us-east-1")
    key, made = sigv4.signing_key(SECRET, scope), []
    for piece in [*pieces(body, 65536), b""]:
        text = f"AWS4-HMAC-SHA256-PAYLOAD\n{stamp}\n{scope}\n{seed}\n{sigv4.EMPTY_SHA256}\n{sha256(piece).hexdigest()}"
        seed = key.sign(text)
        made.append(b"%x;chunk-signature=%b\r\n%b\r\n" % (len(piece), seed.encode(), piece))
    return b"".join(made)


@pytest.fixture
def client():
    """``with client(site) as one``"""
    return Client


@pytest.fixture
def soaked(tmp_path):
    """``soaked(workers=2)``: a site, ready. It ends cleanly."""
    made = []

    def start(workers=1, links=48):
        made.append(Site(tmp_path, workers, links))
        made[0].start()
        return made[0]

    yield start
    for site in made:
        assert site.stop() == 0, site.said()
