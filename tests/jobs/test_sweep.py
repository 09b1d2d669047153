from uuid import uuid4

import pytest

from s3shunt.model import Intent, ObjectRef, State
from s3shunt.policy import record

from .conftest import FILM

A = ObjectRef("films", "a")


def die_writing(works, *, stored, operation="PutObject"):
    """A door that took an intent, wrote or not, and was killed."""
    now = works.clock.now()
    intent = Intent(id=uuid4().hex, ref=A, operation=operation, started=now, lease=now + 60_000, storage_class="GLACIER")
    assert works.catalog.commit(record.begin(works.row("a"), intent))
    if stored:
        works.store.write(A, [FILM], size=len(FILM))


@pytest.mark.parametrize("stored", [True, False])
def test_a_write_that_nobody_acknowledged_appears_whole_or_not_at_all(works, stored):
    die_writing(works, stored=stored)
    works.work(rounds=3)
    assert works.row("a").writers == 1
    works.clock.later(120_000)
    works.work()
    row = works.row("a")
    if not stored:
        assert row is None
    else:
        assert (row.state, row.storage_class, row.writers) == (State.ARCHIVED, "GLACIER", 0)


def test_an_object_that_was_there_long_before_gets_no_class_of_a_write_that_never_came(works):
    works.store.write(A, [b"old"], size=3)
    works.clock.later(3_600_000)
    die_writing(works, stored=False)
    works.clock.later(120_000)
    works.work()
    assert works.row("a") is None
    assert works.get("a") == b"old"


@pytest.mark.parametrize("deleted", [True, False])
def test_a_delete_that_nobody_acknowledged_is_done_only_if_the_store_did_it(works, deleted):
    works.put("a", FILM, storage_class="GLACIER")
    now = works.clock.now()
    intent = Intent(id="d", ref=A, operation="DeleteObject", started=now, lease=now + 60_000)
    assert works.catalog.commit(record.tombstone(works.row("a"), intent))
    if deleted:
        works.store.delete(A)
    works.clock.later(120_000)
    works.work()
    assert (works.row("a") is None) is deleted


def test_an_eviction_whose_worker_died_is_ended(works):
    works.put("a", FILM)
    delete = works.store.delete_exact

    class Dead(BaseException):
        pass

    def die(*_):
        works.store.delete_exact = delete
        raise Dead

    works.store.delete_exact = die
    with pytest.raises(Dead):
        works.work()
    assert works.row("a").state is State.EVICTING
    works.clock.later(120_000)
    works.work()
    assert works.row("a").state is State.ARCHIVED
