"""What S3 calls a request, from method, target and headers."""

import pytest

from s3shunt.model import ObjectRef
from s3shunt.protocol import operations
from s3shunt.protocol.errors import MethodNotAllowed, NotImplemented
from s3shunt.protocol.operations import Archived, Body, Effect, Right

SERVICE, BUCKET, OBJECT = ObjectRef(), ObjectRef("films"), ObjectRef("films", "a/b.mxf")


@pytest.mark.parametrize(
    ("method", "ref", "query", "headers", "name"),
    [
        ("GET", SERVICE, (), {}, "ListBuckets"),
        ("GET", BUCKET, (), {}, "ListObjects"),
        ("GET", BUCKET, ("list-type", "prefix"), {}, "ListObjects"),
        ("GET", BUCKET, ("versions",), {}, "ListObjectVersions"),
        ("GET", BUCKET, ("location",), {}, "GetBucketLocation"),
        ("HEAD", BUCKET, (), {}, "HeadBucket"),
        ("POST", BUCKET, ("delete",), {}, "DeleteObjects"),
        ("PUT", BUCKET, ("versioning",), {}, "PutBucketVersioning"),
        ("GET", OBJECT, (), {}, "GetObject"),
        ("GET", OBJECT, ("x-id",), {}, "GetObject"),
        ("GET", OBJECT, ("X-Amz-Signature", "versionId"), {}, "GetObject"),
        ("GET", OBJECT, ("acl",), {}, "GetObjectAcl"),
        ("HEAD", OBJECT, ("partNumber",), {}, "HeadObject"),
        ("PUT", OBJECT, (), {}, "PutObject"),
        ("PUT", OBJECT, (), {"x-amz-copy-source": "b/k"}, "CopyObject"),
        ("PUT", OBJECT, ("uploadId", "partNumber"), {}, "UploadPart"),
        ("PUT", OBJECT, ("uploadId", "partNumber"), {"x-amz-copy-source": "b/k"}, "UploadPartCopy"),
        ("PUT", OBJECT, ("tagging",), {"x-amz-copy-source": "b/k"}, "PutObjectTagging"),
        ("POST", OBJECT, ("restore",), {}, "RestoreObject"),
        ("POST", OBJECT, ("uploads",), {}, "CreateMultipartUpload"),
        ("POST", OBJECT, ("uploadId",), {}, "CompleteMultipartUpload"),
        ("DELETE", OBJECT, ("uploadId",), {}, "AbortMultipartUpload"),
        ("DELETE", OBJECT, ("versionId",), {}, "DeleteObject"),
    ],
)
def test_a_request_has_the_name_that_s3_gives_it(method, ref, query, headers, name):
    assert operations.of(method, ref, query, headers).name == name


@pytest.mark.parametrize(
    ("method", "ref", "query", "error"),
    [
        ("GET", OBJECT, ("foo",), NotImplemented),
        ("GET", OBJECT, ("acl", "tagging"), NotImplemented),
        ("GET", OBJECT, ("uploads",), MethodNotAllowed),
        ("PATCH", OBJECT, (), MethodNotAllowed),
        ("POST", OBJECT, (), MethodNotAllowed),
        ("DELETE", SERVICE, (), MethodNotAllowed),
        ("GET", SERVICE, ("acl",), NotImplemented),
    ],
)
def test_what_is_not_in_the_table_never_passes_for_something_plainer(method, ref, query, error):
    with pytest.raises(error):
        operations.of(method, ref, query, {})


def test_every_operation_has_one_name():
    assert len(operations.BY_NAME) == len(operations.OPERATIONS)


def test_only_reads_are_repeated():
    assert {row.method for row in operations.OPERATIONS.values() if row.retry} == {"GET", "HEAD"}


def test_what_writes_an_object_makes_its_archived_bytes_moot():
    writes = [row for row in operations.OPERATIONS.values() if row.effect is Effect.WRITE]
    assert writes
    assert all(row.archived is Archived.REPLACE and row.right is Right.WRITE for row in writes)


def test_bucket_configuration_needs_the_admin_right():
    assert {operations.BY_NAME[f"{verb}BucketPolicy"].right for verb in ("Get", "Put", "Delete")} == {Right.ADMIN}


def test_documents_that_name_further_targets_are_marked():
    assert {row.name for row in operations.OPERATIONS.values() if row.body is Body.TARGETS} == {"DeleteObjects", "PostObject"}
