"""An ini's mistakes stop the start, each with one line that says where, what and what was expected."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from s3shunt import config
from s3shunt.cli import walk
from s3shunt.config import ConfigError, Ini, option

SOUND = """\
[DEFAULT]
state = ./var

[pipeline:main]
pipeline = errors virtual_host sigv4 grants lookup restore listing record shunt proxy

[filter:errors]
use = egg:s3shunt#errors

[filter:virtual_host]
use = egg:s3shunt#virtual_host

[filter:sigv4]
use = egg:s3shunt#sigv4

[filter:grants]
use = egg:s3shunt#grants

[filter:lookup]
use = egg:s3shunt#lookup

[filter:restore]
use = egg:s3shunt#restore

[filter:listing]
use = egg:s3shunt#listing

[filter:record]
use = egg:s3shunt#record

[filter:shunt]
use = egg:s3shunt#shunt

[app:proxy]
use = egg:s3shunt#proxy

[listen:main]
address = 127.0.0.1:8080
app = main

[catalog:main]
url = sqlite:///${state}/catalog.db
secret_file = ${state}/secret

[keys:main]
url = file://${state}/keys.json

[store:main]
url = s3+http://127.0.0.1:8100
credentials = ${state}/store.json

[store:landing]
like = main
bucket = landing

[archive:tape]
url = tape://${state}/tape

[policy:films]
buckets = films
archive = tape
after = 30d

[job:archive]
every = 5s
"""

MISTAKES = {
    "an option nobody knows": ("every = 5s", "evry = 5s", r"\[job:archive\] has no option evry: expected one of every, "),
    "an option misspelt in a policy": ("after = 30d", "aftr = 30d", r"\[policy:films\] has no option aftr: expected one of buckets"),
    "an option that must be given": ("buckets = films\n", "", r"\[policy:films\] needs buckets: Buckets \(shell patterns\)"),
    "a duration that is none": ("every = 5s", "every = soon", r"\[job:archive\] every = soon: expected a duration such as"),
    "a size that is none": ("after = 30d", "min_size = big", r"\[policy:films\] min_size = big: expected a size such as"),
    "a number that is none": ("every = 5s", "concurrency = two", r"\[job:archive\] concurrency = two: expected a whole number"),
    "a word outside the choice": (
        "after = 30d", "storage_class = STANDARD", r"\[policy:films\] storage_class = STANDARD: expected GLACIER or DEEP_ARCHIVE"
    ),
    "an eviction that cannot be read": (
        "after = 30d", "evict = sometimes", r"\[policy:films\] evict = sometimes: expected 'at once', 'never', 'after 7d'"
    ),
    "marks that cross": ("after = 30d", "evict = high 60 low 80", r"\[policy:films\] evict = high 60 low 80: expected"),
    "an external id from nowhere": (
        "after = 30d", "external_id = pid", r"\[policy:films\] external_id = pid: expected 'key', 'x-amz-meta-NAME' or 'pattern REGEX'"
    ),
    "a pattern that is none": (
        "after = 30d", "external_id = pattern (", r"\[policy:films\] external_id = pattern \(: expected a regular expression \("
    ),
    "a pattern that finds nothing": ("after = 30d", "external_id = pattern .*", r"\[policy:films\] .* with exactly one group"),
    "a pattern without bound": ("after = 30d", "external_id = pattern (a+)+", r"\[policy:films\] .* repeats only single"),
    "a URL without a scheme": ("url = tape://${state}/tape", "url = tape", r"\[archive:tape\] url = tape: expected a URL whose scheme"),
    "a URL with a password": (
        "s3+http://127.0.0.1:8100", "s3+http://me:secret@127.0.0.1", r"\[store:main\] url = .*: expected a URL without a password"
    ),
    "an adapter that does not exist": ("tape://", "drum://", r"\[archive:tape\] url = drum://...: no archive adapter .* expected one of"),
    "an address without a port": ("127.0.0.1:8080", "127.0.0.1", r"\[listen:main\] address = 127.0.0.1: expected HOST:PORT"),
    "a listener of no pipeline": (
        "app = main", "app = mian", r"\[listen:main\] app = mian: expected the name of a section \[pipeline:NAME\]"
    ),
    "a door without its section": (
        " shunt proxy", " shunt brake proxy", r"\[pipeline:main\] .* brake .*: expected a section \[filter:brake\]"
    ),
    "a door we do not have": ("egg:s3shunt#shunt", "egg:s3shunt#shant", r"\[filter:shunt\]: there is no shant: expected one of "),
    "a section that says nothing": ("use = egg:s3shunt#shunt", "", r"\[filter:shunt\] needs use: expected egg:s3shunt#NAME"),
    "doors in an order that cannot work": (
        "sigv4 grants", "grants sigv4", r"\[pipeline:main\] pipeline = \.\.\. grants \.\.\.: expected inside of sigv4: .*"
    ),
    "a door twice": ("errors virtual_host", "errors errors virtual_host", r"\[pipeline:main\] .* errors .*: expected once"),
    "an app in the middle": (
        "listing record shunt proxy", "proxy listing record shunt", r"\[pipeline:main\] .* proxy .*: expected at the end"
    ),
    "a policy whose archive is nowhere": (
        "archive = tape", "archive = tap", r"\[policy:films\] archive = tap: expected the name of a section"
    ),
    "eviction behind a pipeline that keeps no record": (
        "record shunt", "shunt", r"\[policy:films\] evict: expected record in \[pipeline:main\]: .* reaches the store"
    ),
    "bytes that nginx moves, and no nginx": (
        "use = egg:s3shunt#proxy", "use = egg:s3shunt#proxy\noffload = accel",
        r"\[app:proxy\] offload = accel: expected accel_peers, the addresses of the nginx",
    ),
    "links to a store that clients cannot name": (
        "use = egg:s3shunt#proxy", "use = egg:s3shunt#proxy\noffload = redirect", r"\[app:proxy\] offload = redirect: expected public"
    ),
    "an index that is none": (
        "secret_file", "index = http://redis:6379\nsecret_file", r"\[catalog:main\] index = http://...: no index adapter .* expected one of"
    ),
    "room for nothing": ("bucket = landing", "reserve = 0", r"\[store:landing\] reserve = 0: expected more than 0"),
    "no copy at all": ("after = 30d", "copies = 0", r"\[policy:films\] copies = 0: expected more than 0"),
    "a store like one that is not there": ("like = main", "like = mian", r"\[store:mian\] is missing: expected such a section, known are"),
    "the state in a section of its own": ("every = 5s", "state = /srv", r"\[job:archive\] state = /srv: expected only in \[DEFAULT\]"),
    "another option in [DEFAULT]": ("state = ./var", "state = ./var\nevery = 9s", r"\[DEFAULT\] every = 9s: expected only state and day"),
    "a day that is none": ("state = ./var", "day = one", r"\[DEFAULT\] day = one: expected a duration"),
    "text behind a header": ("[job:archive]\n", "[job:archive] every = 5s\n", r".*:\d+: text after a section header is lost: .* expected"),
    "a section twice": ("[job:archive]\nevery = 5s", "[job:archive]\n[job:archive]", r".*section 'job:archive' already exists"),
    "a job we do not have": ("[job:archive]", "[job:archieve]", r"\[job:archieve\]: there is no archieve: expected one of"),
    "a section of no kind": ("[job:archive]", "[jobs]", r"\[jobs\] is no section of ours: expected pipeline:, filter:"),
}  # fmt: skip


def ini(tmp_path, source):
    path = tmp_path / "proxy.ini"
    path.write_text(source)
    return path


def test_the_sound_one_is_accepted(tmp_path):
    walk.judge(Ini(ini(tmp_path, SOUND), {}))


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_with_section_value_and_expectation(tmp_path, mistake):
    right, wrong, said = MISTAKES[mistake]
    assert right in SOUND, "the table no longer changes anything"
    with pytest.raises(ConfigError) as error:
        walk.judge(Ini(ini(tmp_path, SOUND.replace(right, wrong, 1)), {}))
    line = str(error.value)
    assert "\n" not in line
    assert re.match(said, line), line


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere.ini: cannot be read: No such file"):
        Ini(tmp_path / "nowhere.ini", {})


def test_a_secret_that_cannot_be_read_is_not_printed():
    @dataclass(frozen=True)
    class Options:
        pin: int = option(config.number, secret=True, help="")

    with pytest.raises(ConfigError) as error:
        config.read(Options, "x", {"pin": "hunter2"})
    assert str(error.value) == "[x] pin = (hidden): expected a whole number"
    assert "12345" not in repr(config.read(Options, "x", {"pin": "12345"}))


def test_the_environment_moves_the_state_and_every_path_with_it(tmp_path):
    found = Ini(ini(tmp_path, SOUND), {"S3SHUNT_STATE": "/srv/state"})
    assert found.section("keys", "main")["url"] == "file:///srv/state/keys.json"


def test_here_is_the_folder_of_the_ini(tmp_path):
    found = Ini(ini(tmp_path, SOUND.replace("${state}/secret", "${here}/secret")), {})
    assert found.section("catalog", "main")["secret_file"] == f"{tmp_path}/secret"


@pytest.mark.parametrize(
    ("parse", "written", "value"),
    [
        (config.duration, "500ms", 500),
        (config.duration, "1.5h", 5_400_000),
        (config.duration, "30", 30_000),
        (config.duration, "2d", 2 * config.DAY),
        (config.size, "64K", 65536),
        (config.size, "2GiB", 2 << 30),
        (config.flag, "Yes", True),
        (config.flag, "off", False),
        (config.words, "a, b  c", ("a", "b", "c")),
        (config.address, "[::1]:80", ("::1", 80)),
    ],
)
def test_values_are_written_as_people_write_them(parse, written, value):
    assert parse(written) == value


@pytest.mark.parametrize(
    ("parse", "written"),
    [(config.duration, "-5s"), (config.size, "1.5G"), (config.flag, "maybe"), (config.address, "a:99999"), (config.word, "two words"),
     (config.text, "  "), (config.path, ""), (config.url, "host:80")],
)  # fmt: skip
def test_what_is_no_value_is_refused_with_what_was_expected(parse, written):
    with pytest.raises(ValueError, match="expected"):
        parse(written)


@pytest.mark.parametrize(
    ("evict", "read"),
    [
        ("at once", (0, None, None)),
        ("after 7d", (7 * config.DAY, None, None)),
        ("high 85 low 75", (None, 85, 75)),
        ("never", (None, None, None)),
    ],
)
def test_a_policy_says_in_words_when_the_bytes_leave(evict, read):
    found = config.policy("p", config.read(config.PolicyOptions, "policy:p", {"buckets": "*", "archive": "tape", "evict": evict}))
    assert (found.evict_after, found.high, found.low) == read


@pytest.mark.parametrize(
    ("written", "read"),
    [("", None), ("key", "key"), ("X-Amz-Meta-PID", "x-amz-meta-pid"), ("pattern  ([^/]+)/.* ", "pattern ([^/]+)/.*")],
)
def test_a_policy_says_where_an_external_id_comes_from(written, read):
    given = {"buckets": "*", "archive": "tape", "external_id": written}
    assert config.policy("p", config.read(config.PolicyOptions, "policy:p", given)).external_id == read


def test_an_empty_value_of_an_optional_option_is_not_set():
    assert config.read(config.PolicyOptions, "policy:p", {"buckets": "*", "archive": "tape", "after": ""}).after is None


class TestSecret:
    def test_an_absent_one_is_made_once_for_its_owner_alone(self, tmp_path):
        path = tmp_path / "deep" / "secret"
        made = config.secret(path)
        assert len(made) >= 32
        assert config.secret(path) == made
        assert path.stat().st_mode & 0o777 == 0o600
        assert [file.name for file in path.parent.iterdir()] == ["secret"]

    def test_who_makes_it_at_the_same_time_gets_the_same(self, tmp_path):
        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(config.secret, [tmp_path / "secret"] * 8))) == 1

    def test_one_that_is_too_short_is_refused(self, tmp_path):
        (tmp_path / "secret").write_text("short\n")
        with pytest.raises(ValueError, match="at least 16 bytes"):
            config.secret(tmp_path / "secret")


SWIFT = """\
[DEFAULT]
bind_port = 8080
log_name = proxy
[pipeline:main]
pipeline = catch_errors tempauth shunt proxy-server
[app:proxy-server]
use = egg:swift#proxy
set log_name = %(log_name)s app
[filter:tempauth]
user_test_tester = testing .admin
"""


def test_the_configuration_of_a_swift_proxy_can_be_read_as_an_ini(tmp_path):
    (tmp_path / "proxy-server.conf").write_text(SWIFT)
    ini = config.Ini(tmp_path / "proxy-server.conf", {})
    assert ini.section("app", "proxy-server")["set log_name"] == "%(log_name)s app"
    assert ini.foreign_defaults == {"bind_port": "8080", "log_name": "proxy"}
    assert ini.names("catalog") == []


def test_a_folder_of_them_too(tmp_path):
    (tmp_path / "10.conf").write_text(SWIFT)
    (tmp_path / "20.conf").write_text("[DEFAULT]\nday = 10s\n[store:main]\nurl = memory://\n")
    (tmp_path / ".30.conf").write_text("not read")
    ini = config.Ini(tmp_path, {})
    assert (ini.names("store"), ini.names("pipeline"), ini.day) == (["main"], ["main"], 10_000)
