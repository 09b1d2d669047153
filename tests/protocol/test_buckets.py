"""ListBuckets for one of many who share a store's credential."""

import pytest

from s3shunt.protocol import buckets
from s3shunt.protocol.errors import MalformedXML

ANSWER = b"""<?xml version="1.0"?><ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Owner><ID>x</ID></Owner>
<Buckets><Bucket><Name>a</Name></Bucket><Bucket><Name>b</Name><CreationDate>d</CreationDate></Bucket></Buckets></ListAllMyBucketsResult>"""


@pytest.mark.parametrize(("kept", "left"), [({"a", "b"}, ["a", "b"]), ({"b"}, ["b"]), (set(), []), ({"c"}, [])])
def test_only_the_named_buckets_are_left(kept, left):
    assert buckets.names(ANSWER) == ["a", "b"]
    document = buckets.only(ANSWER, kept)
    assert buckets.names(document) == left
    assert b"<ID>x</ID>" in document
    assert (b"CreationDate" in document) is ("b" in left)


def test_what_is_no_list_of_buckets_is_malformed():
    with pytest.raises(MalformedXML):
        buckets.only(b"<Other/>", set())
