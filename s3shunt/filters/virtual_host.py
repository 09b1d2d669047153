"""Reads the bucket from the Host of a request, where a site gives each bucket a name of its own.

With ``domains = s3.example.org`` a request for ``films.s3.example.org`` is about
the bucket ``films`` and the path is the key; one for ``s3.example.org`` itself,
or for any other host, has the bucket in its path. Host names are compared
without case and port, label by label: ``evils3.example.org`` is no bucket of
this domain. The longest domain that fits wins.

``X-Forwarded-Host`` is honoured only from a peer in ``trusted`` (addresses or
CIDR networks), and only when it names exactly one host: several mean that more than one
proxy wrote there, nobody knows which is right, and the header is ignored. The
target that the client signed is never rewritten, and ``sigv4`` checks the Host that came.

May answer InvalidBucketName, InvalidURI and KeyTooLongError. It stands in front of
``sigv4`` and ``grants``; without ``domains`` it changes nothing.

    [filter:virtual_host]
    use = egg:s3shunt#virtual_host
    domains = s3.example.org
    trusted = 10.0.0.0/8
"""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from s3shunt import wsgi
from s3shunt.config import option, words
from s3shunt.protocol import addressing
from s3shunt.wsgi import Handler, Request, Response

Network = IPv4Network | IPv6Network


def networks(value: str) -> tuple[Network, ...]:
    """Addresses and CIDR networks. Raises ValueError."""
    try:
        return tuple(ip_network(word) for word in words(value))
    except ValueError as error:
        raise ValueError(f"expected addresses or networks such as 10.0.0.0/8: {error}") from None


def names(value: str) -> tuple[str, ...]:
    """Host names, in lower case."""
    return tuple(word.lower().strip(".") for word in words(value))


@dataclass(frozen=True)
class Options:
    domains: tuple[str, ...] = option(names, "", help="Domains whose sub-domains are buckets; empty: path style only.")
    trusted: tuple[Network, ...] = option(networks, "", help="Peers (addresses, CIDR networks) whose X-Forwarded-Host is believed.")


class VirtualHost:
    def __init__(self, forward: Handler, options: Options, house: Any = None) -> None:  # noqa: ARG002  # every door is made alike
        self.forward = forward
        self.domains = sorted(options.domains or (), key=len, reverse=True)
        self.trusted = options.trusted or ()

    def __call__(self, request: Request) -> Response:
        if self.domains and (bucket := bucket_of(self._host(request), self.domains)):
            request.at(addressing.host_style(bucket, request.raw_path, request.parameters.get("versionId")))
        return self.forward(request)

    def _host(self, request: Request) -> str:
        forwarded = request.environ.get("HTTP_X_FORWARDED_HOST", "")
        if forwarded and "," not in forwarded and self._trusts(request.environ.get("REMOTE_ADDR", "")):
            return str(forwarded)
        return str(request.environ.get("HTTP_HOST", ""))

    def _trusts(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self.trusted)


def bucket_of(host: str, domains: list[str]) -> str:
    """The bucket that a Host names, '' for none. ``domains`` are in lower case, the longest first."""
    name = host.strip().lower()
    if not name.endswith("]"):  # an IPv6 address without a port
        name = name.rpartition(":")[0] or name if ":" in name else name
    name = name.removesuffix(".")
    for domain in domains:
        if name == domain:
            return ""
        if name.endswith(f".{domain}"):
            return name[: -len(domain) - 1]
    return ""


factory = wsgi.filter_factory(VirtualHost, Options, "filter:virtual_host")
