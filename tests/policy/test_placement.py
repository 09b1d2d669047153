from dataclasses import replace

import pytest

from s3shunt.model import Entry, Facts, ObjectRef, Policy
from s3shunt.policy.placement import asked_class, by_metadata, described, external_id, known_id, tracked
from s3shunt.protocol.errors import InvalidArgument, InvalidStorageClass

REF = ObjectRef("films", "raw/a")
DEEP = Policy(name="deep", buckets=("films",), archive="tape", classes=("DEEP_ARCHIVE",), prefix="raw/")
AGED = Policy(name="aged", buckets=("f*",), archive="tape", after=5, min_size=10, external_id="x-amz-meta-pid")


@pytest.mark.parametrize("value", [None, "STANDARD", "STANDARD_IA", "GLACIER_IR", "OUTPOSTS"])
def test_other_classes_are_the_stores_business(value):
    assert asked_class((), REF, value) is None


def test_a_class_is_taken_where_a_policy_takes_it():
    assert asked_class((DEEP,), REF, "DEEP_ARCHIVE") == "DEEP_ARCHIVE"


@pytest.mark.parametrize(
    ("ref", "value"), [(REF, "GLACIER"), (REF, "deep_archive"), (ObjectRef("films", "cut/a"), "DEEP_ARCHIVE"), (REF, "Glacier")]
)
def test_a_class_that_nobody_takes_is_refused(ref, value):
    with pytest.raises(InvalidStorageClass):
        asked_class((DEEP,), ref, value)


def test_an_external_id_comes_from_the_header_its_policy_names():
    headers = {"x-amz-meta-pid": "viaa"}
    assert external_id((DEEP, AGED), REF, headers) == "viaa"
    assert external_id((DEEP,), REF, headers) is None
    assert external_id((AGED,), REF, {"x-amz-meta-pid": ""}) is None


PATTERN = "pattern (?:.*/)?([a-z0-9]+)[.].*"


@pytest.mark.parametrize(
    ("source", "key", "expected"),
    [
        ("key", "raw/a", "raw/a"), (PATTERN, "raw/qs4m.mxf", "qs4m"), (PATTERN, "raw/QS", None), (None, "raw/a", None),
        ("x-amz-meta-other", "raw/a", None),
    ],
)  # fmt: skip
def test_an_external_id_is_the_key_or_is_found_in_it(source, key, expected):
    policy = replace(AGED, external_id=source)
    assert external_id((policy,), replace(REF, key=key), {"x-amz-meta-pid": "viaa"}) == expected


def test_the_first_policy_that_says_where_ids_come_from_decides():
    key = replace(DEEP, external_id="key")
    assert external_id((key, AGED), REF, {"x-amz-meta-pid": "viaa"}) == "raw/a"
    assert external_id((AGED, key), REF, {"x-amz-meta-pid": "viaa"}) == "viaa"
    assert external_id((key, AGED), ObjectRef("films", "cut/a"), {"x-amz-meta-pid": "viaa"}) == "viaa"


def test_an_external_id_is_read_as_its_sender_wrote_it():
    assert external_id((AGED,), REF, {"x-amz-meta-pid": "é鍵".encode().decode("latin-1")}) == "é鍵"
    assert external_id((AGED,), REF, {"x-amz-meta-pid": "\xe9"}) == "\xe9"


def test_an_external_id_that_no_index_takes_is_refused():
    with pytest.raises(InvalidArgument):
        external_id((AGED,), REF, {"x-amz-meta-pid": "x" * 1025})
    assert known_id((AGED,), REF, Facts(size=1, etag="", last_modified=0, metadata={"pid": "x" * 1025})) is None


def test_what_is_there_already_has_its_id_in_its_metadata():
    facts = Facts(size=1, etag="", last_modified=0, metadata={"pid": "viaa"})
    assert known_id((AGED,), REF, facts) == "viaa"
    assert known_id((AGED,), REF, None) is None
    assert known_id((replace(AGED, external_id="key"),), REF, None) == "raw/a"


def test_what_was_found_is_told_its_id_and_kind_unless_it_tells_them_itself():
    facts = Facts(size=1, etag="", last_modified=0, metadata={"pid": "viaa"}, headers={"content-type": "video/mxf"})
    bare = Entry(ref=REF, facts=facts)
    assert described((AGED,), bare) == replace(bare, external_id="viaa", media_kind="video")
    known = replace(bare, external_id="own", media_kind="audio")
    assert described((AGED,), known) == known
    assert described((), Entry(ref=REF)) == Entry(ref=REF)


@pytest.mark.parametrize(("source", "expected"), [("key", False), (PATTERN, False), ("x-amz-meta-pid", True), (None, False)])
def test_only_an_id_in_the_metadata_goes_with_a_copy(source, expected):
    assert by_metadata((DEEP, replace(AGED, external_id=source)), REF) is expected


@pytest.mark.parametrize(("length", "expected"), [(None, True), (9, False), (10, True), (1 << 50, True)])
def test_an_age_policy_counts_for_what_fits_or_may_fit(length, expected):
    assert tracked((DEEP, AGED), REF, length) is expected
    assert tracked((DEEP,), REF, length) is False
