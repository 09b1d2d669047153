"""A request to a store, signed."""

from collections.abc import Sequence
from functools import lru_cache

from s3shunt.protocol import sigv4
from s3shunt.relay.head import Head, fits


def sign(
    head: Head, query: Sequence[tuple[str, str]], *, host: str, credential: tuple[str, str], region: str, now: int,
    payload: str = sigv4.EMPTY_SHA256,
) -> Head:  # fmt: skip
    """``head`` (target: a path, encoded) with its query, Host, date, payload hash and an Authorization over all of it."""
    timestamp = sigv4.timestamp(now)
    if not head.fields and not query and fits(head.target):
        return _template((head.method, host, payload, credential, region, timestamp[:8])).signed(head, timestamp)
    fields = [*head.fields, ("host", host), ("x-amz-content-sha256", payload), ("x-amz-date", timestamp)]
    authorization = sigv4.authorization(
        head.method, head.target, query, dict(fields), payload,
        access_key=credential[0], secret_key=credential[1], timestamp=timestamp, region=region,
    )  # fmt: skip
    target = f"{head.target}?{sigv4.canonical_query(query)}" if query else head.target
    return Head(head.method, target, [*fields, ("authorization", authorization)], head.length)


class Template:
    """Of requests that differ in nothing but path and second, within a day: all else that is signed and sent is known beforehand."""

    def __init__(self, kind: tuple[str, str, str, tuple[str, str], str, str]) -> None:
        method, host, payload, credential, region, day = kind
        self.scope = sigv4.Scope(day, region)
        self.key = sigv4.signing_key(credential[1], self.scope)
        said = {"host": host, "x-amz-content-sha256": payload, "x-amz-date": "<date>"}
        canonical = sigv4.canonical_request((method, "<path>", ""), said, tuple(said), payload)
        self.canonical = canonical.replace("%", "%%").replace("<path>", "%s", 1).replace("<date>", "%s", 1)
        self.fields = [("host", host), ("x-amz-content-sha256", payload)]
        self.claims = f"{sigv4.ALGORITHM} Credential={credential[0]}/{self.scope}, SignedHeaders={';'.join(said)}, Signature="
        wire = Head(method, "<path>", [*said.items(), ("authorization", f"{self.claims}<signature>")]).wire()
        self.wire = wire.replace(b"%", b"%%").replace(b"<path>", b"%b", 1).replace(b"<date>", b"%b", 1).replace(b"<signature>", b"%b", 1)

    def signed(self, head: Head, timestamp: str) -> Head:
        target = head.target
        signature = self.key.sign(sigv4.string_to_sign(self.canonical % (target, timestamp), timestamp, self.scope))
        wire = self.wire % (target.encode(), timestamp.encode(), signature.encode())
        fields = [*self.fields, ("x-amz-date", timestamp), ("authorization", self.claims + signature)]
        return Head(head.method, target, fields, head.length, wire)


_template = lru_cache(maxsize=256)(Template)
