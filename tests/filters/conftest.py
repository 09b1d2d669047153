"""A house with the doors of the archive and nothing else in front, and entries put where a test wants them."""

from dataclasses import replace

import pytest

from s3shunt.model import Entry, Facts, ObjectRef, Place, State, Step, Swap
from s3shunt.testing.house import House

DOORS = ("errors", "sigv4", "grants", "lookup", "restore", "record", "shunt")
PLACED = (State.RESTORED, State.EXPIRING)


class Site(House):
    """``entry`` makes a row of the catalog as the jobs would have left it, its bytes where they then are."""

    def __init__(self, tmp, **more):
        super().__init__(tmp, **{"walk": DOORS, **more})

    def ref(self, key="a", bucket="films", version="null"):
        return ObjectRef(bucket, key, version, "main")

    def row(self, key="a", bucket="films", version=None):
        return self.catalog.find(self.ref(key, bucket, version))

    def facts(self, body=b"film", **more):
        ref = ObjectRef("made", "once", None, "main")
        made = self.store.write(ref, [body], size=len(body), facts=Facts(size=0, etag="", last_modified=0, **more))
        self.store.delete(ref)
        return made

    def entry(self, key="a", state=State.ARCHIVED, body=b"film", bucket="films", version="null", facts=None, **more):
        facts = facts or self.facts(body, headers={"content-type": "video/mxf"}, metadata={"title": "A"})
        kept = {"storage_class": "GLACIER", "archive": "tape", "archive_id": f"id-{key}-{version}", "generation": 1, "copies": 1}
        row = Entry(ref=self.ref(key, bucket, version), state=state, facts=facts, **{**kept, **more})
        if state in PLACED and row.place is None:
            row = replace(row, place=Place("landing", f"r-{key}/1/t"))
            self.landing.write(ObjectRef(key=row.place.name), [body], size=len(body))
        assert self.catalog.commit(Step(swaps=(Swap(None, row),)))
        return self.catalog.find(row.ref)

    def stored(self, key="a", body=b"film", bucket="films", **more):
        """Bytes in the store that no client wrote."""
        return self.store.write(self.ref(key, bucket, None), [body], size=len(body), facts=Facts(size=0, etag="", last_modified=0, **more))

    def open_writes(self):
        return self.catalog.lapsed(1 << 60)

    def drop(self, row):
        assert self.catalog.commit(Step(swaps=(Swap(row, None),)))

    def change(self, row, **changes):
        assert self.catalog.commit(Step(swaps=(Swap(row, replace(row, **changes)),)))


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


@pytest.fixture
def make_site(tmp_path):
    return lambda **more: Site(tmp_path, **more)


@pytest.fixture
def day():
    return 86_400_000
