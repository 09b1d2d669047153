import pytest

from s3shunt.model import ObjectRef
from s3shunt.stores.memory import MemoryStore
from s3shunt.testing.faults import Fuse, Killed

A = ObjectRef("b", "a")


def test_a_fuse_that_is_not_set_only_counts():
    fuse = Fuse()
    store = fuse.around(MemoryStore(), "store")
    store.write(A, [b"x"], size=1)
    assert b"".join(store.read(A)) == b"x"
    assert fuse.calls == ["store.write", "store.read", "store.read chunk"]
    assert not fuse.blown


@pytest.mark.parametrize("after", [False, True])
def test_a_call_is_killed_before_or_after_its_effect(after):
    fuse, bare = Fuse(), MemoryStore()
    store = fuse.around(bare, "store")
    fuse.blow(1, after=after)
    store.head(A)
    with pytest.raises(Killed):
        store.write(A, [b"x"], size=1)
    assert (bare.head(A) is not None) is after
    assert fuse.blown
    fuse.mend()
    store.delete(A)
    assert bare.head(A) is None


def test_a_copy_is_killed_in_its_middle_and_stores_nothing():
    fuse, bare = Fuse(), MemoryStore()
    bare.write(A, [b"x" * 200_000], size=200_000)
    store = fuse.around(bare, "store")
    fuse.blow(3)
    with pytest.raises(Killed):
        store.write(ObjectRef("b", "copy"), store.read(A), size=200_000)
    assert bare.head(ObjectRef("b", "copy")) is None


def test_a_kill_is_not_an_exception_that_a_handler_would_catch():
    assert not issubclass(Killed, Exception)
