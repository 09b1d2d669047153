"""Another request of the same caller."""

from s3shunt.model import Identity, ObjectRef
from s3shunt.testing.client import environ
from s3shunt.wsgi import Request, document, subrequest

IDENTITY = Identity(access_key="AK", account="desk", grants=None)


def test_another_request_is_the_same_callers_and_has_only_what_it_was_given():
    first = Request(environ("PUT", "/films/a?x=1", b"abc", {"range": "bytes=0-1", "content-type": "a/b", "authorization": "CLIENT"}))
    first.context.request_id, first.context.identity = "R", IDENTITY
    ref = ObjectRef("other", "b+/\u00e9", "v 1", "desk")
    made = subrequest(first, "GetObject", ref, fields=[("x-amz-meta-a", "1")], query="partNumber=2")
    assert (made.method, made.target) == ("GET", "/other/b%2B/%C3%A9?partNumber=2&versionId=v%201")
    assert (made.ref, made.operation.name) == (ref, "GetObject")
    assert dict(made.fields) == {"x-amz-meta-a": "1", "content-length": "0"}
    assert (made.context.request_id, made.context.decision.identity, made.context.decision.targets) == ("R", IDENTITY, frozenset({ref}))


def test_another_requests_document_is_there_and_is_its_body():
    made = subrequest(Request(environ("GET", "/films")), "DeleteObjects", ObjectRef("films"), query="delete=", body=b"<Delete/>")
    assert (document(made), made.input.length, made.input.read()) == (b"<Delete/>", 9, b"<Delete/>")
    assert made.target == "/films?delete="
