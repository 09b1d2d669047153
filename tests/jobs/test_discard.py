from s3shunt.model import Job, ObjectRef, Place
from s3shunt.policy.record import name
from s3shunt.protocol.errors import AccessDenied

from .conftest import FILM


def test_the_copy_of_an_overwritten_object_goes(works):
    first = works.archived("a", FILM).archive_id
    works.archived("a", b"new")
    assert works.copies() == [works.row("a").archive_id] != [first]


def test_a_copy_that_an_entry_stands_on_is_never_shredded(works):
    row = works.archived("a", FILM)
    works.catalog.enqueue(Job(kind="discard", dedupe="x", payload={"archive": "tape", "archive_id": row.archive_id, **name(row.ref)}))
    works.work()
    assert works.copies() == [row.archive_id]


def test_a_landed_copy_that_an_entry_stands_on_stays(works):
    works.archived("a", FILM)
    works.restore("a")
    works.work()
    place = works.row("a").place
    works.catalog.enqueue(Job(kind="discard", dedupe="x", payload={"store": place.store, "name": place.name, **name(works.row("a").ref)}))
    works.work()
    assert works.get("a") == FILM


def test_a_landed_copy_that_is_nobodys_goes(works):
    works.landing.write(ObjectRef("", "old"), [b"x"], size=1)
    place = Place("landing", "old")
    payload = {"store": place.store, "name": place.name, **name(ObjectRef("films", "a"))}
    works.catalog.enqueue(Job(kind="discard", dedupe="x", payload=payload))
    works.work()
    assert works.landed() == []


def test_an_archive_that_deletes_nothing_for_us_is_asked_once(works):
    class Refusing:
        asked = 0

        def shred(self, archive_id):
            self.asked += 1
            raise AccessDenied

    refusing = Refusing()
    works.tape.shredder = lambda: refusing
    works.archived("a", FILM)
    works.archived("a", b"new")
    assert refusing.asked == 1
    assert not works.catalog.jobs(dead=True)
    assert len(works.copies()) == 2
