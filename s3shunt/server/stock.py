"""The same applications on eventlet's own WSGI server, with our checks in its protocol class: slower, and less strict."""

import errno
import logging
import socket
from typing import Any

log = logging.getLogger(__name__)


def run(app: Any, sock: socket.socket, *, keep_alive: float, patience: float, connections: int, line: int) -> None:
    """Answer until killed with SystemExit, then let requests end."""
    import eventlet
    from eventlet import wsgi

    from s3shunt.server.protocol import Listener, Protocol

    while True:
        try:
            wsgi.server(
                Listener(sock.dup()), app, log=Quiet(), log_output=False, debug=False, protocol=Protocol,
                keepalive=keep_alive, socket_timeout=patience, max_size=connections,
                url_length_limit=line, capitalize_response_headers=False,
            )  # fmt: skip
            return
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            log.error("out of file descriptors: waiting")  # noqa: TRY400  # where it happened says nothing
            eventlet.sleep(0.2)


class Quiet:
    """Where eventlet's own log goes: what it tells of broken connections is of interest when looking for one."""

    def write(self, text: str, *args: Any) -> None:
        log.debug(text.rstrip(), *args)

    info = debug = error = write
