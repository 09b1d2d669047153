"""Searches in MediaHaven's query language, and what goes into a URL. Pure.

A value is a phrase between quotes: backslash and quote are escaped, so that no
key can end it. All of it is percent-encoded: a space is ``%20``, never ``+``.
"""

from collections.abc import Mapping
from urllib.parse import quote


def phrase(field: str, value: str) -> str:
    """Records whose ``field`` is ``value``, whatever characters it has."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'+({field}:"{escaped}")'


def search(fields: Mapping[str, str], narrow: str = "") -> str:
    """All of the fields; ``narrow`` is the operator's own clause behind them."""
    return " ".join([*(phrase(field, value) for field, value in fields.items()), *([narrow] if narrow else [])])


def encoded(value: str) -> str:
    """A value of a query string, or one segment of a path."""
    return quote(value, safe="", errors="surrogateescape")


def target(path: str, **query: str | int) -> str:
    """A path with its query string."""
    return path + ("?" + "&".join(f"{name}={encoded(str(value))}" for name, value in query.items()) if query else "")
