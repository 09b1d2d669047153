"""Whether the bytes of a request may go past us, and what is said to whoever moves them.

``signed``: nginx takes them from the store, with a request that we signed (X-Accel-Redirect); what it
does not get as it should, it asks us for after all. ``lasting``: the client takes them from the store
himself, with a link; nobody is in between any more. ``direct``: an upload goes to the store without us.
In doubt the bytes go through us: no right was decided otherwise, only their way is.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from s3shunt.model import NULL, Entry, State
from s3shunt.policy import restore, shunt
from s3shunt.policy.record import ARCHIVE_CLASSES
from s3shunt.protocol import presigned, sigv4

Fields = Sequence[tuple[str, str]]
Peers = tuple[IPv4Network | IPv6Network | str, ...]

ASKS = "x-s3shunt-offload"
"""With ``accel`` in it nginx says that it knows what to do with the answer. From others it means nothing."""

LOCATION = "@s3shunt_store"
"""What ``containers/nginx/accel.conf`` calls the place where a store is asked; no client can name it."""

SAID = "X-S3shunt-"
"""What nginx is told begins with this; it goes no further."""

UNIX = "unix"
"""Stands for peers on a unix socket, which have no address."""

CARRIED = frozenset({
    "cache-control", "content-type", "if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "origin", "range",
    "x-amz-checksum-mode",
})  # fmt: skip
"""Headers of a read that nginx sends to the store in our stead."""

REPEATED = CARRIED - {"x-amz-checksum-mode"}
"""Those that a client may repeat, unsigned, when it follows a link."""

REPLACED = frozenset({
    "accept", "accept-encoding", "accept-language", "amz-sdk-invocation-id", "amz-sdk-request", "authorization", "connection",
    "content-length", "cookie", "date", "expect", "host", "keep-alive", "te", "user-agent",
    "x-amz-content-sha256", "x-amz-date", "x-amz-security-token", "x-amz-user-agent",
    "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", ASKS,
})  # fmt: skip
"""Headers of an upload that nginx takes off, makes anew, or may leave: no store does anything by them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the doors found out. ``searched``: whether ``lookup`` stands in front at all."""

    plain: bool = False
    searched: bool = False
    looked_up: bool = False
    entry: Entry | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request: its operation, version and parameters, and of its headers those that the store is sent."""

    operation: str
    version: str | None = None
    parameters: Collection[str] = ()
    fields: Fields = ()


def signed(asked: Asked, known: Known, now: int) -> bool:
    """Whether nginx may take the bytes from the store: a clean answer of it is the client's, and whatever else comes, we are asked."""
    current = asked.operation == "GetObject" and asked.version in (None, NULL)
    return current and _only(asked.fields, CARRIED) and (_alone(known) or (known.looked_up and _usual(known.entry, now)))


def lasting(asked: Asked, known: Known, now: int) -> bool:
    """Whether a link to the store will do: nothing may have to happen here when there is no such object, or no longer."""
    if asked.operation != "GetObject" or asked.version not in (None, NULL) or not _only(asked.fields, REPEATED):
        return False
    online = known.looked_up and known.entry is not None and known.entry.state is State.ONLINE and known.entry.facts is not None
    return _alone(known) or (online and _usual(known.entry, now))


def direct(asked: Asked, known: Known, given: Mapping[str, str], *, checks: bool = False) -> bool:
    """Whether an upload may go to the store past us: nothing is to be recorded of its bucket, and its headers (``given``) arrive as signed.

    Checksums of the body are checked here, and not by every store: unless it ``checks`` them, such an upload goes through us.
    """
    if asked.operation != "PutObject" or asked.parameters or not _alone(known) or "transfer-encoding" in given:
        return False
    sent = dict(asked.fields)
    changed = any(name not in REPLACED and sent.get(name) != value for name, value in given.items())
    ours = ("x-amz-server-side-encryption-customer-", *(() if checks else ("x-amz-checksum-", "x-amz-sdk-", "x-amz-trailer")))
    refused = changed or any(name.startswith(ours) for name in given)
    return not refused and sent.keys() <= given.keys() and given.get("content-length", "").isdigit()


def _alone(known: Known) -> bool:
    """Whether no entry can concern the object, now or while the bytes flow."""
    return known.plain or (not known.searched and known.entry is None)


def _usual(entry: Entry | None, now: int) -> bool:
    """Whether the store's answer says all there is to say: its bytes are the object's, and no header is to be added."""
    if entry is None:
        return True
    online = isinstance(shunt.decide(entry, now), shunt.Forward) and entry.state is not State.DELETED
    return online and entry.storage_class not in ARCHIVE_CLASSES and restore.standing(entry, now) is None


def _only(fields: Fields, names: frozenset[str]) -> bool:
    return all(name in names for name, _ in fields)


# What is said


def handed(target: str, fields: Fields, *, archives: bool = False) -> list[tuple[str, str]]:
    """The answer that lets nginx send the signed request: ``fields`` are all its headers, Authorization among them.

    ``archives``: the store has archive classes of its own, and what it says of them is the client's to see.
    """
    said = [(f"{SAID}{name.title()}", value) for name, value in fields]
    own = [(f"{SAID}Archives", "store")] if archives else []
    return [("X-Accel-Redirect", LOCATION), (f"{SAID}Target", target), *said, *own, ("Content-Length", "0")]


def permitted(target: str, fields: Fields) -> list[tuple[str, str]]:
    """The same for an upload: nginx has the headers already, but those that sign it."""
    named = {"authorization", "host", "x-amz-content-sha256", "x-amz-date"}
    return [(f"{SAID}Target", target), *[(f"{SAID}{name.title()}", value) for name, value in fields if name in named]]


def link(
    method: str, path: str, query: Fields, fields: Fields, *, base: str, credential: tuple[str, str], region: str, now: int, expires: int,
) -> str:  # fmt: skip
    """Where the store itself answers, for ``expires`` milliseconds. ``fields`` are headers that must come with it."""
    headers = {**dict(fields), "host": base.partition("://")[2]}
    signature = presigned.presign(
        method, path, query, headers, access_key=credential[0], secret_key=credential[1], timestamp=sigv4.timestamp(now),
        expires=max(expires // 1000, 1), region=region,
    )  # fmt: skip
    return f"{base}{path}?{signature}"


def moved(location: str) -> list[tuple[str, str]]:
    """The answer that sends a client there; nobody keeps it, and no page tells where it came from."""
    return [("Location", location), ("Cache-Control", "no-store"), ("Referrer-Policy", "no-referrer"), ("Content-Length", "0")]


# Who is believed


def peers(value: str) -> Peers:
    """Addresses, CIDR networks and ``unix``, as an option. Raises ValueError."""
    try:
        return tuple(word if word == UNIX else ip_network(word) for word in value.replace(",", " ").split())
    except ValueError as error:
        raise ValueError(f"expected addresses or networks such as 10.0.0.0/8, or unix: {error}") from None


def trusts(known: Peers, address: str) -> bool:
    """Whether ``address`` (REMOTE_ADDR, empty on a unix socket) is one of them."""
    if not address:
        return UNIX in known
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return any(not isinstance(network, str) and found in network for network in known)
