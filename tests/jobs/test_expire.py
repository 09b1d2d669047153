import ast
from pathlib import Path

import s3shunt.jobs.expire
from s3shunt.model import State

from .conftest import FILM


def test_41_what_expires_copies_has_no_way_to_an_archive(works):
    task = works.job("expire")
    assert not hasattr(task.house, "archive")
    assert not hasattr(task.house, "shredder")
    source = ast.parse(Path(s3shunt.jobs.expire.__file__).read_text())
    names = {node.id for node in ast.walk(source) if isinstance(node, ast.Name)} | {
        node.attr for node in ast.walk(source) if isinstance(node, ast.Attribute)
    }
    assert not names & {"archive", "shredder", "shred", "Archive", "Shredder"}


def test_only_the_job_that_discards_is_given_a_shredder(works):
    assert [kind for kind, task in works.runner.tasks.items() if hasattr(task.house, "shredder")] == ["discard"]


def test_a_copy_goes_on_its_date_and_not_before(works):
    works.archived("a", FILM)
    works.restore("a", days=1)
    works.work()
    until = works.row("a").restored_until
    works.clock.later(until - works.clock.now() - 1)
    works.runner.run_due()
    assert works.get("a") == FILM
    works.clock.later(1)
    works.runner.run_due()
    assert works.row("a").state is State.ARCHIVED
    assert works.landed() == []


def test_an_extension_moves_the_date(works):
    works.archived("a", FILM)
    works.restore("a", days=1)
    works.work()
    assert works.restore("a", days=5) == 200
    works.clock.later(3 * works.house.day)
    works.work()
    assert works.get("a") == FILM
    works.clock.later(4 * works.house.day)
    works.work()
    assert works.row("a").state is State.ARCHIVED


def test_who_asks_while_the_copy_is_deleted_gets_one_of_his_own(works):
    works.archived("a", FILM)
    works.restore("a")
    works.work()
    works.clock.later(4 * works.house.day)
    delete = works.landing.delete

    def asked_meanwhile(ref):
        works.landing.delete = delete
        assert works.restore("a", identity="late") == 202
        delete(ref)

    works.landing.delete = asked_meanwhile
    works.work()
    assert works.get("a") == FILM
    assert len(works.landed()) == 1
