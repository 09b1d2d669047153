"""Other people's WSGI, between any two doors."""

import io

import pytest

from s3shunt import config, connect
from s3shunt.catalog.memory import MemoryCatalog
from s3shunt.config import Ini
from s3shunt.filters import access_log, errors, grants, health, virtual_host
from s3shunt.model import Identity, ObjectRef
from s3shunt.protocol.errors import ServiceUnavailable
from s3shunt.testing.client import Client, call, environ
from s3shunt.testing.clock import HandClock
from s3shunt.testing.house import validated
from s3shunt.testing.origin import Origin
from s3shunt.wsgi import KEY, Application, Body, Request, Response, handler_of


class Passing:
    """A foreign filter that passes on the same environ, and takes attributes as Swift sets them."""

    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        return self.app(environ, start_response)


class Copying(Passing):
    def __call__(self, environ, start_response):
        return self.app(dict(environ), start_response)


class Lazy(Passing):
    """Calls start_response as late as a generator may."""

    def __call__(self, environ, start_response):
        body = self.app(environ, start_response)
        try:
            yield from body
        finally:
            if hasattr(body, "close"):
                body.close()


class Wrapping(Passing):
    """Puts its own reader before the body."""

    def __call__(self, environ, start_response):
        inner = environ["wsgi.input"]

        class Upper:
            def read(self, size=-1):
                return inner.read(size).upper()

        environ["wsgi.input"] = Upper()
        return self.app(environ, start_response)


FOREIGN = [Passing, Copying, Lazy]


@pytest.mark.parametrize("foreign", FOREIGN)
def test_a_request_crosses_a_foreign_filter_with_all_that_was_found_out(foreign):
    origin = Origin(Response(status=201, headerlist=[("Content-Length", "1")], app_iter=[b"x"]))
    behind = handler_of(foreign(Application(origin)))

    def door(made):
        made.context.request_id = "R"
        made.at(ObjectRef("other", "key"))
        made.input = Body(io.BytesIO(b"decoded"), 7)
        return behind(made)

    answer = call(Application(door), environ("PUT", "/films/a", b"framed"))
    assert (answer.status, answer.body, answer.headers) == (201, b"x", {"content-length": "1"})
    seen = origin.requests[0]
    assert (seen.ref, seen.context.request_id, origin.bodies) == (ObjectRef("other", "key"), "R", [b"decoded"])
    origin.check()


def test_a_foreign_filter_may_wrap_the_body():
    origin = Origin()
    behind = handler_of(Wrapping(Application(origin)))

    def door(made):
        assert made.input.length == 3
        return behind(made)

    call(Application(door), environ("PUT", "/films/a", b"abc"))
    assert origin.bodies == [b"ABC"]


def test_a_copy_that_asks_for_something_else_is_another_request():
    class Meddling(Passing):
        def __call__(self, environ, start_response):
            return self.app(environ | {"RAW_PATH_INFO": "/other/b", "PATH_INFO": "/other/b"}, start_response)

    origin = Origin()
    behind = handler_of(Meddling(Application(origin)))

    def door(made):
        made.context.request_id = "R"
        assert made.ref.bucket == "films"
        return behind(made)

    call(Application(door), environ("GET", "/films/a"))
    assert origin.requests[0].ref == ObjectRef("other", "b")
    assert origin.requests[0].context.request_id == ""


def test_a_request_goes_with_its_environ_where_a_foreign_filter_stands_in_between():
    made, seen = environ("GET", "/films/a"), []

    def foreign(given, start):
        seen.append(given[KEY])
        return Application(Origin())(given, start)

    call(Application(handler_of(foreign)), made)
    assert [type(each) for each in seen] == [Request]
    assert seen[0].environ is made


IDENTITY = Identity(access_key="AK", account="desk", grants=None)


class Upstream:
    endpoint, endpoints, region, per_account = "http://127.0.0.1:1", ["http://127.0.0.1:1"], "us-east-1", True


def known(forward, *_):
    def door(made):
        made.context.identity = IDENTITY
        return forward(made)

    return door


def corridor(tmp_path, origin, between):
    """Our doors, with ``between(app) -> app`` put in each gap."""
    path = tmp_path / "ini"
    path.write_text("[DEFAULT]\n")
    house = connect.House(Ini(path, {}), HandClock())
    house.put("store", "main", Upstream())
    house.put("catalog", "main", MemoryCatalog())
    given = {"access_log": {"path": str(tmp_path / "log"), "flush": "0s"}, "virtual_host": {"domains": "s3.test"}}
    app = between(Application(origin))
    for module, make in (
        (grants, grants.Grants), (None, known), (virtual_host, virtual_host.VirtualHost), (health, health.Health),
        (errors, errors.Errors), (access_log, access_log.AccessLog),
    ):  # fmt: skip
        name = module.__name__.rpartition(".")[2] if module else ""
        options = config.read(module.Options, name, given.get(name, {})) if module else None
        app = between(Application(make(handler_of(app), options, house)))
    return app


@pytest.mark.parametrize("foreign", FOREIGN)
def test_a_foreign_filter_may_stand_between_any_two_doors(tmp_path, foreign):
    origin = Origin(Response(status=200, headerlist=[("Content-Length", "2")], app_iter=[b"ok"]))
    client = Client(corridor(tmp_path, origin, foreign), host="films.s3.test")
    answer = client.put("/a%2Fb", b"body")
    assert (answer.status, answer.body, origin.bodies) == (200, b"ok", [b"body"])
    assert origin.requests[0].context.decision.ref == ObjectRef("films", "a/b", None, "desk")
    assert client.get("/-/live").status == 200
    assert client.post("/").code == "NotImplemented"
    assert len((tmp_path / "log").read_text().splitlines()) == 3
    origin.check()


@pytest.mark.parametrize(
    ("method", "target", "body", "step", "status"),
    [
        ("GET", "/a", b"", Response(status=200, headerlist=[("Content-Length", "2")], app_iter=[b"ok"]), 200),
        ("HEAD", "/a", b"", Response(status=200, headerlist=[("Content-Length", "2")], app_iter=[]), 200),
        ("PUT", "/a", b"body", Response(status=200, app_iter=[]), 200),
        ("DELETE", "/a", b"", Response(status=204, app_iter=[]), 204),
        ("GET", "/a", b"", Response(status=304, app_iter=[]), 304),
        ("GET", "/a", b"", ServiceUnavailable(retry_after=3), 503),
        ("HEAD", "/a", b"", ServiceUnavailable(), 503),
        ("GET", "/-/ready", b"", None, 200),
    ],
)
@pytest.mark.filterwarnings("ignore:Unknown REQUEST_METHOD")
def test_the_doors_keep_pep_3333(tmp_path, method, target, body, step, status):
    origin = Origin(*([step] if step else []))
    app = validated(corridor(tmp_path, origin, lambda app: app))
    answer = call(app, environ(method, target, body, {"host": "films.s3.test"}))
    assert (answer.status, answer.broken) == (status, None)
    origin.check()
