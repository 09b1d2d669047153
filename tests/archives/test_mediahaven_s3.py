"""Exports that arrive in a real S3 store, of objects that a site's flow ingested from it."""

from types import SimpleNamespace

import pytest

from s3shunt.clock import wall
from s3shunt.config import read
from s3shunt.model import Facts, ObjectRef, Recall
from s3shunt.ports import Progress
from s3shunt.stores.s3 import S3Store
from s3shunt.testing.mediahaven import MediaHaven, site
from s3shunt.testing.mediahaven.deliver import ToS3
from s3shunt.testing.services import seaweedfs

BODY = bytes(range(256)) * 4096


@pytest.fixture(scope="module")
def store():
    with seaweedfs.seaweedfs() as running:
        options = {"url": f"s3+{running.endpoint}", "credentials": str(running.credentials)}
        made = S3Store(read(S3Store.Options, "store:main", options), SimpleNamespace(clock=wall))
        given = {"endpoint": running.endpoint, "access_key": seaweedfs.ACCESS_KEY, "secret_key": seaweedfs.SECRET_KEY}
        ToS3(given).client.create_bucket(Bucket="films")
        yield made, given


@pytest.mark.parametrize("temporary", [True, False])
@pytest.mark.parametrize("api", ["1", "2"])
def test_a_film_is_ingested_from_the_store_and_exported_into_it(store, tmp_path, api, temporary):
    kept, given = store
    key = f'a "film" + {api} {temporary} 100%/ü'
    kept.write(ObjectRef("films", key), [BODY], size=len(BODY), facts=Facts(size=0, etag="", last_modified=0))
    with MediaHaven(wall, mount=50, seek=50, temporary=temporary) as server:
        server.set(destination=given)
        assert server.crawl("films") >= 1
        assert server.crawl("films") == 0
        archive = site.archive(tmp_path, server, SimpleNamespace(clock=wall, state=tmp_path, store=lambda name: kept), api=api)
        facts = kept.head(ObjectRef("films", key))
        archive_id = archive.write("t", kept.read(ObjectRef("films", key)), size=len(BODY), ref=ObjectRef("films", key), facts=facts)
        request = archive.request(Recall(id=key, ref=ObjectRef("films", key), generation=1, archive="tape", archive_id=archive_id))
        end = wall.monotonic() + 20
        while archive.status([request])[request].progress is not Progress.READY:
            assert wall.monotonic() < end
            wall.sleep(0.05)
        assert b"".join(archive.read(request)) == BODY
        archive.release(request)
        assert kept.list("exports", prefix="in/") == []
        kept.delete(ObjectRef("films", key))
