"""The document of a DeleteObjects."""

import pytest

from s3shunt.model import ObjectRef
from s3shunt.protocol import delete
from s3shunt.protocol.errors import MalformedXML

BUCKET = ObjectRef("films", account="meemoo")


@pytest.mark.parametrize("namespace", ["", ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'])
def test_objects_are_named_in_order_with_their_versions(namespace):
    document = f"""<?xml version="1.0" encoding="UTF-8"?><Delete{namespace}><Quiet>true</Quiet>
        <Object><Key>a/ b&amp;é</Key></Object><Object><Key>c</Key><VersionId>7</VersionId><ETag>x</ETag></Object></Delete>"""
    assert delete.targets(document.encode(), BUCKET) == (
        ObjectRef("films", "a/ b&é", None, "meemoo"),
        ObjectRef("films", "c", "7", "meemoo"),
    )


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<Delete>",
        b"<Delete/>",
        b"<Other><Object><Key>a</Key></Object></Other>",
        b"<Delete><Object/></Delete>",
        b"<Delete><Object><Key/></Object></Delete>",
        b'<!DOCTYPE d [<!ENTITY x "y">]><Delete><Object><Key>&x;</Key></Object></Delete>',
        b"<Delete>" + b"<Object><Key>a</Key></Object>" * 1001 + b"</Delete>",
        "<Delete><Object><Key>a</Key></Object></Delete>".encode("utf-16"),
        b"<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>",
        b"<Delete><Object><Key>a<!-- -->b</Key></Object></Delete>",
        b"<Delete><Object><Key>a<?x?>b</Key></Object></Delete>",
        b"<Delete><Object><Key>a<?xmlns?>b</Key></Object></Delete>",
        b"<Delete><Object><Key>a<![CDATA[b]]></Key></Object></Delete>",
        b"<Delete><Object><Key>a<x>b</x></Key></Object></Delete>",
        b"<Delete><More><Object><Key>a</Key></Object></More><Object><Key>b</Key></Object></Delete>",
        b"<Delete><Object><Key>b</Key><Object><Key>a</Key></Object></Object></Delete>",
        b"<a>" * 400 + b"</a>" * 400,
    ],
)
def test_what_is_no_delete_document_is_malformed(document):
    with pytest.raises(MalformedXML):
        delete.targets(document, BUCKET)
