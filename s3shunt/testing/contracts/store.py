"""What every ``ObjectStore`` has to keep. Subclass, give a ``store`` fixture, declare what the store cannot do."""

from hashlib import md5

import pytest

from s3shunt.model import NULL, Facts, ObjectRef
from s3shunt.ports import Evict
from s3shunt.protocol.errors import IncompleteBody, InvalidRange, NoSuchKey, PreconditionFailed

PLAIN_KEYS = [
    "plain", "deep/er/key", 'quo"te\'d', "a+b", "100%25 & a=b?c#d", "spa ce", "br[ack]ets{}", "ünï/cødé/鍵/🗝", "x/" * 511 + "yz",
    "tilde~*()!",
]  # fmt: skip
NOTHING = Facts(size=0, etag="", last_modified=0)


class StoreContract:
    """The fixture's store is empty, or its ``bucket`` is. ``Evict.NONE`` skips what is said of delete_exact."""

    bucket = "films"
    account = ""
    keeps_metadata = True
    keeps_tags = True
    takes_backslashes = True
    takes_newlines = True
    takes_dot_segments = True
    takes_double_slashes = True
    takes_long_segments = True
    lists_in_byte_order = True

    @pytest.fixture
    def store(self):
        raise NotImplementedError("give the store under test")

    def ref(self, key="a/b.mxf", version=None):
        return ObjectRef(self.bucket, key, version, self.account)

    def put(self, store, body=b"hello", key="a/b.mxf", facts=None):
        return store.write(self.ref(key), [body], size=len(body), facts=facts)

    def get(self, store, key="a/b.mxf", **how):
        return b"".join(store.read(self.ref(key), **how))

    # What was written is what is read

    def test_bytes_come_back_as_they_were_written(self, store):
        body = bytes(range(256)) * 3000
        chunks = [body[at : at + 70_001] for at in range(0, len(body), 70_001)]
        written = store.write(self.ref(), iter(chunks), size=len(body))
        assert self.get(store) == body
        assert written.size == len(body)
        assert written.etag.strip('"') == md5(body).hexdigest()

    def test_an_empty_object_is_an_object(self, store):
        assert store.write(self.ref(), [], size=0).size == 0
        assert self.get(store) == b""
        assert store.head(self.ref()).size == 0

    def test_empty_chunks_do_not_end_a_body(self, store):
        store.write(self.ref(), [b"", b"he", b"", b"llo", b""], size=5)
        assert self.get(store) == b"hello"

    def test_head_says_what_the_write_said(self, store):
        assert store.head(self.ref()) is None
        written = self.put(store)
        assert store.head(self.ref()) == written
        assert store.head(self.ref()).fingerprint == written.fingerprint

    def test_facts_given_are_facts_told(self, store):
        if not self.keeps_metadata:
            pytest.skip("keeps no metadata")
        tags = {"kind": "mezzanine"} if self.keeps_tags else {}
        headers = {"content-type": "application/mxf", "cache-control": "no-store", "content-disposition": 'attachment; filename="a b"'}
        given = Facts(size=0, etag="", last_modified=0, headers=headers, metadata={"pid": "qs12345"}, tags=tags)
        self.put(store, facts=given)
        told = store.head(self.ref())
        assert {name: told.headers.get(name) for name in headers} == headers
        assert (dict(told.metadata), dict(told.tags)) == ({"pid": "qs12345"}, tags)

    def test_the_last_write_stands(self, store):
        first = self.put(store, b"first")
        second = self.put(store, b"second one")
        assert self.get(store) == b"second one"
        assert first.fingerprint != second.fingerprint

    def test_the_plain_version_is_called_null(self, store):
        self.put(store)
        assert store.head(self.ref(version=NULL)).size == 5
        assert b"".join(store.read(self.ref(version=NULL))) == b"hello"
        store.delete(self.ref(version=NULL))
        assert store.head(self.ref()) is None

    def test_an_unknown_version_is_absent(self, store):
        self.put(store)
        unknown = self.ref(version="0123456789abcdef0123456789abcdef")
        assert store.head(unknown) is None
        with pytest.raises(NoSuchKey):
            store.read(unknown)

    @pytest.mark.parametrize("key", PLAIN_KEYS)
    def test_any_key_names_exactly_one_object(self, store, key):
        self.check_key(store, key)

    def test_a_segment_may_be_as_long_as_a_key(self, store):
        if not self.takes_long_segments:
            pytest.skip("takes no segment of 1024 bytes")
        self.check_key(store, "x" * 1023 + "y")

    @pytest.mark.parametrize("key", ["back\\slash", "..\\up"])
    def test_backslashes_are_ordinary(self, store, key):
        if not self.takes_backslashes:
            pytest.skip("takes no backslashes")
        self.check_key(store, key)

    @pytest.mark.parametrize("key", ["new\nline", "carriage\rreturn", "tab\tbed"])
    def test_control_characters_are_ordinary(self, store, key):
        if not self.takes_newlines:
            pytest.skip("takes no control characters")
        self.check_key(store, key)

    @pytest.mark.parametrize("key", ["a/../b", "../../../etc/passwd", "./a", "..", "."])
    def test_dot_segments_are_ordinary(self, store, key):
        if not self.takes_dot_segments:
            pytest.skip("takes no dot segments")
        self.check_key(store, key)

    @pytest.mark.parametrize("key", ["a//b", "//", "/leading", "trailing/"])
    def test_slashes_are_ordinary(self, store, key):
        if not self.takes_double_slashes:
            pytest.skip("takes no empty segments")
        self.check_key(store, key)

    def check_key(self, store, key):
        others = {key + "x": b"longer", "a": b"a", "b": b"b"}
        others.pop(key, None)
        others = {other: body for other, body in others.items() if len(other.encode()) <= 1024}
        for other, body in others.items():
            self.put(store, body, other)
        self.put(store, b"this one", key)
        assert self.get(store, key) == b"this one"
        assert sorted(k for k, _ in store.list(self.bucket, account=self.account)) == sorted([key, *others])
        assert store.list(self.bucket, prefix=key, account=self.account)[0][0] == key
        store.delete(self.ref(key))
        assert store.head(self.ref(key)) is None
        assert {other: self.get(store, other) for other in others} == others

    def test_a_key_and_what_is_below_it_live_together(self, store):
        for key in ("d", "d/e", "d/e/f"):
            self.put(store, key.encode(), key)
        assert [self.get(store, key) for key in ("d", "d/e", "d/e/f")] == [b"d", b"d/e", b"d/e/f"]

    # Reading

    def test_missing_is_refused_before_the_first_chunk(self, store):
        with pytest.raises(NoSuchKey):
            store.read(self.ref("absent"))

    @pytest.mark.parametrize(
        ("start", "end", "expected"),
        [(0, None, b"0123456789"), (3, None, b"3456789"), (0, 1, b"0"), (2, 5, b"234"), (9, 10, b"9"), (8, 99, b"89")],
    )
    def test_a_range_is_exactly_that_range(self, store, start, end, expected):
        self.put(store, b"0123456789")
        assert self.get(store, start=start, end=end) == expected

    def test_a_range_behind_the_end_is_refused_before_the_first_chunk(self, store):
        self.put(store, b"0123456789")
        with pytest.raises(InvalidRange):
            store.read(self.ref(), start=10)

    def test_reading_the_version_one_knows(self, store):
        old = self.put(store, b"old")
        assert self.get(store, etag=old.etag) == b"old"
        self.put(store, b"newer")
        with pytest.raises(PreconditionFailed):
            store.read(self.ref(), etag=old.etag)

    def test_a_reader_that_began_is_not_given_another_versions_bytes(self, store):
        body = b"a" * 300_000
        self.put(store, body)
        reading = store.read(self.ref())
        first = next(reading)
        self.put(store, b"b" * 300_000)
        try:
            rest = b"".join(reading)
        except IncompleteBody:
            return
        assert first + rest == body

    # A body that does not come whole stores nothing

    def torn(self, error):
        yield b"he"
        yield b"llo"
        raise error

    @pytest.mark.parametrize("size", [5, 6, 4])
    def test_a_source_that_breaks_stores_nothing(self, store, size):
        with pytest.raises((ConnectionResetError, IncompleteBody)):
            store.write(self.ref(), self.torn(ConnectionResetError("torn")), size=size)
        assert store.head(self.ref()) is None
        assert store.list(self.bucket, account=self.account) == []

    def test_a_source_that_breaks_leaves_the_old_object(self, store):
        old = self.put(store, b"old")
        with pytest.raises((ConnectionResetError, IncompleteBody)):
            store.write(self.ref(), self.torn(ConnectionResetError("torn")), size=5)
        assert self.get(store) == b"old"
        assert store.head(self.ref()) == old

    @pytest.mark.parametrize("size", [0, 4, 6])
    def test_another_count_than_declared_stores_nothing(self, store, size):
        with pytest.raises(IncompleteBody):
            store.write(self.ref(), [b"he", b"llo"], size=size)
        assert store.head(self.ref()) is None

    # Deleting

    def test_deleting_twice_is_deleting_once(self, store):
        self.put(store)
        store.delete(self.ref())
        store.delete(self.ref())
        assert store.head(self.ref()) is None
        with pytest.raises(NoSuchKey):
            store.read(self.ref())

    def exact(self, store):
        if store.evict in (Evict.NONE, Evict.VERSION):
            pytest.skip("deletes nothing exactly in a bucket without versions")

    def test_delete_exact_deletes_the_version_it_knows(self, store):
        self.exact(store)
        store.delete_exact(self.ref(), self.put(store).fingerprint)
        assert store.head(self.ref()) is None

    def test_delete_exact_of_what_is_gone_does_nothing(self, store):
        self.exact(store)
        known = self.put(store).fingerprint
        store.delete(self.ref())
        store.delete_exact(self.ref(), known)
        assert store.head(self.ref()) is None

    def test_delete_exact_spares_a_newer_version(self, store):
        self.exact(store)
        known = self.put(store, b"archived").fingerprint
        self.put(store, b"newer")
        store.delete_exact(self.ref(), known)
        assert self.get(store) == b"newer"

    def test_delete_exact_spares_a_newer_version_of_the_same_bytes(self, store):
        self.exact(store)
        known = self.put(store, b"same").fingerprint
        self.later(store)
        self.put(store, b"same")
        store.delete_exact(self.ref(), known)
        assert self.get(store) == b"same"

    def later(self, store):
        """Let the store's clock show another time, where it has nothing finer to tell two writes by."""

    # Listing

    def test_keys_are_listed_in_byte_order(self, store):
        keys = ["a", "a-b", "a/b", "a0", "b", "B", "é", "z", "\uffee", "\U00010000"]
        for key in reversed(keys):
            self.put(store, b"x", key)
        if not self.lists_in_byte_order:
            pytest.skip("lists in an order of its own")
        assert [key for key, _ in store.list(self.bucket, account=self.account)] == sorted(keys, key=str.encode)

    def test_a_listing_goes_on_behind_a_key(self, store):
        for number in range(12):
            self.put(store, b"x" * number, f"p/{number:02d}")
        self.put(store, b"x", "q")
        pages, after = [], ""
        while page := store.list(self.bucket, prefix="p/", after=after, limit=5, account=self.account):
            pages.append([key for key, _ in page])
            after = page[-1][0]
        assert [len(page) for page in pages] == [5, 5, 2]
        assert [key for page in pages for key in page] == [f"p/{number:02d}" for number in range(12)]

    def test_a_listing_says_size_etag_and_age(self, store):
        self.put(store)
        [(key, listed)] = store.list(self.bucket, account=self.account)
        headed = store.head(self.ref())
        assert (key, listed.size, listed.etag.strip('"')) == ("a/b.mxf", 5, headed.etag.strip('"'))
        assert abs(listed.last_modified - headed.last_modified) <= 1000

    def test_a_bucket_of_nothing_lists_nothing(self, store):
        assert store.list(self.bucket, account=self.account) == []

    def test_usage_is_nothing_or_used_of_capacity(self, store):
        self.put(store)
        usage = store.usage()
        assert usage is None or 0 <= usage[0] <= usage[1]


class VersionedStoreContract:
    """For a store and a ``bucket`` that keep versions."""

    bucket = "versioned"
    account = ""

    @pytest.fixture
    def store(self):
        raise NotImplementedError("give the store under test")

    def put(self, store, body):
        ref = ObjectRef(self.bucket, "a", account=self.account)
        return store.write(ref, [body], size=len(body))

    def ref(self, version=None):
        return ObjectRef(self.bucket, "a", version, self.account)

    def test_each_write_makes_a_version_named_by_its_stamp(self, store):
        one, two = self.put(store, b"one"), self.put(store, b"two")
        assert one.stamp != two.stamp
        assert b"".join(store.read(self.ref(one.stamp))) == b"one"
        assert b"".join(store.read(self.ref())) == b"two"
        assert store.head(self.ref(one.stamp)) == one

    def test_delete_hides_the_key_and_keeps_its_versions(self, store):
        one = self.put(store, b"one")
        store.delete(self.ref())
        assert store.head(self.ref()) is None
        assert store.list(self.bucket, account=self.account) == []
        assert store.head(self.ref(one.stamp)).fingerprint == one.fingerprint

    def test_delete_exact_takes_one_version_and_makes_no_marker(self, store):
        one, two = self.put(store, b"same"), self.put(store, b"same")
        store.delete_exact(self.ref(one.stamp), one.fingerprint)
        assert store.head(self.ref(one.stamp)) is None
        assert store.head(self.ref()) == two
        store.delete_exact(self.ref(one.stamp), one.fingerprint)
        store.delete_exact(self.ref(), two.fingerprint)
        assert store.head(self.ref(two.stamp)) is None
        assert store.list(self.bucket, account=self.account) == []


__all__ = ["StoreContract", "VersionedStoreContract"]
