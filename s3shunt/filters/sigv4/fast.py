"""The fast path: for a request that is in order and signed as others were before it.

Remembered is where such requests have what was signed, and the words around it: never a key, a signature or
a verdict. Every signature is worked out and every header looked at. What is out of the ordinary, or wrong in
any respect, takes the slow path, which accepts all that this one does and says what is wrong.
"""

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from s3shunt.filters.sigv4.body import NOTHING, PROMISES
from s3shunt.filters.sigv4.keys import KeyRing
from s3shunt.model import Key
from s3shunt.protocol import presigned, sigv4
from s3shunt.protocol.names import Known, remembered
from s3shunt.protocol.presigned import Template
from s3shunt.protocol.sigv4 import Kind
from s3shunt.wsgi import Request
from s3shunt.wsgi.fields import header_name, variable

DATE, PAYLOAD, TOKEN = "HTTP_X_AMZ_DATE", "HTTP_X_AMZ_CONTENT_SHA256", "HTTP_X_AMZ_SECURITY_TOKEN"
NO_BODY = ("0", "")
SLOW_PATH = (None, False)
"""No key, and nothing known of the body."""


def may_be_unsigned(name: str) -> bool:
    """Whether a variable that is not signed says nothing that had to be, and nothing of the body."""
    header = header_name(name)
    if not header:
        return True
    return not (header.startswith("x-amz-") or PROMISES[header] or header == "transfer-encoding" or variable(header) != name)


MAY_BE_UNSIGNED = Known(may_be_unsigned)


class Layout:
    """Where requests of a kind have in their environ what was signed, and what else may be there."""

    MOST = 128
    """Variables of a request that is not out of the ordinary."""

    def __init__(self, kind: Kind) -> None:
        places = [variable(name) for name in kind.signed]
        self.kind = kind
        self.known = set(places)
        self._found = itemgetter("REQUEST_METHOD", *places)
        self.silent = not any(PROMISES[name] or name == "transfer-encoding" for name in kind.signed)
        """Whether nothing is said of the body but its length and what was signed of it."""

    def covers(self, variables: Iterable[str]) -> bool:
        """Whether every header that must be signed is."""
        if self.known.issuperset(variables):
            return True
        fresh = [name for name in variables if name not in self.known]
        if not all(map(MAY_BE_UNSIGNED.__getitem__, fresh)):
            return False
        if len(self.known) + len(fresh) <= self.MOST:
            self.known.update(name for name in fresh if name in MAY_BE_UNSIGNED)
        return True

    def values(self, environ: Mapping[str, Any]) -> Sequence[str] | None:
        """Of the signed headers. None when one is not there, or is more than a single word."""
        try:
            values: tuple[str, ...] = self._found(environ)[1:]  # with the method there are always two
        except KeyError:
            return None
        return values if sigv4.single(values) else None


def laid_out(template: Template | None, regions: tuple[str, ...]) -> tuple[Layout, Template] | None:
    """A link's template with the layout of what its signer signs; None where either is out of the ordinary."""
    found = layout(template.kind, regions) if template else None
    return (found, template) if found and template else None


def layout(kind: Kind | None, regions: tuple[str, ...]) -> Layout | None:
    """None for a region that is not ours, and for names that are two in HTTP and one in WSGI."""
    if kind is None or (regions and kind.scope.region not in regions):
        return None
    return Layout(kind) if all(header_name(variable(name)) == name for name in kind.signed) else None


Claim = tuple[Layout, str, str, str, str | None, str, Template | None]
"""What a request says of itself: layout, query in canonical form, date, payload, token, signature; and of a link its template."""


class FastPath:
    def __init__(self, ring: KeyRing, regions: tuple[str, ...], skew: int) -> None:
        self.ring = ring
        self.skew = skew
        self._of_header = remembered(lambda prefix: layout(sigv4.kind_of(prefix), regions))
        self._of_link = remembered(lambda query: laid_out(presigned.template(query), regions))

    def key(self, request: Request, now: int) -> tuple[Key | None, bool]:
        """Whose request it is, and whether there is no body to verify. None: it takes the slow path."""
        environ = request.environ
        value = environ.get("HTTP_AUTHORIZATION")
        claim = self._link(request) if value is None else self._header(request, value)
        if claim is None:
            return SLOW_PATH
        layout, query, date, payload, token, signature, template = claim
        values = layout.values(environ)
        if values is None or not layout.covers(environ) or not self._in_time(layout.kind, date, template, now):
            return SLOW_PATH
        key = self.ring.find(layout.kind.access_key, now)
        secret = key.secret_key if key else sigv4.DUMMY_SECRET  # for a key that nobody knows the same work is done
        right = layout.kind.signature(secret, date, (request.method, request.raw_path, query), values, payload)
        if not sigv4.same(right, signature) or key is None or not usable(key, token, now):
            return SLOW_PATH
        if template is not None:
            request.__dict__["query"] = template.filled(date, signature)
        return key, layout.silent and payload in NOTHING and environ.get("CONTENT_LENGTH", "0") in NO_BODY

    def _header(self, request: Request, value: str) -> Claim | None:
        layout, environ = self._of_header(value[: -sigv4.DIGITS]), request.environ
        payload = environ.get(PAYLOAD)
        if layout is None or payload is None or not presigned.unsigned(request.query):
            return None
        query = sigv4.canonical_query(request.query)
        return layout, query, environ.get(DATE, ""), payload, environ.get(TOKEN), value[-sigv4.DIGITS :], None

    def _link(self, request: Request) -> Claim | None:
        text, date, signature = presigned.taken_out(request.target[len(request.raw_path) + 1 :])
        found = self._of_link(text) if text else None
        if found is None:
            return None
        layout, template = found
        before, behind = template.query
        return layout, f"{before}{date}{behind}", date, template.payload, template.token, signature, template

    def _in_time(self, kind: Kind, date: str, template: Template | None, now: int) -> bool:
        """Whether the signature is good now: a header's for ``skew``, a link's for as long as it lasts; and its date is the scope's."""
        try:
            signed_at = sigv4.moment(date)
        except ValueError:
            return False
        latest = signed_at + (self.skew if template is None else template.lasts)
        return signed_at - self.skew <= now <= latest and date[:8] == kind.scope.date


def usable(key: Key, token: str | None, now: int) -> bool:
    """Whether a key may be used, with this session token."""
    if key.disabled or (key.expires is not None and now >= key.expires):
        return False
    return token is key.session_token or sigv4.same(token or "", key.session_token or "")
