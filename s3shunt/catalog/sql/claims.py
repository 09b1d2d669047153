"""External ids and who has them: one row for an id of an account, counted by those that carry it.

Each change is one conditional statement on its own row. Two transactions that
want one id meet there: the second waits for the first, and changes nothing when
the id went to another key.
"""

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import Connection, delete, update

from s3shunt.catalog.sql import many, rows, schema
from s3shunt.catalog.sql.database import Conflict
from s3shunt.model import Intent, Swap
from s3shunt.policy import claims

C = schema.claim.c


def move(
    connection: Connection, insert: Callable[..., Any], swaps: Iterable[Swap], opened: Iterable[Intent], closed: Iterable[Intent]
) -> None:
    """Raises Conflict when another key has an id that is to be taken."""
    for claim, change in claims.moved(swaps, opened, closed):
        if change < 0:
            _let_go(connection, claim, -change)
        elif not _taken(connection, insert, claim, change):
            raise Conflict


def take_fresh(connection: Connection, swaps: Iterable[Swap]) -> None:
    """The ids of new rows, all at once. Raises Conflict when somebody took one of them a moment ago."""
    wanted = [rows.claim_values(claim) | {"holders": holders} for claim, holders in claims.moved(swaps, (), ())]
    if wanted and many.upsert_all(connection, schema.claim, wanted, ("account", "external_id"), _shared) != len(wanted):
        raise Conflict


def _shared(new: Any) -> tuple[dict[str, Any], Any]:
    return {"holders": C.holders + new.holders}, (C.bucket == new.bucket) & (C.key == new.key)


def _taken(connection: Connection, insert: Callable[..., Any], claim: claims.Claim, holders: int) -> bool:
    values = rows.claim_values(claim)
    new = insert(schema.claim).values(**values, holders=holders)
    same = (C.bucket == values["bucket"]) & (C.key == values["key"])
    done = connection.execute(
        new.on_conflict_do_update(index_elements=[C.account, C.external_id], set_={"holders": C.holders + holders}, where=same),
        execution_options={"preserve_rowcount": True},  # else PostgreSQL's is forgotten for an INSERT
    )
    return bool(done.rowcount == 1)


def _let_go(connection: Connection, claim: claims.Claim, holders: int) -> None:
    """Of an id that went to another key before there were claims nothing is held."""
    own = [schema.claim.c[name] == value for name, value in rows.claim_values(claim).items()]
    connection.execute(update(schema.claim).where(*own).values(holders=C.holders - holders))
    connection.execute(delete(schema.claim).where(*own, C.holders <= 0))
