"""``s3shunt recall``: what the archive is doing for those who asked."""

import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from s3shunt import connect
from s3shunt.cli import say
from s3shunt.config import ConfigError
from s3shunt.model import Recall
from s3shunt.policy import recall as steps
from s3shunt.protocol.errors import SlowDown

COLUMNS = ("id", "object", "state", "tier", "archive", "tape", "attempts", "due", "reason")


@click.group()
def recall() -> None:
    """Recalls: asked of the archive, once for everybody who wants the object."""


def written(found: Recall) -> dict[str, Any]:
    row: dict[str, Any] = {field.name: getattr(found, field.name) for field in fields(Recall)}
    row |= {"object": str(found.ref), "account": found.ref.account, "state": found.state.value}
    row["place"] = f"{found.place.store}:{found.place.name}" if found.place else None
    del row["ref"]
    return row


@recall.command("list")
@click.option("--all", "ended", is_flag=True, help="Ended ones too.")
@click.option("--limit", default=1000, show_default=True)
@say.with_ini
@say.with_json
def list_(ini: Path, limit: int, *, ended: bool, as_json: bool) -> None:
    """Recalls under way."""
    found = (written(one) for one in say.house(ini).truth().recalls(active=not ended, limit=limit))
    shown = found if as_json else ({**row, "due": _date(row["due"])} for row in found)
    say.rows(COLUMNS, shown, as_json=as_json)


def _date(milliseconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(milliseconds / 1000)) if milliseconds else ""


def _known(house: connect.House, id: str) -> Recall:  # noqa: A002
    found = house.truth().recall(id)
    if found is None:
        raise ConfigError(f"there is no recall {id}")
    return found


@recall.command()
@click.argument("id")
@say.with_ini
@say.with_json
def show(ini: Path, id: str, *, as_json: bool) -> None:  # noqa: A002
    """One recall in full."""
    say.document(written(_known(say.house(ini), id)), as_json=as_json)


@recall.command()
@click.argument("id")
@say.with_ini
@say.with_json
def cancel(ini: Path, id: str, *, as_json: bool) -> None:  # noqa: A002
    """Take a recall back: the object is archived again, as if nobody had asked."""
    house = say.house(ini)
    found = _known(house, id)
    row = house.truth().find(found.ref)
    step = steps.cancelled(row, found, house.clock.now()) if row and found.active else None
    if step is not None and not house.truth().commit(step):
        raise SlowDown("The object is changing at this moment: ask again.")
    if step is not None and found.request_id:
        house.archive(found.archive).cancel(found.request_id)
    say.document({"recall": id, "answer": "it has ended already" if step is None else "cancelled"}, as_json=as_json)


@recall.command()
@click.argument("id")
@say.with_ini
@say.with_json
def retry(ini: Path, id: str, *, as_json: bool) -> None:  # noqa: A002
    """Do it now: a failed one is not waited for, a dead letter is taken up again."""
    house = say.house(ini)
    found = _known(house, id)
    truth, now = house.truth(), house.clock.now()
    dead = next((job for job in truth.jobs(kind="recall", dead=True) if job.dedupe == id), None)
    if dead is not None:
        truth.revive(dead.id, now)
    elif found.active:
        truth.enqueue(steps.look_now(found, now))
    answer = "it has ended" if dead is None and not found.active else "due now"
    say.document({"recall": id, "answer": answer}, as_json=as_json)
