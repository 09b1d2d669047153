"""Doors made by PasteDeploy, in a house of our own or in a Swift proxy's."""

import pytest

from s3shunt import config
from s3shunt.filters import access_log
from s3shunt.model import Identity
from s3shunt.testing.client import call, environ
from s3shunt.testing.origin import Origin
from s3shunt.wsgi import Application, filter_factory

IDENTITY = Identity(access_key="AK", account="desk", grants=None)


class Unwilling:
    """A door that must not be made, or asked."""

    def __init__(self, *_):
        raise AssertionError("made")


def door_of(tmp_path, make=Unwilling, **given):
    path = tmp_path / "proxy-server.conf"
    path.write_text("[DEFAULT]\nbind_port = 8080\n[filter:access_log]\nset log_name = x\nuse = egg:s3shunt#access_log\n")
    return filter_factory(make, access_log.Options, "filter:access_log")({"__file__": str(path), "bind_port": "8080"}, **given)


def known(forward, *_):
    def door(made):
        made.context.identity = IDENTITY
        return forward(made)

    return door


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
