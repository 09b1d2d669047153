"""A whole OpenStack Swift in one process: account, container, object and proxy server, one disk, one copy.

    python -m s3shunt.swift.allinone --home DIR [--port N] [--accounts FILE]

For a laptop, a demonstration, a test: real Swift, real S3 API, data that
survives a restart. Every server listens on 127.0.0.1. One line of JSON on
stdout says that it is ready; SIGTERM stops it; it ends with its parent.
"""

import argparse
import ctypes
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from s3shunt.swift import layout

PREFERRED_PORT = 8100
PR_SET_PDEATHSIG = 1


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m s3shunt.swift.allinone", description="A whole OpenStack Swift in one process.")
    parser.add_argument("--home", type=Path, required=True, help="folder for data, rings and configuration")
    parser.add_argument("--port", type=int, help="port of the proxy; by default the one of the first start, else 8100, else any")
    parser.add_argument("--accounts", type=Path, help="JSON file with the credential of each account; by default HOME/accounts.json")
    given = parser.parse_args(argv)
    end_with_parent()
    serve(given.home.absolute(), given.port, (given.accounts or given.home / "accounts.json").absolute())


def end_with_parent() -> None:
    """Ask the kernel for a SIGTERM when the parent is gone."""
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit("the parent ended before its child began")


def serve(home: Path, port: int | None, accounts: Path) -> None:
    """Run until SIGTERM or SIGINT."""
    home.mkdir(parents=True, exist_ok=True)
    import eventlet
    from swift.common import utils

    utils.monkey_patch()
    eventlet.hubs.use_hub(utils.get_hub())
    sockets = {kind: _bind(0) for kind in layout.SERVERS} | {"proxy": _proxy_socket(home, port)}
    ports = {kind: bound.getsockname()[1] for kind, bound in sockets.items()}
    layout.keep_port(home, ports["proxy"])
    layout.write(home, accounts, ports)
    _prepare(home)
    for kind, bound in sockets.items():
        _start(kind, home / f"{kind}-server.conf", bound)
    wake, bell = os.pipe()  # the hub sleeps in poll, which a handler alone would not end
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os.write(bell, b"."))
    print(json.dumps({"endpoint": f"http://127.0.0.1:{ports['proxy']}", "ports": ports, "pid": os.getpid()}), flush=True)
    eventlet.hubs.trampoline(wake, read=True)


def _proxy_socket(home: Path, asked: int | None) -> socket.socket:
    """The asked port or none; else that of the first start or none; else the preferred one, or any."""
    kept = layout.port(home, asked)
    if kept or asked == 0:
        return _bind(kept)
    try:
        return _bind(PREFERRED_PORT)
    except SystemExit:
        return _bind(0)


def _bind(port: int) -> socket.socket:
    """Listen before the rings are written: a port that is ours cannot be raced for."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(("127.0.0.1", port))
    except OSError as error:
        sys.exit(f"port {port} on 127.0.0.1 is taken: {error.strerror}")
    bound.listen(512)
    return bound


def _prepare(home: Path) -> None:
    """Swift's process-wide settings, before any of its servers is loaded."""
    from swift.common import constraints, storage_policy, utils

    utils.set_swift_dir(str(home))
    constraints.reload_constraints()
    storage_policy.reload_storage_policies()
    utils.validate_configuration()
    utils.disable_fallocate()
    utils.FALLOCATE_RESERVE, utils.FALLOCATE_IS_PERCENT = 0, False


def _start(kind: str, conf: Path, bound: socket.socket) -> Any:
    import eventlet
    from eventlet import wsgi
    from swift.common import constraints
    from swift.common.utils import NullLogger
    from swift.common.wsgi import SwiftHttpProtocol, loadapp

    app = loadapp(str(conf), global_conf={"log_name": kind})
    return eventlet.spawn(
        wsgi.server, bound, app, NullLogger(),
        protocol=SwiftHttpProtocol, socket_timeout=60, max_size=1024,
        capitalize_response_headers=False,  # "Etag" would break AWS's own clients
        url_length_limit=constraints.MAX_REQUEST_LINE,
    )  # fmt: skip


if __name__ == "__main__":
    main()
