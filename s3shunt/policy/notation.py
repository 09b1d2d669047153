"""How an entry is written down as JSON, and read back: in the index, in intents, in exports.

Times stay integers, absent things are left out, and what was written is read
back equal. ``SCHEMA`` is part of every record that outlives a release.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from s3shunt.model import Entry, Facts, Interest, ObjectRef, Place, State

SCHEMA = 1

_FACTS = tuple(field.name for field in fields(Facts))
_PLAIN = tuple(f.name for f in fields(Entry) if f.name not in ("ref", "state", "facts", "place", "interests", "media"))


def ref_written(ref: ObjectRef) -> list[str | None]:
    return [ref.account, ref.bucket, ref.key, ref.version]


def ref_read(written: list[Any]) -> ObjectRef:
    account, bucket, key, version = written
    return ObjectRef(bucket, key, version, account)


def facts_written(facts: Facts) -> dict[str, Any]:
    kept = {name: getattr(facts, name) for name in _FACTS}
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in kept.items() if value}


def facts_read(written: Mapping[str, Any]) -> Facts:
    known: dict[str, Any] = {name: value for name, value in written.items() if name in _FACTS}
    known["parts"] = tuple(known.get("parts", ()))
    absent: dict[str, Any] = {"size": 0, "etag": "", "last_modified": 0}
    return Facts(**absent | known)


def interests_written(interests: tuple[Interest, ...]) -> list[list[Any]]:
    return [[i.identity, i.days, i.tier, i.until] for i in interests]


def interests_read(written: list[list[Any]]) -> tuple[Interest, ...]:
    return tuple(Interest(*one) for one in written)


def entry_written(entry: Entry) -> dict[str, Any]:
    written: dict[str, Any] = {name: getattr(entry, name) for name in _PLAIN}
    written |= {"ref": ref_written(entry.ref), "state": entry.state.value}
    if entry.facts is not None:
        written["facts"] = facts_written(entry.facts)
    if entry.place is not None:
        written["place"] = [entry.place.store, entry.place.name, entry.place.etag]
    if entry.interests:
        written["interests"] = interests_written(entry.interests)
    if entry.media:
        written["media"] = dict(entry.media)
    return written


def entry_read(written: Mapping[str, Any]) -> Entry:
    plain = {name: written[name] for name in _PLAIN if name in written}
    return Entry(
        ref=ref_read(written["ref"]),
        state=State(written["state"]),
        facts=facts_read(written["facts"]) if "facts" in written else None,
        place=Place(*written["place"]) if "place" in written else None,
        interests=interests_read(written.get("interests", [])),
        media=written.get("media", {}),
        **plain,
    )
