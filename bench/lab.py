"""Everything a comparison needs, each a process of its own that is ended by its id: store, peers, our own front.

The front under test is pinned to the first core, store and load to the others.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from s3shunt.model import Entry, Facts, Interest, ObjectRef, State, Step, Swap

HERE = Path(__file__).parent
FRONT, REST = "0", ",".join(str(core) for core in range(1, os.cpu_count() or 2)) or "0"
KEYS = 10_000
SMALL, LARGE = 4096, 256 << 20
ACCESS, SECRET = "AKBENCH", "bench-secret"
TICKS = os.sysconf("SC_CLK_TCK")

NGINX = """
daemon off; master_process off; pid {home}/{name}.pid; error_log {home}/{name}.log error;
events {{ worker_connections 16000; }}
http {{
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 100000000; keepalive_timeout 300;
  client_max_body_size 0; open_file_cache max=18000; default_type application/octet-stream;
  client_body_temp_path {home}/{name}-b; proxy_temp_path {home}/{name}-p; fastcgi_temp_path {home}/{name}-f;
  uwsgi_temp_path {home}/{name}-u; scgi_temp_path {home}/{name}-s;
  {servers}
}}
"""
STATIC = """server {{ listen 127.0.0.1:{port} backlog=4096; root {home}/www;
  add_header x-amz-request-id tx000000000000000000001-0065a1b2c3; add_header x-amz-version-id null; }}"""
FORWARDING = """
  upstream store {{ server 127.0.0.1:{store}; keepalive 256; keepalive_requests 100000000; }}
  upstream sink {{ server 127.0.0.1:{sink}; keepalive 256; keepalive_requests 100000000; }}
  proxy_http_version 1.1; proxy_set_header Connection ""; proxy_max_temp_file_size 0;
  server {{ listen 127.0.0.1:{plain} backlog=4096; location / {{ proxy_pass http://store; }} }}
  server {{ listen 127.0.0.1:{tuned} backlog=4096;
    location / {{ proxy_buffer_size 16k; proxy_buffers 16 256k; proxy_busy_buffers_size 1m; proxy_pass http://store; }} }}
  server {{ listen 127.0.0.1:{empty} backlog=4096; location / {{ return 200; }} }}
  server {{ listen 127.0.0.1:{uploads} backlog=4096; location / {{ proxy_request_buffering off; proxy_pass http://sink; }} }}
"""

INI = """
[DEFAULT]
state = {state}
[pipeline:main]
pipeline = access_log metrics errors health ratelimit_peer virtual_host sigv4 grants ratelimit lookup restore listing record shunt proxy
{filters}
[filter:ratelimit_peer]
use = egg:s3shunt#ratelimit_peer
exempt = 127.0.0.0/8 ::1
[filter:access_log]
use = egg:s3shunt#access_log
path = {state}/access.log
[app:proxy]
use = egg:s3shunt#proxy
[listen:main]
address = 127.0.0.1:{port}
app = main
connections = 20000
front = {front}
workers = {workers}
parent = no
keep_alive = 600s
[catalog:main]
url = sqlite:///{state}/catalog.db
secret_file = {state}/secret
index = redis+unix://{state}/redis.sock
[keys:main]
url = file://{state}/keys.json
[store:main]
url = s3+http://127.0.0.1:{store}
credentials = {state}/store.json
buckets = per account
evict = none
[store:landing]
like = main
bucket = landing
[archive:tape]
url = tape://{state}/tape
[policy:films]
buckets = films
archive = tape
"""
DOORS = [
    "metrics", "errors", "health", "virtual_host", "sigv4", "grants", "ratelimit", "lookup", "restore", "listing",
    "record", "shunt",
]  # fmt: skip


class Failed(SystemExit):
    """A comparison that came to nothing, and why."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def spent(process: str) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@dataclass
class Program:
    """A running one. ``cpu`` is its utime + stime so far, in seconds."""

    name: str
    process: "subprocess.Popen[bytes]"

    @property
    def cpu(self) -> float:
        """Its workers' included."""
        workers = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return sum(spent(process) for process in (str(self.process.pid), *workers))

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@dataclass
class Lab:
    """Entered once; what a case asks for is started when it is first asked for."""

    home: Path
    front: str = "strict"
    kept: ExitStack = field(default_factory=ExitStack)

    @cached_property
    def ports(self) -> dict[str, int]:
        return {name: free_port() for name in ("store", "sink", "plain", "tuned", "uploads", "empty", "ours", "pair", "shunt_up")}

    def start(self, name: str, command: list[str], *, core: str, port: int | None = None, **environ: str) -> Program:
        log = (self.home / f"{name}.out").open("wb")
        pinned = ["setpriv", "--pdeathsig", "KILL", "taskset", "-c", core, *command]
        program = Program(name, subprocess.Popen(pinned, stdout=log, stderr=log, env={**os.environ, **environ}))
        self.kept.callback(log.close)
        self.kept.callback(program.stop)
        if port is not None:
            self.wait(program, port)
        return program

    def wait(self, program: Program, port: int) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until and program.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.005)
        raise Failed(f"{program.name} did not come up: {(self.home / f'{program.name}.out').read_text()[-2000:]}")

    def tool(self, name: str) -> str:
        """A small program of ours, compiled when first wanted."""
        made = self.home / name
        if not made.exists():
            subprocess.run(["gcc", "-O2", "-pthread", "-o", made, HERE / f"{name}.c"], check=True)
        return str(made)

    def _nginx(self, name: str, servers: str, core: str, port: int) -> Program:
        path = self.home / f"{name}.conf"
        path.write_text(NGINX.format(home=self.home, name=name, servers=servers.format(home=self.home, **self.ports, port=port)))
        command = ["nginx", "-c", str(path), "-p", str(self.home), "-e", str(self.home / f"{name}.log")]
        return self.start(name, command, core=core, port=port)

    @cached_property
    def store(self) -> Program:
        """nginx, static: 10,000 small objects in two buckets, and a large one. Each has bytes of its own."""
        for bucket in ("films", "plain"):
            folder = self.home / "www" / bucket
            folder.mkdir(parents=True)
            for key in range(KEYS):
                (folder / f"{key:05d}").write_bytes(os.urandom(SMALL))
        with (self.home / "www/films/large").open("wb") as file:
            for _ in range(LARGE >> 20):
                file.write(os.urandom(1 << 20))
        return self._nginx("store", STATIC, REST, self.ports["store"])

    @cached_property
    def sink(self) -> Program:
        return self.start("sink", [self.tool("sink"), str(self.ports["sink"])], core=REST, port=self.ports["sink"])

    @cached_property
    def nginx(self) -> Program:
        return self._nginx("front", FORWARDING, FRONT, self.ports["plain"])

    @cached_property
    def ours(self) -> Program:
        """``s3shunt serve`` with the default corridor, a warm catalog that knows every film, and its index."""
        return self._serve("ours", self.ports["ours"], self.ports["store"])

    @cached_property
    def taking(self) -> Program:
        """The same in front of the sink."""
        return self._serve("shunt_up", self.ports["shunt_up"], self.ports["sink"])

    @cached_property
    def pair(self) -> Program:
        """Two workers, on all cores."""
        return self._serve("pair", self.ports["pair"], self.ports["store"], workers=2)

    def _serve(self, name: str, port: int, store: int, workers: int = 1) -> Program:
        state = self.home / name
        state.mkdir()
        ini = state / "bench.ini"
        filters = "\n".join(f"[filter:{door}]\nuse = egg:s3shunt#{door}" for door in DOORS)
        ini.write_text(INI.format(state=state, filters=filters, port=port, store=store, front=self.front, workers=workers))
        keys = {"access_key": ACCESS, "secret_key": SECRET, "account": "main"}
        for file, content in (("keys.json", [keys]), ("store.json", {"main": {"access_key": "STORE", "secret_key": "store-secret"}})):
            (state / file).touch(mode=0o600)
            (state / file).write_text(json.dumps(content))
        redis = ["redis-server", "--port", "0", "--unixsocket", str(state / "redis.sock"), "--save", "", "--dir", str(state)]
        self.start(f"{name}-redis", redis, core=REST)
        subprocess.run([sys.executable, "-m", "s3shunt", "catalog", "upgrade", "-c", ini], check=True, stdout=subprocess.DEVNULL)
        if name in ("ours", "pair"):
            self._catalogue(ini)
        core = FRONT if workers == 1 else f"{FRONT},{REST}"
        return self.start(name, [sys.executable, "-m", "s3shunt", "serve", str(ini)], core=core, port=port)

    def _catalogue(self, ini: Path) -> None:
        from s3shunt import connect

        truth = connect.house(ini).truth()
        modified = int((self.home / "www/films/00000").stat().st_mtime) * 1000
        for begin in range(0, KEYS, 500):
            refs = [ObjectRef("films", f"{key:05d}", "null", "main") for key in range(begin, begin + 500)]
            facts = Facts(size=SMALL, etag="0", last_modified=modified)
            assert truth.commit(Step(swaps=tuple(Swap(None, Entry(ref=ref, facts=facts)) for ref in refs)))

    def restoring(self, key: str) -> None:
        """An object that is on its way back from tape."""
        from s3shunt import connect

        truth = connect.house(self.home / "ours/bench.ini").truth()
        facts = Facts(size=SMALL, etag='"0"', last_modified=0)
        tape = {"archive": "tape", "archive_id": "a", "interests": (Interest("i", 1),)}
        row = Entry(ref=ObjectRef("films", key, "null", "main"), facts=facts, state=State.RECALLING, storage_class="GLACIER", **tape)
        assert truth.commit(Step(swaps=(Swap(None, row),)))

    def versions(self) -> dict[str, str]:
        def said(*command: str) -> str:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            return (done.stdout + done.stderr).strip().splitlines()[0] if shutil.which(command[0]) else "not here"

        from importlib.metadata import version

        names = ("eventlet", "greenlet", "WebOb", "httptools", "redis")
        return {
            "python": sys.version.split()[0], "kernel": os.uname().release, "nginx": said("nginx", "-v"), "wrk": said("wrk", "-v")[:12],
            "redis-server": said("redis-server", "--version")[:22], "cores": str(os.cpu_count()),
            **{name: version(name) for name in names},
        }  # fmt: skip
