"""``record``: every write is known to the catalog before it is answered.

A write on a key that the catalog knows, or that asks for class GLACIER or
DEEP_ARCHIVE, for an external id, or for an age policy, is announced before its
first byte goes to the store and recorded after the store's 200; while it is
announced nothing of the key can be evicted. Other writes look into the catalog
after the store's 200. A class that is archived is kept here and never sent to
the store; it binds at once. An announcement outlives a crash: the job ``sweep``
finishes it or drops it. Where the store's answer is lost, it is left to that job.
An external id is one key's of an account: a write that asks for another's is refused
before its first byte is taken.

DELETE hides a known object first and brings it back if the store refuses; in
buckets with versions the rows follow the delete markers. DeleteObjects does so
for each key. Tags, ACL, lock and attributes of an object that is not in the store
are served and changed here. A bucket that has archived objects is not empty.

Stands behind ``listing``, before ``shunt``. ``s3shunt check`` refuses to evict
from a store that a pipeline reaches without this door.

May answer InvalidStorageClass, OperationAborted for an external id that another
object has, BucketNotEmpty, SlowDown while an object is just leaving the store,
AccessDenied for what a lock holds, PreconditionFailed,
NotImplemented, ServiceUnavailable while the catalog does not answer, or for a
write whose object was gone before it could be recorded.

Section::

    [filter:record]
    use = egg:s3shunt#record
    catalog = main
    store = main
    lease = 60s
    patience = 10s
"""

from collections.abc import Callable
from dataclasses import dataclass

from s3shunt import config
from s3shunt.config import option
from s3shunt.connect import House
from s3shunt.filters.record.buckets import Buckets
from s3shunt.filters.record.deletes import Deletes
from s3shunt.filters.record.keeper import Keeper
from s3shunt.filters.record.many import Many
from s3shunt.filters.record.subresources import Subresources
from s3shunt.filters.record.writes import Writes
from s3shunt.protocol.operations import BY_NAME, Archived
from s3shunt.wsgi import Handler, Request, Response, filter_factory


@dataclass(frozen=True)
class Options:
    catalog: str = option(config.word, "main", help="Name of the [catalog:NAME] that writes are recorded in.")
    store: str = option(config.word, "main", help="Name of the [store:NAME] behind the proxy, to see what a write left there.")
    lease: int = option(config.duration, "60s", help="How long a write that gives no sign of life counts as one.")
    patience: int = option(config.duration, "10s", help="How long a write waits for an object that is just leaving the store.")


class Record:
    def __init__(self, forward: Handler, options: Options, house: House) -> None:
        self.forward = forward
        keeper = Keeper(house, options.catalog, options.store, options.lease, options.patience)
        writes, one = Writes(forward, keeper), Deletes(forward, keeper)
        buckets = Buckets(forward, keeper)
        subresources = Subresources(forward, keeper)
        self.acts: dict[str, Callable[[Request], Response]] = {
            **{row.name: subresources for row in BY_NAME.values() if row.archived is Archived.FACTS},
            "PutObject": writes,
            "CopyObject": writes,
            "CompleteMultipartUpload": writes,
            "CreateMultipartUpload": writes.create_upload,
            "AbortMultipartUpload": writes.abort_upload,
            "DeleteObject": one,
            "DeleteObjects": Many(forward, keeper, one),
            "CreateBucket": buckets.create,
            "DeleteBucket": buckets.delete,
            "PutBucketVersioning": buckets.versioning,
        }

    def __call__(self, request: Request) -> Response:
        return self.acts.get(request.operation.name, self.forward)(request)


factory = filter_factory(Record, Options, "filter:record")
