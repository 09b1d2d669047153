"""A contract that cannot fail is none: this one is shown archives that break a promise."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from s3shunt.archives.tape import Options, TapeArchive
from s3shunt.testing.clock import HandClock
from s3shunt.testing.contracts.archive import ArchiveContract


class Remembering(TapeArchive):
    def find(self, *, tag="", archive_id="", ref=None):
        return next((copy for _, copy in self.listing() if copy.archive_id == archive_id), None)


class Eager(TapeArchive):
    asked = 0

    def request(self, recall):
        self.asked += 1
        return super().request(replace(recall, id=f"{recall.id}-{self.asked}"))


class Doubling(TapeArchive):
    written = 0

    def write(self, tag, chunks, *, size, ref, facts):
        self.written += 1
        return super().write(tag * self.written, chunks, size=size, ref=ref, facts=facts)


class Silent(TapeArchive):
    def status(self, requests):
        return {id_: told for id_, told in super().status(requests).items() if told.progress != "gone"}


class Short(TapeArchive):
    def read(self, request_id):
        return iter([b"".join(super().read(request_id))[:-1]])


class OnTape(ArchiveContract):
    def pass_time(self, archive):
        archive._clock.later(60_000)

    def reopen(self, archive):
        return archive

    def corrupt(self, archive, archive_id):
        for path in archive.root.glob(f"cartridges/*/{archive_id}"):
            path.write_bytes(b"jello")


@pytest.mark.parametrize(
    ("faulty", "promise"),
    [
        (Remembering, OnTape.test_bytes_that_rotted_are_noticed),
        (Eager, OnTape.test_asked_twice_is_one_request),
        (Doubling, OnTape.test_the_same_tag_twice_is_one_copy),
        (Silent, OnTape.test_many_are_told_in_one_call),
        (Short, OnTape.test_what_was_taken_comes_back),
    ],
)
def test_an_archive_that_breaks_a_promise_is_found_out(tmp_path, faulty, promise):
    def opened(kind):
        return kind(Options(url=f"tape://{tmp_path / kind.__name__}"), SimpleNamespace(clock=HandClock()))

    promise(OnTape(), opened(TapeArchive))
    with pytest.raises(AssertionError):
        promise(OnTape(), opened(faulty))
