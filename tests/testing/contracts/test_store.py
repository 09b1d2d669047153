"""A contract that cannot fail is none: this one is shown stores that break a promise."""

from dataclasses import replace

import pytest

from s3shunt.protocol.errors import NoSuchKey
from s3shunt.stores.memory import MemoryStore
from s3shunt.testing.contracts.store import StoreContract


class Torn(MemoryStore):
    def write(self, ref, chunks, *, size, facts=None):
        kept = []
        try:
            kept.extend(chunks)
        finally:
            super().write(ref, kept, size=len(b"".join(kept)), facts=facts)
        return self.head(ref)


class Forgetful(MemoryStore):
    def delete_exact(self, ref, fingerprint):
        self.delete(ref)


class ByEtag(MemoryStore):
    def delete_exact(self, ref, fingerprint):
        if self.head(ref) and self.head(ref).etag == fingerprint.etag:
            self.delete(ref)


class Credulous(MemoryStore):
    def read(self, ref, *, start=0, end=None, etag=None):
        return super().read(ref, start=start, end=end)


class Lazy(MemoryStore):
    def read(self, ref, *, start=0, end=None, etag=None):
        yield from super().read(ref, start=start, end=end, etag=etag)


class Alphabetical(MemoryStore):
    def list(self, bucket, *, prefix="", after="", limit=1000, account=""):
        return sorted(super().list(bucket, prefix=prefix, after=after, account=account), key=lambda row: row[0].lower())[:limit]


class Tidy(MemoryStore):
    def write(self, ref, chunks, *, size, facts=None):
        return super().write(replace(ref, key=ref.key.replace("//", "/")), chunks, size=size, facts=facts)


@pytest.mark.parametrize(
    ("store", "promise"),
    [
        (Torn, lambda c, s: c.test_a_source_that_breaks_stores_nothing(s, 5)),
        (Torn, lambda c, s: c.test_another_count_than_declared_stores_nothing(s, 4)),
        (Torn, lambda c, s: c.test_a_source_that_breaks_leaves_the_old_object(s)),
        (Forgetful, lambda c, s: c.test_delete_exact_spares_a_newer_version(s)),
        (ByEtag, lambda c, s: c.test_delete_exact_spares_a_newer_version_of_the_same_bytes(s)),
        (Credulous, lambda c, s: c.test_reading_the_version_one_knows(s)),
        (Lazy, lambda c, s: c.test_missing_is_refused_before_the_first_chunk(s)),
        (Alphabetical, lambda c, s: c.test_keys_are_listed_in_byte_order(s)),
        (Tidy, lambda c, s: c.test_slashes_are_ordinary(s, "a//b")),
    ],
)
def test_a_store_that_breaks_a_promise_is_found_out(store, promise):
    promise(StoreContract(), MemoryStore())
    with pytest.raises((AssertionError, NoSuchKey, pytest.fail.Exception)):
        promise(StoreContract(), store())
