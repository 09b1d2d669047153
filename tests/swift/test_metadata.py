"""What does not fit the disk's attributes is refused before the disk is asked."""

import pytest

from s3shunt.swift import metadata


def answer(environ, room):
    said = []
    inner = lambda environ, start_response: start_response("200 OK", []) or [b"stored"]
    app = metadata.factory({}, room=str(room))(inner)
    body = b"".join(app(environ, lambda status, headers: said.append(status)))
    return said[0], body


def put(size, name="HTTP_X_AMZ_META_NOTE", method="PUT"):
    return {"REQUEST_METHOD": method, name: "x" * size, "HTTP_AUTHORIZATION": "y" * 9000}


def test_ordinary_metadata_passes():
    assert answer(put(1500), 4016) == ("200 OK", b"stored")


@pytest.mark.parametrize("name", ["HTTP_X_AMZ_META_NOTE", "HTTP_X_OBJECT_META_NOTE", "CONTENT_TYPE", "HTTP_CONTENT_DISPOSITION"])
def test_what_ext4_cannot_keep_is_too_large_in_whatever_header(name):
    status, body = answer(put(2000, name), 4016)
    assert status == "400 Bad Request"
    assert b"<Code>MetadataTooLarge</Code>" in body


def test_a_roomy_disk_takes_it_and_still_has_a_limit():
    assert answer(put(2000), 65536)[0] == "200 OK"
    assert answer(put(9000), 65536)[0] == "400 Bad Request"


def test_a_read_is_not_measured():
    assert answer(put(9000, method="GET"), 4016)[0] == "200 OK"


def test_what_an_object_does_not_keep_weighs_nothing():
    assert metadata.weight({"HTTP_AUTHORIZATION": "x", "REQUEST_METHOD": "PUT"}) == 0
