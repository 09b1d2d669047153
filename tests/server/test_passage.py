"""A large answer from a store's socket to a client's: whole, or visibly broken, and only where nobody wrapped it."""

import pytest

from s3shunt.protocol.errors import IncompleteBody
from s3shunt.relay import Head, Limits, Relay
from s3shunt.relay.body import AnswerBody
from s3shunt.testing.origin import HttpOrigin, Reply
from s3shunt.wsgi import Request, Response

BIG = bytes(range(256)) * 4096
ASK = b"%s /films/a HTTP/1.1\r\nHost: s3.test\r\n\r\n"


class Forwarding:
    """Hands a store's answer on, watched as the access log watches it."""

    def __init__(self, origin, wrapped=False, length=len(BIG)):
        self.relay = Relay(origin.endpoint, Limits(response=500, gap=300))
        self.wrapped, self.length = wrapped, length
        self.sent, self.passed = [], []

    def __call__(self, environ, start_response):
        body = self.relay.send(Head("GET", "/films/a", [("host", self.relay.host)])).body
        self.passed.append(body)
        if self.wrapped:
            body = Wrapped(body)
        response = Response(status="200 OK", headerlist=[("Content-Length", str(self.length))], app_iter=body)
        response.watch(Request(environ), lambda *told: self.sent.append(told[-1]))
        return response(environ, start_response)


class Wrapped:
    def __init__(self, body):
        self.body = body

    def __iter__(self):
        return (piece.swapcase() for piece in self.body)

    def close(self):
        self.body.close()


@pytest.fixture
def moved(monkeypatch):
    """How often the kernel was asked to."""
    seen = []
    before = AnswerBody.pass_to
    monkeypatch.setattr(AnswerBody, "pass_to", lambda self, sink: (seen.append(1), before(self, sink))[1])
    return seen


@pytest.fixture
def origin():
    with HttpOrigin() as running:
        yield running


def test_it_arrives_whole_is_counted_and_the_connection_goes_on(fronted, origin, moved):
    origin.script += [Reply(200, BIG)] * 2
    app = Forwarding(origin)
    with fronted(app) as front:
        got = front.ask(ASK % b"GET" * 2)
    assert [part[-len(BIG) :] for part in got.split(b"HTTP/1.1 200 OK\r\n")[1:]] == [BIG, BIG]
    assert (app.sent, moved) == ([len(BIG)] * 2, [1, 1])
    assert origin.connections == 1


def test_one_that_breaks_breaks_the_clients_connection(fronted, origin, moved):
    origin.script.append(Reply(200, BIG, cut=600_000))
    app = Forwarding(origin)
    with fronted(app) as front:
        got = front.ask(ASK % b"GET")
    assert got == b"(reset)" or 600_000 <= len(got) < 601_000  # of what was announced, part; and then no more
    assert (app.sent, moved, app.relay.open) == ([600_000], [1], 0)


def test_what_somebody_wrapped_goes_through_his_hands(fronted, origin, moved):
    origin.script.append(Reply(200, BIG))
    with fronted(Forwarding(origin, wrapped=True)) as front:
        assert front.ask(ASK % b"GET").endswith(BIG.swapcase())
    assert moved == []


def test_a_head_has_none_of_it(fronted, origin, moved):
    origin.script.append(Reply(200, BIG))
    app = Forwarding(origin)
    with fronted(app) as front:
        assert front.ask(ASK % b"HEAD").endswith(b"\r\n\r\n")
    assert (app.sent, moved) == ([0], [])


@pytest.mark.parametrize("length", [len(BIG) - 1, len(BIG) + 1])
def test_an_answer_of_another_length_than_it_says_is_none(fronted, origin, moved, length):
    origin.script.append(Reply(200, BIG))
    with fronted(Forwarding(origin, length=length)) as front:
        assert front.ask(ASK % b"GET") in (b"(reset)", b"")
    assert moved == []


def test_an_incomplete_one_is_told_before_anything_was_sent(origin):
    origin.script.append(Reply(200, BIG, cut=0))
    body = Relay(origin.endpoint, Limits(response=500, gap=300)).send(Head("GET", "/", [("host", "h")])).body
    with pytest.raises(IncompleteBody):
        body.begin()
