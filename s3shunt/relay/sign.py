"""A request to a store, signed."""

from collections.abc import Sequence

from s3shunt.protocol import sigv4
from s3shunt.relay.head import Head


def sign(
    head: Head, query: Sequence[tuple[str, str]], *, host: str, credential: tuple[str, str], region: str, now: int,
    payload: str = sigv4.EMPTY_SHA256,
) -> Head:  # fmt: skip
    """``head`` (target: a path, encoded) with its query, Host, date, payload hash and an Authorization over all of it."""
    timestamp = sigv4.timestamp(now)
    fields = [*head.fields, ("host", host), ("x-amz-content-sha256", payload), ("x-amz-date", timestamp)]
    authorization = sigv4.authorization(
        head.method, head.target, query, dict(fields), payload,
        access_key=credential[0], secret_key=credential[1], timestamp=timestamp, region=region,
    )  # fmt: skip
    target = f"{head.target}?{sigv4.canonical_query(query)}" if query else head.target
    return Head(head.method, target, [*fields, ("authorization", authorization)], head.length)
