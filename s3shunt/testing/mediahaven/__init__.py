"""MediaHaven, played by a real HTTP server: both APIs, a robot that takes its time, and a knob for everything that goes wrong.

    with MediaHaven() as archive:
        archive.ingest("films", "a.mxf", b"...")
        archive.set(threads=1, outcome={"films/a.mxf": "failed"})

``archive.url`` is what ``[archive:x] url`` is given behind ``mediahaven+``. The same over HTTP, without a password and only on
the loopback: ``POST /-/knobs``, ``/-/ingest``, ``/-/record``, ``/-/crawl``, ``/-/cancel``, ``/-/revoke``, ``GET /-/state``.
"""

import contextlib
import json
import pickle
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from s3shunt.clock import Clock, wall
from s3shunt.testing.mediahaven import events
from s3shunt.testing.mediahaven.api import Api, Call
from s3shunt.testing.mediahaven.deliver import ToS3
from s3shunt.testing.mediahaven.knobs import Knobs
from s3shunt.testing.mediahaven.robot import Destination
from s3shunt.testing.mediahaven.shelves import Held

HOST = "127.0.0.1"
TURN = 0.05


class MediaHaven:
    def __init__(
        self, clock: Clock = wall, port: int = 0, *, destination: Destination | None = None, home: Path | None = None, **knobs: Any
    ) -> None:
        """``home``: where records and exports are kept for the next start."""
        self.api = Api(clock)
        self.home = home / "mediahaven.state" if home else None
        self._restore()
        self.api.set(**knobs)
        self.api.crawl = self.crawl
        self.api.destination = destination or self.api.destination
        self._server = ThreadingHTTPServer((HOST, port), type("Bound", (Handler,), {"owner": self}))
        self._server.daemon_threads = True
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._server.server_address[1]}"

    def __enter__(self) -> "MediaHaven":
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self) -> None:
        self._threads = [threading.Thread(target=act, daemon=True) for act in (self._serve, self._turn)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()
        for thread in self._threads:
            thread.join(5)
        self.keep()

    def _serve(self) -> None:
        self._server.serve_forever(poll_interval=TURN)

    def _turn(self) -> None:
        """The robot goes on, and tells, also when nobody asks."""
        kept = self.api.robot.stand()
        while not self._stopped.wait(TURN):
            if (stand := self.api.turn()) != kept:
                kept = stand
                self.keep()
            self.tell()

    def tell(self) -> list[int]:
        """Post what happened to the webhook; the statuses that came back."""
        with self.api.lock:
            told, self.api.events = self.api.events, []
            knob = self.api.knobs.webhook
        return [events.post(body, knob) for body in events.bodies(told, knob)] if knob.get("url") else []

    # What tests and commands do to it

    def set(self, **knobs: Any) -> None:
        self.api.set(**knobs)

    def ingest(self, bucket: str, key: str, body: bytes, **more: Any) -> Held:
        with self.api.lock:
            return self.api.shelves.ingest(bucket, key, body, now=self.api.clock.now(), **more)

    def crawl(self, bucket: str) -> int:
        """Ingest what is new in a bucket of the destination's S3 store, as a site's own flow would."""
        source = self._source()
        if source is None:
            return 0
        known = {(one.names[1], one.md5) for one in self.api.shelves.held.values()}
        made = 0
        for page in source.client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for item in page.get("Contents", ()):
                if (f"{bucket}/{item['Key']}", item["ETag"].strip('"')) in known:
                    continue
                answer = source.client.get_object(Bucket=bucket, Key=item["Key"])
                self.ingest(bucket, item["Key"], answer["Body"].read(), mime=answer.get("ContentType", ""))
                made += 1
        if made:
            self.keep()
        return made

    def _source(self) -> ToS3 | None:
        """The S3 store that is watched; exports may go to a directory all the same."""
        destination, told = self.api.destination, self.api.knobs.destination
        if isinstance(destination, ToS3):
            return destination
        return ToS3(told) if "endpoint" in told else None

    @property
    def exports(self) -> list[dict[str, Any]]:
        with self.api.lock:
            self.api.turn()
            found: list[dict[str, Any]] = self.api.state()["exports"]
        return found

    def keep(self) -> None:
        if self.home is None:
            return
        bodies = self.home.with_name("bodies")
        bodies.mkdir(exist_ok=True)
        with self.api.lock, NamedTemporaryFile(dir=self.home.parent, delete=False) as file:
            for held in self.api.shelves.held.values():
                if not (bodies / held.id).exists():
                    (bodies / f"{held.id}.part").write_bytes(held.body)
                    (bodies / f"{held.id}.part").rename(bodies / held.id)
            pickle.dump((self.api.shelves, self.api.door, self.api.robot.exports, self.api.robot.mounts, self.api.knobs), file)
        Path(file.name).rename(self.home)

    def _restore(self) -> None:
        if self.home is None or not self.home.exists():
            return
        with self.home.open("rb") as file:
            self.api.shelves, self.api.door, self.api.robot.exports, self.api.robot.mounts, knobs = pickle.load(file)
        self.api.robot.since = self.api.clock.now()
        for held in self.api.shelves.held.values():
            held.body = (self.home.with_name("bodies") / held.id).read_bytes()
        self.api.set(**{name: value for name, value in knobs.written().items() if value != getattr(Knobs(), name)})


class Handler(BaseHTTPRequestHandler):
    owner: MediaHaven
    protocol_version = "HTTP/1.1"
    timeout = 60
    wbufsize = 1 << 16  # an answer in one piece

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        call = Call(self.command, path, query, {name.title(): value for name, value in self.headers.items()}, body)
        with contextlib.suppress(ConnectionError, TimeoutError):
            self._answer(call)

    do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815  # the library's names

    def _answer(self, call: Call) -> None:
        api = self.owner.api
        if hang := api.fault("hang", call):
            wall.sleep(hang.get("wait", 1000) / 1000)
            return self._break()
        if slow := api.fault("slow", call):
            wall.sleep(slow.get("wait", 1000) / 1000)
        if refusal := api.fault("refuse", call):
            return self._send(refusal.get("status", 503), {"message": "not now"}, retry_after=refusal.get("retry_after"))
        status, told = api.answer(call)
        if call.method in ("POST", "DELETE") and not call.path.startswith("/auth/"):
            self.owner.keep()
        if api.fault("lose", call):
            return self._break()
        drip = api.fault("drip", call)
        return self._send(status, told, drip=drip.get("wait") if drip else None)

    def _break(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, status: int, told: Any, *, retry_after: int | None = None, drip: int | None = None) -> None:
        body = b"" if told is None else json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        if retry_after is not None:
            self.send_header("Retry-After", str(retry_after))
        if isinstance(told, dict) and "TotalNrOfResults" in told:
            self.send_header("Result-Count", str(told["TotalNrOfResults"]))
        self.end_headers()
        for piece in [body[at : at + 1] for at in range(len(body))] if drip else [body]:
            self.wfile.write(b"" if self.command == "HEAD" else piece)
            if drip:
                self.wfile.flush()
                wall.sleep(drip / 1000)
