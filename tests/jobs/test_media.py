"""Real files of ffmpeg's, looked into by the real ffprobe; and programs of our own in its place that misbehave."""

import os
import shutil
import subprocess
from dataclasses import replace

import pytest

from s3shunt.config import ConfigError
from s3shunt.jobs.media import MediaJob
from s3shunt.jobs.runner import Runner
from s3shunt.model import State, Step, Swap
from s3shunt.protocol.errors import ServiceUnavailable
from s3shunt.testing.faults import Fuse, Killed

VIDEO = "-f lavfi -i testsrc=size=64x48:rate=25:duration=2 -f lavfi -i sine=duration=2:sample_rate=48000"
AUDIO = "-f lavfi -i sine=duration=2:sample_rate=48000"
MADE = {
    "a.mxf": f"{VIDEO} -c:v mpeg2video -c:a pcm_s16le -timecode 10:00:00:00",
    "a.mov": f"{VIDEO} -c:v prores_ks -c:a pcm_s16le -timecode 09:58:00:00",
    "a.wav": f"{AUDIO} -write_bext 1 -metadata time_reference=172800000",
    "a.mp3": AUDIO,
}
SEEN = {
    "a.mxf": ("video", "mpeg2video", "mxf", "2000", "10:00:00:00"),
    "a.mov": ("video", "prores", "mov", "2000", "09:58:00:00"),
    "a.wav": ("audio", "pcm_s16le", "wav", "2000", "01:00:00.000"),
    "a.mp3": ("audio", "mp3", "mp3", "2040", None),
}
JSON = '{"streams": [{"codec_type": "audio", "codec_name": "mp3"}], "format": {}}'
real = pytest.mark.skipif(not (shutil.which("ffmpeg") and shutil.which("ffprobe")), reason="ffmpeg is not installed")


@pytest.fixture(scope="session")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    for name, how in MADE.items():
        subprocess.run(["ffmpeg", "-v", "error", *how.split(), str(folder / name)], check=True)
    return {name: (folder / name).read_bytes() for name in MADE}


@pytest.fixture
def looked(make, tmp_path):
    """Works whose program is a script; without one, the real ffprobe."""

    def looked(script=None, wrap=lambda port, _: port, **options):
        program = shutil.which("ffprobe")
        if script is not None:
            program = tmp_path / "program"
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(0o755)
        given = {"ffprobe": program, "scratch": tmp_path, **options}
        works = make(more="[job:media]\n" + "\n".join(f"{name} = {value}" for name, value in given.items()), wrap=wrap)
        works.tmp = tmp_path
        return works

    return looked


def probe(works, rounds=3):
    """Media jobs alone, so that the bytes stay where they are."""
    runner = Runner(works.house, owner="looker", kinds=("media",))
    for _ in range(2 * rounds):
        runner.run_due()
        works.clock.later(300_000)
    return works


def scratch(works):
    return [path.name for path in works.tmp.iterdir() if path.name.startswith("s3shunt-media-")]


@real
@pytest.mark.parametrize("name", SEEN)
def test_a_real_file_is_told_of(looked, films, name):
    works = looked()
    works.put(name, films[name])
    before = works.row(name)
    probe(works)
    row = works.row(name)
    media = row.media
    assert (row.media_kind, media["codec"], media["container"], media["duration"], media.get("timecode")) == SEEN[name]
    assert row == replace(before, media=media, media_kind=row.media_kind, revision=before.revision + 1)
    assert scratch(works) == []
    assert works.catalog.jobs(kind="media", dead=True) == []


@real
@pytest.mark.parametrize("name", ["a.mxf", "a.mov", "a.wav"])
def test_of_a_large_object_only_its_ends_are_read(looked, films, name):
    works = looked(head="16K", tail="16K")
    works.put(name, films[name])
    read, spans = works.store.read, []
    works.store.read = lambda ref, **how: spans.append((how["start"], how["end"])) or read(ref, **how)
    probe(works)
    row, size = works.row(name), len(films[name])
    assert spans == [(0, 16384), (size - 16384, size)]
    assert (row.media_kind, row.media["codec"], row.media["container"], row.media["duration"], row.media.get("timecode")) == SEEN[name]


@real
def test_a_restored_copy_is_looked_into_where_it_landed(looked, films):
    works = looked()
    others = Runner(works.house, owner="others", kinds=("archive", "evict", "recall", "sweep"))
    works.put("a.mov", films["a.mov"])
    works.work(runner=others)
    assert (works.row("a.mov").state, works.row("a.mov").media) == (State.ARCHIVED, {})
    probe(works)
    assert works.row("a.mov").media == {}
    works.restore("a.mov")
    works.work(runner=others)
    probe(works)
    assert (works.row("a.mov").state, works.row("a.mov").media["codec"]) == (State.RESTORED, "prores")


@real
@pytest.mark.parametrize("name", ["film.mxf", "film.mov", "sound.mp3", "anything"])
def test_a_broken_file_is_unknown_with_a_reason_and_is_left_alone(looked, name):
    works = looked()
    works.put(name, b"\x00\x01\x02 no film \xff" * 50)
    probe(works)
    row = works.row(name)
    assert row.media_kind == "unknown"
    assert row.media["error"]
    assert str(works.tmp) not in row.media["error"]
    revision = row.revision
    probe(works)
    assert works.row(name).revision == revision
    assert works.catalog.jobs(kind="media", dead=True) == []


HOSTILE = {
    "playlist": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:2,\nfile:{secret}\n#EXT-X-ENDLIST\n",
    "web playlist": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:2,\nhttp://127.0.0.1:1/a.ts\n#EXT-X-ENDLIST\n",
    "list of files": "ffconcat version 1.0\nfile {secret}\n",
    "session": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
}


@real
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_file_that_names_others_gets_none_of_them(looked, films, text):
    works = looked()
    secret = works.tmp / "secret.wav"
    secret.write_bytes(films["a.wav"])
    works.put("film.mp4", text.format(secret=secret).encode())
    before = secret.stat().st_atime_ns
    os.utime(secret, ns=(before - 10**12, secret.stat().st_mtime_ns))
    probe(works)
    assert works.row("film.mp4").media_kind == "unknown"
    assert secret.stat().st_atime_ns == before - 10**12


# With programs of our own


def test_off_unless_the_program_is_named(make):
    works = make()
    works.put("a.mxf")
    probe(works)
    assert works.row("a.mxf").media == {}
    assert works.row("a.mxf").media_kind == "video"
    assert [job.payload for job in works.catalog.jobs(kind="media")] == [{}]


def test_a_program_that_is_not_there_stops_the_start(looked):
    with pytest.raises(ConfigError, match=r"\[job:media\] ffprobe = /nowhere/ffprobe: expected a program"):
        looked(ffprobe="/nowhere/ffprobe")


def test_what_is_neither_film_nor_sound_is_not_looked_into(looked):
    works = looked(f"echo '{JSON}'")
    works.put("letter.pdf")
    probe(works)
    assert (works.row("letter.pdf").media_kind, works.row("letter.pdf").media) == ("other", {})


def test_the_program_gets_a_file_and_nothing_of_ours(looked, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    works = looked(f'there="$(dirname $0)"; env > $there/seen; echo "$@" >> $there/seen; cat bytes > $there/bytes; echo \'{JSON}\'')
    works.put("a.mp3", b"sound")
    probe(works)
    seen = (works.tmp / "seen").read_text()
    assert "hush" not in seen
    assert "-protocol_whitelist file,pipe -format_whitelist" in seen
    assert "http" not in seen
    assert (works.tmp / "bytes").read_bytes() == b"sound"
    assert works.row("a.mp3").media["codec"] == "mp3"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("sleep 60", "Slow: ffprobe took longer than 300 ms"),
        ("echo bad film >&2; exit 3", "bad film"),
        ("exit 3", "ffprobe ended with 3"),
        ("kill -9 $$", "ffprobe ended with -9"),
        ("echo '{'", "Expecting"),
        (f"echo '{JSON}'; sleep 0.1; yes", "File size limit exceeded"),
        ("sleep 0.1; ulimit -v; ulimit -v >&2; exit 1", "262144"),
    ],
    ids=["slow", "says why", "says nothing", "dies", "says half", "says too much", "knows its limits"],
)
def test_a_program_that_misbehaves_is_ended_and_its_file_unknown(looked, script, reason):
    works = looked(script, deadline="300ms", memory="256M")
    works.put("a.mxf")
    probe(works, rounds=6)
    row = works.row("a.mxf")
    assert row.media_kind == "unknown"
    assert reason in row.media["error"]
    assert scratch(works) == []


def test_an_outage_of_the_store_is_waited_for(looked):
    works = looked(f"echo '{JSON}'")
    works.put("a.mp3")
    read = works.store.read

    def down(*_, **__):
        raise ServiceUnavailable

    works.store.read = down
    probe(works, rounds=8)
    assert works.row("a.mp3").media == {}
    assert works.catalog.jobs(kind="media", dead=True) == []
    works.store.read = read
    probe(works)
    assert works.row("a.mp3").media["codec"] == "mp3"


def test_bytes_that_are_gone_are_unknown_and_not_asked_for_again(looked):
    works = looked(f"echo '{JSON}'")
    ref = works.put("a.mp3")
    works.store.delete(replace(ref, version=None))
    probe(works, rounds=6)
    assert works.row("a.mp3").media["error"].startswith("NoSuchKey")
    assert len(works.catalog.jobs(kind="media")) == 1


def test_what_was_written_anew_meanwhile_is_looked_into_anew(looked):
    works = looked(f"echo '{JSON}'")
    works.put("a.mp3", b"one")
    read, seen = works.store.read, []

    def overtaken(ref, **how):
        seen.append(b"".join(read(ref, **how)))
        if len(seen) == 1:
            works.put("a.mp3", b"two")
        return [seen[-1]]

    works.store.read = overtaken
    probe(works)
    assert seen == [b"one", b"two"]
    assert works.row("a.mp3").media["codec"] == "mp3"


def test_no_room_for_a_copy_is_an_outage(looked, tmp_path):
    works = looked(f"echo '{JSON}'", scratch=tmp_path / "gone")
    works.put("a.mp3")
    probe(works, rounds=6)
    assert works.row("a.mp3").media == {}
    (tmp_path / "gone").mkdir()
    probe(works)
    assert works.row("a.mp3").media["codec"] == "mp3"


def test_an_entry_that_is_being_evicted_is_left_to_its_evictor(looked):
    works = looked(f"echo '{JSON}'")
    works.put("a.mp3")
    row = works.row("a.mp3")
    for change in ({"state": State.ARCHIVING}, {"state": State.VERIFIED}, {"state": State.EVICTING, "token": "t"}):
        assert works.catalog.commit(Step(swaps=(Swap(row, replace(row, **change)),)))
        row = works.row("a.mp3")
    probe(works)
    assert works.row("a.mp3") == row


def test_killed_at_any_step_it_is_looked_into_all_the_same(looked):
    """Each time the next worker begins when the lease of the dead one has run out."""
    fuse, number, deaths = Fuse(), 0, 0
    while True:
        works = looked(f"echo '{JSON}'", wrap=fuse.around)
        ref = works.put("a.mp3")
        fuse.blow(number)
        for _ in range(8):
            try:
                Runner(works.house, owner="looker", kinds=("media",)).run_due()
            except Killed:
                deaths += 1
                fuse.mend()
            works.clock.later(3_600_000)
        done = not fuse.blown and deaths == number
        row = works.catalog.find(replace(ref, version=None))
        assert row.media["codec"] == "mp3", f"killed at step {number}"
        assert row.state is State.ONLINE
        if done:
            break
        number += 1
    assert number > 5


def test_copies_that_a_killed_worker_left_are_cleaned_away(looked):
    works = looked(f"echo '{JSON}'")
    for name, age in (("old", 2 * 3600), ("new", 60)):
        left = works.tmp / f"s3shunt-media-{name}"
        left.mkdir()
        (left / "bytes").touch()
        then = works.clock.now() / 1000 - age
        os.utime(left, (then, then))
    (works.tmp / "s3shunt-media-link").symlink_to(works.tmp / "tape")
    os.utime(works.tmp / "s3shunt-media-link", (1, 1), follow_symlinks=False)
    probe(works, rounds=1)
    assert sorted(scratch(works)) == ["s3shunt-media-link", "s3shunt-media-new"]


def test_the_beginning_and_the_end_do_not_overlap():
    from s3shunt.policy.media import spans

    assert spans(0, 4, 4) == []
    assert spans(8, 4, 4) == [(0, 8)]
    assert spans(9, 4, 4) == [(0, 4), (5, 9)]
    assert spans(9, 0, 4) == [(5, 9)]
    assert spans(9, 4, 0) == [(0, 4)]


def test_the_job_may_see_stores_and_nothing_else():
    assert MediaJob.needs == ("store", "place")
