"""A continuation token says where to go on, to nobody but us and for one listing only."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3shunt.model import ObjectRef
from s3shunt.protocol.errors import InvalidArgument
from s3shunt.protocol.listing import Kind, Query
from s3shunt.protocol.listing_tokens import issue, position

SECRET = b"0123456789abcdef"
BUCKET = ObjectRef("films", account="main")
QUERY = Query(kind=Kind.V2, prefix="a", delimiter="/")
TOKEN = issue(SECRET, BUCKET, QUERY, "a/\U0001f600/")


@given(st.text(st.characters(blacklist_categories=("Cs",))))
def test_a_token_holds_its_position(told):
    token = issue(SECRET, BUCKET, QUERY, told)

    assert position(SECRET, BUCKET, replace(QUERY, limit=3, after="x"), token) == told
    assert token.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    ("secret", "bucket", "query"),
    [
        (b"another secret..", BUCKET, QUERY),
        (SECRET, replace(BUCKET, bucket="other"), QUERY),
        (SECRET, replace(BUCKET, account="other"), QUERY),
        (SECRET, replace(BUCKET, account="mai", bucket="nfilms"), QUERY),
        (SECRET, BUCKET, replace(QUERY, prefix="")),
        (SECRET, BUCKET, replace(QUERY, delimiter="")),
        (SECRET, BUCKET, replace(QUERY, prefix="a/", delimiter="")),
    ],
)
def test_a_token_of_another_listing_is_refused(secret, bucket, query):
    with pytest.raises(InvalidArgument):
        position(secret, bucket, query, TOKEN)


@pytest.mark.parametrize("token", ["", "A", "AAAA", "é", "=", TOKEN[:-1], TOKEN[1:], "A" + TOKEN, TOKEN[:20] + "A" + TOKEN[21:], "a b"])
def test_what_we_did_not_write_is_refused(token):
    with pytest.raises(InvalidArgument):
        position(SECRET, BUCKET, QUERY, token)
