"""Ours beside others that answer the same signed reads of 4 KiB, each on the core that is ours (P3, P4)."""

import http.client
import os
import re
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import lab
import load
import peers
from lab import Failed, Lab, Program
from load import Rows, Target
from peers import Peer

from s3shunt import clock
from s3shunt.protocol import sigv4

OBJECTS, SECONDS = 1000, 3
PATIENCE = 60.0

GATEWAY = """
load_module {module};
daemon off; master_process off; pid {home}/gateway.pid; error_log {home}/gateway.log error;
events {{ worker_connections 16000; }}
http {{
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 100000000; keepalive_timeout 300;
  default_type application/octet-stream;
  client_body_temp_path {home}/b; proxy_temp_path {home}/p; fastcgi_temp_path {home}/f; uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
  js_path {here}; js_import gateway from gateway.js;
  js_set $gateway_now gateway.instant; js_set $gateway_authorization gateway.authorization;
  upstream store {{ server 127.0.0.1:{store}; keepalive 256; keepalive_requests 100000000; }}
  upstream ours {{ server 127.0.0.1:{ours}; keepalive 4; }}
  proxy_http_version 1.1; proxy_max_temp_file_size 0;
  proxy_set_header Connection ""; proxy_set_header Host $gateway_host;
  proxy_set_header Authorization $gateway_authorization; proxy_set_header x-amz-date $gateway_now;
  proxy_set_header x-amz-content-sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855;
  server {{ listen 127.0.0.1:{lean} backlog=4096; {keys}
    location / {{ proxy_pass http://store; }} }}
  server {{ listen 127.0.0.1:{whole} backlog=4096; {keys}
    location / {{ js_content gateway.forward; }}
    location @store {{ js_header_filter gateway.headers; proxy_pass http://store; }} }}
  server {{ listen 127.0.0.1:{checked} backlog=4096; {keys} location / {{ proxy_pass http://ours; }} }}
  server {{ listen 127.0.0.1:{wrong} backlog=4096; {wrong_keys} location / {{ proxy_pass http://ours; }} }}
}}
"""


def gateway(where: Lab, rounds: int) -> Rows:
    """P3: signed 4 KiB GETs, against nginx that signs for the store with SigV4 in njs (and verifies nothing)."""
    where.store, where.ours  # noqa: B018  # started
    ports = {name: lab.free_port() for name in ("lean", "whole", "checked", "wrong")}
    try:
        program = _gateway(where, ports)
        _signs(ports)
    except Failed as why:
        return [left_out("nginx + njs", why)]
    requests, port = _warm(where), where.ports["ours"]
    targets = [
        Target(name, lambda at=ports[at]: load.wrk(where, program, at, requests))
        for name, at in (("nginx + njs, signing only", "lean"), ("nginx + njs, redirect and filter", "whole"))
    ]
    targets.append(Target("ours", lambda: load.wrk(where, where.ours, port, requests)))
    for at in (ports["lean"], ports["whole"]):
        load.same(where, at, requests)
    load.verify(where, port, requests)
    found = load.interleaved(targets, rounds)
    load.verify(where, port, requests)
    let_through = {"flipped": load.flipped(ports["whole"], requests.read_text().splitlines()[0])}
    said = {"flipped": 403, "load": os.getloadavg()}
    lean, whole, ours = load.rows(found, targets[0].name, "req/s, us")
    beside = load.rows(found, targets[1].name, "req/s, us")[2]
    return [
        {**lean, **said, **let_through}, {**whole, **said, **let_through},
        {**ours, **said, "who": f"ours beside {lean['who']}", "peer": lean["who"]},
        {**beside, **said, "who": f"ours beside {whole['who']}", "peer": whole["who"]},
    ]  # fmt: skip


def _gateway(where: Lab, ports: dict[str, int]) -> Program:
    home = where.home / "gateway"
    home.mkdir()

    def keys(secret: str) -> str:
        host = f"127.0.0.1:{where.ports['ours']}"
        return f"set $gateway_access {lab.ACCESS}; set $gateway_secret {secret}; set $gateway_host {host};"

    given = {"store": where.ports["store"], "ours": where.ports["ours"], "keys": keys(lab.SECRET), "wrong_keys": keys("x" + lab.SECRET)}
    conf = home / "nginx.conf"
    conf.write_text(GATEWAY.format(module=peers.njs(), home=home, here=lab.HERE, **given, **ports))
    command = [peers.program("nginx"), "-c", str(conf), "-p", str(home), "-e", str(home / "gateway.log")]
    return where.start("gateway", command, core=lab.FRONT, port=ports["lean"])


def _signs(ports: dict[str, int]) -> None:
    """What it signs is what we verify, and with another secret it is not."""
    answers = [load.fetched(ports[name], "/films/00001", ["host: x"])[0] for name in ("checked", "wrong")]
    if answers != [200, 403]:
        raise Failed(f"its signatures bring {answers}")


def serving(where: Lab, rounds: int) -> Rows:
    """P4: signed 4 KiB GETs, against others that serve them themselves, and HAProxy that forwards them."""
    where.store, where.ours  # noqa: B018
    _warm(where)
    made: Rows = []
    for peer in peers.PEERS:
        try:
            made += _beside(where, peer, rounds)
        except Failed as why:
            made.append(left_out(peer.name, why))
    return made


def left_out(name: str, why: Failed) -> dict[str, str]:
    return {"who": f"{name}: left out: {' '.join(str(why).split())[:400]}", "unit": "-", "left_out": name}


def _beside(where: Lab, peer: Peer, rounds: int) -> Rows:
    """The peer runs only while it is measured."""
    own = Lab(where.home / re.sub(r"\W+", "-", peer.name))
    own.home.mkdir()
    with own.kept:
        port = lab.free_port()
        program = peer.start(own, port, where.ports["store"])
        if peer.stores:
            _fill(where, port, peer.keys)
        theirs, ours = own.home / "requests", _requests(where)
        theirs.write_text("\n".join(_asked(port, peer.keys)) + "\n")
        flipped = load.flipped(port, load.same(where, port, theirs))
        found = load.interleaved(
            [
                Target(peer.name, lambda: load.wrk(where, program, port, theirs, seconds=SECONDS)),
                Target("ours", lambda: load.wrk(where, where.ours, where.ports["ours"], ours, seconds=SECONDS)),
            ],
            rounds,
        )
        load.same(where, port, theirs)
        load.verify(where, where.ports["ours"], ours)
    said = {"peer": peer.name, "load": os.getloadavg()}
    first, second = load.rows(found, peer.name, "req/s, us")
    return [
        {**first, **said, "flipped": flipped, "who": f"{peer.name}; a flipped bit: {flipped}"},
        {**second, **said, "flipped": 403, "who": f"ours beside {peer.name}"},
    ]


def _asked(port: int, keys: tuple[str, str]) -> Iterator[str]:
    """10,000 requests, no two signatures alike: each object in ten different seconds."""
    host, now = f"127.0.0.1:{port}", clock.wall.now()
    for back in range(lab.KEYS // OBJECTS):
        for key in range(OBJECTS):
            path = f"/films/{key:05d}"
            yield "\t".join([path, *load.signed("GET", path, host, keys=keys, x_amz_date=sigv4.timestamp(now - back * 1000))])


def _requests(where: Lab) -> Path:
    """Ours, signed anew: a signature is good for a quarter of an hour."""
    path = where.home / "beside.requests"
    path.write_text("\n".join(load.small("films", where.ports["ours"], "header")) + "\n")
    return path


def _warm(where: Lab) -> Path:
    """Every key asked for once."""
    path = _requests(where)
    load.wrk(where, where.ours, where.ports["ours"], path, seconds=12)
    return path


def _fill(where: Lab, port: int, keys: tuple[str, str]) -> None:
    """The first thousand of our films, the same bytes; a peer may need a while until it takes a bucket."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    until = time.monotonic() + PATIENCE
    while (said := _put(connection, "/films", b"", keys))[0] != 200:
        if time.monotonic() > until:
            raise Failed(f"it takes no bucket: {said}")
        time.sleep(0.5)
    for key in range(OBJECTS):
        said = _put(connection, f"/films/{key:05d}", (where.home / f"www/films/{key:05d}").read_bytes(), keys)
        if said[0] != 200:
            raise Failed(f"it takes no object: {said}")
    connection.close()


def _put(connection: http.client.HTTPConnection, path: str, body: bytes, keys: tuple[str, str]) -> tuple[int, str]:
    host = f"127.0.0.1:{connection.port}"
    lines = load.signed("PUT", path, host, sha256(body).hexdigest(), keys, content_length=str(len(body)))
    try:
        connection.request("PUT", path, body, dict(line.split(": ", 1) for line in lines))
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")[:300]
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return 0, str(error)
