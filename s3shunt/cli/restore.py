"""``s3shunt restore``: what a client asks with POST ?restore, asked by an operator."""

from pathlib import Path

import click

from s3shunt import connect
from s3shunt.cli import say
from s3shunt.cli.catalog import ref_of
from s3shunt.model import ObjectRef, Step
from s3shunt.policy import restore as decisions
from s3shunt.protocol.errors import NoSuchKey, SlowDown

IDENTITY = "operator"


@click.group()
def restore() -> None:
    """Archived objects, asked for and given back."""


@restore.command()
@click.argument("name", metavar="BUCKET/KEY")
@click.option("--days", type=click.IntRange(1, 3650), default=1, show_default=True, help="How long the copy is wanted.")
@click.option("--tier", type=click.Choice(["Expedited", "Standard", "Bulk"]), default="Standard", show_default=True)
@say.with_account
@say.with_ini
@say.with_json
def request(ini: Path, name: str, account: str, days: int, tier: str, *, as_json: bool) -> None:
    """Ask the archive for an object."""
    house = say.house(ini)
    ref = ref_of(name, account)
    status = _ask(house, ref, days, tier)
    said = "a copy is here" if status == 200 else "asked for"
    say.document({"object": str(ref), "status": status, "answer": said}, as_json=as_json)


def _ask(house: connect.House, ref: ObjectRef, days: int, tier: str) -> int:
    import uuid

    truth, now = house.truth(), house.clock.now()
    wish = decisions.Wish(days=days, tier=tier, identity=IDENTITY, now=now, day=house.day, recall_id=uuid.uuid4().hex)
    row = truth.find(ref)
    active = next(iter(truth.recalls(ref=row.ref)), None) if row else None
    decided = decisions.decide(row, wish, active)
    if not isinstance(decided, decisions.Granted) or not truth.commit(decided.step):
        raise SlowDown("The object is changing at this moment: ask again.")
    return decided.status


@restore.command()
@click.argument("name", metavar="BUCKET/KEY")
@click.option("--identity", default=IDENTITY, show_default=True, help="Whose wish: an access key, or the operator's own.")
@say.with_account
@say.with_ini
@say.with_json
def release(ini: Path, name: str, account: str, identity: str, *, as_json: bool) -> None:
    """Give a copy back before its date; what others asked for stays."""
    house = say.house(ini)
    ref = ref_of(name, account)
    row = house.truth().find(ref)
    if row is None:
        raise NoSuchKey(Key=ref.key)
    step: Step | None = decisions.release(row, identity, house.clock.now())
    if step is not None and not house.truth().commit(step):
        raise SlowDown("The object is changing at this moment: ask again.")
    say.document({"object": str(ref), "answer": "nobody of that name wants it" if step is None else "released"}, as_json=as_json)
