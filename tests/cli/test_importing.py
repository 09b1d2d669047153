"""Catalogs filled from what is there: counted first, gone on with after a kill, never doubled, and nothing known is touched."""

import json
import os
import signal
import subprocess
import sys
from hashlib import md5

import pytest

from s3shunt import connect
from s3shunt.cli import entries, importing, sources
from s3shunt.model import Entry, Facts, Interest, Job, ObjectRef, Place, State, Step, Swap
from s3shunt.stores.posix import PosixStore
from s3shunt.testing.mediahaven import MediaHaven, site

from .house import SOURCE, Site

BODY = b"reel" * 100


def film(number, **more):
    facts = Facts(size=100 + number, etag=f'"{number:032x}"', last_modified=1_767_600_000_000)
    named = {"ref": ObjectRef("films", f"{number:05}", "null", "main"), "archive": "tape", "archive_id": f"T{number}", "copies": 1}
    return Entry(**({"facts": facts, "state": State.ARCHIVED, "storage_class": "GLACIER"} | named | more))


def written(path, found, form="jsonl"):
    with path.open("w", encoding="utf-8") as file:
        entries.dump(found, file, form)
    return path


def rows(site):
    return list(entries.every(site.house.truth()))


def brought(site, *words):
    (told,) = site.json("catalog", "import", *map(str, words))
    return told


def tally(**given):
    return {"added": 0, "known": 0, "conflicting": 0, "failed": 0, "bytes": 0, "skipped": {}} | given


# Counted


def test_a_dry_run_says_what_would_come_of_it_and_changes_nothing(site, tmp_path):
    brought(site, written(tmp_path / "known", [film(1), film(2)]))
    file = written(tmp_path / "new", [film(1), film(2, archive_id="elsewhere"), film(3), film(4)])
    before = rows(site)
    expected = tally(added=2, known=1, conflicting=1, bytes=207)
    assert brought(site, file, "--dry-run") == expected | {"dry_run": True}
    assert (rows(site), list((site.state / "imports").glob("*"))) == (before, [])
    assert brought(site, file) == expected
    assert {row.ref.key: row.archive_id for row in rows(site)} == {"00001": "T1", "00002": "T2", "00003": "T3", "00004": "T4"}


def test_what_differs_is_named_and_stays_as_it_was(site, tmp_path):
    brought(site, written(tmp_path / "a", [film(1)]))
    done = site.run("catalog", "import", str(written(tmp_path / "b", [film(1, archive_id="X")])))
    assert "films/00001" in done.stderr
    assert "archive id T1" in done.stderr
    assert [row.archive_id for row in rows(site)] == ["T1"]


def test_an_external_id_that_another_object_has_is_a_conflict(site, tmp_path):
    file = written(tmp_path / "a", [film(1, external_id="x"), film(2, external_id="x")])
    done = site.run("catalog", "import", str(file))
    assert "another object has the external id" in done.stderr
    assert [row.ref.key for row in rows(site)] == ["00001"]


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_lines_that_are_no_entries_are_named_counted_and_passed_over(site, tmp_path, form):
    file = written(tmp_path / "a", [film(1), film(2)], form)
    with file.open("a") as more:
        more.write('{"half\n\n' if form == "jsonl" else "main,films,x\nmain,films,b,,,many,,,,,tape,T\n")
    with file.open("a", newline="") as more:
        entries.dump([film(3)], more, "jsonl") if form == "jsonl" else more.write("main,films,z,,,7,,,,,tape,Z\n")
    done = site.run("catalog", "import", str(file), "--form", form, "--json")
    told = json.loads(done.stdout)
    failed = 1 if form == "jsonl" else 2
    assert (told["added"], told["failed"]) == (3, failed)
    assert ("line 3: " if form == "jsonl" else "record 3: ") in done.stderr
    assert len(rows(site)) == 3


def test_a_strict_import_stops_at_the_first_and_keeps_nothing_of_its_batch(site, tmp_path):
    file = written(tmp_path / "a", [film(1)])
    with file.open("a") as more:
        more.write("{}\n")
    done = site.run("catalog", "import", str(file), "--strict")
    assert "line 2: KeyError" in str(done.exception)
    assert rows(site) == []


def test_restored_entries_expire_though_no_recall_of_ours_brought_them(site, tmp_path):
    restored = film(1, state=State.RESTORED, place=Place("landing", "r/1"), restored_until=7, interests=(Interest("AK", 1, until=7),))
    brought(site, written(tmp_path / "a", [restored, film(2)]))
    assert [(job.kind, job.due, job.payload["key"]) for job in site.house.truth().jobs(kind="expire")] == [("expire", 7, "00001")]


def test_what_was_under_way_when_it_was_written_out_is_asked_for_anew(site, tmp_path):
    """No job of the old house comes along: nobody would finish it, and whoever asks would be told that somebody does."""
    queued = film(1, state=State.QUEUED, interests=(Interest("AK", 1),), token="r")
    leaving = film(2, state=State.EVICTING, token="t", lease=9, writers=1)
    begun = Entry(ref=ObjectRef("films", "begun", "null", "main"), writers=1)
    told = brought(site, written(tmp_path / "a", [queued, leaving, begun]))
    assert (told["added"], told["skipped"]) == (2, {"writes under way": 1})
    assert [(row.state, row.interests, row.writers) for row in rows(site)] == [(State.ARCHIVED, (), 0), (State.VERIFIED, (), 0)]
    assert site.house.truth().room("landing").coming == 0


def test_what_is_left_to_do_about_a_row_is_put_in_line(site, tmp_path):
    bound = film(1, state=State.ONLINE, archive=None, archive_id=None, copies=0)
    leaving, plain = film(2, state=State.VERIFIED), film(3, state=State.ONLINE, storage_class="STANDARD")
    brought(site, written(tmp_path / "a", [bound, leaving, plain, film(4)]))
    truth = site.house.truth()
    assert [job.payload["key"] for kind in ("archive", "evict") for job in truth.jobs(kind=kind)] == ["00001", "00002"]


# Broken off


def test_an_import_that_was_killed_goes_on_where_it_was_and_doubles_nothing(site, tmp_path, monkeypatch):
    file = written(tmp_path / "a", [film(number) for number in range(95)])
    monkeypatch.setattr(importing, "AT_ONCE", 10)
    read, seen = sources.entries.read, []

    def dying(line):
        seen.append(line)
        if len(seen) == 47:
            raise SystemExit(9)
        return read(line)

    monkeypatch.setattr(sources.entries, "read", dying)
    assert site.run("catalog", "import", str(file)).exit_code == 9
    assert len(rows(site)) == 40
    seen.clear()
    monkeypatch.setattr(sources.entries, "read", lambda line: seen.append(line) or read(line))
    assert brought(site, file) == tally(added=95, bytes=sum(100 + number for number in range(95)))
    assert len(seen) == 55
    assert len(rows(site)) == 95
    assert list((site.state / "imports").glob("*")) == []


def test_killed_between_its_rows_and_its_mark_it_finds_them_known(site, tmp_path, monkeypatch):
    file = written(tmp_path / "a", [film(number) for number in range(20)])
    monkeypatch.setattr(importing, "AT_ONCE", 10)
    write = importing.Checkpoint.write

    def dying(self, mark, tally):
        if mark == 20:
            raise SystemExit(9)
        write(self, mark, tally)

    with monkeypatch.context() as patch:
        patch.setattr(importing.Checkpoint, "write", dying)
        assert site.run("catalog", "import", str(file)).exit_code == 9
    told = brought(site, file)
    assert (told["added"], told["known"], len(rows(site))) == (10, 10, 20)


def test_killed_for_good_by_the_system_it_goes_on_as_well(site, tmp_path):
    file = tmp_path / "pipe"
    whole = written(tmp_path / "whole", [film(number) for number in range(3000)])
    file.write_bytes(whole.read_bytes())
    command = [sys.executable, "-m", "s3shunt", "catalog", "import", "-c", str(site.ini), str(file)]
    child = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while child.poll() is None and not list((site.state / "imports").glob("*.json")):
        os.sched_yield()
    child.send_signal(signal.SIGKILL)
    child.wait(20)
    before = len(rows(site))
    assert brought(site, file)["known"] in (0, 1000, 2000)
    assert before >= 1000
    assert len(rows(site)) == 3000


def test_a_file_that_was_changed_is_another_import_and_so_is_one_begun_anew(site, tmp_path, monkeypatch):
    file = written(tmp_path / "a", [film(number) for number in range(20)])
    house, given = site.house, {"form": "jsonl", "bucket": None}
    first = importing._path(house, "main", str(file), given)
    assert importing._path(house, "main", str(file), given) == first
    assert importing._path(house, "other", str(file), given) != first
    written(file, [film(1)])
    assert importing._path(house, "main", str(file), given) != first
    checkpoint = importing.Checkpoint(importing._path(house, "main", str(file), {"form": "jsonl"}))
    checkpoint.write(5, importing.Tally(added=5))
    assert checkpoint.read() == (5, importing.Tally(added=5))
    monkeypatch.setattr(importing, "_path", lambda *_: checkpoint._path)
    assert brought(site, file, "--anew") == tally(added=1, bytes=101)


# Stores and folders


def test_a_bucket_of_a_store_becomes_online_entries():
    from s3shunt.stores.memory import MemoryStore

    store = MemoryStore(MemoryStore.Options(url="memory://"), None)
    for key in ("a", "b", "c"):
        store.write(ObjectRef("films", key), iter([b"reel"]), size=4)
    found = list(sources.bucket(store, "main", "films", "", None))
    assert [(one.mark, one.entry.state, one.entry.facts.size, one.entry.store) for one in found] == [
        (key, State.ONLINE, 4, "main") for key in ("a", "b", "c")
    ]
    assert [one.mark for one in sources.bucket(store, "main", "films", "", "a")] == ["b", "c"]


def test_what_a_store_on_the_disk_holds_is_adopted_as_readable(tmp_path, site):
    store = PosixStore(PosixStore.Options(url=f"posix://{tmp_path}/cache"), site.house)
    store.write(ObjectRef("films", "a", account="main"), iter([BODY]), size=len(BODY))
    ini = site.ini.read_text().replace("[store:main]\nurl = memory://", f"[store:main]\nurl = posix://{tmp_path}/cache")
    site.ini.write_text(ini)
    connect._houses.clear()
    assert brought(site, "films", "--form", "bucket") == tally(added=1, bytes=len(BODY))
    (row,) = rows(site)
    assert (row.state, row.ref.version, row.facts.etag) == (State.ONLINE, "null", f'"{md5(BODY).hexdigest()}"')
    assert b"".join(site.house.store().read(row.ref)) == BODY


def test_a_folder_becomes_archived_objects_by_their_paths(site, tmp_path):
    (tmp_path / "tapes/2026").mkdir(parents=True)
    (tmp_path / "tapes/2026/a.txt").write_bytes(b"abc")
    (tmp_path / "tapes/link").symlink_to("/etc/passwd")
    brought(site, tmp_path / "tapes", "--form", "folder", "--bucket", "films", "--archive", "tape")
    [row] = rows(site)
    assert (row.ref.key, row.facts.size, row.facts.headers["content-type"]) == ("2026/a.txt", 3, "text/plain")
    assert row.facts.etag == '"900150983cd24fb0d6963f7d28e17f72"'
    assert site.run("catalog", "import", str(tmp_path), "--form", "folder").exit_code == 2


@pytest.mark.parametrize(("look", "state"), [("--look", State.ONLINE), ("--no-look", State.ARCHIVED)])
def test_a_file_of_a_folder_that_the_store_has_too_is_online(second, tmp_path, look, state):
    (tmp_path / "tapes").mkdir()
    (tmp_path / "tapes/a").write_bytes(b"older")
    second.house.store().write(ObjectRef("films", "a", account="main"), iter([BODY]), size=len(BODY))
    brought(second, tmp_path / "tapes", "--form", "folder", "--bucket", "films", "--archive", "tape", look)
    [row] = rows(second)
    assert (row.state, row.facts.size) == (state, len(BODY) if state is State.ONLINE else 5)


def test_a_folder_is_walked_on_from_a_mark(tmp_path):
    for name in ("a/b/1", "a/b/2", "a/c", "b/1", "c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    every = list(sources.files(tmp_path, None))
    assert ["/".join(way) for way in every] == ["a/b/1", "a/b/2", "a/c", "b/1", "c"]
    for number, way in enumerate(every):
        assert list(sources.files(tmp_path, list(way))) == every[number + 1 :]


# MediaHaven, and files that were brought back from it before


class Haven(Site):
    """A site whose archive is MediaHaven, with a disk cache for what comes back."""

    def __init__(self, tmp, server, **given):
        super().__init__(tmp)
        told = site_section(tmp, server, **given)
        text = SOURCE.format(state=self.state).replace("url = tape://${state}/tape\n", told)
        text = text.replace("[store:landing]\nurl = memory://", f"[store:landing]\nurl = posix://{tmp}/cache")
        self.ini.write_text(text.replace("[store:main]\nurl = memory://", f"[store:main]\nurl = posix://{tmp}/store"))
        connect._houses.clear()
        self.server = server

    def ingest(self, key, body=BODY, bucket="films", **more):
        return self.server.ingest(bucket, key, body, **more)

    def keys(self):
        return [row.ref.key for row in rows(self)]


def site_section(tmp, server, **given):
    return "".join(f"{name} = {value}\n".replace("${", "$${") for name, value in site.section(tmp, server, **given).items())


@pytest.fixture(params=["1", "2"])
def haven(request, tmp_path):
    with MediaHaven(page=3) as server:
        yield Haven(tmp_path, server, api=request.param)
        connect._houses.clear()


@pytest.fixture
def second(tmp_path):
    with MediaHaven() as server:
        yield Haven(tmp_path, server)
        connect._houses.clear()


def test_all_that_mediahaven_holds_is_found_page_by_page(haven):
    records = [haven.ingest(f'{number} "ü" \\', BODY + bytes([number]), mime="video/mxf") for number in range(10)]
    haven.ingest("other", bucket="news", external_id="pid-1")
    told = brought(haven, "tape", "--form", "mediahaven")
    assert (told["added"], told["bytes"]) == (11, sum(len(BODY) + 1 for _ in records) + len(BODY))
    (row,) = [row for row in rows(haven) if row.archive_id == records[4].id]
    assert (row.ref, row.state, row.facts.etag) == (ObjectRef("films", '4 "ü" \\', "null", "main"), State.ARCHIVED, f'"{records[4].md5}"')
    assert (row.copies, row.facts.headers["content-type"], row.media_kind, row.storage_class) == (1, "video/mxf", "video", "GLACIER")
    assert brought(haven, "tape", "--form", "mediahaven") == tally(known=11)


def test_of_mediahaven_one_bucket_or_what_a_clause_leaves(haven):
    haven.ingest("a")
    haven.ingest("b", bucket='news") +(s3_bucket:"films')
    assert brought(haven, "tape", "--form", "mediahaven", "--bucket", 'news") +(s3_bucket:"films')["added"] == 1
    assert haven.keys() == ["b"]
    assert brought(haven, "tape", "--form", "mediahaven", "--query", '+(s3_object_key:"a")')["added"] == 1


def test_fragments_and_records_without_a_name_are_counted_and_left_alone(second):
    second.ingest("a")
    second.ingest("a", fragment=True)
    second.ingest("", bucket="")
    told = brought(second, "tape", "--form", "mediahaven")
    assert (told["added"], told["skipped"]) == (1, {"a fragment": 1, "no name": 1})


def test_of_several_records_of_one_name_the_newest_comes_in(second):
    second.ingest("a", b"old")
    newest = second.ingest("a", b"newer")
    assert brought(second, "tape", "--form", "mediahaven")["added"] == 1
    assert [row.archive_id for row in rows(second)] == [newest.id]


@pytest.mark.parametrize("properties", ["not in results", "never"])
def test_a_record_that_does_not_tell_its_name_in_results_is_asked(second, properties):
    second.server.set(properties=properties)
    second.ingest("a")
    told = brought(second, "tape", "--form", "mediahaven")
    assert (told["added"], told["skipped"]) == ((1, {}) if properties != "never" else (0, {"no name": 1}))


def test_what_lacks_its_size_or_md5_is_named_and_counted(second):
    second.ingest("a", told={"FileSize": None})
    second.ingest("b", told={"Md5": None}).fields.pop("md5_viaa")
    second.ingest("c")
    done = second.run("catalog", "import", "tape", "--form", "mediahaven", "--json")
    assert (json.loads(done.stdout)["failed"], second.keys()) == (2, ["c"])
    assert "does not tell its MD5" in done.stderr
    assert "does not tell the size" in done.stderr


def test_keys_are_made_of_external_ids_that_are_found_in_them_again(second):
    second.ingest("x", external_id="pid-1")
    second.ingest("y", external_id="a/b")
    second.ingest("z")
    words = ("tape", "--form", "mediahaven", "--bucket", "films", "--key", "in/{external_id}.mxf")
    told = brought(second, *words)
    assert (told["added"], told["skipped"], second.keys()) == (1, {"no name": 2}, ["in/pid-1.mxf"])
    assert rows(second)[0].external_id == "pid-1"
    assert second.run("catalog", "import", *words[:3], "--key", "x").exit_code == 2


def test_what_the_store_has_too_is_online_and_no_archived_object(second):
    second.ingest("a")
    second.ingest("b")
    second.house.store().write(ObjectRef("films", "a", account="main"), iter([BODY]), size=len(BODY))
    brought(second, "tape", "--form", "mediahaven")
    assert [(row.ref.key, row.state) for row in rows(second)] == [("a", State.ONLINE), ("b", State.ARCHIVED)]


def test_a_copy_of_a_deleted_object_does_not_bring_it_back(second):
    record = second.ingest("a")
    second.house.truth().enqueue(Job(kind="discard", dedupe=f"copy tape {record.id}", due=10**15))
    assert brought(second, "tape", "--form", "mediahaven")["skipped"] == {"copies of deleted objects": 1}
    assert rows(second) == []


def test_an_import_from_mediahaven_goes_on_a_little_before_where_it_was(second, monkeypatch):
    for number in range(500):
        second.ingest(f"{number:03}")
    monkeypatch.setattr(importing, "AT_ONCE", 100)
    with monkeypatch.context() as patch:
        write = importing.Checkpoint.write
        patch.setattr(importing.Checkpoint, "write", lambda self, mark, tally: write(self, mark, tally) if mark < 400 else sys.exit(9))
        assert second.run("catalog", "import", "tape", "--form", "mediahaven").exit_code == 9
    before = len(second.server.api.calls)
    told = brought(second, "tape", "--form", "mediahaven")
    assert (told["added"], len(second.keys())) == (400, 500)
    assert len([call for call in second.server.api.calls[before:] if call.startswith("GET /records")]) == 4


def test_an_archive_that_cannot_say_what_it_holds_is_refused(site):
    assert "all it holds" in str(site.run("catalog", "import", "tape", "--form", "mediahaven").exception)


def test_files_on_the_disk_cache_become_readable_restored_objects(second, tmp_path):
    record = second.ingest("2026/a.mxf", mime="video/mxf")
    second.ingest("short", BODY)
    second.ingest("wrong", BODY)
    second.ingest("unsafe", BODY, status="in_progress")
    old = tmp_path / "old"
    for name, body in (("2026/a.mxf", BODY), ("short", BODY[1:]), ("wrong", BODY[::-1]), ("unknown", BODY), ("unsafe", BODY)):
        (old / name).parent.mkdir(parents=True, exist_ok=True)
        (old / name).write_bytes(body)
    words = ("catalog", "import", str(old), "--form", "cache", "--bucket", "films", "--archive", "tape", "--days", "7")
    rehearsed = second.run(*words, "--dry-run", "--json")
    assert (json.loads(rehearsed.stdout)["failed"], rows(second)) == (1, [])
    done = second.run(*words, "--json")
    told = json.loads(done.stdout)
    assert (told["added"], told["failed"], told["skipped"]) == (1, 2, {"files that the archive does not hold safely": 2})
    (row,) = rows(second)
    assert (row.state, row.archive_id, row.facts.headers["content-type"]) == (State.RESTORED, record.id, "video/mxf")
    assert row.restored_until > second.house.clock.now() + 6 * second.house.day
    store, name = second.house.place(row.place)
    assert b"".join(store.read(name, etag=row.place.etag)) == BODY
    assert len(store.list("")) == 1
    assert (old / "2026/a.mxf").stat().st_nlink == 2
    assert [job.due for job in second.house.truth().jobs(kind="expire")] == [row.restored_until]
    again = second.json(*words)
    assert again[0]["skipped"] == {"files that the archive does not hold safely": 2, "known objects": 1}


def test_a_cached_file_of_what_the_store_has_too_is_not_served_in_its_stead(second, tmp_path):
    second.ingest("a")
    (tmp_path / "old").mkdir()
    (tmp_path / "old/a").write_bytes(BODY)
    second.house.store().write(ObjectRef("films", "a", account="main"), iter([b"newer"]), size=5)
    brought(second, tmp_path / "old", "--form", "cache", "--bucket", "films", "--archive", "tape")
    [row] = rows(second)
    assert (row.state, row.facts.size, row.place) == (State.ONLINE, 5, None)


def test_what_is_written_while_it_is_brought_in_stays_online(second, monkeypatch):
    """Whoever wrote it looked for a row before there was one."""
    second.ingest("a")
    second.ingest("b")
    take = importing.Import._take

    def late(self, batch, tally):
        second.house.store().write(ObjectRef("films", "a", account="main"), iter([b"newer"]), size=5)
        take(self, batch, tally)

    monkeypatch.setattr(importing.Import, "_take", late)
    told = brought(second, "tape", "--form", "mediahaven")
    assert (told["added"], told["skipped"]) == (1, {"objects that were written meanwhile": 1})
    assert second.keys() == ["b"]


def test_what_was_linked_for_what_is_written_meanwhile_goes_again(second, tmp_path, monkeypatch):
    second.ingest("a")
    (tmp_path / "old").mkdir()
    (tmp_path / "old/a").write_bytes(BODY)
    take = importing.Import._take

    def late(self, batch, tally):
        second.house.store().write(ObjectRef("films", "a", account="main"), iter([b"newer"]), size=5)
        take(self, batch, tally)

    monkeypatch.setattr(importing.Import, "_take", late)
    brought(second, tmp_path / "old", "--form", "cache", "--bucket", "films", "--archive", "tape")
    store, _ = second.house.place(Place("landing", ""))
    assert (second.keys(), store.list("")) == ([], [])


def test_what_was_linked_for_nothing_goes_again(second, tmp_path):
    second.ingest("a", external_id="x")
    known = film(1, external_id="x")
    assert second.house.truth().commit(Step(swaps=(Swap(None, known),)))
    (tmp_path / "old").mkdir()
    (tmp_path / "old/a").write_bytes(BODY)
    told = brought(second, tmp_path / "old", "--form", "cache", "--bucket", "films", "--archive", "tape")
    assert (told["added"], told["conflicting"]) == (0, 1)
    store, _ = second.house.place(Place("landing", ""))
    assert store.list("") == []


def test_a_cache_needs_a_store_into_which_files_can_be_linked(site, tmp_path):
    (tmp_path / "old").mkdir()
    done = site.run("catalog", "import", str(tmp_path / "old"), "--form", "cache", "--bucket", "films", "--archive", "tape")
    assert "posix://" in str(done.exception)


def test_what_an_operator_sees_on_a_terminal_is_a_bar(capsys):
    shown = importing.Shown(None)
    with shown.drawn():
        shown.begin(importing.Tally(added=3, skipped=importing.Counter({"x": 2})))
    assert "going on behind 5" in capsys.readouterr().err


