"""TLS that is spoken, and that is not; on a socket with bodies: ``test_front``."""

import ssl

import pytest

from s3shunt.server import tls


def test_only_tls_1_2_and_1_3_with_forward_secrecy_are_spoken(certificate):
    made = tls.context(certificate, None)
    assert made.minimum_version == ssl.TLSVersion.TLSv1_2
    old = [cipher["name"] for cipher in made.get_ciphers() if cipher["protocol"] == "TLSv1.2"]
    assert old
    assert all(name.startswith("ECDHE-") and ("GCM" in name or "CHACHA20" in name) for name in old)


def test_a_certificate_without_its_key_is_told_at_the_start(tmp_path, certificate):
    with pytest.raises(OSError):
        tls.context(tmp_path / "none.pem", None)
    (tmp_path / "cert.pem").write_bytes(certificate.read_bytes().partition(b"-----BEGIN CERT")[2])
    with pytest.raises(OSError):
        tls.context(tmp_path / "cert.pem", None)
