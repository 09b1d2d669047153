"""Who watches a body is told once."""

import pytest

from s3shunt.wsgi import Response, watch_close


def test_each_who_watches_a_body_is_told_once_though_one_of_them_fails():
    told = []

    def fails(sent):
        raise RuntimeError

    response = Response(status="200 OK", headerlist=[], app_iter=[b"one", b"two"])
    for watcher in (told.append, fails, told.append):
        watch_close(response, watcher)
    body = response.app_iter
    assert b"".join(body) == b"onetwo"
    with pytest.raises(RuntimeError):
        body.close()
    body.close()
    assert told == [6, 6]


def test_closing_is_watched_once_and_even_when_it_breaks():
    seen = []

    class Torn:
        def __iter__(self):
            yield b"12345"

        def close(self):
            raise OSError

    response = Response(status=200, app_iter=Torn())
    watch_close(response, seen.append)
    assert list(response.app_iter) == [b"12345"]
    with pytest.raises(OSError):
        response.app_iter.close()
    with pytest.raises(OSError):
        response.app_iter.close()
    assert seen == [5]
