"""Foreign XML is read whole and bounded, or refused with one word."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from s3shunt.protocol import xml
from s3shunt.protocol.errors import MalformedXML

BOMB = b'<!DOCTYPE a [<!ENTITY b "b"><!ENTITY c "&b;&b;">]><Delete>&c;</Delete>'


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"Delete",
        b"<Delete>",
        b"<Delete></Other>",
        b"<Delete/><Delete/>",
        b"<Delete>&nbsp;</Delete>",
        b"<Delete>\x00</Delete>",
        b"<Delete>\xff</Delete>",
        b"<Restore/>",
        BOMB,
        BOMB.replace(b"DOCTYPE", b"doctype"),
        BOMB.decode().encode("utf-16"),
        BOMB.decode().encode("utf-16-le"),
        BOMB.decode().encode("utf-32"),
        b'<?xml version="1.0" encoding="utf-7"?>+ADwAIQ-DOCTYPE a+AD4-<Delete/>',
        b'<?xml version="1.0" encoding="cp037"?><Delete/>',
        b'<?xml version="1.0" encoding="ISO-8859-1"?><Delete>\xe9</Delete>',
        b'<!DOCTYPE Delete SYSTEM "http://127.0.0.1/x.dtd"><Delete/>',
    ],
)
def test_what_is_not_a_plain_document_of_that_name_is_malformed(document):
    with pytest.raises(MalformedXML):
        xml.read(document, "Delete")


@pytest.mark.parametrize(
    "document",
    [
        b"<Delete>" + b"x" * xml.MAX_BYTES + b"</Delete>",
        b"<Delete>" + b"<a/>" * (xml.MAX_ELEMENTS + 1) + b"</Delete>",
        b"<Delete>" + b"<a>" * 40 + b"</a>" * 40 + b"</Delete>",
        b"<Delete>" + b"<a>" * 100_000 + b"</a>" * 100_000 + b"</Delete>",
        b"<Delete " + b" ".join(b'a%d="1"' % n for n in range(100)) + b"/>",
        b"<Delete " + b" ".join(b'a%d="1"' % n for n in range(150_000)) + b"/>",
    ],
    ids=["bytes", "elements", "depth", "great depth", "attributes", "a flood of attributes"],
)
def test_every_dimension_has_a_cap(document):
    started = time.process_time()
    with pytest.raises(MalformedXML):
        xml.read(document, "Delete")

    assert time.process_time() - started < 1


def test_a_caller_may_set_another_limit():
    document = b"<Delete>" + b"x" * xml.MAX_BYTES + b"</Delete>"

    assert len(xml.read(document, "Delete", limit=3 << 20).text) == xml.MAX_BYTES


@pytest.mark.parametrize("namespace", ["", f' xmlns="{xml.NAMESPACE}"', ' xmlns="urn:other"'])
def test_elements_are_found_in_any_namespace(namespace):
    document = f"<R{namespace}><Days> 2 </Days><P><Tier>Bulk</Tier></P><Key/><Key>b</Key></R>".encode()
    root = xml.read(document, "R")

    assert xml.value(root, "Days") == " 2 "
    assert xml.value(root, "P/Tier") == "Bulk"
    assert xml.value(root, "P/Other") is None
    assert xml.value(root, "Other/Tier", "Standard") == "Standard"
    assert [key.text or "" for key in xml.children(root, "Key")] == ["", "b"]
    assert xml.value(root, "Key") == ""
    assert xml.child(root, "None") is None


def test_a_comment_or_instruction_does_not_cut_a_value():
    root = xml.read(b"<R><!-- x --><Key>a<!-- y -->b<?z?>c<![CDATA[<d>]]></Key></R>", "R")

    assert xml.value(root, "Key") == "abc<d>"
    assert [xml.name(inner) for inner in root] == ["Key"]


def test_a_byte_order_mark_is_no_part_of_the_document():
    assert xml.read(b'\xef\xbb\xbf<?xml version="1.0" encoding="UTF-8"?><R/>', "R").tag == "R"


@settings(max_examples=200)
@given(st.text(st.characters(blacklist_categories=("Cs",))))
def test_what_is_written_is_read_back(content):
    kept = xml.text(content)
    legal = "".join(c if (c >= " " and c not in "\ufffe\uffff") or c in "\t\n\r" else "\ufffd" for c in content)

    assert (xml.value(xml.read(f"<R><a>{kept}</a></R>".encode(), "R"), "a")) == legal


@given(st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\ufffe\uffff")))
def test_elements_are_written_as_lxml_writes_them(content):
    node = etree.Element("a")
    node.text = content or None

    assert xml.element("a", content).encode() == etree.tostring(node, encoding="UTF-8")


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_no_input_raises_anything_but_malformed(document):
    for candidate in (document, b"<R>" + document + b"</R>"):
        try:
            xml.read(candidate, "R")
        except MalformedXML:
            continue
