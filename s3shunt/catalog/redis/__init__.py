"""``redis://`` and ``redis+unix://``: a fast, forgetful copy of the catalog that all processes share.

A record is believed when its MAC fits; anything else is a miss. A reader who
misses leaves a placeholder and may fill only while it stands. A writer does not
write, it makes forget: that commutes, so neither a late writer nor two of them
can leave something old behind. Names carry the server's run id: what a
restarted server loads from its disk, or a replica that takes over, is not asked.

Nothing waits longer than ``deadline`` here, and no green thread ever blocks the hub.
"""

import hmac
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from json.encoder import encode_basestring_ascii
from secrets import token_hex
from typing import Any

from s3shunt import config
from s3shunt.catalog.redis.links import Link, Links, border, run_id_of
from s3shunt.catalog.redis.options import Options
from s3shunt.catalog.redis.scripts import FILL, FORGET, READ, SPEND
from s3shunt.catalog.redis.shown import show
from s3shunt.model import Entry, ObjectRef
from s3shunt.policy import notation, recent
from s3shunt.policy.recent import Name
from s3shunt.ports import Hit, Index, Meter, Miss
from s3shunt.protocol.errors import ServiceUnavailable

__all__ = ["Options", "RedisIndex"]

RECORD, PLACEHOLDER = b"=", b"?"
MAC = 32


class RedisIndex:
    Options = Options

    def __init__(self, options: Options, house: Any) -> None:
        self.options = options
        self._clock = house.clock
        secret = config.secret(options.secret_file or house.state / "secret")
        self._key = sha256(b"s3shunt index" + secret).digest()
        self._prefix = f"s3shunt:{sha256(self._key).hexdigest()[:8]}:"
        self._links = Links(options, house.clock)

    @property
    def down(self) -> bool:
        """It failed a moment ago, and is left alone."""
        return self._links.down

    def close(self) -> None:
        self._links.close()

    def get(self, ref: ObjectRef) -> Hit | Miss:
        ticket = ""
        try:
            with self._links.one() as link:
                label = self._label(link.run_id, recent.name(ref))
                found = link.call("GET", label)
                if found is None:
                    token = token_hex(16)
                    found = link.call("EVAL", READ, 1, label, PLACEHOLDER + token.encode())
                    ticket = f"{link.run_id}:{token}"
        except ServiceUnavailable:
            return Miss()
        if found is None:
            return Miss(ticket)
        entry = self._opened(label, found)
        return Miss() if entry is None else Hit(entry)

    def fill(self, ref: ObjectRef, entry: Entry | None, ticket: str) -> None:
        run_id, _, token = ticket.partition(":")
        if entry is None or not token:
            return
        label = self._label(run_id, recent.name(ref))
        record = self._sealed(label, entry)
        if len(record) > self.options.max_record:
            return
        try:
            with self._links.one() as link:
                link.call("EVAL", FILL, 1, label, PLACEHOLDER + token.encode(), record, self.options.keep)
        except ServiceUnavailable:
            return

    def publish(self, *changed: Entry | ObjectRef) -> None:
        refs = [one.ref if isinstance(one, Entry) else one for one in changed]
        names = list(dict.fromkeys(name for ref in refs for name in recent.touched(ref)))
        if not names:
            return
        with self._links.one() as link:
            labels = [self._label(link.run_id, name) for name in names]
            link.call("EVAL", FORGET, len(labels), *labels, self._channel, json.dumps(names))

    def show(self, changed: Iterable[tuple[int, ObjectRef, Entry | None]]) -> None:
        if not self.options.view:
            return
        now = self._clock.now()
        with self._links.one() as link:
            for number, ref, entry in changed:
                show(link, number, ref, entry, now=now, keep=self.options.view_keep)

    def spend(self, subject: str, wanted: int, each: float, burst: int) -> tuple[int, int]:
        """``policy.ratelimit.take`` for all processes, by the server's clock. Raises ServiceUnavailable."""
        label = f"{self._prefix}spent:{sha256(self._key + subject.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}"
        with self._links.one() as link:
            granted, wait = link.call("EVAL", SPEND, 1, label, wanted, repr(each), burst)
        return granted, wait

    @contextmanager
    def listen(self) -> Iterator[Link]:
        """Hear of every change from now on. Raises ServiceUnavailable when the link breaks."""
        link = self._links.fresh()
        try:
            with border():
                link.connect()
                link.run_id = run_id_of(link)
                link.call("SUBSCRIBE", self._channel)
            yield Link(link)
        finally:
            link.disconnect()

    @property
    def _channel(self) -> str:
        return f"{self._prefix}changed"

    def _label(self, run_id: str, name: Name) -> str:
        written = f"[{', '.join(map(encode_basestring_ascii, name))}]"  # as json.dumps would
        return f"{self._prefix}{run_id[:16]}:{sha256(written.encode()).hexdigest()[:40]}"

    def _mac(self, label: str, body: bytes) -> bytes:
        return hmac.digest(self._key, f"{notation.SCHEMA}\n{label}\n".encode() + body, "sha256")

    def _sealed(self, label: str, entry: Entry) -> bytes:
        body = json.dumps(notation.entry_written(entry), separators=(",", ":")).encode()
        return RECORD + self._mac(label, body) + body

    def _opened(self, label: str, found: bytes) -> Entry | None:
        """None for a placeholder, a forgery, and what another release wrote."""
        body = found[1 + MAC :]
        if found[:1] != RECORD or not hmac.compare_digest(found[1 : 1 + MAC], self._mac(label, body)):
            return None
        return notation.entry_read(json.loads(body))


_: type[Index] = RedisIndex
_meter: type[Meter] = RedisIndex
