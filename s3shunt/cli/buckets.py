"""``s3shunt catalog give`` and ``buckets``: whose a bucket is, where the catalog alone says so."""

from dataclasses import replace
from pathlib import Path

import click

from s3shunt.cli import importing, say
from s3shunt.model import Bucket


@click.command()
@click.argument("bucket")
@click.argument("owner")
@importing.with_name
@say.with_ini
def give(ini: Path, bucket: str, owner: str, name: str) -> None:
    """Make a BUCKET with a global name the account OWNER's: one that was in the store before us, say."""
    truth = say.house(ini).truth(name)
    known = truth.bucket("", bucket) or Bucket(name=bucket, plain=False)
    truth.save_bucket(replace(known, owner=owner))


@click.command()
@importing.with_name
@say.with_ini
@say.with_json
def buckets(ini: Path, name: str, *, as_json: bool) -> None:
    """The buckets that are known, and whose they are."""
    found = [
        {"bucket": one.name, "account": one.account, "owner": one.owner, "versioned": one.versioned}
        for one in say.house(ini).truth(name).buckets()
    ]
    say.rows(("bucket", "account", "owner", "versioned"), found, as_json=as_json)
