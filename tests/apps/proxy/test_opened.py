"""An upload that has begun: the same bytes, and the same word on who may move them."""

import io

import pytest

from s3shunt.apps.proxy.opened import Opened
from s3shunt.protocol.errors import BadDigest
from s3shunt.wsgi import Body


def test_the_first_bytes_come_before_anybody_asks_and_none_is_lost():
    body = Body(io.BytesIO(b"x" * 200_000), 200_000)
    opened = Opened(body)
    assert body.taken == Body.CHUNK
    assert b"".join(opened) == b"x" * 200_000
    assert not opened.passes


def test_one_that_never_begins_is_not_opened():
    class Unborn(Body):
        def read(self, size=-1):
            raise BadDigest

    with pytest.raises(BadDigest):
        Opened(Unborn(io.BytesIO(), 5))


def test_it_passes_where_its_body_does_and_the_body_counts():
    class Socket(io.BytesIO):
        passes = True

        def fill(self, pipe, count):
            return min(count, 1000)

    body = Body(Socket(b"x" * 200_000), 200_000)
    opened = Opened(body)
    assert opened.passes
    assert opened.fill(9, 5000) == 1000
    assert body.taken == Body.CHUNK + 1000
