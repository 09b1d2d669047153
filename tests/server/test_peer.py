"""The PROXY protocol: lines and headers that are one, and those that are none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3shunt.server import peer

SECOND = b"\r\n\r\n\x00\r\nQUIT\n"
FOUR = b"\xc0\x00\x02\x07\xc0\x00\x02\x01\x10\xe1\x00\x50"
SIX = bytes(15) + b"\x07" + bytes(15) + b"\x01" + b"\x10\xe1\x00\x50"


def second(command, family, data):
    return SECOND + bytes([command, family]) + len(data).to_bytes(2, "big") + data


@pytest.mark.parametrize(
    ("preamble", "address"),
    [
        (b"PROXY TCP4 192.0.2.7 192.0.2.1 4321 80\r\n", "192.0.2.7"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 4321 80\r\n", "2001:db8::7"),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None),
        (second(0x21, 0x11, FOUR), "192.0.2.7"),
        (second(0x21, 0x11, FOUR + b"\x04\x00\x01x"), "192.0.2.7"),
        (second(0x21, 0x21, SIX), "::7"),
        (second(0x20, 0x00, b""), None),
        (second(0x21, 0x00, b""), None),
        (second(0x21, 0x31, bytes(216)), None),
        (second(0x21, 0x11, FOUR[:8]), None),
    ],
)
def test_a_preamble_says_who_the_client_is_or_nothing(preamble, address):
    assert peer.length(preamble) == len(preamble)
    assert peer.told(preamble).get("REMOTE_ADDR") == address


@pytest.mark.parametrize(
    "line",
    [
        b"PROXY TCP4 192.0.2.7 192.0.2.1 4321\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 4321 99999\r\n",
        b"PROXY TCP4 ::1 ::2 4321 80\r\n",
        b"PROXY TCP6 192.0.2.7 192.0.2.1 4321 80\r\n",
        b"PROXY TCP4 192.0.2.777 192.0.2.1 4321 80\r\n",
        b"PROXY TCP4  192.0.2.7 192.0.2.1 4321 80\r\n",
        b"PROXY UDP4 192.0.2.7 192.0.2.1 4321 80\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 4321 80 \r\n",
        second(0x22, 0x11, FOUR),
        second(0x11, 0x11, FOUR),
    ],
)
def test_what_cannot_be_read_is_refused(line):
    with pytest.raises(ValueError):
        peer.told(line)


@pytest.mark.parametrize("begun", [b"GET / HTTP/1.1\r\n", b"P ", b"\r\n\r\r", b"PROXY " + b"x" * 200, second(0x21, 0x11, bytes(5000))])
def test_what_does_not_begin_like_one_is_refused_at_once(begun):
    with pytest.raises(ValueError):
        peer.length(begun)


@given(st.integers(0, 40))
def test_a_preamble_that_has_not_ended_is_waited_for(cut):
    for whole in (b"PROXY TCP4 192.0.2.7 192.0.2.1 4321 80\r\n", second(0x21, 0x11, FOUR)):
        begun = whole[: min(cut, len(whole) - 1)]
        length = peer.length(begun)
        assert length is None or length > len(begun)


def test_only_named_networks_are_trusted():
    named = peer.networks("10.0.0.0/8, ::1")
    assert peer.trusted("10.1.2.3", named)
    assert peer.trusted("::1", named)
    assert peer.trusted("::ffff:10.1.2.3", named)
    assert peer.trusted("", named)
    assert not peer.trusted("11.1.2.3", named)
    assert not peer.trusted("fe80::1%eth0", named)
    with pytest.raises(ValueError, match="expected addresses or networks"):
        peer.networks("here")
