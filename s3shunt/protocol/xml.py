"""Foreign XML becomes a tree at the door, or MalformedXML; our own XML is written as text.

What arrives is not trusted: clients write it, and stores quote what clients
wrote. So: UTF-8 and nothing else, no DOCTYPE (and with it no entities), capped
in bytes, elements, depth and attributes, and nothing is ever fetched.
"""

import codecs
import re
from collections.abc import Iterator
from typing import Any

from lxml import etree

from s3shunt.protocol.errors import MalformedXML, text

__all__ = ["NAMESPACE", "MalformedXML", "child", "children", "element", "harmless", "name", "read", "text", "value"]

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
DECLARATION = "<?xml version='1.0' encoding='UTF-8'?>\n"
"""As lxml writes it."""

MAX_BYTES = 2 << 20
MAX_ELEMENTS = 100_000
MAX_DEPTH = 32
MAX_ATTRIBUTES = 16

Element = Any  # lxml ships no types

_DOCTYPE = re.compile(rb"<!\s*DOCTYPE", re.IGNORECASE)
_DECLARED = re.compile(rb"""<\?xml\s[^>]*?encoding\s*=\s*["']([^"']*)["']""")


def read(document: bytes, root: str, *, limit: int = MAX_BYTES) -> Element:
    """The root element of a document, which must be called ``root``, in whatever namespace. Raises MalformedXML."""
    document = document.removeprefix(codecs.BOM_UTF8)
    if len(document) > limit or not harmless(document) or document.count(b"<") > 2 * MAX_ELEMENTS:
        raise MalformedXML
    try:
        tree = etree.fromstring(document, _parser())
    except (etree.XMLSyntaxError, ValueError):
        raise MalformedXML from None
    if name(tree) != root or not _is_small(tree):
        raise MalformedXML
    return tree


def harmless(document: bytes) -> bool:
    """UTF-8 without a DOCTYPE, and so without entities; every other encoding could hide one from the scan. JSON is harmless, too."""
    document = document.removeprefix(codecs.BOM_UTF8)
    declared = _DECLARED.match(document)
    if declared is not None and declared[1].lower() not in (b"utf-8", b"utf8", b"us-ascii"):
        return False
    try:
        return "\0" not in document.decode("utf-8") and not _DOCTYPE.search(document)
    except UnicodeDecodeError:
        return False


def _parser() -> etree.XMLParser:
    """A fresh one for each document: a parser is not shared between threads. libxml2 stops at depth 256 by itself."""
    return etree.XMLParser(
        encoding="utf-8", resolve_entities=False, load_dtd=False, dtd_validation=False, attribute_defaults=False,
        no_network=True, huge_tree=False, remove_comments=True, remove_pis=True, recover=False,
    )  # fmt: skip


def _is_small(tree: Element) -> bool:
    """Elements, attributes and depth within their caps; walked without recursion."""
    level, count = [tree], 0
    for _ in range(MAX_DEPTH):
        count += len(level)
        if count > MAX_ELEMENTS or any(len(each.attrib) > MAX_ATTRIBUTES for each in level):
            return False
        level = [inner for each in level for inner in each]
        if not level:
            return True
    return False


def name(node: Element) -> str:
    """The tag without its namespace."""
    return node.tag.rpartition("}")[2]  # type: ignore[no-any-return]


def children(node: Element, tag: str | None = None) -> Iterator[Element]:
    """Child elements, those called ``tag`` where one is given, in any namespace."""
    return (inner for inner in node if tag is None or name(inner) == tag)


def child(node: Element, tag: str) -> Element | None:
    """The first child of that name."""
    return next(children(node, tag), None)


def value(node: Element, path: str, default: str | None = None) -> str | None:
    """The text under ``path`` (``Days``, ``GlacierJobParameters/Tier``), in any namespace.

    ``default`` when an element is missing, '' when the last one is empty. Space is kept: it may be part of a key.
    """
    for tag in path.split("/"):
        node = child(node, tag)
        if node is None:
            return default
    return node.text or ""


def element(tag: str, content: str) -> str:
    """One element with escaped text, as lxml writes it."""
    return f"<{tag}>{text(content)}</{tag}>" if content else f"<{tag}/>"
