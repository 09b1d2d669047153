"""The stand-in's webhook: PREMIS 2 or 3, once, twice, in the wrong order, or not at all."""

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

import requests

from s3shunt.testing.mediahaven.robot import Export

SPACES = {2: "info:lc/xmlns/premis-v2", 3: "http://www.loc.gov/premis/v3"}


def premis(export: Export, *, good: bool, version: int = 3) -> bytes:
    """One event: an export ended, well or not."""
    detail = f"<p:eventDetail>{escape(export.id)}</p:eventDetail>"
    detail = f"<p:eventDetailInformation>{detail}</p:eventDetailInformation>" if version == 3 else detail
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><p:premis xmlns:p="{SPACES[version]}" version="{version}.0"><p:event>'
        "<p:eventIdentifier><p:eventIdentifierType>MEDIAHAVEN_EVENT</p:eventIdentifierType>"
        f"<p:eventIdentifierValue>{escape(export.id)}-{export.end}</p:eventIdentifierValue></p:eventIdentifier>"
        f"<p:eventType>EXPORTED</p:eventType><p:eventDateTime>2026-01-05T10:30:00Z</p:eventDateTime>{detail}"
        f"<p:eventOutcomeInformation><p:eventOutcome>{'OK' if good else 'NOK'}</p:eventOutcome></p:eventOutcomeInformation>"
        "<p:linkingObjectIdentifier><p:linkingObjectIdentifierType>MEDIAHAVEN_ID</p:linkingObjectIdentifierType>"
        f"<p:linkingObjectIdentifierValue>{escape(export.held.id)}</p:linkingObjectIdentifierValue></p:linkingObjectIdentifier>"
        "</p:event></p:premis>"
    ).encode()


def bodies(events: list[tuple[Export, bool]], knob: Mapping[str, Any]) -> list[bytes]:
    """What is posted for these events, as the knob says."""
    kept = [event for number, event in enumerate(events, 1) if not knob.get("lose") or number % int(knob["lose"])]
    ordered = kept[::-1] if knob.get("reverse") else kept
    return [premis(one, good=good, version=knob.get("version", 3)) for one, good in ordered for _ in range(int(knob.get("duplicate", 1)))]


def post(body: bytes, knob: Mapping[str, Any]) -> int:
    """The status that came back; 0 when nobody answered."""
    session = requests.Session()
    session.trust_env = False
    auth = (knob["user"], knob["password"]) if "user" in knob else None
    try:
        return session.post(
            knob["url"], data=body, headers={"Content-Type": "application/xml"}, auth=auth, timeout=5, allow_redirects=False
        ).status_code
    except requests.exceptions.RequestException:
        return 0
    finally:
        session.close()
