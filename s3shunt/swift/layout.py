"""What a Swift of one disk and one process needs on that disk: folders, configuration files, rings."""

import getpass
import json
import os
import secrets
from pathlib import Path

SERVERS = ("account", "container", "object")

DEFAULTS = """\
[DEFAULT]
swift_dir = {home}
devices = {home}/devices
mount_check = false
bind_ip = 127.0.0.1
bind_port = {port}
user = {user}
workers = 0
disable_fallocate = true
fallocate_reserve = 0
recon_cache_path = {home}/recon
log_name = {kind}
log_level = WARNING
log_address = {home}/no-syslog
client_timeout = 60
conn_timeout = 10
node_timeout = 60
"""

STORAGE = """
[pipeline:main]
pipeline = {kind}-server

[app:{kind}-server]
use = egg:swift#{kind}
replication_server = false
"""

PROXY = """
[pipeline:main]
pipeline = {pipeline}

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
allow_open_expired = true
request_node_count = 1
conn_timeout = 10
node_timeout = 60
# there is one disk: to avoid it for a minute is to be down for a minute
error_suppression_interval = 0
error_suppression_limit = 1000000

[filter:catch_errors]
use = egg:swift#catch_errors

[filter:gatekeeper]
use = egg:swift#gatekeeper
# a DELETE that names its moment may not hit a later object; only loopback reaches this server
shunt_inbound_x_timestamp = false

[filter:healthcheck]
use = egg:swift#healthcheck

[filter:proxy-logging]
use = egg:swift#proxy_logging
access_log_level = WARNING

[filter:cache]
paste.filter_factory = s3shunt.swift.cache:factory

[filter:metadata]
paste.filter_factory = s3shunt.swift.metadata:factory
room = {room}

[filter:listing_formats]
use = egg:swift#listing_formats

[filter:bulk]
use = egg:swift#bulk

[filter:s3api]
use = egg:swift#s3api
location = us-east-1
s3_acl = false
check_bucket_owner = false
max_upload_part_num = 10000

[filter:tempauth]
paste.filter_factory = s3shunt.swift.accounts:factory
accounts = {accounts}

[filter:copy]
use = egg:swift#copy

[filter:slo]
use = egg:swift#slo
rate_limit_after_segment = 10000
max_manifest_segments = 10000

[filter:dlo]
use = egg:swift#dlo

[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
allow_object_versioning = true

[filter:symlink]
use = egg:swift#symlink
"""

PIPELINE = (
    "catch_errors gatekeeper healthcheck proxy-logging cache listing_formats metadata bulk "
    "s3api tempauth copy slo dlo versioned_writes symlink proxy-logging proxy-server"
)


def write(home: Path, accounts: Path, ports: dict[str, int], pipeline: str = PIPELINE, extra: str = "") -> None:
    """Everything but the data. Written anew at each start, so a new release brings its own settings."""
    for folder in ("devices/d1", "recon"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    (home / "swift.conf").write_text(_swift_conf(home))
    for kind in SERVERS:
        text = DEFAULTS + STORAGE
        (home / f"{kind}-server.conf").write_text(text.format(home=home, user=getpass.getuser(), kind=kind, port=ports[kind]))
        _ring(home, kind, ports[kind])
    proxy = (DEFAULTS + PROXY).format(
        home=home, user=getpass.getuser(), kind="proxy", port=ports["proxy"], accounts=accounts, pipeline=pipeline, room=room(home)
    )
    (home / "proxy-server.conf").write_text(proxy + extra)


def port(home: Path, asked: int | None = None) -> int:
    """The proxy's port of the first start, kept so that an ini can name it; 0 means any that is free."""
    kept = home / "port"
    if asked is None:
        return int(kept.read_text()) if kept.exists() else 0
    return asked


def keep_port(home: Path, number: int) -> None:
    (home / "port").write_text(str(number))


def _swift_conf(home: Path) -> str:
    """The hash salt is drawn once: with another one no object would be found again."""
    salt = home / "salt.json"
    if not salt.exists():
        salt.write_text(json.dumps([secrets.token_hex(16), secrets.token_hex(16)]))
    prefix, suffix = json.loads(salt.read_text())
    return f"""\
[swift-hash]
swift_hash_path_prefix = {prefix}
swift_hash_path_suffix = {suffix}

[storage-policy:0]
name = default
default = yes

[swift-constraints]
max_meta_value_length = 2048
max_meta_overall_size = 8192
max_object_name_length = 1200
"""


def _ring(home: Path, kind: str, number: int) -> None:
    from swift.common.ring import RingBuilder

    builder = RingBuilder(4, 1, 0)  # 16 partitions, one copy
    builder.add_dev(
        {
            "id": 0, "region": 1, "zone": 1, "weight": 1.0, "ip": "127.0.0.1", "port": number, "device": "d1",
            "replication_ip": "127.0.0.1", "replication_port": number,
        }
    )  # fmt: skip
    builder.rebalance(seed=1)
    builder.get_ring().save(str(home / f"{kind}.ring.gz"))


def room(home: Path) -> int:
    """How many bytes of extended attributes a file on this disk takes: 64 KiB on xfs, about 4,000 on ext4."""
    probe = home / "devices" / ".probe"
    probe.write_bytes(b"")
    try:
        return next((size for size in (65536, *range(4096, 0, -16)) if _fits(probe, size)), 0)
    finally:
        probe.unlink()


def _fits(probe: Path, size: int) -> bool:
    try:
        os.setxattr(probe, "user.swift.metadata", b"x" * size)
    except OSError:
        return False
    return True
