"""Reads from the Host of a request which bucket it is about, and whose buckets these are.

With ``domains = s3.example.org`` a request for ``films.s3.example.org`` is about
the bucket ``films`` and the path is the key; one for ``s3.example.org`` itself,
or for any other host, has the bucket in its path. Host names are compared
without case, port and final dot, label by label: ``evils3.example.org`` is no bucket of
this domain. The longest domain that fits wins. A Host that is none is BadRequest.

``vrt.example.org = vrt`` gives a domain to an account: its requests are about that account's buckets, in the
host or in the path, and ``grants`` refuses who is not of the account. Nobody in particular reads there what the account
has opened to all. So two accounts may each have a bucket of one name, where the store keeps them apart.

A proxy in front that asks us under another name says in ``X-Forwarded-Host`` whom the client asked. It is believed only from a
peer in ``trusted`` (addresses, CIDR networks, ``unix`` for a unix socket), and stands then for the Host in
everything: it names the bucket, and it is the host that the client signed. Of several values the last counts, which the
peer itself wrote: what stands before it anyone may have sent. Where several proxies in a row each add one, ``proxies`` says how many, and
that many from the end counts. ``X-Forwarded-Proto`` of such a peer says how the client came, for addresses in
answers. The target that the client signed is never rewritten.

May answer BadRequest, InvalidBucketName, InvalidURI and KeyTooLongError. It stands in front of
``sigv4`` and ``grants``; without ``domains`` and ``trusted`` it changes nothing.

    [filter:virtual_host]
    use = egg:s3shunt#virtual_host
    domains = s3.example.org, vrt.example.org = vrt
    trusted = 10.0.0.0/8
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from types import MappingProxyType
from typing import Any

from s3shunt import config, wsgi
from s3shunt.config import option, words
from s3shunt.protocol import addressing
from s3shunt.protocol.errors import BadRequest
from s3shunt.wsgi import Handler, Request, Response

Network = IPv4Network | IPv6Network

UNIX = "unix"
"""Stands for peers on a unix socket, which have no address: who may reach it, its file's mode says."""


def peers(value: str) -> tuple[Network | str, ...]:
    """Addresses, CIDR networks and ``unix``. Raises ValueError."""
    try:
        return tuple(word if word == UNIX else ip_network(word) for word in words(value))
    except ValueError as error:
        raise ValueError(f"expected addresses or networks such as 10.0.0.0/8, or unix: {error}") from None


def names(value: str) -> Mapping[str, str]:
    """Domains, in lower case, and whose each is; '' for nobody's. Raises ValueError."""
    found: dict[str, str] = {}
    for word in words(re.sub(r"\s*=\s*", "=", value)):
        name, owned, account = word.partition("=")
        try:
            domain = addressing.hostname(name)
        except BadRequest:
            domain = ""
        if not re.search("[a-z]", domain) or ":" in name or bool(owned) != bool(account):
            raise ValueError(f"expected domains such as s3.example.org, or vrt.example.org = ACCOUNT, not {word}")
        if domain in found:
            raise ValueError(f"expected {domain} once")
        found[domain] = account
    return MappingProxyType(found)


def one_or_more(value: str) -> int:
    count = config.number(value)
    if count < 1:
        raise ValueError("expected 1 or more")
    return count


@dataclass(frozen=True)
class Options:
    domains: Mapping[str, str] = option(
        names, "",
        help="Domains whose sub-domains are buckets; DOMAIN = ACCOUNT where they are that account's. Empty: path style only.",
    )  # fmt: skip
    trusted: tuple[Network | str, ...] = option(peers, "", help="Peers (addresses, networks, unix) whose X-Forwarded-Host is believed.")
    proxies: int = option(one_or_more, "1", help="How many proxies in a row add to X-Forwarded-Host; that many from its end counts.")


class VirtualHost:
    def __init__(self, forward: Handler, options: Options, house: Any = None) -> None:  # noqa: ARG002  # every door is made alike
        self.forward = forward
        self.domains = options.domains or {}
        self.trusted = options.trusted or ()
        self.proxies = options.proxies
        self.trusts = lru_cache(maxsize=1024)(self._trusts)

    def __call__(self, request: Request) -> Response:
        if self.trusted and self.trusts(request.environ.get("REMOTE_ADDR", "")):
            self._believe(request, request.environ)
        name = addressing.hostname(request.environ.get("HTTP_HOST", ""))
        if self.domains and (found := addressing.under(name, tuple(self.domains))):
            self._place(request, *found)
        return self.forward(request)

    def _believe(self, request: Request, environ: dict[str, Any]) -> None:
        """From here on the Host is the one that the client asked, as it wrote it, and the scheme too."""
        if "HTTP_X_FORWARDED_HOST" in environ:
            _ = request.target  # an absolute one is held against the Host that came with it
            environ["HTTP_HOST"] = meant(environ["HTTP_X_FORWARDED_HOST"], self.proxies)
        scheme = environ.get("HTTP_X_FORWARDED_PROTO", "").rpartition(",")[2].strip().lower()
        if scheme in ("http", "https"):
            environ["wsgi.url_scheme"] = scheme

    def _place(self, request: Request, bucket: str, domain: str) -> None:
        account = self.domains[domain]
        if bucket:
            ref = addressing.host_style(bucket, request.raw_path, request.parameters.get("versionId"))
            request.at(replace(ref, account=account))
        elif account:
            request.at(replace(request.ref, account=account))

    def _trusts(self, peer: str) -> bool:
        if not peer:
            return UNIX in self.trusted
        try:
            address = ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self.trusted if not isinstance(network, str))


def meant(forwarded: str, proxies: int) -> str:
    """Of the values of X-Forwarded-Host the one that the outermost of our proxies wrote: ``proxies`` from the end, or the first there is.

    Raises BadRequest for an empty one: the client named no host, and what it sent before does not count.
    """
    host = forwarded.split(",")[-proxies:][0].strip(" \t")
    if not host:
        raise BadRequest("X-Forwarded-Host names no host.")
    return host


factory = wsgi.filter_factory(VirtualHost, Options, "filter:virtual_host")
