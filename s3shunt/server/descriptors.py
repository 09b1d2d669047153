"""File descriptors: as many as this process may have, and whether its clients can all have theirs."""

import logging
import resource
from contextlib import suppress

log = logging.getLogger(__name__)

EACH = 2
"""A client's socket, and the one to the store."""


def most() -> int | None:
    """How many a process may have once it serves; None without a bound."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return None if hard == resource.RLIM_INFINITY else hard


def take_all() -> None:
    """The soft limit becomes the hard one: it is there for programs that call select(), which we do not."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with suppress(OSError, ValueError):  # some systems have a lower one they do not tell
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def shortage(clients: int, limit: int | None) -> str:
    """What is wrong with so many clients under a limit; empty where they fit."""
    if limit is None or clients * EACH <= limit:
        return ""
    return f"connections = {clients} may need {clients * EACH} file descriptors, and a process may have {limit} (ulimit -n)."


def prepare(clients: int) -> None:
    """Before a process serves so many clients at a time."""
    take_all()
    if said := shortage(clients, resource.getrlimit(resource.RLIMIT_NOFILE)[0]):
        log.warning("%s Beyond that the longest idle client is let go, and others wait.", said)
