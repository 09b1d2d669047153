"""aws-chunked: AWS's examples, botocore's writer, any split, and every change refused."""

import hmac
import io
import itertools
import random
import time
from hashlib import sha256

import pytest
from botocore.httpchecksum import _CHECKSUM_CLS, AwsChunkedWrapper
from hypothesis import given, settings
from hypothesis import strategies as st

from s3shunt.protocol import chunked, sigv4
from s3shunt.protocol.chunked import Chain, Decoder
from s3shunt.protocol.errors import IncompleteBody, InvalidArgument, InvalidChunkSizeError, InvalidRequest, S3Error, SignatureDoesNotMatch

SK = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
DATE = "20130524T000000Z"
SCOPE = sigv4.Scope("20130524", "us-east-1")
CRC32C = "x-amz-checksum-crc32c"
EXAMPLE = [b"a" * 65536, b"a" * 1024, b""]

SIGNED_SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
SIGNED = [
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
]
TRAILED_SEED = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
TRAILED = [
    "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
    "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
    "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
]
TRAILER_SIGNATURE = "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"


def chain(seed=SIGNED_SEED):
    return Chain(sigv4.signing_key(SK, SCOPE), DATE, SCOPE, seed)


def written(chunks, signatures, trailer=b""):
    body = b""
    for data, signature in zip(chunks, signatures, strict=True):
        body += b"%x;chunk-signature=%s\r\n" % (len(data), signature.encode()) + (data + b"\r\n" if data else b"")
    return body + trailer + b"\r\n"


def signed(chunks, seed=SIGNED_SEED, trailer=None):
    """Written straight from AWS's text, without our own code."""
    key = b"AWS4" + SK.encode()
    for part in ("20130524", "us-east-1", "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signatures, last = [], seed
    stamp = f"{DATE}\n20130524/us-east-1/s3/aws4_request"
    for data in chunks:
        text = f"AWS4-HMAC-SHA256-PAYLOAD\n{stamp}\n{last}\n{sha256(b'').hexdigest()}\n{sha256(data).hexdigest()}"
        last = hmac.digest(key, text.encode(), "sha256").hex()
        signatures.append(last)
    if trailer is None:
        return written(chunks, signatures)
    line = f"{trailer[0]}:{trailer[1]}"
    text = f"AWS4-HMAC-SHA256-TRAILER\n{stamp}\n{last}\n{sha256((line + chr(10)).encode()).hexdigest()}"
    end = hmac.digest(key, text.encode(), "sha256").hex()
    return written(chunks, signatures, f"{line}\r\nx-amz-trailer-signature:{end}\r\n".encode())


def decode(body, decoder, cuts=()):
    """The payload and the trailers, fed in pieces."""
    edges = [0, *sorted(cuts), len(body)]
    payload = b"".join(piece for start, end in itertools.pairwise(edges) for piece in decoder.feed(body[start:end]))
    decoder.close()
    return payload, decoder.trailers


def outcome(body, make, cuts=()):
    try:
        return decode(body, make(), cuts)
    except S3Error as error:
        return error.code


def test_the_published_chunked_upload():
    body = written(EXAMPLE, SIGNED)
    assert len(body) == 66824
    assert body == signed(EXAMPLE)
    assert decode(body, Decoder(chain(), length=66560)) == (b"a" * 66560, {})


def test_the_published_chunked_upload_with_a_trailer():
    body = written(EXAMPLE, TRAILED, f"{CRC32C}:sOO8/Q==\r\nx-amz-trailer-signature:{TRAILER_SIGNATURE}\r\n".encode())
    assert body == signed(EXAMPLE, TRAILED_SEED, (CRC32C, "sOO8/Q=="))
    assert decode(body, Decoder(chain(TRAILED_SEED), (CRC32C,), 66560)) == (b"a" * 66560, {CRC32C: "sOO8/Q=="})
    forged = body.replace(b"sOO8/Q==", b"sOO8/R==")
    assert outcome(forged, lambda: Decoder(chain(TRAILED_SEED), (CRC32C,))) == "SignatureDoesNotMatch"
    unsigned = body.partition(b"x-amz-trailer-signature")[0] + b"\r\n"
    assert outcome(unsigned, lambda: Decoder(chain(TRAILED_SEED), (CRC32C,))) == "SignatureDoesNotMatch"


@pytest.mark.parametrize("algorithm", ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"])
@pytest.mark.parametrize("size", [0, 1, 8192, 100_000])
def test_what_botocore_writes_is_read(algorithm, size):
    payload = random.Random(size).randbytes(size)
    name = f"x-amz-checksum-{algorithm}"
    body = AwsChunkedWrapper(io.BytesIO(payload), _CHECKSUM_CLS[algorithm], name, chunk_size=8192).read()
    whole = _CHECKSUM_CLS[algorithm]()
    whole.update(payload)
    for length in (size, None):
        assert decode(body, Decoder(names=(name,), length=length), range(0, len(body), 1000)) == (payload, {name: whole.b64digest()})


UNSIGNED = b"3\r\nabc\r\n2\r\nde\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
CRC32 = "x-amz-checksum-crc32"


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=4), st.data())
def test_any_split_gives_the_same(chunks, data):
    body = signed([*chunks, b""], trailer=(CRC32, "AAAAAA=="))
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=12))
    make = lambda: Decoder(chain(), (CRC32,), len(b"".join(chunks)), minimum=0)
    assert outcome(body, make, cuts) == (b"".join(chunks), {CRC32: "AAAAAA=="})
    assert outcome(body, make, range(len(body))) == (b"".join(chunks), {CRC32: "AAAAAA=="})


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_split_of_anything_gives_the_same_verdict(data):
    """A damaged body is judged alike, byte by byte and in one piece."""
    body = bytearray(data.draw(st.sampled_from([UNSIGNED, signed([b"abc", b"de", b""])])))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(body) - 1))
        body[place : place + data.draw(st.integers(0, 2))] = data.draw(st.sampled_from([b"", b"0", b"\r", b"\n", b";", b"ff", b"x"]))
    is_signed = b"chunk-signature" in body
    make = lambda: Decoder(chain() if is_signed else None, () if is_signed else (CRC32,), minimum=0)
    whole = outcome(bytes(body), make)
    assert outcome(bytes(body), make, range(len(body))) == whole
    assert outcome(bytes(body), make, data.draw(st.lists(st.integers(0, len(body)), max_size=5))) == whole


def test_every_changed_byte_of_a_signed_body_is_refused():
    body = signed([b"abc", b"defg", b""], trailer=(CRC32, "AAAAAA=="))
    make = lambda: Decoder(chain(), (CRC32,), 7, minimum=0)
    good = outcome(body, make)
    assert good == (b"abcdefg", {CRC32: "AAAAAA=="})
    for place, byte in enumerate(body):
        changed = body[:place] + bytes([byte ^ 1]) + body[place + 1 :]
        assert isinstance(outcome(changed, make), str), (place, changed)


def test_every_cut_and_every_added_byte_is_refused():
    for body, make in [
        (UNSIGNED, lambda: Decoder(names=(CRC32,), minimum=0)),
        (signed([b"abc", b""]), lambda: Decoder(chain(), minimum=0)),
    ]:
        assert isinstance(outcome(body, make), tuple)
        for place in range(len(body)):
            assert outcome(body[:place], make) == "IncompleteBody"
        assert outcome(body + b"\r", make) == "IncompleteBody"


def test_chunks_may_not_be_swapped_nor_left_out():
    first, second, end = signed([b"abc", b""]), signed([b"xyz", b""]), b""
    assert outcome(first[:90] + second[90:] + end, lambda: Decoder(chain(), minimum=0)) == "SignatureDoesNotMatch"
    lines = signed([b"abc", b"abc", b""])
    one = len(signed([b"abc", b""])) - len(signed([b""]))
    assert outcome(lines[one:], lambda: Decoder(chain(), minimum=0)) == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    "size", [b"", b"-3", b"+3", b"0x3", b" 3", b"3 ", b"3;", b"3_0", b"g", b"3;x=1", "٣".encode(), b"0" * 17, b"140000001", b"f" * 16]
)
def test_a_size_is_a_plain_hexadecimal_number(size):
    body = size + b"\r\nabc\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
    assert outcome(body, lambda: Decoder(names=(CRC32,))) == "IncompleteBody"


@pytest.mark.parametrize(
    "body",
    [
        b"3\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\n0\r\n\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"4\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\r\n0\r\n",
        b"3\r\nabc\r\n",
        b"\r\n",
        b"",
        b"x" * 5000,
    ],
)
def test_bad_framing_is_an_incomplete_body(body):
    assert outcome(body, Decoder) == "IncompleteBody"


def test_a_signed_body_needs_a_signature_on_every_chunk():
    assert outcome(b"3\r\nabc\r\n0\r\n\r\n", lambda: Decoder(chain())) == "IncompleteBody"


@pytest.mark.parametrize(
    "trailers",
    [
        b"",
        b"x-amz-checksum-crc32c:AAAAAA==\r\n",
        b"x-amz-checksum-crc32:AAAAAA==\r\nx-amz-checksum-crc32:AAAAAA==\r\n",
        b"x-amz-checksum-crc32:AAAAAA==\r\nx-amz-meta-a:b\r\n",
        b"x-amz-checksum-crc32:AAAAAA==\r\nx-amz-trailer-signature:00\r\n",
        b"x-amz-checksum-crc32\r\n",
        b" x-amz-checksum-crc32:AAAAAA==\r\n",
    ],
)
def test_trailers_are_those_announced_each_once(trailers):
    with pytest.raises(InvalidRequest):
        decode(b"0\r\n" + trailers + b"\r\n", Decoder(names=(CRC32,)))


def test_a_line_is_short():
    long = b"0\r\nx-amz-checksum-crc32:" + b"A" * 1100 + b"\r\n\r\n"
    for cuts in ((), range(len(long))):
        assert outcome(long, lambda: Decoder(names=(CRC32,)), cuts) == "IncompleteBody"
    endless = Decoder()
    with pytest.raises(IncompleteBody):
        for _ in range(2000):
            endless.feed(b"1")


@pytest.mark.parametrize("length", [0, 4, 6, 10**9])
def test_the_declared_length_must_hold(length):
    with pytest.raises(IncompleteBody):
        decode(UNSIGNED, Decoder(names=(CRC32,), length=length, minimum=0))


def test_a_chunk_beyond_the_declared_length_is_refused_before_its_bytes():
    with pytest.raises(IncompleteBody):
        Decoder(length=10).feed(b"b\r\n")


def test_only_the_last_chunk_may_be_short():
    with pytest.raises(InvalidChunkSizeError):
        decode(UNSIGNED, Decoder(names=(CRC32,)))
    last_short = b"2000\r\n" + b"x" * 8192 + b"\r\n1\r\nx\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
    assert len(decode(last_short, Decoder(names=(CRC32,)))[0]) == 8193


def test_many_small_chunks_cost_no_more_than_their_number():
    """A piece is not copied anew for each chunk in it."""
    body = b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n"
    started = time.process_time()
    assert decode(body, Decoder(minimum=0)) == (b"x" * 100_000, {})
    assert time.process_time() - started < 5


def test_a_large_chunk_streams():
    """Bytes are handed on as they come: nobody keeps a chunk."""
    decoder = Decoder(chain(), length=64 << 20)
    decoder.feed(b"4000000;chunk-signature=" + b"0" * 64 + b"\r\n")
    for _ in range(64):
        assert sum(map(len, decoder.feed(bytes(65536)))) == 65536
    assert not decoder.ended
    with pytest.raises(IncompleteBody):
        decoder.close()


def test_a_forged_chunk_is_found_where_it_ends():
    decoder = Decoder(chain())
    with pytest.raises(SignatureDoesNotMatch):
        decoder.feed(written([b"abc", b""], ["0" * 64, "0" * 64]))


def test_the_modes_of_a_body():
    assert chunked.mode("UNSIGNED-PAYLOAD") == chunked.Mode()
    assert chunked.mode(sigv4.EMPTY_SHA256).hash == sha256().digest()
    assert chunked.mode("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER") == chunked.Mode(chunked=True, signed=True, trailer=True)


@pytest.mark.parametrize(
    "payload",
    ["", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER", "STREAMING-UNSIGNED-PAYLOAD",
     "unsigned-payload", "STREAMING-UNSIGNED-PAYLOAD-TRAILER ", "e3b0c442", sigv4.EMPTY_SHA256.upper(), "g" * 64],
)  # fmt: skip
def test_an_unknown_mode_is_refused(payload):
    with pytest.raises(InvalidArgument):
        chunked.mode(payload)


def test_trailers_are_announced_exactly_when_the_mode_has_them():
    assert chunked.trailer_names("X-Amz-Checksum-CRC32", wanted=True) == (CRC32,)
    assert chunked.trailer_names(None, wanted=False) == ()
    wrong = [(None, True), (CRC32, False), ("", True), ("content-md5", True), ("x-amz-meta-a", True), (f"{CRC32},{CRC32}", True)]
    for value, wanted in wrong:
        with pytest.raises(InvalidRequest):
            chunked.trailer_names(value, wanted=wanted)


def test_a_decoded_length_is_digits():
    assert chunked.decoded_length({}) is None
    assert chunked.decoded_length({"x-amz-decoded-content-length": "66560"}) == 66560
    for text in ("", "-1", "+1", "1_0", "٣", "0x1", "9" * 20):
        with pytest.raises(InvalidArgument):
            chunked.decoded_length({"x-amz-decoded-content-length": text})


def test_somebody_anonymous_is_taken_by_the_trailer_announced():
    assert chunked.anonymous_payload({}) == "UNSIGNED-PAYLOAD"
    assert chunked.anonymous_payload({"x-amz-trailer": CRC32}) == "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    assert chunked.anonymous_payload({"x-amz-content-sha256": "x"}) == "x"
