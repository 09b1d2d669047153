"""What every ``Archive`` has to keep. Subclass, give an ``archive`` fixture, say how its time passes."""

from hashlib import md5, sha256

import pytest

from s3shunt.model import Facts, ObjectRef, Recall
from s3shunt.ports import Progress
from s3shunt.protocol.errors import IncompleteBody, NoSuchKey

FACTS = Facts(size=5, etag='"5d41402abc4b2a76b9719d911017c592"', last_modified=1_767_609_000_000, metadata={"pid": "qs1"}, parts=(3, 2))
KEYS = [
    "a/b.mxf", "quo\"te'd", "back\\slash", "a+b", "100%25", "spa ce", "new\nline", "br[ack]ets", "ünï/鍵", "//", "../up", "*", "x" * 1024,
]  # fmt: skip


class ArchiveContract:
    """``pass_time`` lets the archive finish what it was asked; ``reopen`` is another process on the same archive."""

    takes_odd_keys = True
    knows_facts = True

    @pytest.fixture
    def archive(self):
        raise NotImplementedError("give the archive under test")

    def pass_time(self, archive):
        raise NotImplementedError("let the archive finish what it was asked")

    def reopen(self, archive):
        raise NotImplementedError("give another adapter on the same archive")

    def corrupt(self, archive, archive_id):
        """Turn a bit of every copy, behind the adapter's back."""
        pytest.skip("its copies cannot be reached")

    def truncate(self, archive, archive_id):
        """Cut every copy short, behind the adapter's back."""
        pytest.skip("its copies cannot be reached")

    def put(self, archive, body=b"hello", tag="films/a/1", key="a", facts=FACTS):
        return archive.write(tag, [body], size=len(body), ref=ObjectRef("films", key), facts=facts)

    def recall(self, archive_id, id_="recall-1", **more):
        return Recall(id=id_, ref=ObjectRef("films", "a"), generation=1, archive="tape", archive_id=archive_id, **more)

    def ready(self, archive, archive_id, id_="recall-1"):
        request = archive.request(self.recall(archive_id, id_))
        archive.status([request])
        self.pass_time(archive)
        return request

    # Taking

    def test_what_was_taken_comes_back(self, archive):
        body = bytes(range(256)) * 9000
        archive_id = archive.write("t", (body[at : at + 99_999] for at in range(0, len(body), 99_999)), size=len(body),
                                   ref=ObjectRef("films", "a"), facts=FACTS)  # fmt: skip
        request = self.ready(archive, archive_id)
        assert archive.status([request])[request].progress is Progress.READY
        assert b"".join(archive.read(request)) == body

    def test_an_empty_object_comes_back(self, archive):
        archive_id = archive.write("t", [], size=0, ref=ObjectRef("films", "a"), facts=FACTS)
        assert b"".join(archive.read(self.ready(archive, archive_id))) == b""

    def test_the_same_tag_twice_is_one_copy(self, archive):
        first = self.put(archive)
        copies = archive.find(tag="films/a/1").copies
        assert self.put(archive) == first
        assert archive.find(tag="films/a/1").copies == copies

    def test_another_tag_is_another_object(self, archive):
        first, second = self.put(archive), self.put(archive, b"newer", tag="films/a/2")
        assert first != second
        assert archive.find(archive_id=first).checksum != archive.find(archive_id=second).checksum

    @pytest.mark.parametrize("size", [0, 4, 6])
    def test_a_body_of_another_length_is_not_taken(self, archive, size):
        with pytest.raises(IncompleteBody):
            archive.write("t", [b"he", b"llo"], size=size, ref=ObjectRef("films", "a"), facts=FACTS)
        assert archive.find(tag="t") is None

    @pytest.mark.parametrize("size", [4, 5, 6])
    def test_a_source_that_breaks_is_not_taken(self, archive, size):
        def torn():
            yield b"he"
            yield b"llo"
            raise ConnectionResetError("torn")

        with pytest.raises((ConnectionResetError, IncompleteBody)):
            archive.write("t", torn(), size=size, ref=ObjectRef("films", "a"), facts=FACTS)
        assert archive.find(tag="t") is None
        assert archive.find(archive_id=archive.write("t", [b"hello"], size=5, ref=ObjectRef("films", "a"), facts=FACTS)).size == 5

    # Knowing

    def test_it_is_found_by_tag_id_and_name(self, archive):
        archive_id = self.put(archive)
        for how in ({"tag": "films/a/1"}, {"archive_id": archive_id}, {"ref": ObjectRef("films", "a")}):
            found = archive.find(**how)
            assert (found.archive_id, found.size) == (archive_id, 5)
            assert found.copies >= 1
            assert found.checksum in (f"sha256:{sha256(b'hello').hexdigest()}", f"md5:{md5(b'hello').hexdigest()}")

    def test_facts_come_back_for_who_adopts(self, archive):
        if not self.knows_facts:
            pytest.skip("keeps no facts")
        self.put(archive)
        assert archive.find(ref=ObjectRef("films", "a")).facts == FACTS

    def test_what_it_does_not_hold_is_not_found(self, archive):
        self.put(archive)
        for how in ({"tag": "x"}, {"archive_id": "x"}, {"ref": ObjectRef("films", "b")}, {"ref": ObjectRef("other", "a")}, {}):
            assert archive.find(**how) is None

    @pytest.mark.parametrize("key", KEYS)
    def test_a_name_finds_exactly_one_object(self, archive, key):
        if not self.takes_odd_keys:
            pytest.skip("takes no odd keys")
        for other in {"a", "b", key + "x"} - {key}:
            self.put(archive, b"other", tag=f"t {other}", key=other)
        assert archive.find(ref=ObjectRef("films", key)) is None
        archive_id = self.put(archive, tag=f"t {key}", key=key)
        assert archive.find(ref=ObjectRef("films", key)).archive_id == archive_id

    def test_a_name_finds_the_newest(self, archive):
        self.put(archive)
        newer = self.put(archive, b"newer", tag="films/a/2")
        assert archive.find(ref=ObjectRef("films", "a")).archive_id == newer

    def test_bytes_that_rotted_are_noticed(self, archive):
        archive_id = self.put(archive)
        self.corrupt(archive, archive_id)
        found = archive.find(archive_id=archive_id)
        assert found is None or (found.copies == 0 and sha256(b"hello").hexdigest() not in found.checksum)

    def test_bytes_that_were_cut_are_noticed(self, archive):
        archive_id = self.put(archive)
        self.truncate(archive, archive_id)
        found = archive.find(archive_id=archive_id)
        assert found is None or (found.copies == 0 and found.size < 5)
        with pytest.raises(IncompleteBody):
            b"".join(archive.read(self.ready(archive, archive_id)))

    # Giving back

    def test_asked_twice_is_one_request(self, archive):
        if archive.readback == "none":
            pytest.skip("cannot look before it asks")
        archive_id = self.put(archive)
        request = archive.request(self.recall(archive_id))
        assert archive.request(self.recall(archive_id)) == request
        assert self.reopen(archive).request(self.recall(archive_id)) == request

    def test_two_recalls_are_two_requests(self, archive):
        archive_id = self.put(archive)
        one, two = self.ready(archive, archive_id), self.ready(archive, archive_id, "recall-2")
        assert one != two
        archive.release(one)
        assert b"".join(archive.read(two)) == b"hello"

    def test_many_are_told_in_one_call(self, archive):
        archive_id = self.put(archive)
        requests = [archive.request(self.recall(archive_id, f"r{number}")) for number in range(5)]
        told = archive.status([*requests, "unknown"])
        assert told.keys() == {*requests, "unknown"}
        assert told["unknown"].progress is Progress.GONE
        assert archive.status([]) == {}

    def test_what_it_never_had_cannot_be_had_by_asking_again(self, archive):
        request = archive.request(self.recall("never-written"))
        told = archive.status([request])[request]
        assert (told.progress, told.retry) == (Progress.FAILED, False)

    def test_nothing_is_read_of_an_unknown_request(self, archive):
        with pytest.raises(NoSuchKey):
            archive.read("unknown")

    @pytest.mark.parametrize("end", ["release", "cancel"])
    def test_a_request_that_ended_is_gone_and_the_object_is_not(self, archive, end):
        archive_id = self.put(archive)
        request = self.ready(archive, archive_id)
        getattr(archive, end)(request)
        getattr(archive, end)(request)
        assert archive.status([request])[request].progress is Progress.GONE
        assert archive.find(archive_id=archive_id).copies >= 1

    def test_all_is_still_there_for_another_process(self, archive):
        archive_id = self.put(archive)
        request = archive.request(self.recall(archive_id))
        other = self.reopen(archive)
        assert other.find(tag="films/a/1").archive_id == archive_id
        other.status([request])
        self.pass_time(other)
        assert b"".join(other.read(request)) == b"hello"

    def test_the_port_cannot_delete(self, archive):
        assert not [name for name in dir(archive) if any(word in name for word in ("delete", "remove", "purge")) or name == "shred"]

    def test_the_shredder_makes_it_forget(self, archive):
        archive_id, kept = self.put(archive), self.put(archive, tag="films/b/1", key="b")
        shredder = archive.shredder()
        shredder.shred(archive_id)
        shredder.shred(archive_id)
        assert archive.find(tag="films/a/1") is None
        assert archive.find(archive_id=kept).copies >= 1
