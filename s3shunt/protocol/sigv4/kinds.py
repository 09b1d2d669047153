"""Requests that are signed alike: what they have in common, worked out for the first of them."""

from collections.abc import Sequence
from typing import NamedTuple

from s3shunt.protocol.errors import S3Error
from s3shunt.protocol.sigv4.reading import claims
from s3shunt.protocol.sigv4.signing import Scope, signing_key, string_to_sign, template

DIGITS = 64
"""Of a signature."""


class Kind(NamedTuple):
    """What one key signs in one scope over headers of the same names, ``host`` among them."""

    access_key: str
    scope: Scope
    signed: tuple[str, ...]
    template: str

    def signature(self, secret: str, timestamp: str, line: Sequence[str], values: Sequence[str], payload: str) -> str:
        """Of one of them: ``line`` is method, path and query in canonical form, ``values`` those of ``signed``, each a ``single`` word."""
        canonical = self.template % (*line, *values, payload)
        return signing_key(secret, self.scope).sign(string_to_sign(canonical, timestamp, self.scope))


def kind(access_key: str, scope: Scope, signed: tuple[str, ...]) -> Kind | None:
    """None where ``host`` is not signed, or a name is none that HTTP knows."""
    text = ";".join(signed)
    return Kind(access_key, scope, signed, template(text)) if "host" in signed and text.isascii() else None


def kind_of(prefix: str) -> Kind | None:
    """From an Authorization header without its last ``DIGITS``; None for one that is written in another way, or wrong."""
    if not prefix.endswith("Signature="):
        return None
    try:
        access_key, scope, signed, _ = claims(prefix)
    except S3Error:
        return None
    return kind(access_key, scope, signed)
