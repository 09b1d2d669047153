"""An object whose headers the disk cannot keep is refused before its body is read.

Swift keeps an object's headers in the file's extended attributes. A disk that
takes only about 4 KB of them (ext4) answers "no space" when there are more, and
Swift takes that for a full disk. Here such a request gets S3's MetadataTooLarge
(or plain 400 on Swift's own API) and the disk is never asked.
"""

from typing import Any

KEPT = ("HTTP_X_AMZ_META_", "HTTP_X_OBJECT_META_", "HTTP_X_AMZ_TAGGING")
NAMED = frozenset(
    {"CONTENT_TYPE", "HTTP_CONTENT_DISPOSITION", "HTTP_CONTENT_ENCODING", "HTTP_CONTENT_LANGUAGE", "HTTP_CACHE_CONTROL", "HTTP_EXPIRES"}
)
OWN = 1050
"""What Swift adds of its own: ETags, lengths and times of a multipart object, and the pickle around them."""
LONGEST_NAME = 1024
"""A copy may go to a name longer than its source's, so room is kept for the longest."""
PER_HEADER = 24
"""Swift's prefix of a name and the pickle around a pair."""
LIMIT = 8192

TOO_LARGE = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>MetadataTooLarge</Code>'
    b"<Message>Your metadata headers exceed the maximum allowed metadata size.</Message></Error>"
)


def weight(environ: dict[str, Any]) -> int:
    """Bytes that this request's headers take in an object's attributes."""
    kept = ((name, value) for name, value in environ.items() if name in NAMED or name.startswith(KEPT))
    return sum(len(name) + len(value) + PER_HEADER for name, value in kept)


def factory(global_conf: dict[str, str], *, room: str, **local: str) -> Any:  # noqa: ARG001  # PasteDeploy's signature
    allowed = min(int(room) - OWN - LONGEST_NAME, LIMIT)

    def filter_(app: Any) -> Any:
        def measured(environ: dict[str, Any], start_response: Any) -> Any:
            if environ["REQUEST_METHOD"] not in ("PUT", "POST") or weight(environ) <= allowed:
                return app(environ, start_response)
            start_response("400 Bad Request", [("Content-Type", "application/xml"), ("Content-Length", str(len(TOO_LARGE)))])
            return [TOO_LARGE]

        return measured

    return filter_
