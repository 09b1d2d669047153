"""Who the client is when a proxy in front says so: the PROXY protocol, versions 1 and 2.

Believed only from the networks that the listener names, and required of them: a
connection from there that does not begin with it is closed.
"""

import re
import socket
import struct
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from s3shunt.server.wire import Wire

Networks = tuple[IPv4Network | IPv6Network, ...]

_SECOND = b"\r\n\r\n\x00\r\nQUIT\n"
_FIRST = re.compile(rb"PROXY (?:UNKNOWN(?: [\x20-\x7e]*)?|TCP([46]) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) ([0-9]{1,5}) ([0-9]{1,5}))")
_LONGEST = 107
_MOST = 4096


def networks(value: str) -> Networks:
    """Addresses and networks, such as '10.0.0.0/8 ::1'; 'unix' stands for whoever reaches a unix socket and is kept apart."""
    try:
        return tuple(ip_network(part) for part in value.replace(",", " ").split())
    except ValueError:
        raise ValueError("expected addresses or networks, such as 10.0.0.0/8 ::1") from None


def trusted(address: str, named: Networks) -> bool:
    """A peer on a unix socket has no address: who may reach it is decided by the file's mode."""
    if not address:
        return True
    found = ip_address(address.partition("%")[0])
    found = getattr(found, "ipv4_mapped", None) or found
    return any(found in network for network in named)


def read(wire: "Wire", deadline: float) -> dict[str, str]:
    """Take the preamble off the wire: REMOTE_ADDR and REMOTE_PORT, or nothing for a proxy's own check. Raises ValueError."""
    data = b""
    while True:
        size = length(data)
        if size is not None and len(data) >= size:
            wire.buffer = data[size:]
            return told(data[:size])
        more = wire.receive(1 if size is None else size - len(data), deadline)  # TLS behind it reads the socket itself
        if not more:
            raise ValueError("the connection ended in the PROXY line")
        data += more


def length(data: bytes) -> int | None:
    """How long the preamble is that begins so; None while that cannot be told. Raises ValueError when it is none."""
    if data[:12] == _SECOND:
        if len(data) < 16:
            return None
        size = 16 + int(struct.unpack("!H", data[14:16])[0])
        if size > _MOST:
            raise ValueError("a PROXY header is too long")
        return size
    if not (_SECOND.startswith(data) or b"PROXY "[: len(data)] == data[:6]):
        raise ValueError("a trusted peer did not send a PROXY header")
    end = data.find(b"\r\n")
    if end < 1:  # the second version begins with one
        if len(data) > _LONGEST:
            raise ValueError("a PROXY line is too long")
        return None
    return end + 2


def told(preamble: bytes) -> dict[str, str]:
    if preamble.startswith(_SECOND):
        return _second(preamble)
    found = _FIRST.fullmatch(preamble[:-2])
    if found is None:
        raise ValueError("a PROXY line cannot be read")
    if found[1] is None:
        return {}
    source = ip_address(found[2].decode())
    ip_address(found[3].decode())
    if source.version != int(found[1]) or max(int(found[4]), int(found[5])) > 65535:
        raise ValueError("a PROXY line cannot be read")
    return {"REMOTE_ADDR": str(source), "REMOTE_PORT": found[4].decode()}


def _second(preamble: bytes) -> dict[str, str]:
    command, family = preamble[12], preamble[13]
    if command == 0x20:  # LOCAL: the proxy itself looks whether we are there
        return {}
    if command != 0x21:
        raise ValueError("a PROXY header cannot be read")
    if family == 0x11 and len(preamble) >= 28:
        return _from(socket.inet_ntop(socket.AF_INET, preamble[16:20]), preamble[24:26])
    if family == 0x21 and len(preamble) >= 52:
        return _from(socket.inet_ntop(socket.AF_INET6, preamble[16:32]), preamble[48:50])
    return {}


def _from(address: str, port: bytes) -> dict[str, str]:
    return {"REMOTE_ADDR": address, "REMOTE_PORT": str(int.from_bytes(port, "big"))}
