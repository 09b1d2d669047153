"""One line for each request, and no secret in any of them."""

import json
import weakref

import pytest

from s3shunt import config, connect
from s3shunt.config import Ini
from s3shunt.filters.access_log import TOGETHER, AccessLog, Lines, Options
from s3shunt.model import Identity
from s3shunt.protocol.errors import IncompleteBody
from s3shunt.testing.client import Client, call, environ
from s3shunt.testing.clock import HandClock
from s3shunt.testing.origin import Origin
from s3shunt.wsgi import Application, Response


class Site:
    def __init__(self, tmp, forward, **options):
        path = tmp / "ini"
        path.write_text("[DEFAULT]\n")
        self.file = tmp / "access.log"
        self.clock = HandClock()
        given = {"path": str(self.file), "flush": "0s"} | options
        self.log = AccessLog(forward, config.read(Options, "filter:access_log", given), connect.House(Ini(path, {}), self.clock))
        self.app = Application(self.log)

    @property
    def lines(self):
        return [json.loads(line) for line in self.file.read_text().splitlines()] if self.file.exists() else []


def test_a_line_says_who_did_what_and_what_came_of_it(tmp_path):
    def answer(request):
        context = request.context
        context.request_id, context.identity = "R1", Identity(access_key="AK", account="a")
        context.upstream_status, context.upstream_attempts = 200, 2
        context.notes["recall"] = "r7"
        site.clock.later(25)
        return Response(status=200, headerlist=[("Content-Length", "5")], app_iter=[b"hello"])

    site = Site(tmp_path, Origin(answer))
    call(site.app, environ("PUT", "/films/a%20b?partNumber=1&uploadId=u", b"abc", {"user-agent": "aws-cli", "host": "h"}))
    assert site.lines == [
        {
            "time": "2026-01-05T10:30:00.025Z", "id": "R1", "peer": "127.0.0.1", "identity": "AK", "method": "PUT",
            "operation": "UploadPart", "bucket": "films", "key": "a b", "query": {"partNumber": "1", "uploadId": "u"},
            "status": 200, "in": 3, "out": 5, "ms": 25, "upstream": 200, "attempts": 2, "agent": "aws-cli", "recall": "r7",
        }
    ]  # fmt: skip


def test_no_secret_is_ever_written(tmp_path):
    site = Site(tmp_path, Origin())
    secrets = {
        "authorization": "AWS4 Credential=AK, Signature=CANARY", "x-amz-security-token": "CANARY", "cookie": "CANARY",
        "x-amz-server-side-encryption-customer-key": "CANARY",
    }  # fmt: skip
    target = "/films?X-Amz-Signature=CANARY&X-Amz-Security-Token=CANARY&continuation-token=CANARY&unknown=CANARY&prefix=in/"
    call(site.app, environ("GET", target, fields=secrets))
    assert "CANARY" not in site.file.read_text()
    assert site.lines[0]["query"] == {"prefix": "in/"}


def test_the_line_is_written_when_the_body_is_closed(tmp_path):
    site = Site(tmp_path, Origin(Response(status=200, app_iter=[b"a"])))
    begun = []
    body = site.app(environ("GET", "/films/a"), lambda status, headers: begun.append(status))
    assert list(body) == [b"a"]
    assert not site.lines
    body.close()
    assert len(site.lines) == 1


def test_an_answer_cut_short_is_marked(tmp_path):
    def torn(request):
        def pieces():
            yield b"half"
            raise IncompleteBody

        return Response(status=200, headerlist=[("Content-Length", "8")], app_iter=pieces())

    site = Site(tmp_path, torn)
    assert call(site.app, environ("GET", "/films/a")).broken
    assert (site.lines[0]["cut"], site.lines[0]["out"]) == (True, 4)


def test_a_head_is_not_cut(tmp_path):
    site = Site(tmp_path, Origin(Response(status=200, headerlist=[("Content-Length", "8")], app_iter=[])))
    Client(site.app).head("/films/a")
    assert "cut" not in site.lines[0]


@pytest.mark.parametrize("target", ["/films/%zz", "/%ff/a"])
def test_what_cannot_be_read_is_logged_as_it_came(tmp_path, target):
    site = Site(tmp_path, Origin(Response(status=400)))
    call(site.app, environ("GET", target))
    assert site.lines[0]["path"]
    assert site.lines[0]["status"] == 400


def test_a_line_stays_one_line(tmp_path):
    site = Site(tmp_path, Origin())
    call(site.app, environ("GET", "/films/a%0A%22%E2%80%A8", fields={"user-agent": 'x\n"y'}))
    assert len(site.file.read_text().splitlines()) == 1
    assert site.lines[0]["key"] == 'a\n"\u2028'


def test_a_line_that_waits_holds_no_request(tmp_path):
    seen = []

    def answer(request):
        seen.append(weakref.ref(request))
        return Response(status=200, app_iter=[b"a"])

    site = Site(tmp_path, answer, flush="1h")
    call(site.app, environ("GET", "/films/a"))
    assert seen[0]() is None
    assert not site.lines
    site.log.lines.write()
    assert [line["key"] for line in site.lines] == ["a"]


def test_what_is_added_while_lines_are_taken_is_written_with_the_next(tmp_path):
    class Busy(list):
        def __getitem__(self, wanted):
            found = super().__getitem__(wanted)
            self.append("late\n")
            return found

    lines = Lines(str(tmp_path / "log"), 3_600_000, iter)
    lines._pending = Busy()
    lines.add("first\n")
    lines.write()
    assert (tmp_path / "log").read_text() == "first\n"
    lines.write()
    assert (tmp_path / "log").read_text() == "first\nlate\n"


def test_lines_are_collected_and_written_together(tmp_path):
    lines = Lines(str(tmp_path / "log"), 3_600_000, iter)
    for number in range(5):
        lines.add(f"{number}\n")
    assert not (tmp_path / "log").exists()
    lines.flush()
    assert len((tmp_path / "log").read_text().splitlines()) == 5
    for _ in range(TOGETHER):
        lines.add('{"n":1}\n')
    assert len((tmp_path / "log").read_text().splitlines()) == 5 + TOGETHER


def test_a_log_that_cannot_be_written_stops_nobody_and_counts(tmp_path):
    lines = Lines(str(tmp_path / "folder" / "log"), 0, iter)
    lines.add('{"n":1}\n')
    lines.add('{"n":2}\n')
    (tmp_path / "folder").mkdir()
    lines.add('{"n":3}\n')
    lines.add('{"n":4}\n')
    written = [json.loads(line) for line in (tmp_path / "folder" / "log").read_text().splitlines()]
    assert written == [{"dropped": 2}, {"n": 3}, {"n": 4}]


def test_a_log_that_was_moved_away_is_begun_anew(tmp_path):
    lines = Lines(str(tmp_path / "log"), 0, iter)
    lines.add('{"n":1}\n')
    (tmp_path / "log").rename(tmp_path / "log.1")
    lines.add('{"n":2}\n')
    assert (tmp_path / "log").read_text() == '{"n":2}\n'


def test_a_dash_is_standard_error(capfdbinary):
    Lines("-", 0, iter).add('{"n":1}\n')
    assert capfdbinary.readouterr() == (b"", b'{"n":1}\n')
