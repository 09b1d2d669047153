from dataclasses import replace

import pytest

from s3shunt.jobs.audit import audit
from s3shunt.model import ObjectRef, State

from .conftest import FILM


def kinds(works, **given):
    return sorted(finding.kind for finding in audit(works.house, **given))


def test_a_sound_house_has_no_findings(works):
    works.archived("a", FILM)
    works.restore("a")
    works.work()
    assert kinds(works) == []


@pytest.mark.parametrize("repair", [False, True])
def test_an_entry_whose_only_copy_is_gone_is_lost_and_may_be_found_again(works, repair):
    row = works.archived("a", FILM)
    works.catalog.commit_step = None
    gone = works.tape.find
    works.tape.find = lambda **_: None
    assert kinds(works, repair=repair) == ["lost"]
    assert works.row("a").state is (State.LOST if repair else State.ARCHIVED)
    works.tape.find = gone
    assert kinds(works, repair=True) == (["found"] if repair else [])
    assert replace(works.row("a"), revision=0) == replace(row, revision=0)


def test_bytes_that_left_the_store_are_known_to_be_on_tape(works):
    works.runner.tasks.pop("evict")
    works.put("a", FILM)
    works.work()
    works.store.delete(ObjectRef("films", "a"))
    assert kinds(works, repair=True) == ["gone"]
    assert works.row("a").state is State.ARCHIVED


def test_a_landed_copy_that_is_missing_is_recalled_anew(works):
    works.archived("a", FILM)
    works.restore("a", days=3)
    works.work()
    works.landing.delete(ObjectRef("", works.row("a").place.name))
    assert kinds(works) == ["missing"]
    assert kinds(works, repair=True) == ["missing"]
    works.work()
    assert works.get("a") == FILM


def test_a_landed_copy_that_is_nobodys_goes_when_it_is_old(works):
    works.landing.write(ObjectRef("", "stray"), [b"x"], size=1)
    assert kinds(works, repair=True) == []
    works.clock.later(3_600_000)
    assert kinds(works) == ["stray"]
    assert works.landed() == ["stray"]
    assert kinds(works, repair=True) == ["stray"]
    assert works.landed() == []


def test_bytes_in_the_store_of_a_key_that_is_on_tape_are_told(works):
    works.archived("a", FILM)
    works.store.write(ObjectRef("films", "a"), [b"behind"], size=6)
    assert kinds(works, repair=True) == ["double"]


def test_a_row_that_moves_while_it_is_looked_at_is_no_finding(works):
    works.archived("a", FILM)
    works.restore("a")
    works.work()
    look = works.landing.head

    def expired_meanwhile(ref):
        works.clock.later(3 * 86_400_000)
        works.work()
        return look(ref)

    works.landing.head = expired_meanwhile
    assert kinds(works) == []
    assert works.row("a").state is State.ARCHIVED
