"""``s3shunt audit``: where catalog, stores and archives disagree, now."""

import sys
from dataclasses import asdict
from pathlib import Path

import click

from s3shunt.cli import say
from s3shunt.jobs.audit import audit as findings


@click.command()
@click.option("--repair", is_flag=True, help="Mend what can be mended.")
@say.with_ini
@say.with_json
def audit(ini: Path, *, repair: bool, as_json: bool) -> None:
    """Hold the catalog against what the stores and archives have. Exit code 1 when something is left to mend."""
    found = [{**asdict(finding), "ref": str(finding.ref)} for finding in findings(say.house(ini), repair=repair)]
    say.rows(("kind", "ref", "detail", "repaired"), found, as_json=as_json)
    sys.exit(any(not row["repaired"] for row in found))
