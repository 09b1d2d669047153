"""The relay against a store on a socket that does as told: nothing cut ever passes for whole."""

import datetime as dt
import ipaddress
import os
import socketserver
import ssl
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from s3shunt import clock, green
from s3shunt.protocol.errors import BadDigest, IncompleteBody, ServiceUnavailable, SlowDown
from s3shunt.relay import Head, Limits, Relay, sign
from s3shunt.testing.clock import HandClock
from s3shunt.testing.origin import HttpOrigin, Reply

BIG = bytes(range(256)) * 1024
QUICK = Limits(connect=2000, response=300, gap=300)


def get(relay, target="/films/a", **more):
    return relay.send(Head("GET", target, [("host", relay.host)]), **more)


def put(relay, pieces, length):
    return relay.send(Head("PUT", "/films/a", [("host", relay.host), ("content-length", str(length))], length), pieces)


@pytest.fixture
def origin():
    with HttpOrigin() as running:
        yield running


@pytest.fixture
def relay(origin):
    made = Relay(origin.endpoint, QUICK, timer=HandClock())
    yield made
    made.close()
    assert made.open == 0


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("body", [b"", b"x", BIG])
def test_an_answer_comes_whole_and_its_connection_is_used_again(origin, relay, chunked, body):
    origin.script += [Reply(206, body, [("ETag", '"1"')], chunked=chunked)] * 3
    for _ in range(3):
        answer = get(relay)
        assert (answer.status, answer.field("etag"), b"".join(answer.body)) == (206, '"1"', body)
    assert origin.connections == 1


@pytest.mark.parametrize("target", ["/films//a/../b%2Fc%20+~", "/films/%C3%A9?x=&y=%2B", "//evil.example/x"])
def test_the_target_goes_out_exactly_as_given(origin, relay, target):
    get(relay, target)
    assert origin.requests[0].target == target


def test_nothing_is_sent_that_was_not_asked_for(origin, relay):
    get(relay)
    assert origin.requests[0].fields == {"host": relay.host}


def test_a_body_is_streamed_with_its_length(origin, relay):
    assert put(relay, [BIG, b"end"], len(BIG) + 3).status == 200
    assert (origin.requests[0].body, origin.requests[0].cut) == (BIG + b"end", False)


@pytest.mark.parametrize("status", [200, 204, 304, 404])
def test_a_head_has_no_body_whatever_its_length_says(origin, relay, status):
    origin.script += [Reply(status, b"", [("Content-Length", "12345")] if status not in (204, 304) else [])] * 2
    for _ in range(2):
        answer = relay.send(Head("HEAD", "/films/a", [("host", relay.host)]))
        assert (answer.status, list(answer.body)) == (status, [])
    assert origin.connections == 1


def failing(error):
    yield b"begun"
    raise error


def test_a_body_that_breaks_cuts_the_upload(origin, relay):
    with pytest.raises(BadDigest):
        put(relay, failing(BadDigest()), 10)
    assert origin.wait(1)[0].cut
    assert relay.open == 0


@pytest.mark.parametrize("pieces", [[b"1234"], [b"123456"], []])
def test_a_body_of_another_length_than_announced_is_cut_short(origin, relay, pieces):
    with pytest.raises(IncompleteBody):
        put(relay, pieces, 5)
    assert origin.wait(1)[0].cut


def test_an_answer_before_the_end_of_the_body_is_relayed(origin, relay):
    origin.script.append(Reply(403, b"<Error/>", early=True))
    sent = []

    def endless():
        for _ in range(400):
            sent.append(1)
            yield BIG

    answer = put(relay, endless(), 400 * len(BIG))
    assert (answer.status, b"".join(answer.body)) == (403, b"<Error/>")
    assert len(sent) < 400
    assert relay.open == 0


def test_a_success_before_the_end_of_the_body_is_no_success(origin, relay):
    origin.script.append(Reply(200, b"", early=True))
    with pytest.raises(ServiceUnavailable):
        put(relay, (BIG for _ in range(400)), 400 * len(BIG))


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("cut", [0, 1, 70_000, len(BIG) - 1])
def test_a_cut_answer_raises(origin, relay, chunked, cut):
    origin.script.append(Reply(200, BIG, chunked=chunked, cut=cut))
    answer = get(relay)
    with pytest.raises(IncompleteBody):
        b"".join(answer.body)
    assert relay.open == 0


def test_a_chunked_answer_without_its_last_chunk_is_cut(origin, relay):
    origin.script.append(Reply(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", cut=0))
    with pytest.raises(IncompleteBody):
        b"".join(get(relay).body)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nuntil close",
        b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_an_answer_without_a_certain_end_is_none(origin, relay, raw):
    origin.script.append(Reply(raw=raw, close=True, cut=0))
    with pytest.raises(ServiceUnavailable) as caught:
        get(relay)
    assert caught.value.retry_after
    assert relay.open == 0


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("body", [b"", b"abc", BIG])
def test_bytes_behind_an_answer_never_reach_the_next_request(origin, relay, chunked, body):
    hidden = b"HTTP/1.1 200 Hidden\r\nContent-Length: 5\r\n\r\nowned"
    origin.script += [Reply(200, body, chunked=chunked, behind=hidden), Reply(200, b"mine")]
    assert b"".join(get(relay).body) == body
    assert b"".join(get(relay).body) == b"mine"
    assert origin.connections == 2


def test_an_abandoned_answer_takes_its_connection_with_it(origin, relay):
    origin.script.append(Reply(200, BIG))
    answer = get(relay)
    next(iter(answer.body))
    answer.body.close()
    assert relay.open == 0
    assert get(relay).status == 200
    assert origin.connections == 2


def test_an_answer_nobody_kept_takes_its_connection_with_it(origin, relay):
    origin.script.append(Reply(200, BIG))
    get(relay)
    assert relay.open == 0


def test_a_silent_store_is_given_up(origin, relay):
    origin.script.append(Reply(silent=True))
    with pytest.raises(ServiceUnavailable):
        get(relay)


def test_a_stalled_body_is_given_up(origin, relay):
    origin.script.append(Reply(200, b"x", [("Content-Length", "10")], stall=True))
    answer = get(relay)
    with pytest.raises(IncompleteBody):
        b"".join(answer.body)


def test_only_what_may_be_repeated_is_repeated(origin, relay):
    origin.script += [Reply(raw=b"", close=True), Reply(raw=b"", close=True), Reply(200, b"third")]
    answer = get(relay, retry=True)
    assert (b"".join(answer.body), answer.attempts) == (b"third", 3)
    origin.script += [Reply(raw=b"", close=True), Reply(200)]
    with pytest.raises(ServiceUnavailable):
        get(relay)


def test_a_store_that_never_answers_is_asked_three_times(origin, relay):
    origin.script += [Reply(raw=b"", close=True)] * 4
    with pytest.raises(ServiceUnavailable):
        get(relay, retry=True)
    assert len(origin.requests) == 3


def test_all_attempts_together_have_one_deadline(origin):
    relay = Relay(origin.endpoint, Limits(response=300, budget=450))
    origin.script += [Reply(silent=True)] * 3
    with pytest.raises(ServiceUnavailable) as caught:
        get(relay, retry=True)
    assert (len(origin.requests), relay.open, caught.value.retry_after) == (2, 0, 1)


@pytest.mark.parametrize("ask", [get, lambda relay: put(relay, [b"x"], 1)])
def test_the_head_of_an_answer_has_what_is_left_of_the_budget(origin, ask):
    relay = Relay(origin.endpoint, Limits(response=20_000, budget=300))
    origin.script.append(Reply(silent=True))
    begun = clock.wall.monotonic()
    with pytest.raises(ServiceUnavailable):
        ask(relay)
    assert clock.wall.monotonic() - begun < 10
    assert relay.open == 0


def test_the_time_that_a_body_takes_is_not_the_budgets(origin):
    relay = Relay(origin.endpoint, Limits(response=300, budget=400))

    def slowly():
        for _ in range(4):
            green.sleep(0.15)
            yield b"x"

    assert put(relay, slowly(), 4).status == 200
    relay.close()


def test_a_store_that_is_away_is_unavailable():
    with HttpOrigin() as origin:
        relay = Relay(origin.endpoint, QUICK)
    with pytest.raises(ServiceUnavailable) as caught:
        get(relay, retry=True)
    assert caught.value.retry_after == 1


def test_a_pooled_connection_that_the_store_closed_is_not_used(origin, relay):
    origin.script += [Reply(200, b"1"), Reply(200, b"2", close=True)]
    assert b"".join(get(relay).body) == b"1"
    assert b"".join(get(relay).body) == b"2"
    assert b"".join(put(relay, [b"x"], 1).body) == b""
    assert origin.connections == 2


@pytest.mark.parametrize("farewell", [b"", b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"])
def test_a_connection_that_said_goodbye_while_idle_is_not_used(origin, relay, farewell):
    origin.script.append(Reply(200, b"1", stall=True))
    assert b"".join(get(relay).body) == b"1"
    if farewell:
        origin.say(farewell)
    else:
        origin.hang_up()
    while not relay._idle[0][0].stirred():
        pass
    assert put(relay, [b"x"], 1).status == 200
    assert origin.connections == 2


def test_a_connection_idle_for_long_is_not_used(origin):
    timer = HandClock()
    relay = Relay(origin.endpoint, QUICK, timer=timer)
    get(relay)
    timer.later(4001)
    get(relay)
    relay.close()
    assert origin.connections == 2


class Echo(socketserver.StreamRequestHandler):
    """Answers each request with its own target."""

    def handle(self):
        while line := self.rfile.readline():
            target = line.split()[1]
            while self.rfile.readline().strip():
                pass
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(target), target))


def test_threads_that_share_the_pool_get_each_their_own_answer():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        relay = Relay(f"http://127.0.0.1:{server.server_address[1]}", Limits(connections=8))
        with ThreadPoolExecutor(8) as pool:
            targets = [f"/films/{number}" for number in range(800)]
            bodies = [b"".join(answer.body) for answer in pool.map(lambda target: get(relay, target), targets)]
        assert bodies == [target.encode() for target in targets]
        assert 0 < relay.open <= 8
        relay.close()
        assert relay.open == 0
        server.shutdown()


def test_a_full_pool_refuses_at_once(origin):
    relay = Relay(origin.endpoint, Limits(connections=1))
    origin.script.append(Reply(200, BIG))
    answer = get(relay)
    with pytest.raises(SlowDown):
        get(relay, retry=True)
    answer.body.close()
    assert get(relay).status == 200
    relay.close()


def test_a_redirect_is_an_answer_like_any_other(origin, relay):
    origin.script.append(Reply(307, b"", [("Location", "http://evil.example/")]))
    assert get(relay).status == 307
    assert len(origin.requests) == 1


def test_the_environment_has_no_say_in_where_it_goes(origin, relay, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert get(relay).status == 200


@pytest.mark.parametrize("endpoint", ["ftp://a", "http://", "http://a/path", "127.0.0.1:80"])
def test_an_endpoint_is_a_host_and_nothing_more(endpoint):
    with pytest.raises(ValueError, match="expected"):
        Relay(endpoint)


def test_what_is_signed_is_what_is_sent():
    head = sign(
        Head("GET", "/films/a%20b", [("range", "bytes=0-1")]), [("versionId", "a b"), ("acl", "")],
        host="h:1", credential=("AK", "SK"), region="r", now=1_767_609_000_000,
    )  # fmt: skip
    assert head.target == "/films/a%20b?acl=&versionId=a%20b"
    fields = dict(head.fields)
    assert fields["x-amz-date"] == "20260105T103000Z"
    assert "Credential=AK/20260105/r/s3/aws4_request, SignedHeaders=host;range;x-amz-content-sha256;x-amz-date," in fields["authorization"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A file with the key and certificate of 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "store")])
    start = dt.datetime(2020, 1, 1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start.replace(year=2100))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "store.pem"
    clear = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(key.private_bytes(*clear) + made.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.fixture
def secure(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with HttpOrigin(tls=context) as running:
        yield running


def test_a_secure_store_is_known_by_its_certificate(secure, certificate):
    relay = Relay(secure.endpoint, QUICK, cafile=str(certificate))
    secure.script += [Reply(200, BIG), Reply(200, BIG, chunked=True), Reply(200, b"end")]
    assert [b"".join(get(relay).body) for _ in range(3)] == [BIG, BIG, b"end"]
    assert secure.connections == 1
    relay.close()


def test_a_store_with_another_certificate_is_not_spoken_to(secure):
    with pytest.raises(ServiceUnavailable):
        get(Relay(secure.endpoint, QUICK))
    assert not secure.requests


GREEN = """
import sys, warnings
warnings.simplefilter("ignore")
from s3shunt import green
green.use_eventlet()
import eventlet
from s3shunt.relay import Head, Limits, Relay
relay = Relay(sys.argv[1], Limits(response=500), cafile=sys.argv[2] or None)
ticks = []
def tick():
    while True:
        ticks.append(1)
        eventlet.sleep(0.01)
eventlet.spawn_n(tick)
fields = [("host", relay.host), ("content-length", "5")]
sizes = [len(b"".join(relay.send(Head("PUT", "/films/a", fields, 5), [b"hello"]).body)) for _ in range(3)]
try:
    relay.send(Head("GET", "/films/a", [("host", relay.host)]))
except Exception as error:
    print(type(error).__name__)
print(sizes, relay.open, len(ticks) > 20)
"""


@pytest.mark.parametrize("tls", [False, True])
def test_under_green_threads_nobody_else_waits_for_a_store(origin, secure, certificate, tls):
    store = secure if tls else origin
    store.script += [Reply(200, BIG), Reply(200, BIG, chunked=True), Reply(200, b"end"), Reply(silent=True)]
    command = [sys.executable, "-c", GREEN, store.endpoint, str(certificate) if tls else ""]
    ended = subprocess.run(command, check=False, capture_output=True, timeout=60, text=True)
    assert (ended.stdout.splitlines(), ended.stderr) == (["ServiceUnavailable", f"{[len(BIG), len(BIG), 3]} 0 True"], "")
    assert store.connections == 1


class Client:
    """Where bytes arrive that nobody looked at."""

    def __init__(self):
        self.got = b""

    def send(self, data):
        self.got += data

    def send_pipe(self, pipe, count):
        while count:
            data = os.read(pipe, count)
            self.got += data
            count -= len(data)


def test_a_large_answer_can_go_from_socket_to_socket_and_its_connection_is_used_again(origin, relay):
    origin.script += [Reply(200, BIG * 8), Reply(200, BIG * 8), Reply(200, b"end")]
    for begun in (True, False):
        answer, client = get(relay), Client()
        if begun:
            answer.body.begin()
        assert answer.body.passes
        answer.body.pass_to(client)
        assert (client.got == BIG * 8, answer.body.left) == (True, 0)
    assert get(relay).body.whole() == b"end"
    assert origin.connections == 1


@pytest.mark.parametrize("reply", [Reply(200, BIG, cut=200_000), Reply(200, BIG[:9], [("Content-Length", "70000")], stall=True)])
def test_one_that_is_cut_on_the_way_raises(origin, relay, reply):
    origin.script.append(reply)
    answer, client = get(relay), Client()
    with pytest.raises(IncompleteBody):
        answer.body.pass_to(client)
    assert client.got == reply.body[: reply.cut]
    assert relay.open == 0


@pytest.mark.parametrize("reply", [Reply(200, b"small"), Reply(200, BIG, chunked=True), Reply(204)])
def test_what_is_small_or_in_chunks_is_passed_on_by_hand(origin, relay, reply):
    origin.script.append(reply)
    body = get(relay).body
    assert not body.passes
    body.close()
