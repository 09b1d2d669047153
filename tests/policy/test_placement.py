import pytest

from s3shunt.model import ObjectRef, Policy
from s3shunt.policy.placement import asked_class, external_id, tracked
from s3shunt.protocol.errors import InvalidStorageClass

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


@pytest.mark.parametrize(("length", "expected"), [(None, True), (9, False), (10, True), (1 << 50, True)])
def test_an_age_policy_counts_for_what_fits_or_may_fit(length, expected):
    assert tracked((DEEP, AGED), REF, length) is expected
    assert tracked((DEEP,), REF, length) is False
