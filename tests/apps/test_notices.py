"""The webhook's door: who may come in, what is answered, and that a notice is worth a look and nothing more."""

import base64
from io import BytesIO

import pytest

from s3shunt import config
from s3shunt.apps import notices
from s3shunt.config import ConfigError
from s3shunt.model import RecallState, State
from s3shunt.protocol.errors import ServiceUnavailable
from s3shunt.testing import house as houses
from s3shunt.testing.house import House, pipeline, validated
from s3shunt.testing.mediahaven import MediaHaven, events, site
from s3shunt.testing.mediahaven.deliver import ToStore
from s3shunt.wsgi import Application

SECRET = "a-secret-of-this-site"
FILM = bytes(range(256)) * 40
TAPE = "[archive:tape]\nurl = tape://{state}/tape\nmount = 3s\n"


class Hall(House):
    """A house on MediaHaven with a door for its notices."""

    def __init__(self, tmp, server, *, api="2", **given):
        told = site.section(tmp, server, api=api, failed_grace="2m", delivery_grace="2m", gone_grace="1m")
        section = "[archive:tape]\n" + "".join(f"{name} = {value}\n" for name, value in told.items())
        super().__init__(tmp, ini=houses.INI.replace(TAPE, section) + "[job:recall]\nevery = 60s\n")
        server.api.clock, server.api.destination, self.server = self.clock, ToStore(self.store), server
        self.secret = tmp / "notices.secret"
        self.secret.touch(mode=0o600)
        self.secret.write_text(f"an-older-secret-of-this-site\n{SECRET}\n")
        self.notices = self.door(**given)

    def door(self, **given):
        options = config.read(notices.Options, "app:notices", {"secret_file": str(self.secret)} | given)
        end = notices.NoticesApp(options, self.house)
        return validated(Application(pipeline(self.house, ["access_log", "errors"], end, {})))

    def post(self, body, *, secret=SECRET, user="mediahaven", method="POST", peer="10.0.0.9", app=None, **headers):
        """Status and headers."""
        environ = {
            "REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": "/premis", "QUERY_STRING": "", "SERVER_NAME": "h", "SERVER_PORT": "1",
            "SERVER_PROTOCOL": "HTTP/1.1", "RAW_URI": "/premis", "REMOTE_ADDR": peer, "CONTENT_LENGTH": str(len(body)), "HTTP_HOST": "h",
            "wsgi.input": BytesIO(body), "wsgi.errors": BytesIO(), "wsgi.version": (1, 0), "wsgi.url_scheme": "http",
            "wsgi.multithread": True, "wsgi.multiprocess": True, "wsgi.run_once": False,
        }  # fmt: skip
        environ["wsgi.errors"] = __import__("sys").stderr
        if secret is not None and "HTTP_AUTHORIZATION" not in headers:
            environ["HTTP_AUTHORIZATION"] = "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()
        environ |= headers
        started = []
        answer = (app or self.notices)(environ, lambda status, fields, _=None: started.append((int(status[:3]), dict(fields))))
        b"".join(answer)
        getattr(answer, "close", lambda: None)()
        return started[0]

    def asked(self, key="a"):
        """An archived film whose restore was asked of MediaHaven."""
        assert self.put(f"/films/{key}", FILM, x_amz_storage_class="GLACIER").status == 200
        self.server.ingest("films", key, FILM)
        self.work()
        assert self.restore(f"/films/{key}").status == 202
        self.work(rounds=1, step=1)
        return list(self.server.api.robot.exports.values())[-1]

    def done(self):
        """The robot has done all it was asked for, and nobody looked yet."""
        self.later(seconds=5)
        self.server.api.turn()
        return self

    def state(self, key="a"):
        return self.catalog.scan("main", "films", prefix=key)[0].state

    def due(self):
        return {job.dedupe: job.due for job in self.catalog.jobs(kind="recall")}

    def completed(self):
        return [event for _, event in self.catalog.pending(1000) if event.name == "s3:ObjectRestore:Completed"]


@pytest.fixture(params=["1", "2"])
def hall(request, tmp_path):
    with MediaHaven() as server:
        yield Hall(tmp_path, server, api=request.param)


@pytest.fixture
def door(tmp_path):
    """Where the archive has nothing to say."""
    with MediaHaven() as server:
        yield Hall(tmp_path, server)


NOTHING = b"<premis/>"


# Who may come in


def test_who_says_the_secret_is_let_in(door):
    assert door.post(NOTHING)[0] == 204
    assert door.post(NOTHING, secret="an-older-secret-of-this-site")[0] == 204


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"secret": None}, 401), ({"secret": ""}, 401), ({"secret": SECRET + "x"}, 401), ({"secret": SECRET[:-1]}, 401),
        ({"user": "root"}, 401), ({"HTTP_AUTHORIZATION": "Basic !!!"}, 401), ({"HTTP_AUTHORIZATION": "Basic"}, 401),
        ({"HTTP_AUTHORIZATION": "Basic \xe9"}, 401),
        ({"HTTP_AUTHORIZATION": f"Bearer {SECRET}"}, 401), ({"HTTP_AUTHORIZATION": "Basic " + base64.b64encode(b"\xff:x").decode()}, 401),
        ({"HTTP_AUTHORIZATION": "Basic " + base64.b64encode(SECRET.encode()).decode()}, 401), ({"method": "GET"}, 405),
    ],
)  # fmt: skip
def test_everybody_else_is_not_and_moves_nothing(hall, given, status):
    export = hall.asked()
    before = hall.due()
    found, headers = hall.post(events.premis(export, good=True), **given)
    assert found == status
    assert hall.due() == before
    assert headers.get("WWW-Authenticate") == ('Basic realm="notices"' if status == 401 else None)


def test_nothing_of_a_body_is_read_before_the_secret_was_said(door):
    class Untouchable(BytesIO):
        def read(self, *_):
            raise AssertionError("read")

    status, headers = door.post(NOTHING, secret="wrong", **{"wsgi.input": Untouchable()})
    assert (status, headers["Connection"]) == (401, "close")


def test_the_secret_may_be_a_bearer_token_or_stand_in_a_header(door):
    bearer, header = door.door(auth="bearer"), door.door(auth="header", header="X-Secret")
    assert door.post(NOTHING, app=bearer, HTTP_AUTHORIZATION=f"Bearer {SECRET}")[0] == 204
    assert door.post(NOTHING, app=bearer, HTTP_AUTHORIZATION="Bearer x")[0] == 401
    assert door.post(NOTHING, app=bearer)[0] == 401
    assert door.post(NOTHING, app=header, secret=None, HTTP_X_SECRET=SECRET)[0] == 204
    assert door.post(NOTHING, app=header, secret=None, HTTP_X_SECRET="x")[0] == 401
    assert door.post(NOTHING, app=header)[0] == 401


@pytest.mark.parametrize(
    ("peers", "peer", "status"),
    [
        ("10.0.0.0/8", "10.0.0.9", 204), ("10.0.0.0/8", "::ffff:10.0.0.9", 204), ("10.0.0.0/8", "11.0.0.9", 403),
        ("10.0.0.0/8", "", 403),
        ("unix", "", 204), ("unix", "10.0.0.9", 403), ("unix 10.0.0.9", "10.0.0.9", 204), ("10.0.0.9", "no address", 403),
        ("::1", "::1%lo", 204),
    ],
)  # fmt: skip
def test_only_named_peers_may_come_where_some_are_named(door, peers, peer, status):
    assert door.post(NOTHING, peer=peer, app=door.door(peers=peers))[0] == status


@pytest.mark.parametrize(("text", "mode", "said"), [("short\n", 0o600, "16 characters"), ("", 0o600, "16"), (SECRET, 0o640, "0600")])
def test_a_secret_that_is_none_stops_the_start(door, text, mode, said):
    door.secret.write_text(text)
    door.secret.chmod(mode)
    with pytest.raises(ConfigError, match=said):
        door.door()


def test_an_archive_that_sends_no_notices_stops_the_start(tmp_path):
    house = House(tmp_path)
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_text(SECRET)
    with pytest.raises(ConfigError, match="expected an archive that sends notices"):
        notices.NoticesApp(config.read(notices.Options, "app:notices", {"secret_file": str(secret)}), house.house)
    with pytest.raises(ConfigError, match="No such file"):
        notices.secrets(tmp_path / "none")
    with pytest.raises(ConfigError, match="expected addresses"):
        config.read(notices.Options, "app:notices", {"secret_file": str(secret), "peers": "x"})


# What is answered


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html/>", b"<premis", b'{"event": 1}', b'<!DOCTYPE premis [<!ENTITY a "b">]><premis>&a;</premis>',
        b"<premis>" + b" " * (1 << 20) + b"</premis>",
        '<?xml version="1.0" encoding="UTF-16"?><premis/>'.encode("utf-16"),
    ],
)  # fmt: skip
def test_what_is_no_notice_is_malformed(door, body):
    assert door.post(body)[0] == 400


def test_while_the_catalog_is_away_the_notice_is_asked_for_again(hall):
    export = hall.asked()
    recalls = hall.catalog.recalls

    def away(**_):
        raise ServiceUnavailable("The catalog cannot be reached.", retry_after=2)

    hall.catalog.recalls = away
    status, headers = hall.post(events.premis(export, good=True))
    assert (status, headers["Retry-After"]) == (503, "2")
    hall.catalog.recalls = recalls
    assert hall.post(events.premis(export, good=True))[0] == 204


# What it is worth


@pytest.mark.parametrize("version", [2, 3])
def test_a_notice_lets_the_recall_be_looked_at_at_once_and_changes_nothing_else(hall, version):
    export = hall.asked()
    hall.done()
    before, due = (hall.catalog.recalls(), hall.state(), hall.catalog.pending(1000)), hall.due()
    assert hall.post(events.premis(export, good=True, version=version))[0] == 204
    assert hall.due() == dict.fromkeys(due, hall.clock.now())
    assert hall.clock.now() < min(due.values())
    assert (hall.catalog.recalls(), hall.state(), hall.catalog.pending(1000)) == before
    hall.runner.run_due()
    assert hall.get("/films/a").body == FILM


def test_a_notice_is_worth_a_look_also_when_the_worker_looked_a_moment_ago(hall):
    """What was told of all exports a moment ago is not believed of one that is spoken of since."""
    hall.server.set(mount=70_000)
    export = hall.asked()
    hall.later(seconds=60)
    hall.runner.run_due()
    assert hall.get("/films/a").status == 403
    hall.later(seconds=12)
    hall.server.api.turn()
    hall.post(events.premis(export, good=True))
    hall.runner.run_due()
    assert hall.get("/films/a").body == FILM


def test_23_a_completion_told_twice_by_webhook_and_by_poll_is_one_change_and_one_completed_event(hall):
    export = hall.asked()
    hall.done()
    told = events.bodies([(export, True)], {"duplicate": 3})
    assert [hall.post(body)[0] for body in told] == [204] * 3
    hall.runner.run_due()
    row = hall.catalog.scan("main", "films")[0]
    assert [hall.post(body)[0] for body in told] == [204] * 3
    hall.work(rounds=10, step=61)
    assert hall.catalog.scan("main", "films")[0] == row
    assert (row.state, len(hall.completed()), len(hall.server.exports)) == (State.RESTORED, 1, 1)


def test_24_late_notices_and_such_in_the_wrong_order_are_ignored(hall):
    """Failure told after completion, completion told before it is true, and all of it again when the restore is over."""
    export = hall.asked()
    assert hall.post(events.premis(export, good=True))[0] == 204
    hall.runner.run_due()
    assert (hall.state(), hall.completed()) == (State.RECALLING, [])
    hall.done()
    for body in events.bodies([(export, True), (export, False)], {"reverse": True}):
        assert hall.post(body)[0] == 204
    hall.runner.run_due()
    assert hall.get("/films/a").body == FILM
    before = (hall.catalog.scan("main", "films"), hall.catalog.jobs())
    assert hall.post(events.premis(export, good=False))[0] == 204
    assert (hall.catalog.scan("main", "films"), hall.catalog.jobs()) == before
    hall.later(days=3).work()
    assert hall.post(events.premis(export, good=True))[0] == 204
    hall.work()
    assert (hall.state(), len(hall.completed()), len(hall.server.exports)) == (State.ARCHIVED, 1, 1)


def test_an_invented_notice_is_a_look(hall):
    export = hall.asked()
    calls = len(hall.server.api.calls)
    for _ in range(20):
        hall.post(events.premis(export, good=True))
    hall.runner.run_due()
    assert hall.state() is State.RECALLING
    assert [call for call in hall.server.api.calls[calls:] if call.startswith("GET /exports")][1:] == []


def test_a_notice_of_something_else_moves_nothing(hall):
    export = hall.asked()
    before = hall.due()
    other = hall.server.ingest("films", "other", FILM)
    body = events.premis(export, good=True)
    for changed in (body.replace(export.held.id.encode(), other.id.encode()), body.replace(b"EXPORTED", b"INGESTED"), NOTHING):
        assert hall.post(changed)[0] == 204
    assert hall.due() == before


def test_a_lost_notice_costs_only_patience(hall):
    hall.server.set(webhook={"url": "http://127.0.0.1:1/", "lose": 1})
    hall.asked()
    hall.done().work(rounds=10, step=61)
    assert hall.get("/films/a").body == FILM


def test_of_a_recall_that_was_not_asked_for_yet_nothing_is_moved(door):
    """Its turn comes by other rules: back-off after an outage is not the sender's to shorten."""
    door.put("/films/a", FILM, x_amz_storage_class="GLACIER")
    record = door.server.ingest("films", "a", FILM)
    door.work()
    door.restore("/films/a")
    before = door.due()
    (recall,) = door.catalog.recalls()
    assert (recall.state, recall.archive_id) == (RecallState.QUEUED, record.id)
    assert door.post(f"<event><eventType>EXPORTED</eventType><linkingObjectIdentifier><linkingObjectIdentifierValue>{record.id}"
                     "</linkingObjectIdentifierValue></linkingObjectIdentifier></event>".encode())[0] == 204  # fmt: skip
    assert door.due() == before
