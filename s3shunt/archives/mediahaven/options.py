"""What an operator says in ``[archive:NAME]``, and what of it cannot work together."""

import re
from dataclasses import dataclass
from pathlib import Path

from s3shunt import config
from s3shunt.config import option


@dataclass(frozen=True)
class Options:
    url: str = option(config.url, help="mediahaven+https://HOST[/PREFIX], in front of /mediahaven-rest-api and /auth.")
    api: str = option(config.choice("1", "2"), "2", help="Generation of MediaHaven's REST API.")
    auth: str = option(
        config.choice("basic", "token"), "token",
        help="For api = 1: Basic on each call, or a token. Version 2 knows tokens only.",
    )
    username: str = option(config.text, help="The user we are to MediaHaven.")
    password_file: Path = option(config.path, help="File (mode 0600) with the user's password on its first line.")
    client_id: str | None = option(config.text, "", help="For api = 2: the OAuth client.")
    client_secret_file: Path | None = option(
        config.path, "",
        help="For api = 2: file (mode 0600) with the client's secret on its first line.",
    )
    ca_file: str | None = option(config.text, "", help="Certificates to believe (PEM) instead of the public ones.")

    search: str = option(
        config.choice("name", "external_id"), "name",
        help="How an object is looked for: by bucket and key, or by external id.",
    )
    bucket_field: str = option(config.word, "s3_bucket", help="The dynamic field that holds an object's bucket.")
    key_field: str = option(config.word, "s3_object_key", help="The dynamic field that holds an object's key.")
    account_field: str | None = option(
        config.word, "",
        help="The dynamic field that holds the account of an object's bucket, where names are per account; empty: all are one account's.",
    )  # fmt: skip
    tag_field: str | None = option(
        config.word, "",
        help="A dynamic field in which the site's ingest keeps the tag of our copy; empty: none.",
    )
    external_id_field: str = option(config.word, "ExternalId", help="The field that holds the external id in a search.")
    external_id: str = option(
        config.text, r"(?:.*/)?([^/]+?)(?:\.[^./]*)?", help="For search = external_id: pattern of the whole key; its first group is the id."
    )
    narrow: str = option(str, "-(Type:videofragment) -(Type:audiofragment)", help="Clause behind every search.")
    duplicates: str = option(config.choice("newest", "refuse"), "newest", help="Which of several records of one name is taken.")
    unnamed: str = option(
        config.choice("refuse", "accept"), "refuse",
        help="What becomes of the one record found that does not tell its name.",
    )

    location: str = option(config.word, help="Export location for tier Standard.")
    location_expedited: str | None = option(config.word, "", help="Export location for tier Expedited; empty: as Standard.")
    location_bulk: str | None = option(config.word, "", help="Export location for tier Bulk; empty: as Standard.")
    destination: str = option(config.text, help="DestinationPath of exports; for arrival = s3 the bucket, and a prefix behind a slash.")
    arrival: str = option(config.choice("s3", "path"), "s3", help="Whether exports arrive in an S3 store or in a directory.")
    delivery: str = option(config.word, "main", help="For arrival = s3: the [store:NAME] in which exports arrive.")
    delivery_path: Path | None = option(
        config.path, "",
        help="For arrival = path: the directory in which the files of 'destination' appear.",
    )
    reason: str = option(config.text, "restored by s3shunt", help="The reason that exports and deletions give.")
    tag: str = option(config.word, "s3shunt", help="What our tags and file names begin with; another for each installation.")

    copies_on_tape: int = option(config.number, "1", help="Copies that ArchiveStatus on_tape stands for.")
    copies_on_disk: int = option(config.number, "1", help="Copies that ArchiveStatus on_disk stands for.")
    copies_completed: int = option(config.number, "1", help="Copies that ArchiveStatus completed stands for.")
    failed_grace: int = option(
        config.duration, "15m",
        help="How long an operator has to restart a failed export before it is asked for anew.",
    )
    gone_grace: int = option(config.duration, "5m", help="How long a job may be unknown before it is asked for anew.")
    delivery_grace: int = option(config.duration, "15m", help="How long the file of a completed export may take to appear whole.")
    lost_answer: int = option(
        config.duration, "1h",
        help="How long the destination is watched when the answer to an export was lost (api = 1).",
    )
    connect_timeout: int = option(config.duration, "5s", help="How long a connection may take.")
    read_timeout: int = option(config.duration, "30s", help="How long MediaHaven may be silent.")
    deadline: int = option(config.duration, "60s", help="How long one call may take, its repetitions included.")
    cycle: int = option(
        config.duration, "60s",
        help="How long all calls of one look at the recalls may take; what is left over is looked at next.",
    )
    retries: int = option(config.number, "3", help="How often a reading call is repeated after 429, 503 or no connection.")
    delete: bool = option(config.flag, "no", help="Whether records may be deleted when nobody can ask for them any more (api = 2).")

    def __post_init__(self) -> None:
        """Raises ValueError for what is missing or cannot work together."""
        if self.api == "2" and not (self.client_id and self.client_secret_file):
            raise ValueError("api = 2: expected client_id and client_secret_file")
        if self.arrival == "path" and self.delivery_path is None:
            raise ValueError("arrival = path: expected delivery_path, the directory in which the files of 'destination' appear")
        if self.delete and self.api == "1":
            raise ValueError("delete = yes: expected delete = no, with api = 1 records cannot be deleted")
        try:
            groups = re.compile(self.external_id).groups
        except re.error as error:
            raise ValueError(f"external_id = {self.external_id}: expected a regular expression ({error})") from None
        if not groups:
            raise ValueError(f"external_id = {self.external_id}: expected a regular expression with a group in parentheses")
