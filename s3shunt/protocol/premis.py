"""PREMIS events, version 2 and 3, as an archive's webhook posts them: what happened to which object. Pure.

Whoever posts is not trusted with more than a hint, so nothing here is believed:
events without an object or a type are left out, and order and number mean nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from s3shunt.protocol import xml
from s3shunt.protocol.errors import MalformedXML

MAX_BYTES = 1 << 20
ROOTS = ("premis", "events", "event")


@dataclass(frozen=True, slots=True)
class Event:
    """``objects`` are all identifiers the event links to; ``good`` is False only for an outcome that says so."""

    id: str
    kind: str
    objects: tuple[str, ...]
    detail: str = ""
    good: bool = True


def read(document: bytes) -> list[Event]:
    """The events of a document. Raises MalformedXML for what is no PREMIS, or too large."""
    for root in ROOTS:
        try:
            tree = xml.read(document, root, limit=MAX_BYTES)
        except MalformedXML:
            continue
        found = [tree] if root == "event" else list(xml.children(tree, "event"))
        return [event for event in map(_event, found) if event.kind and event.objects]
    raise MalformedXML


def _event(node: xml.Element) -> Event:
    detail = xml.value(node, "eventDetailInformation/eventDetail") or xml.value(node, "eventDetail") or ""
    return Event(
        id=(xml.value(node, "eventIdentifier/eventIdentifierValue") or "").strip(),
        kind=(xml.value(node, "eventType") or "").strip().upper(),
        objects=tuple(_objects(node)),
        detail=detail.strip(),
        good=(xml.value(node, "eventOutcomeInformation/eventOutcome") or "").strip().upper() != "NOK",
    )


def _objects(node: xml.Element) -> Iterator[str]:
    for link in xml.children(node, "linkingObjectIdentifier"):
        if value := (xml.value(link, "linkingObjectIdentifierValue") or "").strip():
            yield value
