"""The two things systemd may do for a service: open its sockets before, and be told how it stands."""

import socket
from collections.abc import Mapping, MutableMapping

FIRST = 3


def sockets(environ: MutableMapping[str, str], pid: int) -> dict[str, list[int]]:
    """Descriptors that were opened for this process, by name (``FileDescriptorName=``); taken out of ``environ``."""
    count, owner, names = (environ.pop(name, "") for name in ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"))
    if owner != str(pid) or not count.isdecimal():
        return {}
    named = names.split(":") if names else []
    found: dict[str, list[int]] = {}
    for number in range(int(count)):
        found.setdefault(named[number] if number < len(named) else "", []).append(FIRST + number)
    return found


def notify(environ: Mapping[str, str], *facts: str) -> None:
    """Tell the service manager; nothing happens where there is none."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as told:
        try:
            told.connect("\0" + address[1:] if address[0] == "@" else address)
            told.send("\n".join(facts).encode())
        except OSError:
            return
