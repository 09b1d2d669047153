"""From what the section says to a link with MediaHaven."""

from pathlib import Path

from s3shunt.archives.mediahaven.credentials import Basic, Credential, Grant, Tokens, V1Grant, V2Grant, password
from s3shunt.archives.mediahaven.link import Link, Times, Wire
from s3shunt.archives.mediahaven.options import Options
from s3shunt.clock import Clock


def link(options: Options, clock: Clock, home: Path) -> Link:
    host = options.url.removeprefix("mediahaven+").rstrip("/")
    base = f"{host}/mediahaven-rest-api/" + ("v2" if options.api == "2" else "resources")
    wire = Wire(Times(options.connect_timeout, options.read_timeout, options.deadline), clock, options.ca_file)
    secret = password(options.password_file)
    credential: Credential
    if options.api == "1" and options.auth == "basic":
        credential = Basic(options.username, secret)
    else:
        credential = Tokens(home / "token", _grant(options, wire, base, host, secret), clock, 2 * options.deadline)
    return Link(base, wire, credential, options.retries)


def _grant(options: Options, wire: Wire, base: str, host: str, secret: str) -> Grant:
    if options.api == "1":
        return V1Grant(wire, base, options.username, secret)
    client = (options.client_id or "", password(options.client_secret_file) if options.client_secret_file else "")
    return V2Grant(wire, host, options.username, secret, client)
