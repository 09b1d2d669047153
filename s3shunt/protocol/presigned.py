"""A request signed in its query: whoever holds the URL may send it, once or often, until it expires.

The seven parameters are AWS's (Authenticating Requests: Using Query
Parameters). What is signed and how it is checked is in ``sigv4``.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote

from s3shunt.protocol import addressing
from s3shunt.protocol.errors import AuthorizationQueryParametersError, InvalidArgument, InvalidRequest, S3Error
from s3shunt.protocol.headers import fit
from s3shunt.protocol.sigv4 import (
    ALGORITHM,
    UNSIGNED,
    Credential,
    Kind,
    Scope,
    Sent,
    canonical_query,
    canonical_request,
    check_algorithm,
    from_header,
    kind,
    moment,
    names_of,
    scope_of,
    signing_key,
    string_to_sign,
)

Pairs = Sequence[tuple[str, str]]

WEEK = 604_800
SIGNATURE = "X-Amz-Signature"
DATE = "X-Amz-Date"
NEEDED = ("X-Amz-Algorithm", "X-Amz-Credential", SIGNATURE, DATE, "X-Amz-SignedHeaders", "X-Amz-Expires")
OPTIONAL = ("X-Amz-Security-Token", "X-Amz-Content-Sha256")
_MARKS = frozenset(name.lower() for name in NEEDED)
_OWN = frozenset(name.lower() for name in (*NEEDED, *OPTIONAL))
_KNOWN = frozenset((*NEEDED, *OPTIONAL))
_ALSO_HEADERS = frozenset(name.lower() for name in OPTIONAL)
_SECOND = frozenset(("AWSAccessKeyId", "Signature"))
"""SigV2's."""
_HEADER = re.compile("x-amz-[a-z0-9-]+")


def present(pairs: Pairs) -> bool:
    """Whether a query claims to be signed, in whatever spelling."""
    return not _MARKS.isdisjoint([name.lower() for name, _ in pairs])


def unsigned(pairs: Pairs) -> bool:
    """Whether a query holds nothing of a credential, of this version or of the second."""
    return not pairs or not (present(pairs) or _signed_as_second(pairs))


def _signed_as_second(pairs: Pairs) -> bool:
    return not _SECOND.isdisjoint([name for name, _ in pairs])


def further(pairs: Pairs) -> list[str]:
    """The names of parameters that are no part of the credential."""
    return [name for name, _ in pairs if name.lower() not in _OWN]


def payload(pairs: Pairs, headers: Mapping[str, str]) -> str:
    """What a credential says of the body, wherever it says so; '' where there is none. It is taken as it was verified."""
    said = dict(pairs).get("X-Amz-Content-Sha256") or headers.get("x-amz-content-sha256")
    return said or (UNSIGNED if present(pairs) else "")


def claimed(pairs: Pairs, headers: Mapping[str, str]) -> Credential | None:
    """The one credential of a request, from header or query; None when it claims nothing.

    Raises InvalidArgument for two at once, InvalidRequest for SigV2.
    """
    authorization = headers.get("authorization")
    if not pairs:
        return None if authorization is None else from_header(authorization, headers)
    in_query = present(pairs)
    second = _signed_as_second(pairs)
    if (authorization is not None) + in_query + second > 1:
        raise InvalidArgument(
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the "
            "Authorization header should be specified"
        )
    if second:
        check_algorithm("AWS")
    if in_query:
        return from_query(pairs, headers)
    return None if authorization is None else from_header(authorization, headers)


def sent(credential: Credential, method: str, target: str, pairs: Pairs, headers: Mapping[str, str]) -> Sent:
    """The request without the signature in its query, when that is where it was."""
    path, _, query = target.partition("?")
    if credential.expires is not None:
        query = "&".join([part for part in query.split("&") if not part.startswith(SIGNATURE + "=")])
        pairs = [pair for pair in pairs if pair[0] != SIGNATURE]
    return Sent(method, path, query, pairs, headers)


def hoisted(pairs: Pairs, headers: Mapping[str, str]) -> dict[str, str]:
    """Headers that some SDKs sign into the query, by lower-case name: they mean what they mean in a header.

    Raises InvalidRequest for one that is given twice or can be no header, InvalidArgument for a value that is not one line.
    """
    found: dict[str, str] = {}
    for spelled, value in pairs:
        name = spelled.lower()
        if name in _OWN or not name.startswith("x-amz-"):
            continue
        if name in found or name in headers or not _HEADER.fullmatch(name):
            raise InvalidRequest(f"The parameter {name} is given twice, or is not the name of a header.")
        found[name] = value.encode().decode("latin-1")
        if not fit(found[name]):
            raise InvalidArgument(f"The value of the parameter {name} is not valid.", ArgumentName=name)
    return found


def from_query(pairs: Pairs, headers: Mapping[str, str]) -> Credential:
    """The credential of a presigned URL.

    Raises AuthorizationQueryParametersError; InvalidRequest when a header
    says otherwise of the body than the query.
    """
    given = _parameters(pairs)
    if given["X-Amz-Algorithm"] != ALGORITHM:
        raise AuthorizationQueryParametersError(f'X-Amz-Algorithm only supports "{ALGORITHM}"')
    access_key, scope = scope_of(given["X-Amz-Credential"], AuthorizationQueryParametersError)
    signed_at = _date(given["X-Amz-Date"])
    if given["X-Amz-Date"][:8] != scope.date:
        raise AuthorizationQueryParametersError("Invalid credential date. It must be the date of X-Amz-Date.")
    return Credential(
        access_key=access_key,
        scope=scope,
        signed=names_of(given["X-Amz-SignedHeaders"], AuthorizationQueryParametersError),
        signature=given[SIGNATURE],
        timestamp=given["X-Amz-Date"],
        signed_at=signed_at,
        payload=_agreed(given, headers, "X-Amz-Content-Sha256") or UNSIGNED,
        expires=signed_at + _expires(given["X-Amz-Expires"]) * 1000,
        token=_agreed(given, headers, "X-Amz-Security-Token"),
    )


def _parameters(pairs: Pairs) -> dict[str, str]:
    found = [pair for pair in pairs if pair[0] in _KNOWN]
    given = dict(found)
    if len(given) != len(found) or not all(map(given.__contains__, NEEDED)):
        raise AuthorizationQueryParametersError(
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, "
            "X-Amz-SignedHeaders, and X-Amz-Expires parameters, each once."
        )
    return given


def _date(text: str) -> int:
    try:
        return moment(text)
    except ValueError:
        raise AuthorizationQueryParametersError("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"") from None


def _expires(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise AuthorizationQueryParametersError("X-Amz-Expires should be a number of seconds from 1 to 604800")
    if not 1 <= int(text) <= WEEK:
        raise AuthorizationQueryParametersError(
            "X-Amz-Expires must be at least 1 and less than a week (in seconds); the given X-Amz-Expires must be at most 604800 seconds"
        )
    return int(text)


def _agreed(given: Mapping[str, str], headers: Mapping[str, str], name: str) -> str | None:
    """A value that may stand in the query, in a (signed) header, or in both alike."""
    query, header = given.get(name), headers.get(name.lower())
    if query is not None and header is not None and query != header:
        raise InvalidRequest(f"The header and the query parameter {name} differ.")
    return header if query is None else query


class Template(NamedTuple):
    """A signed query with its date and its signature left out: what the links of one signer have in common."""

    kind: Kind
    payload: str
    token: str | None
    lasts: int
    """Milliseconds."""
    query: tuple[str, str]
    """In canonical form, what stands before the date and what behind it."""
    pairs: list[tuple[str, str]]
    places: tuple[int, int]
    """Of date and signature among the pairs."""

    def filled(self, date: str, signature: str) -> list[tuple[str, str]]:
        """The decoded parameters of a link."""
        dated, signed = self.places
        pairs = self.pairs.copy()
        pairs[dated], pairs[signed] = (DATE, date), (SIGNATURE, signature)
        return pairs


def taken_out(query: str) -> tuple[str, str, str]:
    """A query with its date and signature left out, the date, and the signature; ('', '', '') for one that is not written that way."""
    begin, found, rest = query.partition(f"&{SIGNATURE}=")
    before, dated, behind = begin.partition(f"&{DATE}=")
    if not (found and dated):
        return "", "", ""
    return f"{before}&{DATE}={behind[16:]}&{SIGNATURE}={rest[64:]}", behind[:16], rest[:64]


def template(query: str) -> Template | None:
    """What ``taken_out`` left, read. None when anything about it is out of the ordinary: a header in the query, two credentials."""
    try:
        pairs = addressing.query(query)
        given = dict(pairs)
        if given.get(DATE) != "" or given.get(SIGNATURE) != "" or _signed_as_second(pairs) or hoisted(pairs, {}):
            return None
        day = f"{scope_of(given.get('X-Amz-Credential', ''), AuthorizationQueryParametersError)[1].date}T000000Z"
        found = from_query([(name, day if name == DATE else value) for name, value in pairs], {})
    except S3Error:
        return None
    of = kind(found.access_key, found.scope, found.signed)
    if of is None or found.expires is None or not _ALSO_HEADERS.isdisjoint(found.signed):
        return None
    before, _, behind = canonical_query([pair for pair in pairs if pair[0] != SIGNATURE]).partition(f"&{DATE}=")
    places = pairs.index((DATE, "")), pairs.index((SIGNATURE, ""))
    return Template(of, found.payload, found.token, found.expires - found.signed_at, (f"{before}&{DATE}=", behind), pairs, places)


def presign(
    method: str,
    path: str,
    query: Pairs,
    headers: Mapping[str, str],
    *,
    access_key: str,
    secret_key: str,
    timestamp: str,
    expires: int = 3600,
    region: str = "us-east-1",
    session_token: str | None = None,
) -> str:
    """The query string of a URL good for ``expires`` seconds; all ``headers`` (lower-case names, host among them) are signed.

    ``path`` is percent-encoded as it will be sent, ``query`` holds further decoded pairs.
    """
    scope = Scope(timestamp[:8], region)
    names = sorted(headers)
    added = {
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{access_key}/{scope}",
        "X-Amz-Date": timestamp,
        "X-Amz-Expires": str(expires),
        "X-Amz-SignedHeaders": ";".join(names),
    }
    if session_token is not None:
        added["X-Amz-Security-Token"] = session_token
    pairs = [*query, *added.items()]
    payload = headers.get("x-amz-content-sha256", UNSIGNED)
    canonical = canonical_request((method, path, canonical_query(pairs)), headers, names, payload)
    signature = signing_key(secret_key, scope).sign(string_to_sign(canonical, timestamp, scope))
    written = "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in pairs)
    return f"{written}&{SIGNATURE}={signature}"
