"""TLS for a listener: 1.2 and 1.3, forward secrecy and authenticated ciphers only, HTTP/1.1 by ALPN."""

import ssl
from pathlib import Path

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


def context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """``certificate``: PEM with its chain; ``key`` may stand in the same file. Raises OSError (ssl.SSLError is one)."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    made.set_ciphers(CIPHERS)
    made.set_alpn_protocols(["http/1.1"])
    made.load_cert_chain(certificate, key)
    return made
