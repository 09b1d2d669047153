"""RestoreObject on the wire: what its document may say, and the two legal forms of ``x-amz-restore``."""

from dataclasses import dataclass
from email.utils import formatdate

from s3shunt.protocol import xml
from s3shunt.protocol.errors import InvalidArgument, MalformedXML, NotImplemented

MAX_BYTES = 64 * 1024

TIERS = ("Standard", "Bulk", "Expedited")

ONGOING = 'ongoing-request="true"'

_KNOWN = {"Days", "GlacierJobParameters", "Tier", "Type", "Description", "SelectParameters", "OutputLocation"}


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    days: int
    tier: str = "Standard"

    @classmethod
    def from_xml(cls, document: bytes, *, max_days: int | None = None) -> "RestoreRequest":
        """The document of a restore. Raises MalformedXML, InvalidArgument, NotImplemented for a SELECT."""
        root = xml.read(document, "RestoreRequest", limit=MAX_BYTES)
        tags = [xml.name(node) for node in xml.children(root)]
        if set(tags) - _KNOWN or len(set(tags)) < len(tags):
            raise MalformedXML
        if (kind := xml.value(root, "Type")) is not None:
            raise NotImplemented("Restore requests of type SELECT are not implemented.") if kind == "SELECT" else MalformedXML
        if {"OutputLocation", "SelectParameters"} & set(tags):
            raise MalformedXML
        return cls(_days(xml.value(root, "Days"), max_days), _tier(root))


def _days(text: str | None, most: int | None) -> int:
    digits = (text or "").strip()
    if not digits.removeprefix("-").isascii() or not digits.removeprefix("-").isdigit() or len(digits) > 12:
        raise MalformedXML
    days = int(digits)
    if days < 1:
        raise InvalidArgument("restoration days should be at least 1", ArgumentName="Days", ArgumentValue=digits)
    if most is not None and days > most:
        raise InvalidArgument(f"restoration days should be at most {most}", ArgumentName="Days", ArgumentValue=digits)
    return days


def _tier(root: xml.Element) -> str:
    """The job's tier counts more than the top-level one, which belongs to SELECT but is sent by some clients."""
    parameters = xml.child(root, "GlacierJobParameters")
    if parameters is not None and [xml.name(node) for node in xml.children(parameters)] != ["Tier"]:
        raise MalformedXML
    tier = xml.value(root, "GlacierJobParameters/Tier", xml.value(root, "Tier", "Standard"))
    if tier not in TIERS:
        raise MalformedXML
    return tier


def header(until: int | None) -> str:
    """The value of ``x-amz-restore``: in progress, or readable until a moment (ms). There is no third form."""
    if until is None:
        return ONGOING
    return f'ongoing-request="false", expiry-date="{formatdate(until / 1000, usegmt=True)}"'


def busy(url: str, percent: int | None = None) -> bytes:
    """The document that tells a reader who need not know of restores to come back."""
    known = "" if percent is None else xml.element("Progress", str(percent))
    return f"{xml.DECLARATION}<Restore>{xml.element('Url', url)}{xml.element('Status', 'busy')}{known}</Restore>".encode()
