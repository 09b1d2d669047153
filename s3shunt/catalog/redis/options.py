"""What an operator may say about the index in Redis."""

from dataclasses import dataclass
from pathlib import Path

from s3shunt import config
from s3shunt.config import option


@dataclass(frozen=True)
class Options:
    url: str = option(config.url, help="redis://host:port/0 or redis+unix:///path/redis.sock (no password in it).")
    secret_file: Path | None = option(config.path, "", help="File with the secret that authenticates records; made when absent.")
    password_file: Path | None = option(config.path, "", help="File with the password; empty: REDIS_PASSWORD, or none.")
    deadline: int = option(config.duration, "250ms", help="How long one call may take.")
    pause: int = option(config.duration, "500ms", help="How long a server that failed is left alone.")
    connections: int = option(config.number, "1024", help="Calls at the same time; one more is a miss.")
    max_record: int = option(config.size, "64K", help="Larger entries stay in the database.")
    keep: int = option(config.duration, "1d", help="How long a record is kept that nobody changed.")
    view: bool = option(config.flag, "no", help="Whether the state of each key that changes is also shown for people to read.")
    view_keep: int = option(config.duration, "30d", help="How long that of a key is shown which changes no more.")
