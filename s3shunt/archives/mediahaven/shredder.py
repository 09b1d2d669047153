"""Makes MediaHaven forget a record, where the operator allows it."""

from s3shunt.archives.mediahaven import query
from s3shunt.archives.mediahaven.link import Link, NotTaken
from s3shunt.archives.mediahaven.options import Options
from s3shunt.ports import Shredder
from s3shunt.protocol.errors import AccessDenied, NoSuchKey


class MediaHavenShredder:
    def __init__(self, options: Options, link: Link) -> None:
        self._options, self._link = options, link

    def shred(self, archive_id: str) -> None:
        """Raises AccessDenied unless the operator said ``delete = yes``."""
        if not self._options.delete:
            raise AccessDenied("delete = no: records of MediaHaven are not ours to delete")
        document = {"Reason": self._options.reason, "EventType": "DELETE"}
        try:
            self._link.order("DELETE", f"/records/{query.encoded(archive_id)}", document)
        except NotTaken as refused:
            if not isinstance(refused.error, NoSuchKey):
                raise refused.error from None


_: type[Shredder] = MediaHavenShredder
