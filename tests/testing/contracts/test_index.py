"""The contract can be broken: an index that believes late readers is found out, one that forgets everything is not."""

import pytest

from s3shunt.model import Entry, ObjectRef
from s3shunt.ports import Hit, Miss
from s3shunt.testing.contracts.index import IndexContract

ENTRY = Entry(ref=ObjectRef("films", "a", "null"), revision=3)


class Gullible:
    def __init__(self):
        self.kept = {}

    def get(self, ref):
        return Hit(self.kept[ref]) if ref in self.kept else Miss("ticket")

    def fill(self, ref, entry, ticket):
        self.kept[ref] = entry

    def publish(self, *changed):
        for one in changed:
            self.kept.pop(getattr(one, "ref", one), None)


class Amnesiac(Gullible):
    def fill(self, ref, entry, ticket):
        """Gone already."""


def test_an_index_that_takes_a_late_fill_is_found_out():
    with pytest.raises(AssertionError):
        IndexContract().test_who_read_before_a_change_cannot_fill_after_it(Gullible(), ENTRY, "null")


def test_an_index_that_forgets_keeps_the_promise():
    IndexContract().test_who_read_before_a_change_cannot_fill_after_it(Amnesiac(), ENTRY, "null")
    IndexContract().test_what_was_changed_or_removed_is_never_given_again(Amnesiac(), ENTRY, "null", removed=True)
