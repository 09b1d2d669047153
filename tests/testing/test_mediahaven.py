import base64
import http.server
import json
import threading
from urllib.parse import quote, urlencode

import pytest
import requests

from s3shunt.testing.clock import HandClock
from s3shunt.testing.mediahaven import MediaHaven, events
from s3shunt.testing.mediahaven.api import V1, V2
from s3shunt.testing.mediahaven.deliver import Away, ToDirectory
from s3shunt.testing.mediahaven.knobs import Knobs, read
from s3shunt.testing.mediahaven.shelves import BadQuery, parsed

SECTIONS = {"Accept": "application/vnd.mediahaven.v2+json"}
FORM = {"client_id": "client", "client_secret": "client-secret"}


class Session:
    def __init__(self, server):
        self.server = server
        self.http = requests.Session()
        self.http.trust_env = False

    def token(self, **form):
        form = {**FORM, "grant_type": "password", "username": "s3shunt", "password": "mediahaven", **form}
        return self.http.post(f"{self.server.url}/auth/ropc.php", data=form, timeout=5)

    def refresh(self, token):
        form = {**FORM, "grant_type": "refresh_token", "refresh_token": token}
        return self.http.post(f"{self.server.url}/auth/oauth2/token", data=form, timeout=5)

    def login(self):
        self.http.headers["Authorization"] = "Bearer " + self.token().json()["access_token"]
        return self

    def v2(self, path, method="GET", **more):
        return self.http.request(method, f"{self.server.url}{V2}{path}", timeout=5, **more)

    def v1(self, path, method="GET", **more):
        return self.http.request(method, f"{self.server.url}{V1}{path}", timeout=5, auth=("s3shunt", "mediahaven"), **more)

    def order(self, *records, location="1188", tag="t"):
        files = [{"RecordId": record, "Filename": f"f{number}"} for number, record in enumerate(records)]
        asked = {"Records": files, "ExportLocationId": location, "DestinationPath": "out", "Tag": tag}
        return [job["ExportJobId"] for job in self.v2("/exports", "POST", json=asked).json()]

    def states(self, tag="t"):
        return [job["Status"] for job in self.v2(f"/exports?tag={tag}&nrOfResults=100").json()["Results"]]

    def control(self, what, **given):
        return self.http.post(f"{self.server.url}/-/{what}", json=given, timeout=5)


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def server(clock, tmp_path):
    with MediaHaven(clock, destination=ToDirectory(tmp_path)) as running:
        yield running


@pytest.fixture
def session(server):
    made = Session(server).login()
    yield made
    made.http.close()


def later(server, milliseconds):
    server.api.clock.later(milliseconds)
    server.api.turn()


# Who may come in


def test_version_2_takes_tokens_and_no_basic(session, server):
    assert session.v2("/records?q=").status_code == 200
    session.http.headers.pop("Authorization")
    assert requests.get(f"{server.url}{V2}/records?q=", auth=("s3shunt", "mediahaven"), timeout=5).status_code == 401
    assert session.token(password="wrong").status_code == 401
    assert session.token(client_secret="wrong").status_code == 401


def test_version_1_takes_both(session, server):
    assert session.v1("/media?q=").status_code == 200
    told = session.v1("/oauth/access_token", "POST", data={"grant_type": "password"})
    assert told.status_code == 201
    assert told.json()["expires_in"] == 1800


def test_a_token_ends_and_can_be_revoked(session, server):
    server.set(token_lifetime=5000)
    session.login()
    assert session.v2("/records?q=").status_code == 200
    later(server, 5000)
    assert session.v2("/records?q=").status_code == 401
    session.login()
    session.control("revoke")
    assert session.v2("/records?q=").status_code == 401


@pytest.mark.parametrize("rotate", [True, False])
def test_a_refresh_token_is_good_for_one_use(session, server, rotate):
    server.set(rotate=rotate)
    token = session.token().json()["refresh_token"]
    assert session.refresh(token).status_code == 200
    assert session.refresh(token).status_code == (400 if rotate else 200)
    assert session.refresh("made up").status_code == 400


# The wire


def test_a_fault_strikes_as_often_as_it_says_and_only_there(session, server):
    server.set(refuse=[{"on": "GET /records", "status": 503, "count": 2, "retry_after": 3}])
    assert session.v2("/exports?tag=t").status_code == 200
    answers = [session.v2("/records?q=") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[0].headers["Retry-After"] == "3"


def test_an_answer_may_be_slow(session, server):
    server.set(slow=[{"on": "GET /records", "wait": 200}])
    assert session.v2("/records?q=").elapsed.total_seconds() >= 0.2


def test_an_answer_may_drip(session, server):
    server.set(drip=[{"on": "GET /records", "wait": 3}])
    with session.v2("/records?q=", stream=True) as answer:
        assert json.loads(b"".join(answer.iter_content(1)))["TotalNrOfResults"] == 0


@pytest.mark.parametrize("kind", ["hang", "lose"])
def test_a_connection_may_break_before_or_after_it_is_done(session, server, kind):
    record = server.ingest("b", "k", b"x").id
    server.set(**{kind: [{"on": "POST /exports", "wait": 10}]})
    with pytest.raises(requests.exceptions.ConnectionError):
        session.order(record)
    assert len(server.exports) == (kind == "lose")


# What it says


def test_a_plus_is_no_space_and_quotes_have_to_be_closed(session, server):
    server.ingest("b", "a b", b"x")
    good = quote('+(s3_object_key:"a b")', safe="")
    assert session.v2(f"/records?q={good}").json()["TotalNrOfResults"] == 1
    for bad in (good.replace("%20", "+"), quote('+(s3_object_key:"a" b")', safe=""), quote("nonsense", safe=""), "%FF"):
        assert session.v2(f"/records?q={bad}").status_code == 400
    server.set(strict=False)
    assert session.v2(f"/records?q={good.replace('%20', '+')}").json()["TotalNrOfResults"] == 1


def test_a_query_is_read_as_it_was_escaped():
    assert list(parsed('+(a:"x\\"y\\\\z") -(Type:video)')) == [(True, "a", 'x"y\\z'), (False, "Type", "video")]
    for wrong in ('+(a:"x"y")', "+(a:x y)", "(a:x)", '+(a:"x)'):
        with pytest.raises(BadQuery):
            list(parsed(wrong))


def test_a_loose_search_finds_more_than_was_asked_for(session, server):
    server.ingest("b", "one two", b"x")
    target = "/records?q=" + quote('+(s3_object_key:"two")', safe="")
    assert session.v2(target).json()["TotalNrOfResults"] == 0
    server.set(loose=True)
    assert session.v2(target).json()["TotalNrOfResults"] == 1


def test_one_name_may_have_many_records_and_they_come_in_pages(session, server):
    for number in range(5):
        server.ingest("b", "k", bytes([number]))
    target = "/records?q=" + quote('+(s3_object_key:"k")', safe="")
    page = session.v2(f"{target}&startIndex=3&nrOfResults=25").json()
    assert (page["NrOfResults"], page["TotalNrOfResults"], len(page["Results"])) == (2, 5, 2)
    server.set(page=4)
    assert session.v2(f"{target}&nrOfResults=25").json()["NrOfResults"] == 4
    assert session.v2(target, "HEAD").headers["Result-Count"] == "5"


@pytest.mark.parametrize("how", ["told", "not in results", "never"])
def test_dynamic_fields_may_be_missing(session, server, how):
    record = server.ingest("b", "k", b"x").id
    server.set(properties=how)
    assert ("Dynamic" in session.v2("/records?q=").json()["Results"][0]) == (how == "told")
    assert ("Dynamic" in session.v2(f"/records/{record}").json()) == (how != "never")


def test_version_1_has_two_shapes(session, server):
    record = server.ingest("b", "k", b"x").id
    flat, sections = session.v1(f"/media/{record}").json(), session.v1(f"/media/{record}", headers=SECTIONS).json()
    assert {"attribute": "s3_bucket", "value": "b"} in flat["mdProperties"]
    assert sections["Technical"]["FileSize"] == 1
    server.set(flat=True, nested=True, dates=False)
    again = session.v1(f"/media/{record}", headers=SECTIONS).json()
    assert isinstance(again["mdProperties"][0]["value"], list)
    assert "archiveDate" not in again


def test_a_record_can_be_changed_deleted_and_refused(session, server):
    record = server.ingest("b", "k", b"x").id
    session.control("record", id=record, status="in_progress", exportable=False)
    assert session.v2(f"/records/{record}").json()["Internal"]["ArchiveStatus"] == "in_progress"
    asked = {"Records": [{"RecordId": record, "Filename": "f"}], "ExportLocationId": "1188", "DestinationPath": "out"}
    assert session.v2("/exports", "POST", json=asked).status_code == 403
    assert session.v2(f"/records/{record}", "DELETE", json={}).status_code == 400
    assert session.v2(f"/records/{record}", "DELETE", json={"Reason": "r", "EventType": "DELETE"}).status_code == 204
    assert session.v2(f"/records/{record}").status_code == 404


@pytest.mark.parametrize(("form", "first", "second"), [("own", list, dict), ("array", list, list), ("object", dict, dict)])
def test_one_job_is_told_as_an_array_or_an_object(session, server, form, first, second):
    server.set(job_form=form)
    job = session.order(server.ingest("b", "k", b"x").id)[0]
    assert isinstance(session.v2(f"/exports/{job}").json(), second)
    assert isinstance(session.v1(f"/exports/{job}").json(), first)


def test_export_locations_are_told(session):
    assert [row["id"] for row in session.v2("/exportlocations").json()] == [1188, 1189, 1190]
    assert session.v1("/exportlocations/1189").json()["id"] == 1189
    assert session.v1("/exportlocations/9").status_code == 404


# The robot


def test_threads_take_what_came_first_and_progress_in_ticks(session, server):
    server.set(threads=1, mount=0, seek=1000, tick=25)
    records = [server.ingest("b", f"k{number}", b"x").id for number in range(3)]
    session.order(*records)
    later(server, 1500)
    assert session.states() == ["Completed", "InProgress", "Waiting"]
    assert [job["Progress"] for job in session.v2("/exports?tag=t").json()["Results"]] == [100, 50, 0]
    later(server, 700)
    assert server.exports[2]["state"] == ("InProgress", 0)


@pytest.mark.parametrize(("urgent", "expected"), [("low", "Completed"), ("high", "InProgress")])
def test_priorities_of_locations_decide_who_is_next(session, server, urgent, expected):
    server.set(threads=1, mount=0, seek=1000, urgent=urgent)
    records = [server.ingest("b", f"k{number}", b"x").id for number in range(3)]
    session.order(records[0], tag="now")
    later(server, 1)
    session.order(records[1], location="1190", tag="bulk")
    session.order(records[2], location="1189", tag="expedited")
    later(server, 2000)
    assert session.states("expedited") == [expected]


def test_a_change_of_tape_costs_a_mount(session, server):
    server.set(threads=1, mount=10_000, seek=100)
    tapes = ["A", "B", "A", "B"]
    session.order(*[server.ingest("b", f"k{n}", b"x", tape=tape).id for n, tape in enumerate(tapes)])
    later(server, 100_000)
    assert server.api.robot.mounts == 4
    session.order(*[server.ingest("c", f"k{n}", b"x", tape=tape).id for n, tape in enumerate(sorted(tapes))], tag="sorted")
    later(server, 100_000)
    assert server.api.robot.mounts == 6


def test_reading_takes_its_time(session, server):
    server.set(mount=0, seek=0, rate=10)
    session.order(server.ingest("b", "k", bytes(50)).id)
    later(server, 4999)
    assert session.states() == ["InProgress"]
    later(server, 1)
    assert session.states() == ["Completed"]


@pytest.mark.parametrize(("outcome", "word"), [
    ("completed", "Completed"), ("failed", "Failed"), ("cancelled", "Cancelled"), ("already_exists", "AlreadyExists"),
])  # fmt: skip
def test_a_job_ends_as_its_knob_says(session, server, outcome, word):
    server.set(outcome={"b/k": outcome})
    job = session.order(server.ingest("b", "k", b"x").id, server.ingest("b", "other", b"x").id)[0]
    later(server, 10_000)
    assert session.states() == [word, "Completed"]
    lower = {"AlreadyExists": "already_exists_at_dst"}.get(word, word.lower())
    server.api.robot.exports[job].version = 1
    assert session.v1(f"/exports/{job}").json()[0]["status"] == lower


def test_a_failed_job_may_complete(session, server, tmp_path):
    server.set(outcome={"*": "failed"}, flip={"*": 60_000})
    session.order(server.ingest("b", "k", b"x").id)
    later(server, 10_000)
    assert session.states() == ["Failed"]
    assert not (tmp_path / "out/f0").exists()
    later(server, 60_000)
    assert session.states() == ["Completed"]
    assert (tmp_path / "out/f0").read_bytes() == b"x"


def test_a_job_may_vanish_and_come_back(session, server):
    server.set(vanish={"*": [1000, 2000]})
    job = session.order(server.ingest("b", "k", b"x").id)[0]
    seen = []
    for _ in range(3):
        seen.append((session.v2(f"/exports/{job}").status_code, len(session.states())))
        later(server, 1000)
    assert seen == [(200, 1), (404, 0), (200, 1)]


def test_a_job_can_be_cancelled_by_an_operator(session, server, tmp_path):
    job = session.order(server.ingest("b", "k", b"x").id)[0]
    session.control("cancel", export=job)
    later(server, 60_000)
    assert session.states() == ["Cancelled"]
    assert not (tmp_path / "out").exists()


# What arrives


@pytest.mark.parametrize(("how", "arrives"), [
    ("right", b"hello!"), ("truncated", b"hel"), ("empty", b""), ("wrong", bytes(255 - b for b in b"hello!")), ("none", None),
])  # fmt: skip
def test_what_arrives_is_what_the_knob_says(session, server, tmp_path, how, arrives):
    server.set(delivery={"b/k": how})
    session.order(server.ingest("b", "k", b"hello!").id)
    later(server, 10_000)
    path = tmp_path / "out/f0"
    assert (path.read_bytes() if path.exists() else None) == arrives


@pytest.mark.parametrize("delay", [-1000, 1000])
def test_the_file_comes_before_or_after_the_status(session, server, tmp_path, delay):
    server.set(mount=0, seek=5000, delay=delay)
    session.order(server.ingest("b", "k", b"x").id)
    later(server, 4500)
    assert (session.states(), (tmp_path / "out/f0").exists()) == (["InProgress"], delay < 0)
    later(server, 1000)
    assert (session.states(), (tmp_path / "out/f0").exists()) == (["Completed"], delay < 0)
    later(server, 1000)
    assert (tmp_path / "out/f0").exists()


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_file_that_is_there_is_overwritten_or_ends_the_job(session, server, tmp_path, overwrite):
    server.set(overwrite=overwrite)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/f0").write_bytes(b"old")
    session.order(server.ingest("b", "k", b"x").id)
    later(server, 10_000)
    assert session.states() == ["Completed" if overwrite else "AlreadyExists"]
    assert (tmp_path / "out/f0").read_bytes() == (b"x" if overwrite else b"old")


def test_a_temporary_name_is_renamed(tmp_path):
    seen = []

    class Watching(bytes):
        def __getitem__(self, part):
            seen.append(sorted(path.name for path in (tmp_path / "out").iterdir()))
            return bytes(self)[part]

    for temporary in (True, False):
        ToDirectory(tmp_path).put("out", f"f{temporary}", Watching(b"hello"), temporary=temporary)
    assert [seen[1], seen[-1]] == [[".fTrue.part"], ["fFalse", "fTrue"]]
    assert (tmp_path / "out/fTrue").read_bytes() == b"hello"


# Webhooks


@pytest.fixture
def hook():
    got = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            got.append((self.headers.get("Authorization"), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server, ended = http.server.HTTPServer(("127.0.0.1", 0), Handler), []
    server.timeout = 0.02

    def serve():
        while not ended:
            server.handle_request()

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/", got
    ended.append(True)
    thread.join()
    server.server_close()


def test_ends_are_told_to_the_webhook(clock, hook):
    url, got = hook
    server = MediaHaven(clock, webhook={"url": url, "user": "u", "password": "p", "duplicate": 2}, outcome={"b/bad": "failed"})
    server.start()
    session = Session(server).login()
    session.order(*[server.ingest("b", key, b"x").id for key in ("good", "bad")])
    clock.later(60_000)
    server.api.turn()
    server.tell()
    server.stop()
    session.http.close()
    assert len(got) == 4
    assert got[0][0] == "Basic " + base64.b64encode(b"u:p").decode()
    assert [b"NOK" in body for _, body in got] == [False, False, True, True]


@pytest.mark.parametrize(("knob", "expected"), [
    ({}, "abcd"), ({"duplicate": 2}, "aabbccdd"), ({"reverse": True}, "dcba"), ({"lose": 2}, "ac"), ({"lose": 1}, ""),
])  # fmt: skip
@pytest.mark.parametrize("version", [2, 3])
def test_events_come_twice_late_or_never(server, session, knob, expected, version):
    jobs = session.order(*[server.ingest("b", key, b"x").id for key in "abcd"])
    happened = [(server.api.robot.exports[job], True) for job in jobs]
    bodies = events.bodies(happened, {**knob, "version": version})
    assert bodies == [events.premis(happened["abcd".index(letter)][0], good=True, version=version) for letter in expected]


def test_nobody_at_the_hook_is_no_harm():
    assert events.post(b"x", {"url": "http://127.0.0.1:1/"}) == 0


# The control


def test_knobs_are_turned_over_http_and_read_from_a_file(session, server, tmp_path):
    assert session.control("knobs", threads=9).json()["threads"] == 9
    assert session.control("knobs", treads=9).status_code == 400
    path = tmp_path / "knobs.json"
    path.write_text(json.dumps({"threads": 7, "refuse": [{"on": "GET", "status": 500}]}))
    server.set(**read(path))
    assert server.api.knobs.threads == 7
    assert session.v2("/records?q=").status_code == 500
    path.write_text("[]")
    with pytest.raises(TypeError):
        read(path)


def test_objects_are_ingested_over_http(session, server):
    told = session.control("ingest", bucket="b", key="k", body=base64.b64encode(b"hello").decode(), external_id="qs1")
    assert session.v2(f"/records/{told.json()['id']}").json()["Administrative"]["ExternalId"] == "qs1"
    assert session.http.get(f"{server.url}/-/state", timeout=5).json()["records"] == 1
    assert session.control("nothing").status_code == 404


def test_nothing_is_forgotten_by_a_restart(clock, tmp_path):
    with MediaHaven(clock, home=tmp_path, threads=2) as server:
        session = Session(server).login()
        job = session.order(server.ingest("b", "k", b"x").id)[0]
        token = session.http.headers["Authorization"]
        session.http.close()
    clock.later(60_000)
    with MediaHaven(clock, home=tmp_path) as server:
        session = Session(server)
        session.http.headers["Authorization"] = token
        assert session.v2(f"/exports/{job}").json()["Status"] == "InProgress", "nobody worked while it was off"
        clock.later(60_000)
        assert session.v2(f"/exports/{job}").json()["Status"] == "Completed"
        assert server.api.knobs.threads == 2
        assert [held.body for held in server.api.shelves.held.values()] == [b"x"]
        session.http.close()


def test_a_destination_can_be_given_as_a_knob(clock, tmp_path):
    with MediaHaven(clock, destination=None) as server:
        session = Session(server).login()
        session.control("knobs", destination={"directory": str(tmp_path)})
        session.order(server.ingest("b", "k", b"x").id)
        later(server, 60_000)
        session.http.close()
    assert (tmp_path / "out/f0").read_bytes() == b"x"


def test_every_knob_is_written_and_read_back():
    knobs = Knobs(threads=1, outcome={"*": "failed"})
    assert Knobs().turned(json.loads(json.dumps(knobs.written()))).written() == knobs.written()
    assert urlencode({"a": " "}) == "a=+"  # what a careless client would send, and the strict stand-in refuses


def test_a_destination_that_is_away_is_tried_again(clock):
    class Sometimes:
        def __init__(self):
            self.away, self.given = True, []

        def there(self, path, name):
            return False

        def put(self, path, name, body, *, temporary):
            if self.away:
                raise Away("not now")
            self.given.append(body)

    place = Sometimes()
    with MediaHaven(clock, destination=place) as server:
        session = Session(server).login()
        session.order(server.ingest("b", "k", b"x").id)
        later(server, 60_000)
        assert not server.exports[0]["delivered"]
        place.away = False
        later(server, 1000)
        assert (server.exports[0]["delivered"], place.given) == (True, [b"x"])
        session.http.close()
