import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3shunt.model import ObjectRef
from s3shunt.protocol.errors import IncompleteBody, NoSuchKey, ServiceUnavailable
from s3shunt.stores import posix
from s3shunt.stores.posix import Options, PosixStore, names
from s3shunt.testing import killed
from s3shunt.testing.clock import HandClock
from s3shunt.testing.contracts.store import StoreContract

REF = ObjectRef("films", "a/b.mxf")
NAME = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=400)


def opened(root, **given):
    return PosixStore(Options(url=f"posix://{root}", **given), SimpleNamespace(clock=HandClock()))


@pytest.fixture
def store(tmp_path):
    return opened(tmp_path / "store")


def put(store, body=b"hello", ref=REF):
    return store.write(ref, [body], size=len(body))


def listed(directory):
    return [path.name for path in directory.iterdir()]


def data_file(store, ref=REF):
    [found] = [path for path in store.root.joinpath(*names.path(ref)).iterdir() if path.name != "facts"]
    return found


class TestPosixStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        return opened(tmp_path / "store", fsync=False)


@given(st.sets(NAME, min_size=2, max_size=8))
def test_no_two_keys_have_one_path_and_none_is_on_anothers_way(keys):
    paths = {key: tuple(names.pieces(key, names.KEY)) for key in keys}
    assert len(set(paths.values())) == len(keys)
    for key, path in paths.items():
        assert b"".join(names.piece(part)[0] for part in path).decode() == key
        assert all(len(part.encode()) <= 255 and "/" not in part and part.strip(".") for part in path)
        assert not any(path == other[: len(path)] for name, other in paths.items() if name != key)


@given(st.sets(NAME, max_size=8), NAME, NAME)
def test_a_listing_is_sorted_cut_and_complete(tmp_path_factory, keys, prefix, after):
    store = opened(tmp_path_factory.mktemp("listing"), fsync=False)
    for key in keys:
        put(store, ref=ObjectRef("films", key))
    whole = sorted(keys, key=str.encode)
    assert [key for key, _ in store.list("films")] == whole
    behind = [key for key in whole if key.encode() > after.encode()]
    assert [key for key, _ in store.list("films", after=after)] == behind
    begin = prefix[:1]
    assert [key for key, _ in store.list("films", prefix=begin)] == [key for key in whole if key.startswith(begin)]


def test_the_bytes_are_a_plain_file_to_send_from(store):
    put(store, b"x" * 5000)
    file, size = store.open(REF)
    with file:
        assert (size, os.fstat(file.fileno()).st_size) == (5000, 5000)
        put(store, b"newer")
        assert file.read() == b"x" * 5000
    with pytest.raises(NoSuchKey):
        store.open(ObjectRef("films", "absent"))


def test_another_process_finds_all_of_it(store):
    written = put(store)
    assert opened(store.root).head(REF) == written


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_link_is_never_followed(store, tmp_path, depth):
    put(store)
    way = store.root.joinpath(*names.path(REF)[: depth + 1])
    way.rename(tmp_path / "elsewhere")
    way.symlink_to(tmp_path / "elsewhere")
    for act in (store.head, store.read, store.delete, lambda ref: put(store, ref=ref)):
        with pytest.raises(ServiceUnavailable):
            act(REF)
    assert store.root.joinpath(*names.path(REF)).exists()


@pytest.mark.parametrize("name", ["data", "facts"])
def test_a_linked_file_is_never_read(store, tmp_path, name):
    put(store)
    path = data_file(store) if name == "data" else data_file(store).with_name("facts")
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ServiceUnavailable):
        store.read(REF)


def test_a_file_that_was_cut_is_never_a_short_success(store):
    put(store)
    os.truncate(data_file(store), 3)
    with pytest.raises(IncompleteBody):
        b"".join(store.read(REF))


def test_overwriting_and_deleting_leave_nothing_behind(store):
    for body in (b"one", b"two", b"three"):
        put(store, body)
    put(store, ref=ObjectRef("films", "x" * 500))
    assert len(listed(data_file(store).parent)) == 2
    store.delete(REF)
    store.delete(ObjectRef("films", "x" * 500))
    assert listed(store.root.joinpath(*names.bucket_path("", "films"))) == []
    assert listed(store.root / "+aside") == []


def test_a_crash_before_publishing_shows_nothing_and_is_swept(tmp_path):
    script = f"""
import sys
sys.path[:0] = {sys.path!r}
from types import SimpleNamespace
from s3shunt.stores.posix import *
store = PosixStore(Options(url="posix://{tmp_path}"), SimpleNamespace(clock=SimpleNamespace(now=lambda: 1)))
def chunks():
    yield b"hello"
    yield b"hello"
    print("half", flush=True)
    sys.stdin.read()
store.write(ObjectRef("films", "a/b.mxf"), chunks(), size=15)
"""
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    with child:
        assert child.stdout.readline() == b"half\n"
        assert opened(tmp_path).head(REF) is None
        assert len(listed(tmp_path / "+aside")) == 1, "what is being written is not swept"
        child.send_signal(signal.SIGKILL)
    store = opened(tmp_path)
    assert listed(tmp_path / "+aside") == []
    assert store.list("films") == []


def test_bytes_published_without_their_facts_are_not_there(store):
    put(store)
    data_file(store).with_name("facts").unlink()
    assert store.head(REF) is None
    with pytest.raises(NoSuchKey):
        store.read(REF)
    put(store, b"again")
    assert len(listed(data_file(store).parent)) == 2


def test_writers_deleters_and_readers_never_see_half_an_object(store):
    put(store, b"0" * 1000)
    seen, stop = [], threading.Event()

    def write(number):
        while not stop.is_set():
            put(store, str(number).encode() * 1000)
            store.delete(REF)

    threads = [threading.Thread(target=write, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for _ in range(300):
        try:
            seen.append(b"".join(store.read(REF)))
        except NoSuchKey:
            continue
    stop.set()
    for thread in threads:
        thread.join()
    assert all(len(body) == 1000 and len(set(body)) == 1 for body in seen)
    put(store)
    assert b"".join(store.read(REF)) == b"hello"


def test_the_file_system_tells_use_where_no_capacity_is_given(tmp_path):
    used, capacity = opened(tmp_path / "a").usage()
    assert 0 < used <= capacity
    small = opened(tmp_path / "b", capacity=1 << 20)
    put(small, b"x" * 1000)
    assert 1000 < small.usage()[0] < 2000
    assert small.usage()[1] == 1 << 20


def test_a_directory_that_cannot_be_used_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError):
        opened(tmp_path / "file")


@pytest.mark.parametrize("act", ["write", "delete"])
def test_whoever_is_killed_at_whatever_line_leaves_the_old_object_or_the_new_one(tmp_path, act):
    def run():
        store = opened(tmp_path)
        put(store, b"the new one") if act == "write" else store.delete(REF)

    put(opened(tmp_path), b"the old one")
    died = 0
    for died in killed.at_every_line(run, Path(posix.__file__).parent):
        store = opened(tmp_path)
        found = store.head(REF)
        body = b"".join(store.read(REF)) if found else None
        assert body in (b"the old one", b"the new one" if act == "write" else None)
        put(store, b"the old one")
        assert len(listed(data_file(store).parent)) == 2
        assert listed(tmp_path / "+aside") == []
    assert died > 30
