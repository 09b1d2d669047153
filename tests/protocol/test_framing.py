"""What a foreign server hands on, and what of it could be read in two ways."""

import pytest

from s3shunt.protocol.framing import fault

SOUND = {"REQUEST_METHOD": "PUT", "RAW_PATH_INFO": "/a%20b", "HTTP_HOST": "x", "CONTENT_LENGTH": "5"}


def judged(fields=None, underscores=False, **changes):
    environ = {**SOUND, **changes}
    return fault({name: value for name, value in environ.items() if value is not None}, fields, underscores=underscores)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"CONTENT_LENGTH": ""},
        {"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "Chunked"},
        {"HTTP_X_AMZ_META_A": "caf\xe9\t"},
        {"RAW_URI": "http://x/a?b"},
        {"fields": [("Host", "x"), ("A", "b"), ("a", "c")]},
        {"fields": [("a_b", "c")], "underscores": True},
    ],
)
def test_what_can_be_read_in_one_way_passes(changes):
    assert judged(**changes) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"CONTENT_LENGTH": "+5"},
        {"CONTENT_LENGTH": "5, 5"},
        {"CONTENT_LENGTH": "1_0"},
        {"CONTENT_LENGTH": "\u0665"},
        {"CONTENT_LENGTH": "1" * 19},
        {"HTTP_TRANSFER_ENCODING": "chunked"},
        {"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "gzip, chunked"},
        {"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "chunked,chunked"},
        {"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "\x0bchunked"},
        {"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": ""},
        {"HTTP_A": "b\r\n c"},
        {"HTTP_A": "\x00"},
        {"HTTP_HOST": "x,y"},
        {"REQUEST_METHOD": "G@T"},
        {"REQUEST_METHOD": ""},
        {"RAW_URI": "a"},
        {"RAW_URI": "/a#b"},
        {"RAW_PATH_INFO": "/\xe9"},
        {"fields": [("Content-Length", "5"), ("content-length", "5")]},
        {"fields": [("Transfer-Encoding", "x"), ("Transfer-Encoding", "chunked")]},
        {"fields": [("Host", "x"), ("HOST", "x")]},
        {"fields": [("Transfer-Encoding ", "chunked")]},
        {"fields": [("A", "b\n c")]},
        {"fields": [("a_b", "c")]},
    ],
)
def test_what_could_be_read_in_two_ways_is_named(changes):
    assert judged(**changes)
