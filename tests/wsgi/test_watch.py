"""Who watches a body is told once."""

import pytest

from s3shunt.testing.client import environ
from s3shunt.wsgi import Request, Response

REQUEST = Request(environ("GET", "/films/a"))


def response(*pieces, body=None):
    return Response(status="200 OK", headerlist=[], app_iter=list(pieces) if body is None else body)


def test_each_who_watches_a_body_is_told_once_though_one_of_them_fails():
    told, answer = [], response(b"one", b"two")

    def fails(*_):
        raise RuntimeError

    for watcher in (lambda *given: told.append(given), fails, lambda *given: told.append(given)):
        answer.watch(REQUEST, watcher)
    body = answer.app_iter
    assert b"".join(body) == b"onetwo"
    with pytest.raises(RuntimeError):
        body.close()
    body.close()
    assert told == [(REQUEST, answer, 6)] * 2


def test_each_is_told_of_the_request_and_the_answer_that_he_saw():
    told, inner = [], response(b"one")
    inner.watch(REQUEST, lambda *given: told.append(given))
    outer, copied = response(body=inner.app_iter), Request({**REQUEST.environ})
    outer.watch(copied, lambda *given: told.append(given))
    outer.app_iter.close()
    assert told == [(REQUEST, inner, 0), (copied, outer, 0)]


def pieces():
    yield b"12"
    yield b"345"


@pytest.mark.parametrize("body", [[b"12345"], [b"12", b"345"], (b"12345",), [], pieces()])
def test_what_was_asked_for_was_sent_and_nothing_else(body):
    seen, answer = [], response(body=body)
    answer.watch(REQUEST, lambda *given: seen.append(given[-1]))
    whole = b"".join(body if isinstance(body, list | tuple) else [b"12345"])
    assert b"".join(answer.app_iter) == whole
    answer.app_iter.close()
    assert seen == [len(whole)]
    unread = response(body=body)
    unread.watch(REQUEST, lambda *given: seen.append(given[-1]))
    unread.app_iter.close()
    assert seen[1:] == [0]


def test_closing_is_watched_once_and_even_when_it_breaks():
    seen = []

    class Torn:
        def __iter__(self):
            yield b"12345"

        def close(self):
            raise OSError

    answer = response(body=Torn())
    answer.watch(REQUEST, lambda *given: seen.append(given[-1]))
    assert list(answer.app_iter) == [b"12345"]
    with pytest.raises(OSError):
        answer.app_iter.close()
    with pytest.raises(OSError):
        answer.app_iter.close()
    assert seen == [5]
