"""What is known of the film or the sound in an object: guessed from its name at first, told by ffprobe later.

``Entry.media_kind`` is one of ``KINDS`` or None, where not even a guess is possible. ``Entry.media`` holds texts:
``codec``, ``audio_codec``, ``container``, ``duration`` (ms), ``timecode`` (of the start), ``probed`` (when, ms), and
``error`` in place of the others for what could not be read. It is empty until somebody has looked.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from s3shunt.model import Entry, Facts, ObjectRef, Search, State, Step, Swap

VIDEO, AUDIO, OTHER, UNKNOWN = "video", "audio", "other", "unknown"
KINDS = (VIDEO, AUDIO, OTHER, UNKNOWN)
"""``other``: neither, and never looked at. ``unknown``: looked at, in vain."""

TOLD = frozenset({State.ONLINE, State.VERIFIED, State.ARCHIVED, State.RESTORED})
"""States whose holder, if any, reads the row again before changing it."""

LONGEST_REASON = 200
LONGEST_FILM = 10**9  # seconds

_VIDEO = frozenset({
    "3gp", "asf", "avi", "divx", "dv", "f4v", "flv", "gxf", "lxf", "m2t", "m2ts", "m2v", "m4v", "mkv", "mod", "mov", "mp4", "mpe",
    "mpeg", "mpg", "mts", "mxf", "ogv", "qt", "rm", "ts", "vob", "webm", "wmv",
})  # fmt: skip
_AUDIO = frozenset({
    "aac", "ac3", "aif", "aifc", "aiff", "amr", "ape", "au", "bwf", "caf", "dsf", "flac", "m4a", "mka", "mp1", "mp2", "mp3", "mpa",
    "oga", "ogg", "opus", "ra", "rf64", "w64", "wav", "wma", "wv",
})  # fmt: skip
_OTHER = frozenset({
    "bmp", "css", "csv", "doc", "docx", "gif", "gz", "htm", "html", "jpeg", "jpg", "js", "json", "md", "pdf", "png", "ppt", "pptx",
    "srt", "tar", "tif", "tiff", "txt", "vtt", "xls", "xlsx", "xml", "zip",
})  # fmt: skip
_SAYS_NOTHING = ("", "application/octet-stream", "binary/octet-stream", "application/x-www-form-urlencoded")
_BY_TYPE = {"application/mxf": VIDEO, "application/vnd.rn-realmedia": VIDEO, "application/ogg": AUDIO}
_CONTAINERS = {"qt": "mov", "m4a": "m4a", "m4v": "m4v"}


def guess(key: str, content_type: str = "", said: str = "") -> str | None:
    """The kind by what the archive says of it (``said``), else by its type, else by the end of its name."""
    told = said.strip().lower()
    if told in (VIDEO, AUDIO):
        return told
    kind = content_type.partition(";")[0].strip().lower()
    main = kind.partition("/")[0]
    if main in (VIDEO, AUDIO):
        return main
    if kind in _BY_TYPE:
        return _BY_TYPE[kind]
    if kind not in _SAYS_NOTHING or told in ("image", "document", "text"):
        return OTHER
    end = key.rpartition("/")[2].rpartition(".")[2].lower()
    return VIDEO if end in _VIDEO else AUDIO if end in _AUDIO else OTHER if end in _OTHER else None


def kind_of(ref: ObjectRef, facts: Facts | None, said: str = "") -> str | None:
    return guess(ref.key, facts.headers.get("content-type", "") if facts else "", said)


def unprobed(entry: Entry) -> bool:
    """Whether nobody has looked into it who should."""
    return entry.facts is not None and not entry.media and entry.media_kind != OTHER


def duration(entry: Entry) -> int | None:
    """In milliseconds, where it is known."""
    told = entry.media.get("duration", "")
    return int(told) if re.fullmatch(r"[0-9]{1,15}", told) else None


def fits(wanted: Search, entry: Entry) -> bool:
    """Whether an entry is one of those that are looked for."""
    length = duration(entry)
    pairs: tuple[tuple[object, object], ...] = (
        (entry.state, wanted.state), (entry.ref.account, wanted.account), (entry.ref.bucket, wanted.bucket),
        (entry.external_id, wanted.external_id), (entry.archive_id, wanted.archive_id), (entry.media_kind, wanted.kind),
        (entry.media.get("codec"), wanted.codec), (entry.media.get("container"), wanted.container),
        (unprobed(entry), wanted.unprobed or None),
    )  # fmt: skip
    return (
        all(asked is None or told == asked for told, asked in pairs)
        and (wanted.min_duration is None or (length is not None and length >= wanted.min_duration))
        and (wanted.max_duration is None or (length is not None and length <= wanted.max_duration))
    )


def spans(size: int, head: int, tail: int) -> list[tuple[int, int]]:
    """The first ``head`` and the last ``tail`` bytes of so many, as spans that do not overlap."""
    if size <= head + tail:
        return [(0, size)] if size else []
    return [(start, end) for start, end in ((0, head), (size - tail, size)) if start < end]


def read(document: bytes) -> dict[str, str]:
    """What ffprobe's JSON says, as ``Entry.media`` holds it, with ``kind``. Raises ValueError for what is neither film nor sound."""
    told = _mapping(json.loads(document))
    form = _mapping(told.get("format"))
    listed = told.get("streams")
    streams = [_mapping(one) for one in listed] if isinstance(listed, list) else []
    films = [one for one in streams if one.get("codec_type") == VIDEO and _mapping(one.get("disposition")).get("attached_pic") != 1]
    sounds = [one for one in streams if one.get("codec_type") == AUDIO]
    if not films and not sounds:
        raise ValueError("neither film nor sound in it")
    found = {
        "kind": VIDEO if films else AUDIO,
        "codec": _word((films or sounds)[0].get("codec_name")),
        "audio_codec": _word(sounds[0].get("codec_name")) if films and sounds else "",
        "container": _container(form),
        "duration": _milliseconds(form, streams),
        "timecode": _timecode(form, streams, sounds),
    }
    return {name: value for name, value in found.items() if value}


def probed(row: Entry | None, seen: Entry, found: Mapping[str, str], now: int) -> Step | None:
    """What was found in the bytes of ``seen`` is told of them, and nothing else changes. None when they are others by now."""
    if row is None or row.state not in TOLD or row.media or (row.generation, row.facts) != (seen.generation, seen.facts):
        return None
    media = {name: value for name, value in found.items() if name != "kind"} | {"probed": str(now)}
    return Step(swaps=(Swap(row, replace(row, media=media, media_kind=found.get("kind", UNKNOWN))),))


def failed(reason: str) -> dict[str, str]:
    """What is told of bytes that could not be looked into."""
    said = "".join(sign if sign.isprintable() else " " for sign in reason)
    return {"error": " ".join(said.split())[:LONGEST_REASON] or "cannot be read"}


def _mapping(told: Any) -> Mapping[str, Any]:
    return told if isinstance(told, Mapping) else {}


def _word(told: Any) -> str:
    """A name as ffprobe knows some; whoever made the file has no say in it."""
    return told if isinstance(told, str) and re.fullmatch(r"[a-z0-9_]{1,40}", told) else ""


def _container(form: Mapping[str, Any]) -> str:
    names = str(form.get("format_name", "")).split(",")
    if "mov" not in names:
        return _word(names[0])
    brand = str(_mapping(form.get("tags")).get("major_brand", "qt")).strip().lower()
    return _CONTAINERS.get(brand, "3gp" if brand.startswith("3g") else "mp4")


def _milliseconds(form: Mapping[str, Any], streams: list[Mapping[str, Any]]) -> str:
    for one in (form, *streams):
        told = str(one.get("duration", ""))
        if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", told) and float(told) <= LONGEST_FILM:
            return str(round(float(told) * 1000))
    return ""


def _timecode(form: Mapping[str, Any], streams: list[Mapping[str, Any]], sounds: list[Mapping[str, Any]]) -> str:
    """Hours, minutes, seconds, frames; of a broadcast wave, which counts samples since midnight, with thousandths."""
    for one in (form, *streams):
        told = str(_mapping(one.get("tags")).get("timecode", ""))
        if re.fullmatch(r"[0-9]{2}:[0-9]{2}:[0-9]{2}[:;.][0-9]{2,3}", told):
            return told
    samples, rate = str(_mapping(form.get("tags")).get("time_reference", "")), str(sounds[0].get("sample_rate", "")) if sounds else ""
    if not re.fullmatch(r"[0-9]{1,15}", samples) or not re.fullmatch(r"[1-9][0-9]{0,8}", rate):
        return ""
    seconds, rest = divmod(int(samples), int(rate))
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest * 1000 // int(rate):03}"
    return clock if seconds < 86_400 else ""
