"""All the facts of an object: of its head, its parts, its tags, its ACL."""

from dataclasses import replace

from s3shunt.model import NULL, Facts, ObjectRef
from s3shunt.protocol.errors import InvalidRequest, NoSuchBucket, NoSuchKey
from s3shunt.stores.s3 import facts as told
from s3shunt.stores.s3.asking import Asking
from s3shunt.stores.s3.session import translated

ASK_EVERY_PART = 200


def head(ask: Asking, ref: ObjectRef, *, acl: bool) -> Facts | None:
    try:
        with translated(ref.key):
            answer = ask.client(ref).head_object(**ask.name(ref), ChecksumMode="ENABLED")
    except (NoSuchKey, NoSuchBucket):
        return None
    except InvalidRequest:
        if ref.version is None:
            raise
        return None  # what is no version id of this store names nothing
    found = told.facts(answer["ResponseMetadata"]["HTTPHeaders"])
    if ref.version not in (None, NULL, found.stamp):
        return None  # some stores answer with the current version where a bucket keeps none
    seen = replace(ref, version=found.stamp) if found.stamp else ref
    return replace(found, parts=_parts(ask, seen, found), tags=_tags(ask, seen), **_acl(ask, seen, wanted=acl))


def _tags(ask: Asking, ref: ObjectRef) -> dict[str, str]:
    answer = ask.perhaps(lambda: ask.client(ref).get_object_tagging(**ask.name(ref)))
    return {tag["Key"]: tag["Value"] for tag in answer.get("TagSet", ())}


def _acl(ask: Asking, ref: ObjectRef, *, wanted: bool) -> dict[str, str]:
    answer = ask.perhaps(lambda: ask.client(ref).get_object_acl(**ask.name(ref))) if wanted else {}
    document = answer.get("Document", b"")
    return {"acl": document.decode("utf-8", "replace"), "owner": answer.get("Owner", {}).get("ID", "")}


def _parts(ask: Asking, ref: ObjectRef, found: Facts) -> tuple[int, ...]:
    """Sizes of a multipart object's parts, as the store answers for each; empty where they do not add up."""
    count = told.part_count(found.etag)
    asked = range(1, count + 1) if count <= ASK_EVERY_PART else (1, count)
    sizes = []
    for number in asked:
        answer = ask.perhaps(lambda n=number: ask.client(ref).head_object(**ask.name(ref), PartNumber=n))
        sizes.append(answer.get("ContentLength", -1))
    if count > ASK_EVERY_PART:  # all but the last of a large upload are of one size, or nothing is said
        sizes = [sizes[0]] * (count - 1) + [sizes[1]]
    return tuple(sizes) if sum(sizes) == found.size and min(sizes, default=0) >= 0 else ()
