import pytest

from s3shunt.model import ObjectRef
from s3shunt.protocol import delete
from s3shunt.protocol.deleted import Result, conditions, quiet, results, without, write
from s3shunt.protocol.errors import MalformedXML

ASKED = (
    b'<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Object><Key>a &amp; b</Key></Object>'
    b"<Object><Key>c</Key><VersionId>v</VersionId><ETag>e</ETag></Object><Quiet>true</Quiet></Delete>"
)


def test_quiet_is_read():
    assert quiet(ASKED)
    assert not quiet(b"<Delete><Object><Key>a</Key></Object></Delete>")


def test_conditions_become_the_headers_that_say_the_same():
    assert conditions(ASKED) == [{}, {"If-Match": "e"}]


def test_objects_are_left_out_and_the_rest_is_asked_as_before_but_aloud():
    rest = without(ASKED, {0})
    assert delete.targets(rest, ObjectRef("bkt")) == (ObjectRef("bkt", "c", "v"),)
    assert conditions(rest) == [{"If-Match": "e"}]
    assert not quiet(rest)


ROWS = [
    Result(key="a & <b>"),
    Result(key="c", version="v"),
    Result(key="d", marker="m"),
    Result(key="e", version="w", code="AccessDenied", message="Access Denied"),
]


def test_results_are_read_as_they_are_written():
    assert results(b"  " + write(ROWS, quietly=False)) == ROWS


def test_quietly_only_failures_are_told():
    assert results(write(ROWS, quietly=True)) == ROWS[3:]


@pytest.mark.parametrize("document", [b"", b"<Error/>", b"<DeleteResult><Deleted/></DeleteResult>"])
def test_what_is_no_result_is_refused(document):
    with pytest.raises(MalformedXML):
        results(document)
