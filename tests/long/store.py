"""A store for soaks, a program of its own: objects in memory, and faults that a key asks for.

``cut-down-N-...``: an answer with this object's bytes ends after N of them. ``cut-up-N-...``: while
this object comes in, the connection is reset after N bytes. What did not come in whole is not kept.
``GET /-/held`` tells what it holds: bucket and key, SHA-256 of the bytes.

    python store.py PORT
"""

import asyncio
import json
import re
import sys
from datetime import UTC, datetime
from email.utils import formatdate
from hashlib import md5, sha256
from urllib.parse import parse_qsl, unquote
from xml.sax.saxutils import escape

CUT = re.compile(r"cut-(down|up)-(\d+)-")


class Held:
    def __init__(self, body, fields):
        self.body = body
        self.etag = f'"{md5(body).hexdigest()}"'
        moment = datetime.now(UTC)
        self.modified, self.stamp = formatdate(moment.timestamp(), usegmt=True), f"{moment:%Y-%m-%dT%H:%M:%S}.000Z"
        self.kind = fields.get("content-type", "binary/octet-stream")


BUCKETS: dict[str, dict[str, Held]] = {}


class Link(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.buffer = bytearray()
        self.head = None

    def data_received(self, data):
        self.buffer += data
        while self.step():
            pass

    def step(self):
        """Take one head or one body; whether there may be more."""
        if self.head is None:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return False
            self.head = self.read(bytes(self.buffer[:end]).decode("latin-1"))
            del self.buffer[: end + 4]
        length, cut = self.head[3], self.head[4]
        if cut is not None and len(self.buffer) >= cut:
            self.transport.abort()
            return False
        if len(self.buffer) < length:
            return False
        (method, path, query, _, _, fields), self.head = self.head, None
        body = bytes(self.buffer[:length])
        del self.buffer[:length]
        self.answer(method, path, query, fields, body)
        return not self.transport.is_closing()

    def read(self, text):
        first, *lines = text.split("\r\n")
        method, target, _ = first.split(" ")
        path, _, query = target.partition("?")
        fields = {}
        for line in lines:
            name, _, value = line.partition(":")
            fields[name.lower()] = value.strip()
        assert "transfer-encoding" not in fields
        found = CUT.search(path) if method == "PUT" else None
        cut = int(found[2]) if found and found[1] == "up" else None
        return method, unquote(path), dict(parse_qsl(query, keep_blank_values=True)), int(fields.get("content-length", 0)), cut, fields

    def say(self, status, body=b"", *fields, method="GET", most=None):
        lines = [f"HTTP/1.1 {status} Said", *(f"{name}: {value}" for name, value in fields)]
        if status not in (204, 304):
            lines.append(f"Content-Length: {len(body)}")
        if method == "HEAD" or status in (204, 304):
            body = b""
        self.transport.write("\r\n".join([*lines, "", ""]).encode("latin-1") + (body if most is None else body[:most]))
        if most is not None:
            self.transport.close()

    def no(self, status, code, method):
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>no</Message></Error>'.encode()
        self.say(status, body, ("Content-Type", "application/xml"), method=method)

    def answer(self, method, path, query, fields, body):
        if path == "/-/held":
            held = {f"{b}/{k}": sha256(one.body).hexdigest() for b, keys in BUCKETS.items() for k, one in keys.items()}
            return self.say(200, json.dumps(held).encode())
        bucket, _, key = path[1:].partition("/")
        if method == "PUT" and not key:
            BUCKETS.setdefault(bucket, {})
            return self.say(200)
        if bucket not in BUCKETS:
            return self.no(404, "NoSuchBucket", method)
        if key and "tagging" in query:
            return self.say(200, b"<Tagging><TagSet></TagSet></Tagging>", ("Content-Type", "application/xml"))
        if key and {"legal-hold", "retention"} & set(query):
            return self.no(404, "NoSuchObjectLockConfiguration", method)
        if key:
            return self.object(method, BUCKETS[bucket], key, fields, body)
        if method == "HEAD":
            return self.say(200)
        if "versioning" in query:
            return self.say(200, b"<VersioningConfiguration/>", ("Content-Type", "application/xml"))
        return self.list(bucket, query)

    def object(self, method, keys, key, fields, body):
        if method == "PUT":
            keys[key] = made = Held(body, fields)
            return self.say(200, b"", ("ETag", made.etag))
        if method == "DELETE":
            keys.pop(key, None)
            return self.say(204)
        held = keys.get(key)
        if held is None:
            return self.no(404, "NoSuchKey", method)
        told = [("ETag", held.etag), ("Last-Modified", held.modified), ("Content-Type", held.kind), ("Accept-Ranges", "bytes")]
        if fields.get("if-match", held.etag) != held.etag:
            return self.no(412, "PreconditionFailed", method)
        if fields.get("if-none-match") == held.etag:
            return self.say(304, b"", *told)
        found = CUT.match(key)
        most = int(found[2]) if found and found[1] == "down" and method == "GET" else None
        if part := re.fullmatch(r"bytes=(\d+)-(\d+)", fields.get("range", "")):
            first, last = int(part[1]), min(int(part[2]), len(held.body) - 1)
            told.append(("Content-Range", f"bytes {first}-{last}/{len(held.body)}"))
            return self.say(206, held.body[first : last + 1], *told, method=method, most=most)
        return self.say(200, held.body, *told, method=method, most=most)

    def list(self, bucket, query):
        prefix, after = query.get("prefix", ""), query.get("start-after", query.get("marker", query.get("continuation-token", "")))
        limit = int(query.get("max-keys", 1000))
        found = sorted((k for k in BUCKETS[bucket] if k.startswith(prefix) and k > after), key=str.encode)
        rows = "".join(
            f"<Contents><Key>{escape(k)}</Key><LastModified>{one.stamp}</LastModified><ETag>&quot;{one.etag[1:-1]}&quot;</ETag>"
            f"<Size>{len(one.body)}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            for k in found[:limit]
            for one in [BUCKETS[bucket][k]]
        )
        more = len(found) > limit
        inner = f"<Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix><MaxKeys>{limit}</MaxKeys>"
        inner += f"<KeyCount>{min(len(found), limit)}</KeyCount><IsTruncated>{str(more).lower()}</IsTruncated>"
        inner += f"<NextContinuationToken>{escape(found[limit - 1])}</NextContinuationToken>" if more else ""
        begin = '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        body = f"{begin}{inner}{rows}</ListBucketResult>"
        self.say(200, body.encode(), ("Content-Type", "application/xml"))


async def serve(port):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Link, "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
