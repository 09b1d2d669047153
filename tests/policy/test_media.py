"""The documents in ``tests/vectors/media`` are ffprobe 5.1's, of files that ffmpeg 5.1 made."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3shunt.model import Entry, Facts, ObjectRef, Search, State
from s3shunt.policy import media

VECTORS = Path(__file__).parent.parent / "vectors/media"
REF = ObjectRef("films", "a.mxf", "null")
ROW = Entry(ref=REF, facts=Facts(size=5, etag='"e"', last_modified=1), generation=3, media_kind="video", external_id="pid", due=8)
MOV = {"kind": "video", "codec": "prores", "audio_codec": "pcm_s16le", "container": "mov", "duration": "2000", "timecode": "09:58:00:00"}


@pytest.mark.parametrize(
    ("key", "content_type", "said", "expected"),
    [
        ("a", "video/mxf", "", "video"), ("a.mp3", "video/mp4", "", "video"), ("a", "audio/mpeg; x=1", "", "audio"),
        ("a", "application/mxf", "", "video"), ("a", "Application/OGG", "", "audio"),
        ("a.MXF", "", "", "video"), ("x.mov/a.wav", "binary/octet-stream", "", "audio"), ("a.pdf", "application/octet-stream", "", "other"),
        ("a", "", "", None), ("mxf", "", "", "video"), ("a.mxf/b", "", "", None), ("a.bin", "binary/octet-stream", "", None),
        ("a.mxf", "text/plain", "", "other"), ("a.mxf", "image/png", "", "other"),
        ("a.bin", "", "Video", "video"), ("a.bin", "image/png", "audio", "audio"), ("a.mxf", "", "document", "other"),
        ("a.mxf", "", "collection", "video"), ("a.bin", "", "essence", None),
    ],
)  # fmt: skip
def test_a_kind_is_guessed_from_what_is_said_of_an_object(key, content_type, said, expected):
    assert media.guess(key, content_type, said) == expected


def test_no_end_of_a_name_means_two_things():
    ends = [media._VIDEO, media._AUDIO, media._OTHER]
    assert sum(len(some) for some in ends) == len(frozenset().union(*ends))


READ = {
    "a_mxf": MOV | {"codec": "mpeg2video", "container": "mxf", "timecode": "10:00:00:00"},
    "a_mov": MOV,
    "a_mp4": {"kind": "video", "codec": "h264", "audio_codec": "aac", "container": "mp4", "duration": "2000"},
    "a_wav": {"kind": "audio", "codec": "pcm_s16le", "container": "wav", "duration": "2000", "timecode": "01:00:00.000"},
    "a_mp3": {"kind": "audio", "codec": "mp3", "container": "mp3", "duration": "2038"},
    "cover_mp3": {"kind": "audio", "codec": "mp3", "container": "mp3", "duration": "2038"},
}


@pytest.mark.parametrize("name", READ)
def test_what_ffprobe_says_of_real_files_is_read(name):
    assert media.read((VECTORS / f"{name}.json").read_bytes()) == READ[name]


def test_every_vector_is_read():
    assert {path.stem for path in VECTORS.glob("*.json")} == set(READ)


@pytest.mark.parametrize(
    "document", [b"", b"{", b"{}", b"[]", b"null", b'{"streams": 5}', b'{"streams": [7, {"codec_type": "data"}]}', b'{"streams": {"a": 1}}']
)
def test_what_is_neither_film_nor_sound_is_refused(document):
    with pytest.raises(ValueError, match=r"."):
        media.read(document)


def told(form=(), **stream):
    return media.read(json.dumps({"format": dict(form), "streams": [{"codec_type": "audio"} | stream]}).encode())


@pytest.mark.parametrize("length", ["N/A", "-1", "1e9", "nan", "inf", "9" * 12, "1.0000000001", 5.5e300, None, [], {}])
def test_a_length_that_is_none_is_left_out(length):
    assert told(duration=length) == {"kind": "audio"}


@pytest.mark.parametrize("code", ["25:61", "10:00:00:00<x>", "'; DROP", 7, "１0:00:00:00", "10:00:00:00\n"])
def test_a_time_code_that_is_none_is_left_out(code):
    assert told(tags={"timecode": code}) == {"kind": "audio"}


@pytest.mark.parametrize("tags", [{"time_reference": "-5"}, {"time_reference": "9" * 14}, {"time_reference": "x"}, 5])
def test_a_count_of_samples_beyond_a_day_is_no_time_code(tags):
    assert told({"tags": tags}, sample_rate="48000") == {"kind": "audio"}


def test_names_that_ffprobe_does_not_have_are_left_out():
    assert told({"format_name": "<b>"}, codec_name="pcm s16le") == {"kind": "audio"}
    assert told({"format_name": 5}, codec_name=5) == {"kind": "audio", "container": "5"}


@pytest.mark.parametrize(
    ("brand", "expected"), [("qt  ", "mov"), ("isom", "mp4"), ("M4A ", "m4a"), ("3gp5", "3gp"), (None, "mov"), (["x"], "mp4")]
)
def test_the_brand_tells_containers_of_one_family_apart(brand, expected):
    tags = {} if brand is None else {"major_brand": brand}
    assert told({"format_name": "mov,mp4,m4a,3gp,3g2,mj2", "tags": tags})["container"] == expected


NAMES = st.sampled_from(["streams", "format", "tags", "codec_type", "duration", "disposition"])
LEAVES = st.none() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["video", "audio"])


@given(st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4)))
def test_no_document_breaks_the_reader(value):
    try:
        found = media.read(json.dumps(value).encode())
    except ValueError:
        return
    assert found["kind"] in media.KINDS


# Steps


def test_what_was_found_is_told_and_nothing_else_changes():
    (swap,) = media.probed(ROW, ROW, MOV, 77).swaps
    assert swap.new == replace(ROW, media={name: value for name, value in MOV.items() if name != "kind"} | {"probed": "77"})
    assert media.duration(swap.new) == 2000
    assert not media.unprobed(swap.new)


def test_a_guess_is_put_right():
    assert media.probed(ROW, ROW, {"kind": "audio", "codec": "mp3"}, 1).swaps[0].new.media_kind == "audio"


def test_what_is_broken_is_unknown_with_its_reason_and_not_looked_at_again():
    new = media.probed(ROW, ROW, media.failed("moov\0atom \x1b[31m not\nfound" + "!" * 999), 5).swaps[0].new
    assert new.media_kind == "unknown"
    assert new.media["error"].startswith("moov atom [31m not found!!!")
    assert len(new.media["error"]) == media.LONGEST_REASON
    assert not media.unprobed(new)
    assert media.failed("\0") == {"error": "cannot be read"}


@pytest.mark.parametrize(
    "row",
    [
        None, replace(ROW, generation=4), replace(ROW, media={"codec": "x"}), replace(ROW, facts=replace(ROW.facts, etag='"f"')),
        *[replace(ROW, state=state) for state in State if state not in media.TOLD],
    ],
    ids=lambda row: row.state if row else "gone",
)  # fmt: skip
def test_of_other_bytes_or_a_row_that_is_being_moved_nothing_is_told(row):
    assert media.probed(row, ROW, MOV, 1) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({}, True), ({"media_kind": None}, True), ({"media_kind": "other"}, False), ({"media": {"a": "b"}}, False), ({"facts": None}, False)],
)
def test_who_is_to_be_looked_into(changes, expected):
    assert media.unprobed(replace(ROW, **changes)) is expected


def test_a_search_tells_a_bucket_from_an_account_of_the_same_name():
    row = replace(ROW, ref=ObjectRef("main", "a", "null", "other"))
    assert media.fits(Search(bucket="main"), row)
    assert not media.fits(Search(account="main"), row)
    assert not media.fits(Search(bucket="main", account="main"), row)
