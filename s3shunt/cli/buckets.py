"""``s3shunt catalog give``, ``buckets`` and ``scan``: whose a bucket is, where the catalog alone says so; what else is in it."""

from dataclasses import replace
from pathlib import Path

import click

from s3shunt.cli import importing, say
from s3shunt.model import Bucket, Job


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


@click.command()
@importing.with_name
@say.with_ini
def scan(ini: Path, name: str) -> None:
    """Have workers look now, and not only when their day is over, for objects that no entry tells of."""
    house = say.house(ini)
    house.truth(name).enqueue(Job(kind="scan", dedupe="scan now", due=house.clock.now()))
