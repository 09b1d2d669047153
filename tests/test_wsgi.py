"""Request, bodies and the seams to other people's WSGI."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3shunt import config, connect
from s3shunt.catalog.memory import MemoryCatalog
from s3shunt.config import Ini
from s3shunt.filters import access_log, errors, grants, health, virtual_host
from s3shunt.model import Identity, ObjectRef
from s3shunt.protocol.errors import BadRequest, IncompleteBody, InvalidURI, MalformedXML, ServiceUnavailable
from s3shunt.testing.client import Client, call, environ
from s3shunt.testing.clock import HandClock
from s3shunt.testing.house import validated
from s3shunt.testing.origin import Origin
from s3shunt.wsgi import KEY, Application, Body, Request, Response, document, dropped, filter_factory, handler_of, taken, watch_close


def request(method="GET", target="/films/a", body=b"", **fields):
    return Request(environ(method, target, body, {name.replace("_", "-"): value for name, value in fields.items()}))


# The target


@pytest.mark.parametrize("name", ["RAW_URI", "REQUEST_URI"])
@pytest.mark.parametrize("sent", ["/films/a%2Fb//c?x=%20", "http://S3.test/films/a%2Fb//c?x=%20"])
def test_the_target_is_taken_as_it_was_sent(name, sent):
    made = environ("GET", "/other")
    del made["RAW_PATH_INFO"]
    assert Request(made | {name: sent}).target == "/films/a%2Fb//c?x=%20"


def test_a_raw_path_may_be_in_absolute_form():
    made = environ("GET", "/x?y=%20") | {"RAW_PATH_INFO": "http://s3.test/films/a%2Fb//c"}
    assert Request(made).target == "/films/a%2Fb//c?y=%20"
    assert Request(made).ref == ObjectRef("films", "a/b//c")


@pytest.mark.parametrize("name", ["RAW_URI", "REQUEST_URI", "RAW_PATH_INFO"])
@pytest.mark.parametrize("sent", ["http://other/a", "http://s3.test:81/a", "http://s3.test@other/a", "ftp://s3.test/a", "*", ""])
def test_a_target_that_names_another_host_or_none_is_refused(name, sent):
    with pytest.raises(InvalidURI):
        Request(environ("GET", "/x") | {name: sent}).target


@pytest.mark.parametrize(
    ("path", "fine"), [("/films/a", True), ("/films/a%b", False), ("/films//a", False), ("/films/\xe9", False), ("/a b", False)]
)
def test_without_the_raw_target_a_doubtful_path_is_refused_and_never_guessed(path, fine):
    made = environ("GET", "/x")
    del made["RAW_PATH_INFO"]
    made["PATH_INFO"] = path
    if fine:
        assert Request(made).target == path
    else:
        with pytest.raises(InvalidURI):
            Request(made).target


def test_of_a_repeated_parameter_the_first_counts():
    made = request(target="/films?prefix=a%2Bb&prefix=c&versions&x=1+2")
    assert made.parameters == {"prefix": "a+b", "versions": "", "x": "1 2"}
    assert [name for name, _ in made.query] == ["prefix", "prefix", "versions", "x"]


def test_a_request_knows_what_it_is_about():
    made = request("PUT", "/films/a?versionId=7", x_amz_copy_source="x/y")
    assert (made.ref, made.operation.name) == (ObjectRef("films", "a", "7"), "CopyObject")
    made.at(ObjectRef("films", "b"))
    assert made.ref.key == "b"


# Bodies


def test_a_body_ends_only_at_its_length():
    body = Body(io.BytesIO(b"0123456789"), 10)
    assert (body.read(4), body.ended, body.read(), body.ended, body.read(1)) == (b"0123", False, b"456789", True, b"")


@pytest.mark.parametrize("length", [1, 11, 65537])
def test_a_body_that_ends_early_raises(length):
    with pytest.raises(IncompleteBody):
        b"".join(Body(io.BytesIO(b"x" * (length - 1)), length))


@pytest.mark.parametrize("error", [OSError, ValueError, ConnectionResetError])
def test_a_connection_that_breaks_is_an_early_end(error):
    class Broken:
        def read(self, size):
            raise error

    with pytest.raises(IncompleteBody):
        Body(Broken(), None).read(1)


@given(st.binary(max_size=300), st.lists(st.integers(1, 100), min_size=1, max_size=20))
def test_a_body_is_what_was_sent_however_it_is_read(data, sizes):
    body, pieces = Body(io.BytesIO(data + b"next request"), len(data)), []
    for size in sizes:
        pieces.append(body.read(size))
        assert len(pieces[-1]) <= size
    assert b"".join([*pieces, *body]) == data
    assert body.ended


def test_a_document_is_read_once_and_kept():
    made = request("POST", "/films?delete", b"<Delete/>")
    assert document(made) == document(made) == made.context.document == b"<Delete/>"


def test_a_body_can_be_read_in_lines_too():
    body = Body(io.BytesIO(b"one\ntwo\n\nthree, next request"), 14)
    assert (body.readline(), body.readline(2), body.readline(), body.readlines()) == (b"one\n", b"tw", b"o\n", [b"\n", b"three"])
    with pytest.raises(IncompleteBody):
        Body(io.BytesIO(b"one\ntw"), 8).readlines()


@pytest.mark.parametrize("fields", [{}, {"transfer_encoding": "chunked"}])
def test_a_document_has_a_limit(fields):
    with pytest.raises(MalformedXML):
        document(request("POST", "/films?delete", b"x" * 101, **fields), limit=100)


@pytest.mark.parametrize(
    ("body", "fields", "read", "ended"),
    [
        (b"", {}, 0, True),
        (b"abc", {}, 0, False),
        (b"abc", {}, 2, False),
        (b"abc", {}, 3, True),
        (b"abc", {"transfer_encoding": "chunked"}, 3, False),
        (b"abc", {"transfer_encoding": "chunked"}, -1, True),
        (b"", {"content_length": "many"}, 0, False),
    ],
)
def test_it_is_known_whether_a_body_was_read_to_its_end(body, fields, read, ended):
    made = request("PUT", body=body, **fields)
    if read:
        made.input.read(read)
    assert made.read_to_end is ended


def test_a_wrapped_body_takes_the_place_of_the_wires():
    made = request("PUT", body=b"3\r\nabc")
    wire = made.input
    made.input = Body(io.BytesIO(b"abc"), 3)
    assert (made.input.length, b"".join(made.input), made.environ["wsgi.input"] is made.input) == (3, b"abc", True)
    assert not made.read_to_end
    b"".join(wire)
    assert made.read_to_end
    assert made.taken == 6


@pytest.mark.parametrize("length", ["-1", "abc", "\u0661", "1_0"])
def test_a_length_that_is_no_number_is_refused(length):
    with pytest.raises(BadRequest):
        request("PUT", content_length=length).body_length


# Answers


def test_an_answer_says_only_what_it_was_told():
    origin = Origin(Response(status=200, headerlist=[("Location", "/films")], app_iter=[b"x"]), Response(status=200))
    client = Client(Application(origin))
    assert client.put("/films").headers == {"location": "/films"}
    assert "content-type" not in client.get("/films").headers


def test_each_who_watches_a_body_is_told_once_though_one_of_them_fails():
    told = []

    def fails(sent):
        raise RuntimeError

    response = Response(status="200 OK", headerlist=[], app_iter=[b"one", b"two"])
    for watcher in (told.append, fails, told.append):
        watch_close(response, watcher)
    body = response.app_iter
    assert b"".join(body) == b"onetwo"
    with pytest.raises(RuntimeError):
        body.close()
    body.close()
    assert told == [6, 6]


def test_closing_is_watched_once_and_even_when_it_breaks():
    seen = []

    class Torn:
        def __iter__(self):
            yield b"12345"

        def close(self):
            raise OSError

    response = Response(status=200, app_iter=Torn())
    watch_close(response, seen.append)
    assert list(response.app_iter) == [b"12345"]
    with pytest.raises(OSError):
        response.app_iter.close()
    with pytest.raises(OSError):
        response.app_iter.close()
    assert seen == [5]


def test_an_answer_may_be_taken_whole_up_to_a_limit_and_is_closed():
    origin = Origin(Response(status=200, app_iter=[b"ab", b"c"]), Response(status=200, app_iter=[b"ab", b"c"]), Response(status=200))
    assert taken(origin(request())) == b"abc"
    with pytest.raises(ServiceUnavailable):
        taken(origin(request()), limit=2)
    dropped(origin(request()))
    origin.check()


# Other people's WSGI


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


def test_an_application_accepts_attributes_and_unknown_methods():
    app = Application(Origin())
    app.logger = "as Swift sets them"
    made = environ("TEST", "/")
    assert call(app, made).status == 200


def test_a_request_goes_with_its_environ_where_a_foreign_filter_stands_in_between():
    made, seen = environ("GET", "/films/a"), []

    def foreign(given, start):
        seen.append(given[KEY])
        return Application(Origin())(given, start)

    call(Application(handler_of(foreign)), made)
    assert [type(each) for each in seen] == [Request]
    assert seen[0].environ is made


class Unwilling:
    """A door that must not be made, or asked."""

    def __init__(self, *_):
        raise AssertionError("made")


def door_of(tmp_path, make=Unwilling, **given):
    path = tmp_path / "proxy-server.conf"
    path.write_text("[DEFAULT]\nbind_port = 8080\n[filter:access_log]\nset log_name = x\nuse = egg:s3shunt#access_log\n")
    return filter_factory(make, access_log.Options, "filter:access_log")({"__file__": str(path), "bind_port": "8080"}, **given)


@pytest.mark.parametrize("method", ["GET", "PUT", "TEST"])
def test_what_is_a_swift_proxys_own_is_handed_on_untouched(tmp_path, method):
    from swift.common import registry

    def swift(environ, start_response):
        start_response("201 Created", [])
        return [environ["wsgi.input"].read()]

    app = door_of(tmp_path, __name__="access_log", path="/nowhere")(swift)
    app._pipeline, app.logger = [], None
    made = environ(method, "/v1/AUTH_a/c/%2F", b"body") | {"swift.trans_id": "tx1", "CONTENT_LENGTH": "many"}
    before = dict(made)
    answer = call(app, made)
    assert (answer.status, answer.body) == (201, b"body")
    assert made == before
    assert registry.get_swift_info()["s3shunt"]["doors"] == ["access_log"]


def test_a_wrong_option_stops_a_swift_proxy_too(tmp_path):
    with pytest.raises(config.ConfigError, match="no option colour"):
        door_of(tmp_path, colour="red")


def test_a_request_that_is_not_swifts_finds_the_door_in_such_a_process_too(tmp_path):
    from swift.common import registry

    assert registry
    origin = Origin()
    app = door_of(tmp_path, make=known)(Application(origin))
    assert call(app, environ("GET", "/films/a")).status == 200
    assert call(app, environ("GET", "/films/a")).status == 200
    assert [seen.context.identity for seen in origin.requests] == [IDENTITY, IDENTITY]


def test_our_own_doors_call_each_other_directly():
    origin = Origin()
    assert handler_of(Application(origin)) is origin


# The doors between each other and under the validator


IDENTITY = Identity(access_key="AK", account="desk", grants=None)


class Upstream:
    endpoint, region, per_account = "http://127.0.0.1:1", "us-east-1", True


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
