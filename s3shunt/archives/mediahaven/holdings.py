"""All that MediaHaven holds, page by page, each record with the name it has here: for who brings a catalog in."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from s3shunt.archives.mediahaven import query, records
from s3shunt.archives.mediahaven.names import Names
from s3shunt.archives.mediahaven.options import Options
from s3shunt.archives.mediahaven.records import Record
from s3shunt.model import ObjectRef
from s3shunt.ports import Copy, Holding
from s3shunt.protocol.errors import S3Error

PAGE = 100


class Holdings:
    """``key``: how a key is made of an external id ('{external_id}.mxf'), where the record does not tell its own."""

    def __init__(self, options: Options, names: Names, copy: Callable[[Record], Copy], *, bucket: str, key: str) -> None:
        self._options, self._names, self._copy = options, names, copy
        self._bucket, self._key = bucket, key
        self._pattern = re.compile(options.external_id, re.DOTALL)

    def pages(self, clause: str, start: int) -> Iterator[list[Holding]]:
        """From the ``start``-th record on; ``clause`` is an operator's own, and narrows it down."""
        fields = {} if self._key or not self._bucket else {self._options.bucket_field: self._bucket}
        asked = query.search(fields, " ".join(part for part in (clause, self._options.narrow or "") if part))
        while True:
            told = self._names.page(asked, start, PAGE)
            hits, total = records.results(told)
            start += records.count(told)
            if not records.count(told):
                return
            yield [self._holding(hit, start, total) for hit in self._essence(hits)]
            if start >= total:
                return

    def _essence(self, hits: list[Record]) -> list[Record]:
        """Of what has one name on this page, the one that is meant by it; the others, told as parts of it."""
        found: dict[Any, list[Record]] = {}
        for hit in hits:
            found.setdefault((hit.fragment, self._name(hit) or hit.id), []).append(hit)
        return [chosen for alike in found.values() for chosen in ([records.newest(alike)] if records.newest(alike) else alike) if chosen]

    def _holding(self, hit: Record, start: int, total: int) -> Holding:
        if hit.fragment:
            return Holding(start=start, total=total, skipped="a fragment")
        try:
            if self._name(hit) is None:
                hit = self._names.by_id(hit.id) or hit
            name = self._name(hit)
            if name is None:
                return Holding(start=start, total=total, skipped="no name")
            if not hit.md5:
                return Holding(start=start, total=total, ref=name, problem=f"{hit.id}: MediaHaven does not tell its MD5")
            return Holding(start=start, total=total, ref=name, copy=self._copy(hit))
        except S3Error as error:
            return Holding(start=start, total=total, problem=f"{hit.id}: {error}")

    def _name(self, hit: Record) -> ObjectRef | None:
        """By its own fields; by its external id, where the same pattern that looks for it finds it in the key again."""
        bucket, key = _one(hit.fields, self._options.bucket_field), _one(hit.fields, self._options.key_field)
        if self._key:
            bucket, key = self._bucket, self._key.replace("{external_id}", hit.external_id)
            match = self._pattern.fullmatch(key) if hit.external_id else None
            if match is None or match[1] != hit.external_id:
                return None
        if not bucket or not key or (self._bucket and bucket != self._bucket):
            return None
        return ObjectRef(bucket, key)


def _one(fields: Mapping[str, tuple[str, ...]], name: str) -> str:
    return next(iter(fields.get(name, ())), "")
