"""The whole life of an object, as the workers carry it."""

import pytest

from s3shunt.model import State
from s3shunt.protocol.errors import InvalidObjectState

FILM = b"frames" * 1000


def test_an_object_goes_to_tape_and_comes_back_and_goes_again(works):
    works.put("a", FILM)
    works.work()
    assert works.row("a").state is State.ARCHIVED
    assert not works.store.list("films")
    assert len(works.copies()) == 1
    assert works.live() == []

    assert works.restore("a") == 202
    works.work()
    assert works.get("a") == FILM
    assert len(works.landed()) == 1
    assert works.restore("a") == 200

    works.clock.later(3 * works.house.day)
    works.work()
    with pytest.raises(InvalidObjectState):
        works.get("a")
    assert works.landed() == []
    assert len(works.copies()) == 1
    assert works.live() == []

    assert works.restore("a") == 202
    works.work()
    assert works.get("a") == FILM
    names = [event.name for _, event in works.catalog.pending()]
    assert names == [
        "s3:LifecycleTransition", "s3:ObjectRestore:Post", "s3:ObjectRestore:Completed", "s3:ObjectRestore:Post",
        "s3:ObjectRestore:Delete", "s3:ObjectRestore:Post", "s3:ObjectRestore:Completed",
    ]  # fmt: skip
