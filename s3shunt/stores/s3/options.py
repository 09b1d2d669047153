"""What an operator may say about a store that speaks S3."""

import re
from dataclasses import dataclass
from pathlib import Path

from s3shunt import config
from s3shunt.config import option


def endpoints(value: str) -> tuple[str, ...]:
    """``http(s)://HOST[:PORT]``, any number of them."""
    given = config.words(value)
    for each in given:
        if not re.fullmatch(r"https?://[^/?#@\s]+/?", each):
            raise ValueError("expected http(s)://HOST[:PORT] of each endpoint")
    return tuple(each.rstrip("/") for each in given)


def _bucket_names(value: str) -> bool:
    return config.choice("global", "per account")(value) == "per account"


def _as_paths(value: str) -> bool:
    return config.choice("exact", "paths")(value) == "paths"


@dataclass(frozen=True)
class Options:
    url: str = option(config.url, help="s3+http://HOST:PORT or s3+https://HOST[:PORT]")
    also: tuple[str, ...] = option(endpoints, "", help="Further endpoints of the same store: http(s)://HOST[:PORT] ...")
    credentials: Path = option(config.path, help='JSON file (mode 0600): {"": {"access_key", "secret_key"}}, or one such pair per account.')
    buckets: bool = option(_bucket_names, "global", help="'global', or 'per account' where each account has bucket names of its own.")
    keys: bool = option(_as_paths, "exact", help="'exact', or 'paths' where keys are paths of files, so that a//b is a/b (SeaweedFS).")
    bucket: str | None = option(config.word, "", help="The one bucket of a store that recalled copies land in.")
    region: str = option(config.word, "us-east-1", help="Region that requests to the store are signed for.")
    evict: str = option(
        config.choice("probe", "version", "if-match", "swift", "unsafe", "none"), "probe",
        help="How exactly one version is deleted; 'probe' tries whether If-Match is atomic.",
    )  # fmt: skip
    swift: str | None = option(config.url, "", help="URL of Swift's own API, for evict = swift.")
    capacity: int | None = option(config.some(config.size), "", help="How many bytes the store takes for full; for eviction by watermark.")
    reserve: int | None = option(config.some(config.size), "", help="How many bytes recalled copies may take here; empty: any number.")
    acl: bool = option(config.flag, "yes", help="Whether facts include the ACL.")
    connect_timeout: int = option(config.duration, "5s", help="How long a connection may take.")
    read_timeout: int = option(config.duration, "60s", help="How long the store may be silent.")
