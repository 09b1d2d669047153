"""Where an archive's notices come in: MediaHaven's webhook, PREMIS 2 or 3, as a hint to look at a recall now.

Polling stays the truth. A notice moves the due date of the recalls whose exports it speaks of forward, and does
nothing else: lost, it costs some patience; late, doubled, out of order or invented it costs a look. What it says of
success or failure is not even read.

The sender is who knows a secret of ``secret_file`` (mode 0600; each line is one, so that a new one can be good before the
old one goes), and connects from ``peers`` where they are named. ``auth`` says how it tells it: as the password of ``user``,
as a bearer token, or bare in ``header``. Nothing of a body is read before that. A body has at most 1 MiB, is
UTF-8, and has no DOCTYPE.

| answer | when | MediaHaven then |
|---|---|---|
| 204 | it is taken, whether or not anybody waits for what it speaks of | goes on |
| 400 | it is no PREMIS, or too large | sends it again for a day |
| 401, 403 | the secret is wrong or missing; the peer is not one of ``peers`` | sends it again for a day |
| 405 | the method is not POST | |
| 503 | the catalog does not answer | sends it again for a day |

It never redirects and never says 410: either would end the webhook for good.

It ends a pipeline of its own, on a listener of its own, behind ``errors``; every path is the same to it.

    [pipeline:webhook]
    pipeline = access_log errors notices

    [listen:notices]
    address = 127.0.0.1:8090
    app = webhook

    [app:notices]
    use = egg:s3shunt#notices
    archive = tape
    user = mediahaven
    secret_file = /etc/s3shunt/notices.secret
"""

import base64
import stat
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path

from s3shunt import config, green, wsgi
from s3shunt.config import ConfigError, option, word, words
from s3shunt.connect import House
from s3shunt.policy.recall import look_now
from s3shunt.ports import Notices, Truth
from s3shunt.protocol import premis
from s3shunt.protocol.errors import AccessDenied, MethodNotAllowed, S3Error
from s3shunt.wsgi import Request, Response, document

UNIX = "unix"
MOST = 10_000
"""Recalls that one document may move."""


class Unauthorized(S3Error):
    status = 401
    message = "Who sends notices has to say the secret."


def peers(value: str) -> tuple[IPv4Network | IPv6Network | str, ...]:
    """Addresses, CIDR networks and ``unix``. Raises ValueError."""
    try:
        return tuple(one if one == UNIX else ip_network(one) for one in words(value))
    except ValueError as error:
        raise ValueError(f"expected addresses or networks such as 10.0.0.0/8, or unix: {error}") from None


@dataclass(frozen=True)
class Options:
    archive: str = option(word, "tape", help="The [archive:NAME] that sends notices.")
    catalog: str = option(word, "main", help="The [catalog:NAME] with the recalls.")
    secret_file: Path = option(config.path, help="File (mode 0600); each of its lines is a secret that is good.")
    auth: str = option(
        config.choice("basic", "bearer", "header"), "basic",
        help="How the secret is told: as the password of 'user', as a bearer token, or bare in 'header'.",
    )
    user: str = option(word, "mediahaven", help="For auth = basic: the user.")
    header: str = option(word, "X-Notice-Secret", help="For auth = header: its name.")
    peers: tuple[IPv4Network | IPv6Network | str, ...] = option(
        peers, "", help="Addresses and networks ('unix': a unix socket) that notices may come from; empty: any.",
    )  # fmt: skip


class NoticesApp:
    def __init__(self, options: Options, house: House) -> None:
        self.options, self.clock = options, house.clock
        self.good = [digest(secret) for secret in secrets(options.secret_file)]
        self.archive: Notices = house.archive(options.archive)  # type: ignore[assignment]
        if not hasattr(self.archive, "noticed"):
            raise ConfigError(f"[app:notices] archive = {options.archive}: expected an archive that sends notices, such as MediaHaven")
        self.truth: Truth = house.truth(options.catalog)

    def __call__(self, request: Request) -> Response:
        if request.method != "POST":
            raise MethodNotAllowed(headers=(("Allow", "POST"),))
        if not within(request.environ.get("REMOTE_ADDR") or "", self.options.peers):
            raise AccessDenied
        if not self._knows(told(request.fields.get, self.options)):
            raise Unauthorized(headers=(("WWW-Authenticate", 'Basic realm="notices"'),) if self.options.auth == "basic" else ())
        moved = green.offload(self._take, document(request, premis.MAX_BYTES))
        request.context.notes["moved"] = str(moved)
        return Response(status="204 No Content", headerlist=[], app_iter=[])

    def _knows(self, secret: str | None) -> bool:
        """As long whether it is nearly right or not; all lines are compared."""
        given = digest(secret or "")
        return secret is not None and any([compare_digest(given, good) for good in self.good])  # noqa: C419

    def _take(self, notice: bytes) -> int:
        """How many recalls are looked at now. Blocks; raises MalformedXML, ServiceUnavailable."""
        ids = self.archive.noticed(notice)
        if not ids:
            return 0
        found = self.truth.recalls(archive=self.options.archive, archive_ids=ids, limit=MOST)
        jobs = [look_now(recall, self.clock.now()) for recall in found if recall.request_id]
        self.truth.enqueue(*jobs)
        return len(jobs)


def told(field: Callable[[str], str | None], options: Options) -> str | None:
    """The secret as the sender tells it; None where it tells none, or not in that way."""
    if options.auth == "header":
        return field(options.header)
    scheme, _, value = (field("Authorization") or "").partition(" ")
    if scheme.lower() != options.auth:
        return None
    if options.auth == "bearer":
        return value.strip()
    try:
        user, colon, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except ValueError:  # binascii.Error and UnicodeDecodeError are such; so is what comes of letters that are not ASCII
        return None
    return password if colon and compare_digest(digest(user), digest(options.user)) else None


def digest(secret: str) -> bytes:
    return sha256(secret.encode("utf-8", "surrogateescape")).digest()


def secrets(path: Path) -> list[str]:
    """Raises ConfigError for a file that others may read, or that holds nothing worth the name."""
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ConfigError(f"[app:notices] secret_file = {path}: others may read it: expected mode 0600")
        found = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise ConfigError(f"[app:notices] secret_file = {path}: {error.strerror}: expected a file of secrets, each on a line") from None
    if not found or min(map(len, found)) < 16:
        raise ConfigError(f"[app:notices] secret_file = {path}: expected secrets of 16 characters or more, each on a line")
    return found


def within(peer: str, networks: tuple[IPv4Network | IPv6Network | str, ...]) -> bool:
    """Whether a peer may come; one on a unix socket has no address."""
    if not networks or not peer:
        return not networks or UNIX in networks
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in network for network in networks if not isinstance(network, str))


factory = wsgi.app_factory(NoticesApp, Options, "app:notices")
