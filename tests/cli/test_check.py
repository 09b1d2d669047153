"""What check says of an ini: the walk, every option with secrets hidden, what should be known."""

import json
from dataclasses import dataclass

import pytest
from click.testing import CliRunner

from s3shunt import config
from s3shunt.cli import check, sample, say, walk
from s3shunt.cli.main import cli
from s3shunt.config import Ini, option
from s3shunt.protocol.errors import AccessDenied, ServiceUnavailable
from s3shunt.stores.s3 import S3Store
from s3shunt.stores.s3.probe import Manners


def run(*words):
    return CliRunner().invoke(cli, ["check", *map(str, words)])


def test_every_section_is_shown_with_its_defaults(site):
    said = run(site.ini).output
    assert "[policy:films]\n    buckets = films\n    archive = tape\n" in said
    assert "    evict = at once\n" in said


def test_programs_get_one_document_a_line(site):
    lines = [json.loads(line) for line in run(site.ini, "--json").stdout.splitlines()]
    [policy] = [line["options"] for line in lines if line.get("section") == "policy:films"]
    assert policy["classes"] == ["GLACIER", "DEEP_ARCHIVE"]


def test_a_secret_is_not_shown():
    @dataclass(frozen=True)
    class Options:
        pin: str = option(config.word, secret=True, help="")
        name: str = option(config.word, help="")

    shown = check._resolved(walk.Section("x", "y", Options, Options(pin="hunter2", name="me")))
    assert shown == {"pin": "(hidden)", "name": "me"}


def test_a_pipeline_and_an_app_of_one_name_could_not_be_told_apart(site):
    site.ini.write_text(site.ini.read_text() + "[pipeline:a]\npipeline = a\n[app:a]\nuse = egg:s3shunt#proxy\n")
    done = run(site.ini)
    assert done.exit_code != 0
    assert "[pipeline:a] and [app:a]: expected another name" in str(done.exception or done.output)


def test_more_clients_than_descriptors_are_remarked(site):
    assert "file descriptors" not in run(site.ini).output
    listening = "[listen:many]\napp = end\naddress = 127.0.0.1:0\nconnections = 1000000000\n"
    site.ini.write_text(f"{site.ini.read_text()}[app:end]\nuse = egg:s3shunt#proxy\n{listening}")
    assert "connections = 1000000" in run(site.ini).output


def test_a_probe_says_what_answers(site):
    lines = [json.loads(line) for line in run(site.ini, "--probe", "--json").stdout.splitlines()]
    assert {line["probe"]: line["answer"] for line in lines if "probe" in line} == {
        "catalog:main": "ok", "keys:main": "ok", "store:main": "ok", "store:landing": "ok", "archive:tape": "ok"
    }  # fmt: skip


def test_a_probe_of_what_is_not_there_fails(site):
    site.ini.write_text(site.ini.read_text() + f"[store:gone]\nurl = s3+http://127.0.0.1:9\ncredentials = {site.state}/c\n")
    (site.state / "c").write_text('{"": {"access_key": "a", "secret_key": "b"}}')
    (site.state / "c").chmod(0o600)
    done = run(site.ini, "--probe", "--json")
    answers = {line.get("probe"): line.get("answer") for line in map(json.loads, done.stdout.splitlines())}
    assert done.exit_code == 1
    assert "ServiceUnavailable" in answers["store:gone"]


def test_a_probe_says_that_an_index_does_not_answer(site):
    ini = site.ini.with_name("far.ini")
    ini.write_text(site.ini.read_text() + f"[catalog:far]\nurl = sqlite:///{site.state}/far.db\nindex = redis://127.0.0.1:9/0\n")
    assert CliRunner().invoke(cli, ["catalog", "upgrade", "--name", "far", "-c", str(ini)]).exit_code == 0
    lines = [json.loads(line) for line in run(ini, "--probe", "--json").stdout.splitlines()]
    answers = {line.get("probe"): line.get("answer") for line in lines}
    assert "its index does not answer" in answers["catalog:far"]
    assert answers["keys:main"] == "ok"


def test_what_was_behind_a_problem_is_said_in_one_line():
    error = ServiceUnavailable("The catalog cannot be reached.")
    assert say.problem(error) == "The catalog cannot be reached."
    error.__cause__ = OSError("password authentication failed\n(background on this error)")
    assert say.problem(error) == "The catalog cannot be reached. (password authentication failed)"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("[catalog:short]\nurl = memory://\n", "forgets everything"),
        ("[store:old]\nurl = s3+http://h\ncredentials = /c\nevict = unsafe\n", "[store:old] evicts by HEAD and DELETE"),
        ("[store:new]\nurl = s3+http://h\ncredentials = /nowhere/c\n", "[store:new] credentials = /nowhere/c: no such file yet."),
    ],
)
def test_what_works_but_should_be_known_is_remarked(site, more, said):
    site.ini.write_text(site.ini.read_text() + more)
    assert said in run(site.ini).output


def test_nothing_is_connected_without_probe(site):
    (site.state / "catalog.db").unlink()
    assert run(site.ini).exit_code == 0
    assert not (site.state / "catalog.db").exists()


def test_a_sample_keeps_what_is_set_and_shows_the_rest(tmp_path):
    source = "# About it.\n\n[policy:films]\nbuckets = films\n# stale help\narchive = tape\nevict = never\n"
    path = tmp_path / "a.ini"
    path.write_text(source)
    shown = sample.expand(source, Ini(path, {}))
    assert shown.startswith("# About it.\n\n[policy:films]\n# Buckets (shell patterns) this policy is for.\nbuckets = films\n")
    assert "\n#copies = 1\n" in shown
    assert "\nevict = never\n" in shown
    assert "stale help" not in shown


def test_a_sample_of_a_sample_is_the_sample(site):
    once = sample.expand(site.ini.read_text(), Ini(site.ini, {}))
    site.ini.write_text(once)
    assert sample.expand(once, Ini(site.ini, {})) == once
    assert run(site.ini).exit_code == 0


DOORS = ("errors", "virtual_host", "sigv4", "grants", "lookup", "listing")
FORWARDED = (
    "[DEFAULT]\n[pipeline:main]\npipeline = errors virtual_host sigv4 grants lookup listing proxy\n"
    + "".join(f"[filter:{door}]\nuse = egg:s3shunt#{door}\n" for door in DOORS)
    + "{order}\n[app:proxy]\nuse = egg:s3shunt#proxy\n[catalog:main]\nurl = memory://\n[keys:main]\nurl = file:///nowhere\n"
    + "[store:main]\nurl = s3+http://127.0.0.1:9\ncredentials = {credentials}\n{keys}\n"
)


@pytest.mark.parametrize(
    ("manners", "said", "failed"),
    [
        (Manners(), "", False),
        (Manners(order="directory"), "set [filter:listing] order = directory", True),
        (Manners(keys="paths"), "set [store:main] keys = paths", True),
        (Manners(hides=True), "hides a/b from its listings", False),
        (AccessDenied(), "could not be asked how it takes keys", False),
    ],
)
def test_a_probe_says_what_the_ini_has_to_say_of_its_store(tmp_path, monkeypatch, manners, said, failed):
    def asked(_):
        if isinstance(manners, AccessDenied):
            raise manners
        return manners

    credentials, path = tmp_path / "c", tmp_path / "site.ini"
    credentials.write_text('{"": {"access_key": "a", "secret_key": "b"}}')
    credentials.chmod(0o600)
    monkeypatch.setattr(S3Store, "head", lambda *_: None)
    monkeypatch.setattr(S3Store, "manners", asked)
    path.write_text(FORWARDED.format(order="", keys="", credentials=credentials))
    done = run(path, "--probe", "--json")
    answers = [line for line in map(json.loads, done.stdout.splitlines()) if line.get("probe") == "store:main"]
    assert (len(answers) > 1) is failed
    assert said in done.stdout
    path.write_text(FORWARDED.format(order="order = directory", keys="keys = paths", credentials=credentials))
    answers = [line["answer"] for line in map(json.loads, run(path, "--probe", "--json").stdout.splitlines()) if "answer" in line]
    assert all("set [" not in answer for answer in answers)
