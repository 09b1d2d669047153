"""Who asks for an object back, and how he words it; ``docs/checks.md`` has the list."""

import base64
import io
import json
import zlib
from hashlib import md5, sha256

import pytest

from s3shunt.protocol import addressing, sigv4
from s3shunt.testing.client import Client, call

FILM = b"frames of a film " * 4_000
WISH = b"<RestoreRequest><Days>1</Days></RestoreRequest>"


class Counting:
    """An archive, and every call of it by name."""

    def __init__(self, archive):
        self.archive, self.calls = archive, []

    def __getattr__(self, name):
        found = getattr(self.archive, name)
        if not callable(found):
            return found
        return lambda *args, **more: self.calls.append(name) or found(*args, **more)


def crc32(body):
    return base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


def trailed(body, sum_):
    return b"%x\r\n%s\r\n0\r\nx-amz-checksum-crc32:%s\r\n\r\n" % (len(body), body, sum_.encode())


CHUNKS = {
    "x_amz_content_sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    "x_amz_trailer": "x-amz-checksum-crc32",
    "content_encoding": "aws-chunked",
    "x_amz_decoded_content_length": str(len(WISH)),
}
FORMS = {
    "hash": (WISH, {}),
    "unsigned": (WISH, {"x_amz_content_sha256": "UNSIGNED-PAYLOAD"}),
    "crc32": (WISH, {"x_amz_checksum_crc32": crc32(WISH), "x_amz_sdk_checksum_algorithm": "CRC32"}),
    "sha256": (WISH, {"x_amz_checksum_sha256": base64.b64encode(sha256(WISH).digest()).decode()}),
    "md5": (WISH, {"content_md5": base64.b64encode(md5(WISH).digest()).decode()}),
    "unsigned and crc32": (WISH, {"x_amz_content_sha256": "UNSIGNED-PAYLOAD", "x_amz_checksum_crc32": crc32(WISH)}),
    "chunks with a trailer": (trailed(WISH, crc32(WISH)), CHUNKS),
}
LIES = {
    "crc32": (WISH, {"x_amz_checksum_crc32": crc32(b"other")}, "BadDigest"),
    "md5": (WISH, {"content_md5": base64.b64encode(md5(b"other").digest()).decode()}, "BadDigest"),
    "hash": (WISH, {"x_amz_content_sha256": sha256(b"other").hexdigest()}, "XAmzContentSHA256Mismatch"),
    "trailer": (trailed(WISH, crc32(b"other")), CHUNKS, "BadDigest"),
}


@pytest.mark.parametrize("form", FORMS)
def test_11_a_restore_is_accepted_however_its_body_is_signed_and_summed(house, form):
    house.archive("/films/a", FILM)
    body, fields = FORMS[form]
    assert house.editor.post("/films/a?restore", body, **fields).status == 202
    house.work()
    assert house.get("/films/a").body == FILM


def test_11_a_restore_whose_chunks_are_signed_is_accepted(house):
    house.archive("/films/a", FILM)
    client = house.editor
    fields = {"x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "x-amz-decoded-content-length": str(len(WISH))}
    made = client.environ("POST", "/films/a?restore", b"", fields)
    stamp, last = made["HTTP_X_AMZ_DATE"], made["HTTP_AUTHORIZATION"].rpartition("=")[2]
    scope, wire = sigv4.Scope(stamp[:8], client.region), b""
    for data in (WISH, b""):
        text = f"AWS4-HMAC-SHA256-PAYLOAD\n{stamp}\n{scope}\n{last}\n{sigv4.EMPTY_SHA256}\n{sha256(data).hexdigest()}"
        last = sigv4.signing_key(client.secret_key, scope).sign(text)
        wire += b"%x;chunk-signature=%s\r\n%s\r\n" % (len(data), last.encode(), data)
    made |= {"wsgi.input": io.BytesIO(wire), "CONTENT_LENGTH": str(len(wire))}
    assert call(house.app, made).status == 202


@pytest.mark.parametrize("lie", LIES)
def test_11_a_restore_whose_body_is_not_what_was_promised_starts_nothing(house, lie):
    house.archive("/films/a", FILM)
    body, fields, code = LIES[lie]
    assert house.editor.post("/films/a?restore", body, **fields).code == code
    assert not house.catalog.recalls()


BOMB = b'<!DOCTYPE r [<!ENTITY a "1"><!ENTITY b "&a;&a;">]><RestoreRequest><Days>&b;</Days></RestoreRequest>'
OUTSIDE = b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]><RestoreRequest><Days>1</Days><Description>&x;</Description></RestoreRequest>'


@pytest.mark.parametrize(
    "body", [WISH + b" " * 65536, b"<!DOCTYPE r>" + WISH, BOMB, OUTSIDE, b"<a>" * 5000, b"\xff" + WISH], ids=range(6)
)  # fmt: skip
def test_11_a_large_restore_document_and_one_with_a_doctype_or_entities_is_refused(house, body):
    house.archive("/films/a", FILM)
    assert house.editor.post("/films/a?restore", body).code == "MalformedXML"
    assert not house.catalog.recalls()
    assert house.editor.post("/films/a?restore", WISH + b" " * (65536 - len(WISH))).status == 202


def test_12_without_the_right_a_restore_is_403_before_anything_is_asked_and_tells_no_key(house, tmp_path):
    keys = [*json.loads((tmp_path / "keys.json").read_text())]
    reader = {"access_key": "AKREADER", "secret_key": "reader-secret", "account": "main", "grants": [{"allow": ["read", "list"]}]}
    (tmp_path / "keys.json").write_text(json.dumps([*keys, reader]))
    house.archive("/films/a", FILM)
    archive = Counting(house.house.archive("tape"))
    house.house.put("archive", "tape", archive)
    nobody, reading = Client(house.app, clock=house.clock), Client(house.app, "AKREADER", "reader-secret", clock=house.clock)
    for client in (nobody, reading):
        told = {house.restore(f"/films/{key}", client=client).code for key in ("a", "none", "a?versionId=x")}
        assert told == {"AccessDenied"}
    assert archive.calls == []
    told = {(answer.status, answer.code) for key in ("a", "none") if (answer := house.restore(f"/films/{key}", client=house.stranger))}
    assert len(told) == 1, "in his own account there is neither"
    assert not house.catalog.recalls()
    assert house.desk.get("/films/a").code == "AccessDenied"
    assert house.restore("/films/a", client=house.desk).status == 202
    house.work()
    assert house.get("/films/a").body == FILM


ODD = [
    'a "quoted" \\ key', "a+b%20c%", " ", "new\nline\ttab", "[1]{2}(3)*?", "é\U0001f3ac ü", "a'b;--", "k" * 1024, "é" * 512, "a&b=c#d",
    "<x/>", 'x") OR (*:*', "*", "a:b|c~d^e", "tmp__a", "a/b", "ab",
]  # fmt: skip


def test_14_odd_keys_are_archived_found_and_brought_back_each_as_itself(house):
    for number, key in enumerate(ODD):
        assert house.put(f"/films/{addressing.escape(key)}", b"%d" % number + FILM, x_amz_storage_class="GLACIER").status == 200, key
    house.work()
    for key in ODD:
        assert house.get(f"/films/{addressing.escape(key)}").code == "InvalidObjectState", key
        assert house.restore(f"/films/{addressing.escape(key)}").status == 202, key
    assert len(house.catalog.recalls()) == len(ODD)
    house.work()
    for number, key in enumerate(ODD):
        assert house.get(f"/films/{addressing.escape(key)}").body == b"%d" % number + FILM, key
    listed = {item.findtext("{*}Key") for item in house.get("/films?list-type=2&encoding-type=url").xml.iter("{*}Contents")}
    assert {addressing.decode(key.replace("+", "%20")) for key in listed} == set(ODD)
