"""Which record an object is: looked for by its name or external id, and believed only when it says so itself."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from s3shunt.archives.mediahaven import query, records
from s3shunt.archives.mediahaven.link import JSON, SECTIONS, Link
from s3shunt.archives.mediahaven.options import Options
from s3shunt.archives.mediahaven.records import Record
from s3shunt.model import ObjectRef
from s3shunt.protocol.errors import ServiceUnavailable

PAGE = 100


class Names:
    def __init__(self, options: Options, link: Link) -> None:
        self._options, self._link = options, link
        self._path, self._accept = ("/records", JSON) if options.api == "2" else ("/media", SECTIONS)
        self._pattern = re.compile(options.external_id, re.DOTALL)

    def by_id(self, id_: str) -> Record | None:
        if not id_.strip("."):
            return None
        told = self._link.get(f"{self._path}/{query.encoded(id_)}", accept=self._accept)
        found = records.record(told) if isinstance(told, Mapping) else None
        return found if found is not None and found.id else None

    def by_ref(self, ref: ObjectRef) -> list[Record]:
        own = {self._options.account_field: ref.account} if self._options.account_field and ref.account else {}
        if self._options.search == "name":
            return self._found({self._options.bucket_field: ref.bucket, self._options.key_field: ref.key, **own})
        match = self._pattern.fullmatch(ref.key)
        return self._found({self._options.external_id_field: match[1], **own}) if match and match[1] else []

    def by_tag(self, tag: str) -> list[Record]:
        return self._found({self._options.tag_field: tag}) if self._options.tag_field else []

    def page(self, asked: str, start: int, count: int) -> Any:
        """What one page of a search tells."""
        return self._link.get(query.target(self._path, q=asked, startIndex=start, nrOfResults=count), accept=self._accept) or {}

    def one(self, found: Sequence[Record]) -> Record | None:
        """Raises ServiceUnavailable where several records have one name, and none may be chosen."""
        chosen = records.newest(found) if self._options.duplicates == "newest" or len(found) == 1 else None
        if found and chosen is None:
            raise ServiceUnavailable(f"MediaHaven has {len(found)} records of one name: {', '.join(one.id for one in found)}")
        return chosen

    def _found(self, fields: Mapping[str, str]) -> list[Record]:
        asked = query.target(self._path, q=query.search(fields, self._options.narrow or ""), startIndex=0, nrOfResults=PAGE)
        hits, total = records.results(self._link.get(asked, accept=self._accept) or {})
        if total > len(hits):
            raise ServiceUnavailable(f"MediaHaven has {total} records of one name, and told {len(hits)} of them.")
        return [one for hit in hits if not hit.fragment and (one := self._confirmed(hit, fields, alone=len(hits) == 1))]

    def _confirmed(self, hit: Record, fields: Mapping[str, str], *, alone: bool) -> Record | None:
        """A search may find more than was asked for: the record itself has to say the name."""
        says = self._says(hit, fields)
        if says is None:
            hit = self.by_id(hit.id) or hit
            says = self._says(hit, fields)
        if says is None and not (alone and self._options.unnamed == "accept"):
            raise ServiceUnavailable(f"MediaHaven's record {hit.id} does not tell its name.")
        return None if says is False else hit

    def _says(self, hit: Record, fields: Mapping[str, str]) -> bool | None:
        external: Any = fields.get(self._options.external_id_field)
        if external is None or not hit.external_id:
            return hit.says(fields)
        rest = {name: value for name, value in fields.items() if name != self._options.external_id_field}
        return hit.external_id == external and hit.says(rest)
