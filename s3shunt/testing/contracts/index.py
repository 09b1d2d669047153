"""What every ``Index`` has to keep: it may forget, it may not lie. Subclass, give an empty ``index``, run."""

from dataclasses import replace

import pytest

from s3shunt.model import NULL, Entry, Facts, ObjectRef
from s3shunt.ports import Hit, Miss


class IndexContract:
    """``index`` may be shared by the tests of a class: each uses a key of its own."""

    @pytest.fixture
    def index(self):
        raise NotImplementedError("give the index under test")

    @pytest.fixture
    def entry(self, request):
        key = f"{request.node.nodeid}/\0ü🗝"
        return Entry(ref=ObjectRef("films", key, NULL), facts=Facts(size=5, etag='"e"', last_modified=9), revision=3)

    def current(self, entry):
        return replace(entry.ref, version=None)

    def test_what_was_filled_on_a_miss_is_a_hit(self, index, entry):
        missed = index.get(entry.ref)
        assert isinstance(missed, Miss)
        assert missed.ticket
        index.fill(entry.ref, entry, missed.ticket)
        assert index.get(entry.ref) == Hit(entry)

    def test_a_version_and_the_current_one_are_told_apart(self, index, entry):
        index.fill(entry.ref, entry, index.get(entry.ref).ticket)
        assert isinstance(index.get(self.current(entry)), Miss)
        assert isinstance(index.get(replace(entry.ref, version="v2")), Miss)
        assert isinstance(index.get(replace(entry.ref, account="a")), Miss)
        assert isinstance(index.get(replace(entry.ref, bucket="b")), Miss)

    def test_of_two_who_miss_only_the_first_may_fill(self, index, entry):
        first, second = index.get(entry.ref), index.get(entry.ref)
        assert second == Miss("")
        index.fill(entry.ref, entry, second.ticket)
        assert isinstance(index.get(entry.ref), Miss)
        index.fill(entry.ref, entry, first.ticket)
        assert index.get(entry.ref) == Hit(entry)

    @pytest.mark.parametrize("version", [NULL, None])
    def test_who_read_before_a_change_cannot_fill_after_it(self, index, entry, version):
        ref = replace(entry.ref, version=version)
        missed = index.get(ref)
        index.publish(replace(entry, revision=4))
        index.fill(ref, entry, missed.ticket)
        assert isinstance(index.get(ref), Miss)

    @pytest.mark.parametrize("version", [NULL, None])
    @pytest.mark.parametrize("removed", [False, True])
    def test_what_was_changed_or_removed_is_never_given_again(self, index, entry, version, removed):
        ref = replace(entry.ref, version=version)
        index.fill(ref, entry, index.get(ref).ticket)
        index.publish(entry.ref if removed else replace(entry, revision=4))
        assert index.get(ref) != Hit(entry)

    def test_a_change_of_one_version_is_none_of_another(self, index, entry):
        other = replace(entry, ref=replace(entry.ref, version="v2"))
        index.fill(entry.ref, entry, index.get(entry.ref).ticket)
        index.publish(other)
        assert index.get(entry.ref) == Hit(entry)

    def test_many_changes_are_published_at_once(self, index, entry):
        entries = [replace(entry, ref=replace(entry.ref, key=f"{entry.ref.key}{number}")) for number in range(50)]
        for one in entries:
            index.fill(one.ref, one, index.get(one.ref).ticket)
        index.publish(*entries)
        assert not any(isinstance(index.get(one.ref), Hit) for one in entries)
        index.publish()

    @pytest.mark.parametrize("ticket", ["", "stale", "a:b"])
    def test_nobody_fills_without_a_ticket(self, index, entry, ticket):
        index.get(entry.ref)
        index.fill(entry.ref, entry, ticket)
        assert isinstance(index.get(entry.ref), Miss)
