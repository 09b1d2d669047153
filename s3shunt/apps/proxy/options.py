"""What an operator may say about the proxy."""

from dataclasses import dataclass
from pathlib import Path

from s3shunt import config
from s3shunt.config import choice, duration, flag, number, option, size, url, word
from s3shunt.policy.offload import Peers, peers


@dataclass(frozen=True)
class Options:
    store: str = option(word, "main", help="The [store:NAME] that requests go to; it must speak S3 over HTTP.")
    connect: int = option(duration, "2s", help="How long to wait for a connection to the store.")
    response: int = option(duration, "60s", help="How long to wait for the head of the store's answer.")
    budget: int = option(duration, "90s", help="How long connecting, all tries and the wait for that head may take together.")
    gap: int = option(duration, "30s", help="How long a transfer may stand still.")
    connections: int = option(number, "1024", help="Connections to the store; beyond that clients get SlowDown.")
    cafile: Path | None = option(config.path, "", help="Certificates to check the store's TLS certificate with; empty: the system's.")
    spool: int = option(size, "1M", help="Up to how many bytes an upload of unknown length is kept in memory.")
    spool_limit: int = option(size, "1G", help="Up to how many bytes an upload of unknown length is taken at all.")
    spool_total: int = option(size, "16G", help="Up to how many bytes all of those may take at a time, in each process.")
    offload: str = option(choice("none", "accel", "redirect"), "none", help="Who moves the bytes of online objects in our stead.")
    accel_peers: Peers = option(peers, "", help="The nginx that may be handed signed requests: addresses, networks, unix.")
    public: str = option(url, "", help="The store's address for clients, for redirect.")
    redirect_expires: int = option(duration, "60s", help="How long a link to the store is good.")
    redirect_anonymous: bool = option(flag, "no", help="Whether readers whom nobody knows get links too.")
    redirect_uploads: bool = option(flag, "no", help="Whether presigned uploads to plain buckets are sent to the store.")

    def __post_init__(self) -> None:
        """Raises ValueError for a way past us that lacks its other half."""
        if self.offload == "accel" and not self.accel_peers:
            raise ValueError("offload = accel: expected accel_peers, the addresses of the nginx that may be handed requests")
        if self.offload == "redirect" and not self.public:
            raise ValueError("offload = redirect: expected public, the store's address for clients")
